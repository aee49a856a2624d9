//! A breaker of a layer, with its key.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Instant,
};

use bartizan_core::Verdict;

use crate::{
    Breaker, Permit, Refused, Transition, TransitionEvent, breaker::Group, settings::Common,
    subscription::InOrder, telemetry,
};

/// A breaker of a layer, with its key, that tells of its changes of state.
pub(crate) struct Slot {
    pub(crate) breaker: Breaker,
    pub(crate) key: Arc<str>,
    pub(crate) common: Arc<Common>,
    order: InOrder,
    /// It gave its place to another. A call that still holds it tells nobody.
    retired: AtomicBool,
}

impl Slot {
    pub(crate) fn new(key: &str, common: &Arc<Common>, group: Option<Arc<Group>>, now: Instant) -> Self {
        Self {
            breaker: Breaker::in_group(Arc::clone(&common.settings.policy), group, now),
            key: key.into(),
            common: Arc::clone(common),
            order: InOrder::default(),
            retired: AtomicBool::new(false),
        }
    }

    /// Whether a call may be made.
    pub(crate) fn admit(&self) -> Result<Permit, Refused> {
        let admission = self.breaker.admit(self.common.settings.clock.now());
        self.tell(admission.transition);
        admission.result
    }

    #[inline(always)]
    pub(crate) fn record(&self, permit: Permit, verdict: Verdict, pause: u64) {
        let now = self.common.settings.clock.nanos();
        if let Some(transition) = self.breaker.record_at(permit, verdict, pause, now) {
            self.tell(Some(transition));
        }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&Breaker, Instant) -> Option<Transition>) {
        self.tell(change(&self.breaker, self.common.settings.clock.now()));
    }

    /// It gives its place to another, as nobody calls it any more.
    pub(crate) fn retire(&self) {
        self.change(Breaker::forget);
        self.retired.store(true, SeqCst);
        self.common.telemetry.removed();
    }

    #[cold]
    fn tell(&self, transition: Option<Transition>) {
        let Some(transition) = transition.filter(|_| !self.retired.load(SeqCst)) else { return };
        self.common.telemetry.changed(&transition);
        self.order.tell(transition, |transition| {
            let (name, key) = (Arc::clone(&self.common.settings.name), Arc::clone(&self.key));
            let event = TransitionEvent { name, key, transition };
            telemetry::log(&event);
            self.common.subscribers.tell(&event);
            for listener in &self.common.settings.listeners {
                listener(&event);
            }
        });
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("key", &self.key)
            .field("state", &self.breaker.state())
            .finish_non_exhaustive()
    }
}
