//! All upstreams, in bounded memory.

use std::{collections::HashMap, sync::Arc, time::Instant};

use parking_lot::Mutex;

use super::upstream::Upstream;

/// The upstreams by authority.
#[derive(Debug)]
pub(super) struct Upstreams {
    known: Mutex<HashMap<Box<str>, Arc<Upstream>>>,
    most: usize,
    /// For those that find no room, all together.
    others: Arc<Upstream>,
}

impl Upstreams {
    pub(super) fn new(most: usize) -> Self {
        Self { known: Mutex::default(), most, others: Arc::new(Upstream::new()) }
    }

    /// The upstream of this authority. One that is idle gives its place to a new one.
    pub(super) fn get(&self, authority: &str, now: Instant) -> Arc<Upstream> {
        if authority.is_empty() {
            return Arc::clone(&self.others);
        }
        let mut known = self.known.lock();
        if let Some(upstream) = known.get(authority) {
            return Arc::clone(upstream);
        }
        if known.len() >= self.most {
            // In use by nobody, not even by a response that is on its way.
            known.retain(|_, upstream| Arc::strong_count(upstream) > 1 || !upstream.is_idle(now));
        }
        if known.len() >= self.most {
            return Arc::clone(&self.others);
        }
        let upstream = Arc::new(Upstream::new());
        known.insert(authority.into(), Arc::clone(&upstream));
        upstream
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bartizan_core::Clock;

    use super::*;
    use crate::quota::Quota;

    #[test]
    fn rl_14_upstreams_are_bounded_and_busy_ones_stay() {
        let now = Clock::system().now();
        let quota = Quota::new("", "1/min".parse().unwrap(), false);
        let upstreams = Upstreams::new(2);
        for authority in ["a", "b", "c", "d"] {
            let upstream = upstreams.get(authority, now);
            let taken = upstream.take(Some(&quota), now).is_ok();
            assert_eq!(taken, authority != "d", "the third and fourth share");
        }
        assert_eq!(upstreams.known.lock().len(), 2);
        assert!(upstreams.get("a", now).take(Some(&quota), now).is_err(), "a is remembered");
        let later = now + Duration::from_secs(60);
        assert!(upstreams.get("e", later).take(Some(&quota), later).is_ok());
        assert!(upstreams.known.lock().contains_key("e") && upstreams.known.lock().len() <= 2);
    }
}
