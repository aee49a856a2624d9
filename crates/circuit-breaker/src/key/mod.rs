//! Which breaker a request belongs to.

mod built_in;
mod key_fn;

use std::borrow::Cow;

use bartizan_core::{RequestHead, phase::Phase};

#[doc(inline)]
pub use bartizan_core::key::{PerRoute, PerTenant};

pub use self::{
    built_in::{PerUpstream, PerUpstreamRoute, Single},
    key_fn::KeyFn,
};

/// Which breaker a request belongs to.
///
/// A key names a part of the system that fails as one: a host, a shard, a route. It shows in
/// [reports](crate::BreakerReport) and events, so it must not be a secret, and never becomes a metric label.
pub trait BreakerKey: Send + Sync + 'static {
    /// Where in a server's stack the layer belongs; on a client it is always the phase of breakers.
    type Phase: Phase;
    /// What layers before it in a server's stack must have provided: a [`fact`](bartizan_core::fact), a pair of facts, or
    /// `()`.
    type Needs;

    /// Whether all requests belong to one breaker, and [`key`](Self::key) is never asked.
    const SINGLE: bool = false;

    /// The key of a request. Requests without one, or with one of more than 512 bytes, share a breaker.
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, str>>;
}
