//! A call that was let through, until its response has ended.

use std::{fmt, sync::Arc, time::Duration};

use bartizan_core::{Observer, Outcome};
use http::response::Parts;

use crate::{Permit, pause, slot::Slot};

/// A call that was let through. Its breaker is told how it ended, once, however that is: also when it is dropped, whose
/// permit then goes to another call.
pub struct Guard {
    slot: Arc<Slot>,
    permit: Permit,
    /// In nanoseconds: what the upstream asks for.
    pause: u64,
}

impl Guard {
    #[inline]
    pub(crate) fn new(slot: Arc<Slot>, permit: Permit) -> Self {
        Self { slot, permit, pause: 0 }
    }

    /// Notes how long the upstream asks not to be called.
    #[inline(never)]
    fn look(&mut self, head: &Parts, most: Duration) {
        let asked = pause::asked(head, self.slot.common.settings.clock.wall()).unwrap_or_default().min(most);
        self.pause = u64::try_from(asked.as_nanos()).unwrap_or(u64::MAX);
    }
}

impl Observer for Guard {
    #[inline]
    fn on_head(&mut self, head: &mut Parts) {
        if let Some(most) = self.slot.common.settings.most_pause {
            self.look(head, most);
        }
    }

    #[inline]
    fn on_end(self, outcome: Outcome) {
        let verdict = self.slot.common.settings.classifier.verdict(&outcome);
        self.slot.record(self.permit, verdict, Duration::from_nanos(self.pause));
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("slot", &self.slot).finish_non_exhaustive()
    }
}
