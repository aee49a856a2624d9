//! Breakers that know of each other, so that not all of them open.

use std::{collections::BTreeMap, time::Instant};

use crate::{
    policy::OpenShare,
    sync::{AtomicU32, Mutex, Ordering::SeqCst},
};

/// How many of a group of breakers are open.
#[derive(Debug)]
pub(crate) struct Group {
    share: OpenShare,
    members: AtomicU32,
    /// Who holds it holds the lock of one breaker at most, and takes no other.
    open: Mutex<Open>,
}

/// The open ones, of which only matters until when they are. One whose time is over is open no more, also if nobody has
/// called it since and nobody ever will.
#[derive(Debug)]
struct Open {
    count: u32,
    until: BTreeMap<Instant, u32>,
}

impl Group {
    pub(crate) fn new(share: OpenShare) -> Self {
        let open = Mutex::new(Open { count: 0, until: BTreeMap::new() });
        Self { share, members: AtomicU32::new(0), open }
    }

    pub(crate) fn set_members(&self, members: usize) {
        self.members.store(u32::try_from(members).unwrap_or(u32::MAX), SeqCst);
    }

    /// Takes a place among those that may be open, if there is one: then `open` says until when.
    pub(super) fn open(&self, now: Instant, open: impl FnOnce() -> Instant) -> bool {
        let mut places = self.open.lock();
        places.expire(now);
        let members = f64::from(self.members.load(SeqCst));
        let is_first = self.share.at_least_one && places.count == 0;
        let fits = f64::from(places.count.saturating_add(1)) * 100.0 <= members * self.share.percent;
        if is_first || fits {
            places.count += 1;
            *places.until.entry(open()).or_default() += 1;
        }
        is_first || fits
    }

    /// One that was open until then is so no more. Its place may have been given away, if that is over.
    pub(super) fn close(&self, until: Instant) {
        let mut places = self.open.lock();
        let Some(same) = places.until.get_mut(&until) else { return };
        *same -= 1;
        if *same == 0 {
            places.until.remove(&until);
        }
        places.count -= 1;
    }
}

impl Open {
    fn expire(&mut self, now: Instant) {
        while let Some(first) = self.until.first_entry().filter(|first| *first.key() <= now) {
            self.count -= first.remove();
        }
    }
}
