//! Where limits keep what was spent.
//!
//! # The seam
//!
//! A layer makes of a request one [`Ask`] per limit: the limit, the fingerprint of the key, the quota that applies,
//! the cost. A store answers **all of them at once** (RL-10): it looks at each, takes from all only if each that is
//! not a rehearsal allows, and writes an [`Answer`] into each. What comes then (metrics, the wide event, headers,
//! the refusal) is the layer's and the same for every store, see
//! [`Shared::conclude`](crate::policy::Shared::conclude); it needs the asks, and nothing of the request but its
//! context and protocol.
//!
//! - In memory, [`decide`] here: at once, without waiting; [`decide_one`] where there is one limit, without an ask;
//!   and before that [`take_usual`], for the request of which there is nothing else to say.
//! - A store elsewhere makes of the keys what it sends, before it lets go of the request: for each the name of the
//!   limit, [`Key::write_to`](crate::Key) under a digest that all instances share, [`Quota::rate`], the cost,
//!   [`Limit::is_sliding`], [`Limit::is_rehearsal`] and [`Limit::counts_refused`]. Its answers are [`Level`]s,
//!   written back into the asks in their order. One layer type per kind of store: an async one clones its inner
//!   service into the future (the instance that was polled ready moves), and the one in memory must not pay for
//!   that.
//! - After the response, [`Limit::settle`] charges or refunds a [`Note`]; a store elsewhere sends the same
//!   [`Charge`], by [`Algorithm::settle`]'s rules.
//! - When the store is away, a limit in memory of the same settings is the local fallback: [`decide`] on the very
//!   same asks.

mod table;

pub(crate) use self::table::{Bucket, Place, Table};
use crate::{
    Charge, Decision, Key, Rate,
    decision::Level,
    fingerprint::{Fingerprint, Secret},
    gcra::TokenBucket,
    limit::Limit,
    quota::Quota,
    window::SlidingWindow,
};

/// How a bucket is read and changed, as pure functions of it.
pub(crate) trait Algorithm {
    type Bucket: Bucket;

    /// How much is used at `now`.
    fn level(rate: Rate, bucket: Self::Bucket, now: u64) -> Level;

    /// The bucket after `cost` was taken; `None` when it holds less.
    fn spend(quota: &Quota, bucket: Self::Bucket, now: u64, cost: u32) -> Option<Self::Bucket>;

    /// The bucket after a request was refused, where those count too: with what is left of it taken.
    fn drain(rate: Rate, bucket: Self::Bucket, now: u64, cost: u32) -> Self::Bucket;

    /// The bucket after a response: charged beyond what it holds if need be, or given back.
    fn settle(rate: Rate, bucket: Self::Bucket, now: u64, charge: Charge) -> Self::Bucket;
}

/// The state of one limit in memory.
#[derive(Debug)]
pub(crate) enum Memory {
    Buckets(Table<<TokenBucket as Algorithm>::Bucket>),
    Windows(Table<<SlidingWindow as Algorithm>::Bucket>),
}

/// What one limit is asked about one request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) limit: &'a Limit,
    /// The key, as the limit's own memory knows it.
    pub(crate) key: Fingerprint,
    /// Which of the limit's quotas applies.
    pub(crate) quota: u16,
    /// 0 looks and takes nothing.
    pub(crate) cost: u32,
    pub(crate) answer: Answer,
}

impl<'a> Ask<'a> {
    /// All that the answer tells.
    pub(crate) fn decision(&self) -> Decision {
        let rate = self.limit.quota(self.quota).rate;
        Decision::new(rate, self.cost, self.answer.allowed, self.answer.level)
    }

    /// What the response may still need, of the limit at this place.
    #[inline]
    pub(crate) fn note(&self, limit: u16) -> Note {
        self.answer.note(limit, Terms { quota: self.quota, cost: self.cost })
    }

    /// Whether the request is refused by this limit.
    #[inline]
    pub(crate) fn refuses(&self) -> bool {
        !self.answer.allowed && !self.limit.is_rehearsal()
    }
}

/// What applies to a request: which of the limit's quotas, and the cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) quota: u16,
    pub(crate) cost: u32,
}

/// What it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// Whether this limit allows the request, whatever others say.
    pub(crate) allowed: bool,
    /// What is used, with this request if it took something.
    pub(crate) level: Level,
    pub(crate) place: Place,
    /// The key as the memory knows it, for what comes after the response.
    pub(crate) fingerprint: Fingerprint,
}

impl Answer {
    /// Before anything was decided.
    pub(crate) const OPEN: Self = Self {
        allowed: true,
        level: Level::Bucket { backlog: 0 },
        place: Place::None,
        fingerprint: Fingerprint::NONE,
    };

    /// What the response may still need of it.
    #[inline(always)]
    pub(crate) fn note(self, limit: u16, Terms { quota, cost }: Terms) -> Note {
        let Self { allowed, level, fingerprint, .. } = self;
        Note { limit, quota, cost, allowed, level, fingerprint }
    }
}

/// What is kept of a decision until the response is there: small, since it moves with the future.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    /// Which limit of the layer, and which of its quotas.
    pub(crate) limit: u16,
    pub(crate) quota: u16,
    pub(crate) cost: u32,
    pub(crate) allowed: bool,
    pub(crate) level: Level,
    pub(crate) fingerprint: Fingerprint,
}

impl Note {
    /// Whether the limit was asked: it is not where another refuses for sure.
    pub(crate) fn is_known(&self) -> bool {
        self.fingerprint != Fingerprint::NONE
    }
}

/// Takes what the usual request costs from a bucket that holds it. `None`, and nothing is taken, where there is more to
/// decide.
#[inline(always)]
pub(crate) fn take_usual(limit: &Limit, cost: u32, key: Fingerprint, now: u64) -> Option<Note> {
    let Memory::Buckets(table) = &limit.memory else { return None };
    let terms = Terms { quota: 0, cost };
    let quota = limit.quota(terms.quota);
    let known = table.lock_known(key, limit.since_epoch(now))?;
    let now = known.now();
    let bucket = TokenBucket::spend(quota, known.bucket(), now, cost)?;
    known.write(bucket);
    let level = TokenBucket::level(quota.rate, bucket, now);
    Some(Answer { allowed: true, level, place: Place::Known, fingerprint: key }.note(0, terms))
}

/// Decides what one limit alone is asked.
// What it is given and says is large, and then stays in registers.
#[inline(always)]
pub(crate) fn decide_one(limit: &Limit, key: Fingerprint, terms: Terms, now: u64) -> Answer {
    match &limit.memory {
        Memory::Buckets(table) => step::<TokenBucket>(table, limit, key, terms, true, now, |passes| passes).0,
        Memory::Windows(table) => decide_window(table, limit, key, terms, now),
    }
}

/// Apart, since fewer limits are windows.
#[inline(never)]
fn decide_window(
    table: &Table<<SlidingWindow as Algorithm>::Bucket>,
    limit: &Limit,
    key: Fingerprint,
    terms: Terms,
    now: u64,
) -> Answer {
    step::<SlidingWindow>(table, limit, key, terms, true, now, |passes| passes).0
}

/// Decides all of `asks` together: nothing is taken unless each that is not a rehearsal allows (RL-10).
///
/// The shards of all keys are locked before the first is changed, in the order of the limits, which is the same
/// for all requests; so nobody sees half of a decision, and two requests cannot wait for each other.
pub(crate) fn decide(asks: &mut [Ask<'_>], now: u64) {
    decide_rest(asks, true, now);
}

/// The same after others were asked, who all let the request pass if `passes`. Whether it passes.
fn decide_rest(asks: &mut [Ask<'_>], passes: bool, now: u64) -> bool {
    let Some((ask, others)) = asks.split_first_mut() else { return passes };
    let rest = |passes| decide_rest(others, passes, now);
    let (limit, key, terms) = (ask.limit, ask.key, Terms { quota: ask.quota, cost: ask.cost });
    let (answer, all) = match &limit.memory {
        Memory::Buckets(table) => step::<TokenBucket>(table, limit, key, terms, passes, now, rest),
        Memory::Windows(table) => step::<SlidingWindow>(table, limit, key, terms, passes, now, rest),
    };
    ask.answer = answer;
    all
}

/// Asks one limit. `rest` asks those after it while the key of this one is locked, and says whether all let the
/// request pass.
#[inline(always)]
fn step<A: Algorithm>(
    table: &Table<A::Bucket>,
    limit: &Limit,
    fingerprint: Fingerprint,
    Terms { quota, cost }: Terms,
    passes: bool,
    now: u64,
    rest: impl FnOnce(bool) -> bool,
) -> (Answer, bool) {
    let quota = limit.quota(quota);
    let locked = table.lock(fingerprint, limit.since_epoch(now));
    let (bucket, now_here) = (locked.bucket(), locked.now());
    let spent = if cost == 0 { None } else { A::spend(quota, bucket, now_here, cost) };
    let allowed = cost == 0 || spent.is_some();
    let all = rest(passes && (allowed || limit.is_rehearsal()));
    let taken = match spent {
        Some(spent) => Some(spent).filter(|_| all),
        None if !allowed && limit.counts_refused() => Some(A::drain(quota.rate, bucket, now_here, cost)),
        None => None,
    };
    let level = A::level(quota.rate, taken.unwrap_or(bucket), now_here);
    let place = match taken {
        Some(taken) => locked.write(taken),
        None => locked.place(),
    };
    (Answer { allowed, level, place, fingerprint }, all)
}

impl Memory {
    /// Windows if `sliding`, else buckets.
    pub(crate) fn new(sliding: bool, max_keys: usize, secret: Secret) -> Self {
        if sliding {
            Self::Windows(Table::new(max_keys, secret))
        } else {
            Self::Buckets(Table::new(max_keys, secret))
        }
    }

    /// Decides about one key alone; 0 looks and takes nothing.
    pub(crate) fn spend(&self, key: Fingerprint, quota: &Quota, now: u64, cost: u32) -> (bool, Level) {
        fn spend<A: Algorithm>(
            table: &Table<A::Bucket>,
            key: Fingerprint,
            quota: &Quota,
            now: u64,
            cost: u32,
        ) -> (bool, Level) {
            let locked = table.lock(key, now);
            let (bucket, now) = (locked.bucket(), locked.now());
            let spent = if cost == 0 { None } else { A::spend(quota, bucket, now, cost) };
            if let Some(spent) = spent {
                locked.write(spent);
            }
            (cost == 0 || spent.is_some(), A::level(quota.rate, spent.unwrap_or(bucket), now))
        }
        match self {
            Self::Buckets(table) => spend::<TokenBucket>(table, key, quota, now, cost),
            Self::Windows(table) => spend::<SlidingWindow>(table, key, quota, now, cost),
        }
    }

    pub(crate) fn keys(&self) -> usize {
        match self {
            Self::Buckets(table) => table.keys(),
            Self::Windows(table) => table.keys(),
        }
    }

    pub(crate) fn max_keys(&self) -> usize {
        match self {
            Self::Buckets(table) => table.max_keys(),
            Self::Windows(table) => table.max_keys(),
        }
    }

    #[inline(always)]
    pub(crate) fn fingerprint(&self, key: &Key<'_>) -> Fingerprint {
        let secret = match self {
            Self::Buckets(table) => table.secret(),
            Self::Windows(table) => table.secret(),
        };
        secret.fingerprint(key)
    }

    /// Changes what a key has, by what became of its request.
    pub(crate) fn settle(&self, key: Fingerprint, rate: Rate, now: u64, charge: Charge) -> Level {
        fn settle<A: Algorithm>(
            table: &Table<A::Bucket>,
            key: Fingerprint,
            rate: Rate,
            now: u64,
            charge: Charge,
        ) -> Level {
            let locked = table.lock(key, now);
            let now = locked.now();
            // A key that is not known any more is one whose bucket is full: there is nothing to give back.
            let changes = match charge {
                Charge::Nothing => false,
                Charge::More(n) => n > 0,
                // What a bucket shared by many gives back would be anybody's.
                Charge::Refund(_) => locked.place() == Place::Known,
            };
            let bucket = locked.bucket();
            if !changes {
                return A::level(rate, bucket, now);
            }
            let bucket = A::settle(rate, bucket, now, charge);
            locked.write(bucket);
            A::level(rate, bucket, now)
        }
        match self {
            Self::Buckets(table) => settle::<TokenBucket>(table, key, rate, now, charge),
            Self::Windows(table) => settle::<SlidingWindow>(table, key, rate, now, charge),
        }
    }
}
