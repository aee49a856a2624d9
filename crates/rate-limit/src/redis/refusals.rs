//! Refusals that need not be asked for again.

use super::key::RemoteKey;
use crate::{
    decision::Level,
    fingerprint::Secret,
    limit::Limit,
    store::{Ask, Bucket, Place, Table, Terms},
};

/// Keys of one limit that Redis has refused, and until when it will.
#[derive(Debug)]
pub(super) struct Refusals(Table<Refused>);

/// A request of this cost was refused `at` this time by one of the limit's quotas, and will be `until` that: nothing gives
/// more back before, except a refund, which is seen late then. What another quota of the limit holds is another matter.
#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    at: u64,
    until: u64,
    cost: u32,
    quota: u16,
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

    /// What is used by now of a key for which Redis would refuse this.
    pub(super) fn recall(&self, limit: &Limit, key: RemoteKey, terms: Terms, now: u64) -> Option<Level> {
        let Terms { quota, cost } = terms;
        let locked = self.0.lock(self.0.fingerprint(&key.local()), limit.since_epoch(now));
        // What many keys share would refuse those that were never asked for.
        if locked.place() != Place::Known {
            return None;
        }
        let (refused, now) = (locked.bucket(), locked.now());
        let holds = refused.until > now && quota == refused.quota && cost >= refused.cost;
        let rate = limit.quota(quota).rate;
        refused.level.filter(|_| holds).map(|level| level.aged(rate, now - refused.at))
    }

    /// Redis has refused this, as an answer to a request that came at `now`.
    pub(super) fn remember(&self, ask: &Ask<'_>, now: u64) {
        let Some(wait) = ask.decision().retry_after() else { return };
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        // Of a key that Redis was asked about, all memories have the same fingerprint.
        let locked = self.0.lock(ask.key, ask.limit.since_epoch(now));
        let (known, now) = (locked.bucket(), locked.now());
        let is_same = known.level.is_some() && known.quota == ask.quota;
        let holds = is_same && known.until > now && known.cost <= ask.cost;
        if locked.place() == Place::Overflow || holds {
            return;
        }
        let level = Some(ask.answer.level);
        let until = now.saturating_add(wait);
        locked.write(Refused { at: now, until, cost: ask.cost, quota: ask.quota, level });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Charge, Rate, gcra::TokenBucket, quota::Quota, store::Algorithm, window::SlidingWindow};

    /// What a level says about later, and after a refund, is what the state itself says then.
    fn levels_follow<A: Algorithm>(
        quota: &Quota,
        steps: &[(u64, u32)],
        later: u64,
        refund: u32,
    ) -> Result<(), TestCaseError> {
        let rate = quota.rate;
        let (mut bucket, mut now) = (A::Bucket::default(), 1_000_000_000_000);
        for (wait, cost) in steps {
            now += wait;
            bucket = A::spend(quota, bucket, now, *cost).unwrap_or(bucket);
        }
        let level = A::level(rate, bucket, now);
        prop_assert_eq!(level.aged(rate, later), A::level(rate, bucket, now + later));
        let refunded = A::settle(rate, bucket, now, Charge::Refund(refund));
        prop_assert_eq!(level.given_back(rate, refund), A::level(rate, refunded, now));
        Ok(())
    }

    proptest! {
        #[test]
        fn rl_12_what_is_told_without_redis_is_what_redis_would_tell(
            limit in 1_u32..8,
            steps in prop::collection::vec((0_u64..15_000_000_000, 1_u32..4), 1..12),
            later in 0_u64..40_000_000_000,
            refund in 0_u32..10,
        ) {
            let rate = Rate::new(limit, std::time::Duration::from_secs(10)).unwrap();
            levels_follow::<TokenBucket>(&Quota::new("", rate, false), &steps, later, refund)?;
            levels_follow::<SlidingWindow>(&Quota::new("", rate, true), &steps, later, refund)?;
        }
    }
}
