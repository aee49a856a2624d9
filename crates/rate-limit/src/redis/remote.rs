//! A request's limits, decided in Redis.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bartizan_core::{Rejection, RequestContext, stripe::Share};
use futures_util::future::join_all;

use super::{
    failure::{self, Failure, FailureMode},
    key::{Digester, RemoteKey},
    refusals::Refusals,
    script::{Asked, Said},
    store::RedisStore,
};
use crate::{
    Charge, KeyExtractor, RequestHead,
    keys::Keys,
    policy::{Notes, Policy, Shared},
    store::{Answer, Ask, Place, Terms, decide},
};

/// How a layer uses its store.
pub(crate) struct Remote {
    pub(super) store: RedisStore,
    pub(super) mode: FailureMode,
    pub(super) slot_by: Option<Arc<dyn SlotBy>>,
    /// One for each limit, or none.
    pub(super) refusals: Box<[Refusals]>,
}

/// What the keys of a request have in common.
pub(super) trait SlotBy: Send + Sync {
    fn slot(&self, head: &RequestHead<'_>, digester: &Digester) -> Option<u32>;
}

impl<K: KeyExtractor> SlotBy for K {
    fn slot(&self, head: &RequestHead<'_>, digester: &Digester) -> Option<u32> {
        self.key(head).map(|key| digester.slot(&key))
    }
}

/// What one limit was asked, without the request: it stays until the answer is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    key: RemoteKey,
    quota: u16,
    cost: u32,
}

/// What Redis says, by script: which limits it decided, and how.
pub(super) type Verdict = Vec<(Vec<usize>, Result<Vec<Said>, Failure>)>;

/// Boxed, since the client's own futures have no name.
pub(super) type Asking = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Whether there is anything to wait for.
pub(super) enum Begun {
    Decided(Admitted),
    Asking { remote: Arc<Remote>, questions: Vec<Question>, asking: Asking },
}

/// Lets a request pass, or says why not.
pub(super) type Admitted = Result<Option<Notes>, Rejection>;

impl Remote {
    /// Asks Redis about a request, unless the answer is known.
    pub(super) fn begin<K: Keys>(self: &Arc<Self>, policy: &Policy<K>, head: &RequestHead<'_>) -> Begun {
        let shared = &policy.shared;
        if shared.settings.exempt.covers(head) {
            return Begun::Decided(Ok(None));
        }
        let digester = self.store.digester();
        let mut questions = Vec::with_capacity(K::COUNT);
        let keyed = policy.each_key(head, |limit, key| {
            let Terms { quota, cost } = limit.terms(head);
            questions.push(Question {
                key: RemoteKey { digest: digester.digest(key), slot: None },
                quota,
                cost,
            });
        });
        if let Err(rejection) = keyed {
            return Begun::Decided(Err(rejection));
        }
        let slot = self.slot_by.as_ref().and_then(|by| by.slot(head, digester));
        questions.iter_mut().for_each(|question| question.key.slot = slot);
        if let Some(asks) = self.recall(shared, &questions, head) {
            return Begun::Decided(shared.conclude(&asks, head));
        }
        if self.store.is_down() {
            return Begun::Decided(self.unanswered(shared, &questions, Failure::Down, head));
        }
        self.store.notice_runtime();
        let asking = self.ask(shared, &questions);
        Begun::Asking { remote: Arc::clone(self), questions, asking }
    }

    fn ask(&self, shared: &Shared, questions: &[Question]) -> Asking {
        let asked: Vec<_> = shared
            .limits
            .iter()
            .zip(questions)
            .map(|(limit, question)| Asked {
                limit,
                key: question.key,
                rate: limit.quota(question.quota).rate,
                cost: question.cost,
            })
            .collect();
        let parts = self.store.calls(&asked);
        let (store, deadline) = (self.store.clone(), self.store.deadline());
        Box::pin(async move {
            let store = &store;
            join_all(parts.into_iter().map(async |part| {
                let said = store.ask(&part, deadline).await;
                (part.places, said)
            }))
            .await
        })
    }

    /// What follows from what Redis said.
    pub(super) fn finish(
        &self,
        shared: &Share<Shared>,
        questions: &[Question],
        verdict: &Verdict,
        head: &RequestHead<'_>,
    ) -> Admitted {
        let mut asks = asks(shared, questions);
        let mut failure = None;
        for (places, said) in verdict {
            match said {
                Ok(said) => {
                    for (place, said) in places.iter().zip(said) {
                        asks[*place].answer = Answer {
                            allowed: said.allowed,
                            level: said.level,
                            place: Place::Known,
                            fingerprint: questions[*place].key.fingerprint(),
                        };
                    }
                }
                Err(error) => failure = Some(*error),
            }
        }
        let refused = asks.iter().any(Ask::refuses);
        let failure = failure.filter(|_| !refused);
        if refused || (failure.is_some() && self.mode != FailureMode::Open) {
            self.give_back(shared, &mut asks, verdict);
        }
        if let Some(failure) = failure {
            return self.unanswered(shared, questions, failure, head);
        }
        if refused {
            self.remember(shared, &asks, head);
        }
        shared.conclude(&asks, head)
    }

    /// The request does not pass, or is decided elsewhere: what scripts took that did not know that is given back
    /// (RL-10). Where one script decides all, it has taken nothing.
    fn give_back(&self, shared: &Share<Shared>, asks: &mut [Ask<'_>], verdict: &Verdict) {
        for (places, said) in verdict {
            if said.is_err() || places.iter().any(|place| asks[*place].refuses()) {
                continue;
            }
            for place in places {
                let ask = &mut asks[*place];
                if ask.answer.allowed && ask.cost > 0 {
                    let note = ask.note(u16::try_from(*place).unwrap_or(u16::MAX));
                    self.store.settle(shared, &note, Charge::Refund(ask.cost));
                    let rate = ask.limit.quota(ask.quota).rate;
                    ask.answer.level = ask.answer.level.given_back(rate, ask.cost);
                }
            }
        }
    }

    /// Redis did not decide.
    #[cold]
    fn unanswered(
        &self,
        shared: &Shared,
        questions: &[Question],
        failure: Failure,
        head: &RequestHead<'_>,
    ) -> Admitted {
        if let Some(event) = head.context().map(RequestContext::event) {
            event.record("rate_limit.store_failure", failure.name());
        }
        for limit in &shared.limits {
            limit.telemetry.unanswered(failure);
        }
        let rehearsal = shared.limits.iter().all(|limit| limit.is_rehearsal());
        match self.mode {
            FailureMode::Local => {
                let mut asks = asks(shared, questions);
                decide(&mut asks, shared.now(head));
                shared.conclude(&asks, head)
            }
            FailureMode::Closed if !rehearsal => {
                shared.limits.iter().for_each(|limit| limit.telemetry.failed_closed());
                Err(failure::closed())
            }
            FailureMode::Open | FailureMode::Closed => {
                shared.limits.iter().for_each(|limit| limit.telemetry.failed_open());
                Ok(None)
            }
        }
    }

    /// The answers for a request that Redis would refuse for sure. Of other limits nothing is known then.
    fn recall<'a>(
        &self,
        shared: &'a Shared,
        questions: &[Question],
        head: &RequestHead<'_>,
    ) -> Option<Vec<Ask<'a>>> {
        if self.refusals.is_empty() {
            return None;
        }
        let now = shared.now(head);
        let mut asks = asks(shared, questions);
        for ((ask, refusals), question) in asks.iter_mut().zip(&self.refusals).zip(questions) {
            let terms = Terms { quota: ask.quota, cost: ask.cost };
            if keeps_refusing(ask)
                && let Some(level) = refusals.recall(ask.limit, question.key, terms, now)
            {
                let fingerprint = question.key.fingerprint();
                ask.answer = Answer { allowed: false, level, place: Place::Known, fingerprint };
            }
        }
        asks.iter().any(Ask::refuses).then_some(asks)
    }

    fn remember(&self, shared: &Shared, asks: &[Ask<'_>], head: &RequestHead<'_>) {
        for (ask, refusals) in asks.iter().zip(&self.refusals) {
            if ask.refuses() && keeps_refusing(ask) {
                refusals.remember(ask, shared.now(head));
            }
        }
    }
}

/// Whether a refusal stands until its time has passed, and Redis need not hear of those in between.
fn keeps_refusing(ask: &Ask<'_>) -> bool {
    !ask.limit.is_rehearsal() && !ask.limit.counts_refused()
}

/// The questions again, under the keys that memory would know.
fn asks<'a>(shared: &'a Shared, questions: &[Question]) -> Vec<Ask<'a>> {
    shared
        .limits
        .iter()
        .zip(questions)
        .map(|(limit, question)| Ask {
            limit,
            key: limit.memory.fingerprint(&question.key.local()),
            quota: question.quota,
            cost: question.cost,
            answer: Answer::OPEN,
        })
        .collect()
}

/// Leaves out what closures hold.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("store", &self.store)
            .field("failure_mode", &self.mode)
            .field("local_refusals", &!self.refusals.is_empty())
            .finish_non_exhaustive()
    }
}
