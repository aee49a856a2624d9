//! One named limit: what a layer and all its services share.

use std::{borrow::Cow, fmt, sync::Arc};

use bartizan_core::{Fact, Fault, QuotaViolation, Rejection, RequestContext, RequestEvent};

use crate::{
    Decision, Key, KeyExtractor, Limiter, MissingKey, RequestHead,
    config::Settings,
    fingerprint::Secret,
    refusal,
    store::Place,
    telemetry::{Outcome, Telemetry},
};

/// What a request costs.
const COST: u32 = 1;

pub(crate) struct Policy<K> {
    settings: Settings,
    key: Arc<K>,
    /// The name unless the settings have one.
    key_name: &'static str,
    key_fault: fn(&K) -> Option<Fault>,
    quota: QuotaViolation,
    limiter: Limiter,
    no_key: Option<Fault>,
    no_room: Fault,
    telemetry: Telemetry,
}

impl<K> Policy<K> {
    pub(crate) const LAYER: &'static str = "rate_limit";

    pub(crate) fn new(
        settings: Settings,
        key: Arc<K>,
        key_name: &'static str,
        key_fault: fn(&K) -> Option<Fault>,
    ) -> Self {
        let name = settings.name.clone().unwrap_or(Cow::Borrowed(key_name));
        let description = format!("The limit is {}.", settings.rate);
        let secret = settings.seed.map_or_else(Secret::random, Secret::fixed);
        Self {
            limiter: Limiter::build(settings.rate, settings.max_keys, settings.clock.clone(), secret),
            no_key: key_fault(&key),
            no_room: Fault::new(
                Self::LAYER,
                "more keys are limited at once than are remembered: new ones share a bucket",
                "raise `with_max_keys`, or stop the flood of keys",
            ),
            telemetry: Telemetry::new(&name, &settings.target),
            settings,
            key,
            key_name,
            key_fault,
            quota: QuotaViolation { subject: name, description: Cow::Owned(description) },
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same limit with another setting and empty state.
    pub(crate) fn with(&self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.settings.clone();
        set(&mut settings);
        Self::new(settings, Arc::clone(&self.key), self.key_name, self.key_fault)
    }
}

impl<K: KeyExtractor> Policy<K> {
    /// Lets a request pass, or says why not.
    #[inline]
    pub(crate) fn admit(&self, head: &RequestHead<'_>) -> Result<(), Rejection> {
        let key = match self.key.key(head) {
            Some(key) => key,
            None => self.keyless(head)?,
        };
        let clock = self.limiter.clock();
        let now = head.context().map_or_else(|| clock.now(), |context| context.arrived(clock));
        let verdict = self.limiter.decide(&key, COST, now);
        if verdict.place != Place::Known {
            self.placed(verdict.place);
        }
        if let Some(event) = head.context().map(RequestContext::event)
            && event.is_enabled()
        {
            self.record(event, &self.limiter.explain(COST, &verdict));
        }
        if verdict.allowed {
            self.telemetry.decided(Outcome::Allowed);
            Ok(())
        } else {
            self.telemetry.decided(Outcome::Limited);
            let decision = self.limiter.explain(COST, &verdict);
            Err(refusal::limited(self.quota.clone(), decision.retry_after()))
        }
    }

    /// The key of a request that has none.
    #[cold]
    fn keyless(&self, head: &RequestHead<'_>) -> Result<Key<'static>, Rejection> {
        if let Some(fault) = &self.no_key {
            fault.report();
        }
        match self.settings.missing {
            MissingKey::Shared => Ok(Key::unknown()),
            MissingKey::Refuse => {
                if let Some(event) = head.context().map(RequestContext::event) {
                    self.record_policy(event);
                }
                self.telemetry.decided(Outcome::NoKey);
                Err(refusal::keyless())
            }
        }
    }

    /// Notes what a new key did to the store.
    #[cold]
    fn placed(&self, place: Place) {
        match place {
            Place::Known | Place::None => return,
            Place::New => {}
            Place::Evicted => self.telemetry.evicted(),
            Place::Overflow => {
                self.telemetry.overflowed();
                self.no_room.report();
            }
        }
        // At the bound too, for a recorder that was installed since, and when two threads set it out of order.
        self.telemetry.keys(self.limiter.keys());
    }

    #[cold]
    fn record(&self, event: &RequestEvent, decision: &Decision) {
        self.record_policy(event);
        event.record("rate_limit.remaining", decision.remaining());
        if let Some(delay) = decision.retry_after() {
            event.record("rate_limit.retry_after_seconds", delay.as_secs_f64());
        }
    }

    /// `record` makes nothing of it while nobody reads the event, but a copy of the name would be made.
    fn record_policy(&self, event: &RequestEvent) {
        if event.is_enabled() {
            let name = match &self.quota.subject {
                Cow::Borrowed(name) => Fact::from(*name),
                Cow::Owned(name) => Fact::from(name.clone()),
            };
            event.record("rate_limit.policy", name);
        }
    }
}

/// Leaves out the key, which may hold credentials.
impl<K> fmt::Debug for Policy<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.quota.subject)
            .field("rate", &self.settings.rate.to_string())
            .field("max_keys", &self.settings.max_keys)
            .field("missing", &self.settings.missing)
            .field("keys", &self.limiter.keys())
            .finish_non_exhaustive()
    }
}
