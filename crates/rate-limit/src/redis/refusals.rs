//! Refusals that need not be asked for again.

use std::time::Instant;

use super::key::RemoteKey;
use crate::{
    Rate,
    decision::Level,
    fingerprint::Secret,
    limit::Limit,
    store::{Ask, Bucket, Place, Table},
};

/// Keys of one limit that Redis has refused, and until when it will.
#[derive(Debug)]
pub(super) struct Refusals(Table<Refused>);

/// A request of this cost was refused `at` this time, and will be `until` that: nothing gives more back before,
/// except a refund, which is seen late then.
#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    at: u64,
    until: u64,
    cost: u32,
    level: Option<Level>,
}

impl Bucket for Refused {
    fn full_at(&self) -> u64 {
        self.until
    }
}

impl Refusals {
    pub(super) fn new(max_keys: usize) -> Self {
        Self(Table::new(max_keys, Secret::random()))
    }

    pub(super) fn max_keys(&self) -> usize {
        self.0.max_keys()
    }

    /// What is used by now of a key for which Redis would refuse this cost.
    pub(super) fn recall(
        &self,
        limit: &Limit,
        key: RemoteKey,
        rate: Rate,
        cost: u32,
        now: Instant,
    ) -> Option<Level> {
        let locked = self.0.lock(self.0.fingerprint(&key.local()), limit.since_epoch(now));
        // What many keys share would refuse those that were never asked for.
        if locked.place() != Place::Known {
            return None;
        }
        let (refused, now) = (locked.bucket(), locked.now());
        let holds = refused.until > now && cost >= refused.cost;
        refused.level.filter(|_| holds).map(|level| level.aged(rate, now - refused.at))
    }

    /// Redis has refused this, as an answer to a request that came at `now`.
    pub(super) fn remember(&self, ask: &Ask<'_>, now: Instant) {
        let Some(wait) = ask.decision().retry_after() else { return };
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let locked = self.0.lock(self.0.fingerprint(&ask.key), ask.limit.since_epoch(now));
        let (known, now) = (locked.bucket(), locked.now());
        let holds = known.level.is_some() && known.until > now && known.cost <= ask.cost;
        if locked.place() == Place::Overflow || holds {
            return;
        }
        let level = Some(ask.answer.level);
        locked.write(Refused { at: now, until: now.saturating_add(wait), cost: ask.cost, level });
    }
}
