//! A call that was let through, until its response has ended.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use bartizan_core::{Ending, Observer, Outcome};
use http::response::Parts;

use crate::{Permit, pause, slot::Slot};

/// A call that was let through. Its breaker is told how it ended, once, however that is: also when it is dropped, whose
/// permit then goes to another call.
pub struct Guard {
    /// `None` for a call that no breaker applies to.
    slot: Option<Arc<Slot>>,
    permit: Permit,
    /// In nanoseconds: what the upstream asks for.
    pause: u64,
}

impl Guard {
    #[inline]
    pub(crate) fn new(slot: Arc<Slot>, permit: Permit) -> Self {
        Self { slot: Some(slot), permit, pause: 0 }
    }

    /// Calls the inner service. Should it panic before there is a future to follow, the breaker is told: a probe's permit
    /// is to go to another call.
    pub(crate) fn calling<T>(slot: Arc<Slot>, permit: Permit, call: impl FnOnce() -> T) -> (T, Self) {
        let guard = Self::new(slot, permit);
        // Caught, and not told by a drop: classifiers and listeners run in it, whose panic would be a second one.
        match panic::catch_unwind(AssertUnwindSafe(call)) {
            Ok(called) => (called, guard),
            Err(payload) => {
                guard.on_end(Outcome::without_response(Ending::Panic));
                panic::resume_unwind(payload)
            }
        }
    }

    /// Of a call that no breaker applies to.
    pub(crate) fn exempt() -> Self {
        Self { slot: None, permit: Permit::unused(), pause: 0 }
    }
}

impl Observer for Guard {
    #[inline]
    fn wants_head(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.common.settings.most_pause.is_some())
    }

    /// Notes how long the upstream asks not to be called.
    fn on_head(&mut self, head: &mut Parts) {
        let Some(settings) = self.slot.as_ref().map(|slot| &slot.common.settings) else { return };
        let asked = pause::asked(head, settings.clock.wall()).unwrap_or_default();
        let asked = asked.min(settings.most_pause.unwrap_or_default());
        self.pause = u64::try_from(asked.as_nanos()).unwrap_or(u64::MAX);
    }

    #[inline(always)]
    fn on_end(self, outcome: Outcome) {
        if let Some(slot) = self.slot {
            let verdict = slot.common.settings.classifier.verdict(outcome);
            slot.record(self.permit, verdict, self.pause);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("slot", &self.slot).finish_non_exhaustive()
    }
}
