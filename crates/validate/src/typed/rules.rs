//! The one seam for all validators.

use bartizan_core::{Location, Rejection};

use super::Broken;
use crate::refusal;

/// A value that knows its rules: by the `validator` crate, whatever implements its `Validate`, and by `garde`, what is
/// wrapped in `Garde`.
///
/// Sealed: its implementations are this crate's. For rules written by hand implement `validator::Validate`.
pub trait Rules {
    /// The rules that do not hold; one more than a refusal keeps tells it that there are more.
    #[doc(hidden)]
    fn broken(&self) -> Vec<Broken>;
}

/// Refuses a value of this part of a request if one of its rules does not hold.
pub(super) fn judge(value: &impl Rules, location: Location) -> Result<(), Rejection> {
    let broken = value.broken();
    if broken.is_empty() {
        return Ok(());
    }
    Err(refusal::violates(broken.into_iter().map(|broken| broken.at(location))))
}
