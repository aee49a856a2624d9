//! Where a request's key comes from.

mod built_in;
mod key_fn;
mod tuple;

use bartizan_core::{Fault, phase::Phase};

#[doc(inline)]
pub use bartizan_core::key::{Global, PerPrincipal, PerRoute, PerTenant};

pub use self::{
    built_in::{PerClientAddr, PerCredential, PerHeader, PerMethod},
    key_fn::{At, KeyFn},
};
use crate::{Key, RequestHead};

/// Where a request's key comes from, and where in a stack a limit by that key belongs.
///
/// Two to four of them in a tuple are one key: requests count together that agree in all of them, and the limit
/// belongs where the latest of them does. For a key of your own, [`KeyFn`] makes one of a closure.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whose requests a rate limit counts together",
    label = "not a `KeyExtractor`",
    note = "choose with `RateLimitLayer::new(rate).by(…)`: `PerClientAddr`, `PerPrincipal`, `Global`, a tuple of them, or a `KeyFn`"
)]
pub trait KeyExtractor: Send + Sync + 'static {
    /// Where in a stack the limit belongs.
    type Phase: Phase;
    /// What layers before it must have provided: a [`fact`](bartizan_core::fact), a pair of facts, or `()`.
    type Needs;

    /// The key of a request; `None` when it has none, see [`MissingKey`](crate::MissingKey).
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>>;

    /// The name of a limit by this key that was given no other.
    fn policy(&self) -> &'static str;

    /// What is wrong with a service when a request has no key, reported once per limit. Default: nothing.
    fn fault(&self) -> Option<Fault> {
        None
    }

    /// How many requests may come without a key before the fault is reported, which it is only as long as none
    /// had one: a few, where some paths are open to all, say nothing. Default: 0.
    fn patience(&self) -> u32 {
        0
    }

    /// What a request costs in addition whose credential was bad, see
    /// [`with_failed_credential_charge`](crate::RateLimitLayer::with_failed_credential_charge). Default: 0.
    fn failed_credential_charge(&self) -> u32 {
        0
    }

    /// Whether the key tells callers apart. Default: yes. Where it does not, others may have used up the limit.
    fn is_of_caller(&self) -> bool {
        true
    }

    /// What a refused caller is told. Default: that it sends too many requests.
    fn refusal(&self) -> &'static str {
        "Too many requests from this caller. Try again later."
    }

    /// The same key for a limit in another phase.
    ///
    /// A public API without authentication shows [RateLimit fields](crate::RateLimitLayer::with_headers) of a
    /// limit by address if that stands where authentication would be over:
    ///
    /// ```
    /// use bartizan_core::phase;
    /// use bartizan_rate_limit::{HeaderFields, KeyExtractor, PerClientAddr, RateLimitLayer};
    ///
    /// let layer = RateLimitLayer::new("100/min".parse()?)
    ///     .by(PerClientAddr.at::<phase::PrincipalLimit>())
    ///     .with_headers(HeaderFields::new());
    /// # Ok::<(), bartizan_rate_limit::ConfigError>(())
    /// ```
    fn at<P: Phase>(self) -> At<P, Self>
    where
        Self: Sized,
    {
        At::new(self)
    }
}
