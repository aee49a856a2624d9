//! What becomes of a quota after the decision.

use std::fmt;

use bartizan_core::Outcome;

/// What a response changes about what its request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Charge {
    /// Nothing.
    #[default]
    Nothing,
    /// Takes so much more, even if the bucket holds less: the caller is in debt then, by at most one whole burst.
    More(u32),
    /// Gives so much back; a bucket is never more than full.
    Refund(u32),
}

/// Reads what a response cost.
pub(crate) trait ChargeBy: Send + Sync {
    fn charge(&self, outcome: &Outcome) -> Charge;
}

impl<F: Fn(&Outcome) -> Charge + Send + Sync> ChargeBy for F {
    fn charge(&self, outcome: &Outcome) -> Charge {
        self(outcome)
    }
}

impl fmt::Debug for dyn ChargeBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChargeBy")
    }
}
