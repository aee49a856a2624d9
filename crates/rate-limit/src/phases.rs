//! Which of two phases of a server's stack lies further in, and which lie behind authentication.

use bartizan_core::{
    After,
    phase::{self, Phase},
};

/// The later of two phases: where a layer belongs that needs what both need.
///
/// Implemented for all pairs of the phases of a server's stack.
#[diagnostic::on_unimplemented(message = "no layer can belong to both `{Self}` and `{Other}`")]
pub trait Latest<Other> {
    /// `Self` or `Other`.
    type Phase: Phase;
}

macro_rules! ladder {
    () => {};
    ($outer:ident $($inner:ident)*) => {
        impl Latest<phase::$outer> for phase::$outer {
            type Phase = Self;
        }
        $(
            impl Latest<phase::$inner> for phase::$outer {
                type Phase = phase::$inner;
            }

            impl Latest<phase::$outer> for phase::$inner {
                type Phase = Self;
            }
        )*
        ladder!($($inner)*);
    };
}

ladder! {
    Problem Correlation Trace Metrics AccessLog Normalize SecurityHeaders Cors Deadline Load Address AddressLimit
    Authentication PrincipalLimit PrincipalBulkhead Authorization Version Validation Idempotency Cache
}

/// The phases that lie behind authentication: limits that stand there may tell callers what is left of their quota.
///
/// Implemented for `PrincipalLimit` and all phases further in; a phase of your own that lies there may implement it too.
#[diagnostic::on_unimplemented(
    message = "a limit of phase `{Self}` stands before authentication, and must not tell callers what is left of a quota",
    label = "a stranger could read here what another caller has left",
    note = "before authentication refused callers get `Retry-After` alone: leave `with_headers` out",
    note = "count by a key that is known after authentication, such as `PerPrincipal`; a service that authenticates nobody moves its limit with `.at::<phase::PrincipalLimit>()`"
)]
pub trait BehindAuthentication: After<phase::PrincipalLimit> {}

macro_rules! behind_authentication {
    ($($phase:ident)*) => {
        $(impl BehindAuthentication for phase::$phase {})*
    };
}

behind_authentication! {
    PrincipalLimit PrincipalBulkhead Authorization Version Validation Idempotency Cache
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latest<A: Latest<B> + Phase, B: Phase>() -> &'static str {
        A::Phase::NAME
    }

    #[test]
    fn lay_08_the_latest_of_two_phases_is_the_one_further_in() {
        use phase::{AddressLimit, Cache, Load, PrincipalLimit, Problem};
        assert_eq!(latest::<AddressLimit, PrincipalLimit>(), "principal_limit");
        assert_eq!(latest::<PrincipalLimit, AddressLimit>(), "principal_limit");
        assert_eq!(latest::<Load, Load>(), "load");
        assert_eq!(latest::<Problem, Cache>(), "cache");
        assert_eq!(latest::<Cache, Load>(), "cache");
    }
}
