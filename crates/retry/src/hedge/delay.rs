//! How long the first copy is waited for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::LatencyPercentile;

#[derive(Clone, Debug)]
pub(super) enum Delay {
    Fixed(Duration),
    /// Shared by all services of the layer, and by layers that are made of it.
    Percentile(Arc<LatencyPercentile>),
}

impl Delay {
    pub(super) fn current(&self) -> Duration {
        match self {
            Self::Fixed(delay) => *delay,
            Self::Percentile(latency) => latency.current(),
        }
    }

    /// The first copy took so long, or longer.
    #[inline]
    pub(super) fn record(&self, latency: Duration, now: Instant) {
        if let Self::Percentile(percentile) = self {
            percentile.record(latency, now);
        }
    }
}
