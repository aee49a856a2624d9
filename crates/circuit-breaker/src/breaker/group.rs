//! Breakers that know of each other, so that not all of them open.

use crate::{
    policy::OpenShare,
    sync::{AtomicU32, Ordering::SeqCst},
};

/// How many of a group of breakers are open.
#[derive(Debug)]
pub(crate) struct Group {
    share: OpenShare,
    members: AtomicU32,
    open: AtomicU32,
}

impl Group {
    pub(crate) fn new(share: OpenShare) -> Self {
        Self { share, members: AtomicU32::new(0), open: AtomicU32::new(0) }
    }

    pub(crate) fn set_members(&self, members: usize) {
        self.members.store(u32::try_from(members).unwrap_or(u32::MAX), SeqCst);
    }

    /// A place among those that may be open, if there is one.
    pub(super) fn open(&self) -> bool {
        let members = f64::from(self.members.load(SeqCst));
        let mut open = self.open.load(SeqCst);
        loop {
            let is_first = self.share.at_least_one && open == 0;
            if !is_first && f64::from(open.saturating_add(1)) * 100.0 > members * self.share.percent {
                return false;
            }
            match self.open.compare_exchange(open, open + 1, SeqCst, SeqCst) {
                Ok(_) => return true,
                Err(now) => open = now,
            }
        }
    }

    pub(super) fn close(&self) {
        self.open.fetch_sub(1, SeqCst);
    }
}
