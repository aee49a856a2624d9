//! How many requests may be under way: as many as was said, or as was learned.

mod vegas;

use std::{
    fmt,
    time::{Duration, Instant},
};

pub use self::vegas::Vegas;

/// How many requests of a key may be under way at once. Sealed: [`Fixed`] and [`Vegas`].
pub trait Limit: sealed::Limit {}

impl<L: sealed::Limit> Limit for L {}

/// A limit that was said.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub(crate) u32);

/// What became of a request, for a limit that learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sample {
    /// The head of its response was there after so long.
    Answered(Duration),
    /// It was given up after so long, and nobody knows how long it would have taken.
    GivenUp(Duration),
    /// It was refused further in, or timed out, for there was too much to do.
    Overloaded,
}

pub(crate) mod sealed {
    use super::{Instant, Sample, fmt};

    pub trait Limit: Clone + fmt::Debug + Send + Sync + 'static {
        /// The name of the layer with this limit.
        const LAYER: &'static str;
        /// Whether it wants samples.
        const LEARNS: bool;

        fn current(&self) -> u32;

        /// The lowest that it may become.
        fn least(&self) -> u32;

        /// So many of those under way have had their answer, and only hold their places.
        fn hold(&mut self, answered: u32);

        /// There is no place for one who came `now`: ends what keeps him out for too long. Whether the limit moved.
        fn yield_at(&mut self, now: Instant) -> bool;

        /// Learns from a request that came at `began`, while `in_flight` were under way; whether the limit moved.
        fn learn(&mut self, began: Instant, now: Instant, in_flight: u32, sample: Sample) -> bool;
    }
}

impl sealed::Limit for Fixed {
    const LAYER: &'static str = "bulkhead";
    const LEARNS: bool = false;

    #[inline]
    fn current(&self) -> u32 {
        self.0
    }

    fn least(&self) -> u32 {
        self.0
    }

    #[inline]
    fn hold(&mut self, _: u32) {}

    fn yield_at(&mut self, _: Instant) -> bool {
        false
    }

    fn learn(&mut self, _: Instant, _: Instant, _: u32, _: Sample) -> bool {
        false
    }
}
