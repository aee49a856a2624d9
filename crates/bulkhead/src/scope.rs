//! The request that the running code serves, where the feature `scope` can tell.

#[cfg(feature = "scope")]
pub(crate) use bartizan_core::current;

/// Without the scope only the request itself can say whose it is.
#[cfg(not(feature = "scope"))]
pub(crate) fn current() -> Option<bartizan_core::RequestContext> {
    None
}
