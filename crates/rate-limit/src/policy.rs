//! The limits of one layer: what it and all its services share.

use std::{fmt, slice, sync::Arc};

use bartizan_core::{
    Clock, EventFacts, Fact, Rejection, RequestContext, RequestEvent,
    stripe::{Share, Striped},
};

use http::Extensions;

use crate::{
    Charge, Decision, Decisions, Key, RequestHead,
    config::Settings,
    fingerprint::Fingerprint,
    keys::{Describe, Keys},
    limit::{Limit, LimitSettings},
    refusal,
    store::{Answer, Ask, Note, Place, Terms, decide, decide_one, take_usual},
    telemetry::Outcome,
};

pub(crate) const LAYER: &str = "rate_limit";

/// The most limits that one layer takes.
pub(crate) const MOST_LIMITS: usize = 8;

/// All limits of a layer, and their keys.
pub(crate) struct Policy<K> {
    pub(crate) keys: Arc<K>,
    pub(crate) shared: Striped<Shared>,
}

/// What does not depend on the type of the keys, and outlives a decision.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) limits: Box<[Limit]>,
    /// What every request costs that is no preflight, where it may be decided at a [glance](Shared::glance): under one
    /// limit, and without anything else to do before the response is there.
    pub(crate) usual_cost: Option<u32>,
    /// Whether anything is done after the decision.
    notes: bool,
    /// Whether the head of a response matters.
    pub(crate) watches: bool,
    /// Whether the end of a response's body may.
    pub(crate) charges: bool,
}

/// What is noted of a request that may go on; most have one limit.
#[derive(Debug)]
pub(crate) enum Notes {
    One(Note),
    Several(Box<[Note]>),
}

impl Notes {
    #[inline]
    fn of(asks: &[Ask<'_>]) -> Self {
        match asks {
            [ask] => Self::One(ask.note(0)),
            asks => Self::Several((0..).zip(asks).map(|(index, ask)| ask.note(index)).collect()),
        }
    }

    pub(crate) fn iter(&self) -> slice::Iter<'_, Note> {
        match self {
            Self::One(note) => slice::from_ref(note),
            Self::Several(notes) => notes,
        }
        .iter()
    }
}

/// What a request is at first sight.
pub(crate) enum Glance {
    Passed(Note),
    /// Nothing was decided.
    Unclear(Seen),
}

/// What need not be asked for again.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// `None` where the request has no key, and is not let in without.
    key: Option<Fingerprint>,
    now: u64,
}

impl<K: Describe> Policy<K> {
    pub(crate) fn new(settings: Settings, limits: &[LimitSettings], keys: Arc<K>) -> Self {
        let mut infos = Vec::new();
        keys.describe(&mut infos);
        let epoch = settings.clock.nanos();
        let limits: Box<[Limit]> = limits
            .iter()
            .cloned()
            .zip(infos)
            .map(|(limit, info)| Limit::new(limit, info, epoch, &settings.recorder))
            .collect();
        let charges = limits.iter().any(Limit::charges);
        let watches = charges
            || settings.headers.is_some()
            || limits.iter().any(|limit| limit.failed_credential_charge > 0);
        let notes = watches || settings.extension;
        let usual_cost = match &*limits {
            [limit] if !settings.extension && !charges && settings.exempt.has_no_lists() => {
                limit.usual_cost()
            }
            _ => None,
        };
        let shared = Shared { settings, limits, usual_cost, notes, watches, charges };
        Self { keys, shared: Striped::new(shared) }
    }
}

impl<K: Keys> Policy<K> {
    /// Lets a request pass, or says why not.
    ///
    /// `seen` is what a glance at it saw.
    pub(crate) fn admit(
        &self,
        head: &RequestHead<'_>,
        seen: Option<Seen>,
    ) -> Result<Option<Notes>, Rejection> {
        const { assert!(K::COUNT <= MOST_LIMITS, "a layer takes at most 8 limits") }
        let shared = &self.shared;
        if shared.settings.exempt.covers(head) {
            return Ok(None);
        }
        if K::COUNT == 1 {
            let limit = &shared.limits[0];
            let seen = seen.unwrap_or_else(|| shared.see(limit, &*self.keys, head));
            match seen.key {
                Some(key) => shared.admit_one(limit, key, seen.now, head),
                None => Err(refuse_keyless(limit, head)),
            }
        } else {
            self.admit_several(head)
        }
    }

    #[inline(never)]
    fn admit_several(&self, head: &RequestHead<'_>) -> Result<Option<Notes>, Rejection> {
        let mut asks = Vec::with_capacity(K::COUNT);
        self.each_key(head, |limit, key| {
            let Terms { quota, cost } = limit.terms(head);
            asks.push(Ask { limit, key: limit.memory.fingerprint(key), quota, cost, answer: Answer::OPEN });
        })?;
        decide(&mut asks, self.shared.now(head));
        self.shared.conclude(&asks, head)
    }

    /// Shows each limit and the key that it counts by.
    #[inline]
    pub(crate) fn each_key<'a>(
        &'a self,
        head: &RequestHead<'_>,
        mut each: impl FnMut(&'a Limit, &Key<'_>),
    ) -> Result<(), Rejection> {
        let mut keys: [Option<Key<'_>>; MOST_LIMITS] = [const { None }; MOST_LIMITS];
        let mut places = keys.iter_mut();
        self.keys.each(head, &mut |key| {
            if let Some(place) = places.next() {
                *place = key;
            }
        });
        for (limit, key) in self.shared.limits.iter().zip(keys) {
            let key = limit.own_key(key).ok_or_else(|| refuse_keyless(limit, head))?;
            each(limit, &key);
        }
        Ok(())
    }
}

impl Shared {
    /// Lets the usual request pass, of a key that is known and has enough left. Otherwise nothing is decided.
    // As part of the caller, most of what it makes is never written down.
    #[inline(always)]
    pub(crate) fn glance<K: Keys>(&self, keys: &K, head: &RequestHead<'_>, cost: u32) -> Glance {
        let limit = &self.limits[0];
        let seen = self.see(limit, keys, head);
        let Some(note) = seen.key.and_then(|key| take_usual(limit, cost, key, seen.now)) else {
            return Glance::Unclear(seen);
        };
        limit.telemetry.decided(Outcome::Allowed);
        if let Some(event) = head.context().map(RequestContext::event)
            && event.is_enabled()
        {
            record_passed(event, limit, note);
        }
        Glance::Passed(note)
    }

    #[inline(always)]
    fn see<K: Keys>(&self, limit: &Limit, keys: &K, head: &RequestHead<'_>) -> Seen {
        Seen { key: limit.key_of(keys, head), now: self.now(head) }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// Decides for the one limit there is.
    #[inline(always)]
    fn admit_one(
        &self,
        limit: &Limit,
        key: Fingerprint,
        now: u64,
        head: &RequestHead<'_>,
    ) -> Result<Option<Notes>, Rejection> {
        let terms = limit.terms(head);
        let answer = decide_one(limit, key, terms, now);
        let is_recorded = head.context().map(RequestContext::event).is_some_and(RequestEvent::is_enabled);
        if answer.allowed && answer.place == Place::Known && !is_recorded {
            // What `conclude` comes to, without an `Ask`, which is large.
            limit.telemetry.decided(Outcome::Allowed);
            return Ok(self.notes.then(|| Notes::One(answer.note(0, terms))));
        }
        let Terms { quota, cost } = terms;
        self.conclude(&[Ask { limit, key, quota, cost, answer }], head)
    }

    /// The reading that counts for a request, in nanoseconds.
    #[inline]
    pub(crate) fn now(&self, head: &RequestHead<'_>) -> u64 {
        let clock = self.clock();
        head.context().map_or_else(|| clock.nanos(), |context| context.arrived(clock))
    }

    /// What follows from the answers of all limits. Notes are taken when the response must be looked at, or the
    /// handler wants to know.
    // Apart, so that it is not in the way of the one limit of which there is nothing to say.
    #[inline(never)]
    pub(crate) fn conclude(
        &self,
        asks: &[Ask<'_>],
        head: &RequestHead<'_>,
    ) -> Result<Option<Notes>, Rejection> {
        let refused = asks.iter().any(Ask::refuses);
        for ask in asks {
            if ask.answer.place != Place::Known {
                ask.limit.placed(ask.answer.place);
            }
            ask.limit.telemetry.decided(match (ask.answer.allowed, ask.limit.is_rehearsal()) {
                // What another limit refused was not let through by this one.
                (true, _) if refused => continue,
                (true, _) => Outcome::Allowed,
                (false, false) => Outcome::Limited,
                (false, true) => Outcome::WouldLimit,
            });
        }
        if let Some(event) = head.context().map(RequestContext::event)
            && event.is_enabled()
        {
            record(event, asks);
        }
        if refused {
            return Err(self.refuse(asks, head));
        }
        Ok(self.notes.then(|| Notes::of(asks)))
    }

    #[cold]
    fn refuse(&self, asks: &[Ask<'_>], head: &RequestHead<'_>) -> Rejection {
        let rejection = refusal::limited(asks, head.protocol());
        let Some(headers) = self.settings.headers else { return rejection };
        let fields = headers.of(self, &Notes::of(asks), rejection.retry_after());
        let pairs = fields.into_pairs().into_iter();
        pairs.fold(rejection, |rejection, (name, value)| rejection.with_header(name, value))
    }

    /// Charges or gives back, where the decision was made.
    pub(crate) fn settle(shared: &Share<Self>, note: &Note, now: u64, charge: Charge) {
        #[cfg(feature = "redis")]
        if shared.settings.redis.as_ref().is_some_and(|store| store.settle(shared, note, charge)) {
            return;
        }
        shared.limit(note).settle(note, now, charge);
    }

    /// The limit of a note.
    pub(crate) fn limit(&self, note: &Note) -> &Limit {
        &self.limits[usize::from(note.limit)]
    }

    /// All that a note tells.
    pub(crate) fn decision(&self, note: &Note) -> Decision {
        Decision::new(self.limit(note).quota(note.quota).rate, note.cost, note.allowed, note.level)
    }

    /// Shows handlers what was decided. A layer further out may have left its own.
    #[cold]
    pub(crate) fn show(&self, notes: &Notes, extensions: &mut Extensions) {
        let all: &mut Decisions = extensions.get_or_insert_default();
        all.0.extend(notes.iter().map(|note| (self.limit(note).name().clone(), self.decision(note))));
    }
}

/// The request has no key, and its limit lets none such in.
#[cold]
fn refuse_keyless(limit: &Limit, head: &RequestHead<'_>) -> Rejection {
    if let Some(event) = head.context().map(RequestContext::event) {
        event.record_with(|facts| facts.record("rate_limit.policy", name(limit)));
    }
    limit.telemetry.decided(Outcome::NoKey);
    refusal::keyless(LAYER)
}

/// Notes the tightest of the limits.
#[cold]
fn record(event: &RequestEvent, asks: &[Ask<'_>]) {
    let tightest = match asks {
        [ask] => Some(ask),
        asks => asks.iter().min_by_key(tightness),
    };
    let Some(ask) = tightest else { return };
    let decision = ask.decision();
    event.record_with(|facts| {
        record_decision(facts, ask.limit, decision);
        if let Some(delay) = decision.retry_after() {
            facts.record("rate_limit.retry_after_seconds", delay.as_secs_f64());
        }
        if let Some(shared) = asks.iter().find_map(shared_bucket) {
            facts.record("rate_limit.shared_bucket", shared);
        }
        let would_refuse = |ask: &&Ask<'_>| !ask.answer.allowed && ask.limit.is_rehearsal();
        if let Some(ask) = asks.iter().find(would_refuse) {
            facts.record("rate_limit.would_refuse", name(ask.limit));
        }
    });
}

/// Notes what is left of the one limit that let a request pass.
// Apart, so that it is not in the way where nobody will read it.
#[cold]
fn record_passed(event: &RequestEvent, limit: &Limit, note: Note) {
    let decision = Decision::new(limit.quota(note.quota).rate, note.cost, note.allowed, note.level);
    event.record_with(|facts| record_decision(facts, limit, decision));
}

#[inline]
fn record_decision(facts: &mut EventFacts, limit: &Limit, decision: Decision) {
    facts.record("rate_limit.policy", name(limit));
    facts.record("rate_limit.remaining", decision.remaining());
}

/// Least for the limit that keeps a refused caller out longest, else for that with least left.
fn tightness(ask: &&Ask<'_>) -> impl Ord + use<> {
    let decision = ask.decision();
    // No time is told where no waiting helps.
    let wait = decision.retry_after().map_or(u128::MAX, |wait| wait.as_nanos());
    let wait = if ask.answer.allowed { 0 } else { wait };
    (!ask.refuses(), u128::MAX - wait, decision.remaining())
}

/// Why a request took from a bucket that is not its own.
fn shared_bucket(ask: &Ask<'_>) -> Option<&'static str> {
    if ask.key.is_unknown() {
        Some("no_key")
    } else {
        (ask.answer.place == Place::Overflow).then_some("overflow")
    }
}

fn name(limit: &Limit) -> Fact {
    match limit.name() {
        std::borrow::Cow::Borrowed(name) => Fact::from(*name),
        std::borrow::Cow::Owned(name) => Fact::from(name.clone()),
    }
}

/// Leaves out the keys, which may hold credentials.
impl<K> fmt::Debug for Policy<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}
