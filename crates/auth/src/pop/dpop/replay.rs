//! The proofs that were used, in bounded memory.

use std::{
    collections::HashSet,
    mem,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use sha2::{Digest, Sha256};

use crate::{Failure, pop::Thumbprint};

/// As many parts, by the proofs' hashes, so that cores seldom meet at a lock.
const SHARDS: usize = 64;

/// Time is cut into lifetimes. What is used in one is remembered in that and in the next, and then forgotten at once:
/// nobody has to look for what has expired.
pub(super) struct Replay {
    shards: Box<[Mutex<Shard>]>,
    per_shard: usize,
    /// The time that lifetimes are counted from. Not the wall's, which may be set back.
    start: OnceLock<Instant>,
}

#[derive(Default)]
struct Shard {
    period: u64,
    current: Used,
    previous: Used,
}

/// Half of SHA-256: that two proofs share it is as likely as that a key was guessed.
type Used = HashSet<[u8; 16], RandomState>;

impl Replay {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_shard: capacity / SHARDS,
            start: OnceLock::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.per_shard * SHARDS
    }

    /// Notes that the key's proof of this id was used, unless it was before. `lifetime` is the longest time after which
    /// it could be presented again, and the same in each call.
    pub(super) fn use_up(
        &self,
        key: &Thumbprint,
        id: &str,
        lifetime: Duration,
        now: Instant,
    ) -> Result<(), Failure> {
        let digest = Sha256::new().chain_update(key).chain_update(id).finalize();
        let name: [u8; 16] = std::array::from_fn(|index| digest[index]);
        let elapsed = now.saturating_duration_since(*self.start.get_or_init(|| now));
        // Never zero: the shortest is of two seconds.
        let period = u64::try_from(elapsed.as_nanos() / lifetime.as_nanos().max(1)).unwrap_or(u64::MAX);
        let shard = &self.shards[usize::from(digest[31]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).use_up(name, period, self.per_shard)
    }
}

impl Shard {
    fn use_up(&mut self, name: [u8; 16], period: u64, capacity: usize) -> Result<(), Failure> {
        if period > self.period {
            mem::swap(&mut self.current, &mut self.previous);
            self.current.clear();
            if period - self.period > 1 {
                self.previous.clear();
            }
            self.period = period;
        }
        if self.previous.contains(&name) || self.current.contains(&name) {
            return Err(Failure::ReplayedProof);
        }
        if self.current.len() + self.previous.len() >= capacity {
            return Err(Failure::ProofsFull);
        }
        self.current.insert(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bartizan_core::Clock;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(120);

    #[test]
    fn pop_01_a_proof_is_good_once_as_long_as_it_could_be_used_again() {
        let start = Clock::system().now();
        bolero::check!().with_type::<Vec<(u8, u8)>>().for_each(|uses| {
            let replay = Replay::new(1 << 16);
            let mut now = start;
            let mut used = Vec::<(u8, Instant)>::new();
            for (id, seconds) in uses {
                now += Duration::from_secs((*seconds).into());
                let done = replay.use_up(&[7; 32], &id.to_string(), LIFETIME, now);
                let last = used.iter().rfind(|(known, _)| known == id).map(|(_, time)| now - *time);
                match done {
                    Ok(()) => {
                        assert!(last.is_none_or(|age| age > LIFETIME), "{last:?}");
                        used.push((*id, now));
                    }
                    Err(failure) => {
                        assert_eq!(failure, Failure::ReplayedProof);
                        assert!(last.unwrap() < 2 * LIFETIME, "forgotten in time");
                    }
                }
            }
        });
    }

    #[test]
    fn pop_01_ids_are_each_key_s_own() {
        let replay = Replay::new(1 << 16);
        let now = Clock::system().now();
        assert_eq!(replay.use_up(&[7; 32], "a", LIFETIME, now), Ok(()));
        assert_eq!(replay.use_up(&[8; 32], "a", LIFETIME, now), Ok(()));
        assert_eq!(replay.use_up(&[8; 32], "a", LIFETIME, now), Err(Failure::ReplayedProof));
    }

    #[test]
    fn pop_01_the_memory_of_proofs_is_bounded_and_when_full_nothing_passes() {
        let replay = Replay::new(1 << 10);
        let start = Clock::system().now();
        let held = || -> usize {
            let count = |shard: &Mutex<Shard>| {
                let shard = shard.lock().unwrap();
                shard.current.len() + shard.previous.len()
            };
            replay.shards.iter().map(count).sum()
        };
        let flood = |now, round: u32| -> u32 {
            let results =
                (0..5000).map(|id| replay.use_up(&[7; 32], &format!("{round}-{id}"), LIFETIME, now));
            results.map(|result| u32::from(result == Err(Failure::ProofsFull))).sum()
        };
        assert_eq!(flood(start, 0), 5000 - 1024);
        assert_eq!(held(), 1 << 10);
        assert_eq!(flood(start + LIFETIME, 1), 5000, "none of them is forgotten yet");
        assert_eq!(flood(start + 2 * LIFETIME, 2), 5000 - 1024, "now they are");
        assert_eq!(held(), 1 << 10);
        assert_eq!(replay.capacity(), 1 << 10);
    }
}
