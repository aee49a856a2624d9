//! What is known of one upstream: what was sent to it, and what it asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bartizan_core::Clock;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::hints::Hints;
use crate::{
    gcra::{Arrival, TokenBucket},
    quota::Quota,
    store::{Algorithm, Bucket},
};

/// One upstream.
#[derive(Debug)]
pub(super) struct Upstream {
    state: Mutex<State>,
    /// Those who wait, in the order in which they came: the one with the permit is next.
    pub(super) line: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Requests that were sent and are not answered yet.
    under_way: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    bucket: Arrival,
    /// How many requests were sent so far.
    sent: u64,
    /// Nothing is sent before.
    paused_until: Option<Instant>,
    policies: Vec<Learned>,
}

/// A policy of the upstream.
#[derive(Debug)]
struct Learned {
    name: Box<str>,
    remaining: u64,
    /// What the upstream told: then there is more.
    told: Duration,
    until: Instant,
    /// The latest request that was answered with it.
    number: u64,
}

impl Learned {
    /// Puts off the end of a policy that is used up. Once for each: of many times the latest would count, and that is
    /// nearly the same for all of a fleet.
    fn spread(&mut self) {
        self.until += jitter(self.told);
    }
}

/// Up to five seconds, or a tenth of the wait if that is more, so that a fleet does not come back within one second. After
/// less than a second of waiting, up to five times that: whoever is told to pause for some milliseconds is not to
/// stand still for seconds.
fn jitter(wait: Duration) -> Duration {
    const MOST: Duration = Duration::from_secs(5);
    let most = wait.saturating_mul(5).min(MOST).max(wait / 10);
    Duration::from_nanos(rand::random_range(0..=u64::try_from(most.as_nanos()).unwrap_or(u64::MAX)))
}

impl Upstream {
    /// The most policies that are remembered.
    const MOST_POLICIES: usize = 16;

    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            line: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        }
    }

    /// Takes one request, or says how long there is none to take.
    pub(super) fn take(self: &Arc<Self>, quota: Option<&Quota>, now: Instant) -> Result<Sent, Duration> {
        let mut state = self.state.lock();
        state.policies.retain(|policy| policy.until > now);
        let pause = state.pause(now);
        if !pause.is_zero() {
            return Err(pause);
        }
        if let Some(quota) = quota {
            let nanos = Clock::nanos_at(now);
            match TokenBucket::spend(quota, state.bucket, nanos, 1) {
                Some(bucket) => state.bucket = bucket,
                None => return Err(wait_of(quota, state.bucket, nanos)),
            }
        }
        for policy in &mut state.policies {
            policy.remaining -= 1;
            if policy.remaining == 0 {
                policy.spread();
            }
        }
        state.sent += 1;
        self.under_way.fetch_add(1, Relaxed);
        Ok(Sent { upstream: Arc::clone(self), number: state.sent })
    }

    /// How long a request will wait that comes behind all who wait already, as far as is known.
    pub(super) fn estimate(&self, quota: Option<&Quota>, now: Instant) -> Duration {
        let ahead = u32::try_from(self.waiting.load(Relaxed)).unwrap_or(u32::MAX);
        let state = self.state.lock();
        let pause = state.pause(now);
        let Some(quota) = quota else { return pause };
        let first = wait_of(quota, state.bucket, Clock::nanos_at(now)).max(pause);
        first.saturating_add(quota.rate.interval().saturating_mul(ahead))
    }

    /// Remembers what the response to this request told. Answers come in any order: what a policy has left is what the
    /// latest request was told of it, from which those before it that were under way then are counted off already.
    fn learn(&self, hints: Hints, number: u64, now: Instant) {
        if hints.pause.is_none() && hints.policies.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let state = &mut *state;
        // A later response may be of an earlier request, and what it asks for may be over by then.
        if let Some(pause) = hints.pause.filter(|pause| !pause.is_zero())
            && state.paused_until.is_none_or(|until| until < now + pause)
        {
            state.paused_until = Some(now + pause + jitter(pause));
        }
        state.policies.retain(|policy| policy.until > now);
        let under_way = self.under_way.load(Relaxed) as u64;
        for hint in hints.policies {
            // What is still under way was not counted yet when the upstream wrote this.
            let remaining = hint.remaining.saturating_sub(under_way);
            let told = hint.more_after;
            let mut learned = Learned { name: hint.name, remaining, told, until: now + told, number };
            let mut known = state.policies.iter_mut().find(|known| known.name == learned.name);
            if let Some(known) = &mut known {
                if known.number > number {
                    continue;
                }
                known.number = number;
                if remaining == 0 && known.remaining == 0 && known.until >= learned.until {
                    // Used up, as is known.
                    continue;
                }
            }
            if remaining == 0 {
                learned.spread();
            }
            if let Some(known) = known {
                *known = learned;
            } else if state.policies.len() < Self::MOST_POLICIES && learned.until > now {
                state.policies.push(learned);
            }
        }
    }

    /// A place behind those who wait, if fewer than `most` do.
    pub(super) fn join(self: &Arc<Self>, most: usize) -> Option<Waiting> {
        let more = |waiting| (waiting < most).then_some(waiting + 1);
        self.waiting.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Waiting(Arc::clone(self)))
    }

    /// Whether somebody waits.
    pub(super) fn has_line(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// Whether it may be forgotten: as if nothing had ever been sent.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let state = self.state.lock();
        !self.has_line()
            && state.bucket.full_at() <= Clock::nanos_at(now)
            && state.paused_until.is_none_or(|until| until <= now)
            && state.policies.iter().all(|policy| policy.until <= now)
    }
}

impl State {
    /// How long the upstream wants nothing.
    fn pause(&self, now: Instant) -> Duration {
        let used_up = self.policies.iter().filter(|policy| policy.remaining == 0).map(|policy| policy.until);
        let until = self.paused_until.into_iter().chain(used_up).max();
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

fn wait_of(quota: &Quota, bucket: Arrival, nanos: u64) -> Duration {
    let level = TokenBucket::level(quota.rate, bucket, nanos);
    level.wait(quota.rate, 1).map_or(Duration::ZERO, Duration::from_nanos)
}

/// A place in the line, left when it is dropped.
#[derive(Debug)]
pub(super) struct Waiting(pub(super) Arc<Upstream>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// A request that was sent, until it is answered or given up.
#[derive(Debug)]
pub(super) struct Sent {
    upstream: Arc<Upstream>,
    /// Those before it have lower ones.
    number: u64,
}

impl Sent {
    /// It is answered, with this.
    pub(super) fn answered(self, hints: Hints, now: Instant) {
        let (upstream, number) = (Arc::clone(&self.upstream), self.number);
        // It is under way no more.
        drop(self);
        upstream.learn(hints, number, now);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.upstream.under_way.fetch_sub(1, Relaxed);
    }
}
