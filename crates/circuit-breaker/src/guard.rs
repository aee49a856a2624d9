//! A call that was let through, until its response has ended.

use std::{fmt, sync::Arc, time::Duration};

use bartizan_core::{Observer, Outcome};
use http::Response;

use crate::{Permit, pause, slot::Slot};

/// A call that was let through. Its breaker is told how it ended, once, however that is: also when it is dropped, whose
/// permit then goes to another call.
pub struct Guard {
    slot: Arc<Slot>,
    permit: Permit,
    pause: Duration,
}

impl Guard {
    #[inline]
    pub(crate) fn new(slot: Arc<Slot>, permit: Permit) -> Self {
        Self { slot, permit, pause: Duration::ZERO }
    }
}

impl Observer for Guard {
    #[inline]
    fn on_response<B>(&mut self, response: &mut Response<B>) {
        let settings = &self.slot.common.settings;
        if let Some(most) = settings.most_pause {
            let asked = pause::asked(response, settings.clock.wall());
            self.pause = asked.unwrap_or_default().min(most);
        }
    }

    #[inline]
    fn on_end(self, outcome: Outcome) {
        let verdict = self.slot.common.settings.classifier.verdict(&outcome);
        self.slot.record(self.permit, verdict, self.pause);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("slot", &self.slot).finish_non_exhaustive()
    }
}
