//! Many buckets in bounded memory.
//!
//! Keys are spread over shards, each behind a lock that is held for some dozen nanoseconds and stands on cache
//! lines of its own. A shard keeps its buckets in a vector, which a hand walks round, and finds them by an index.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hashbrown::HashTable;
use parking_lot::{Mutex, MutexGuard};

use crate::fingerprint::{Fingerprint, Secret};
#[cfg(any(test, feature = "redis"))]
use crate::key::Key;

/// What a table remembers of a key.
pub(crate) trait Bucket: Copy + Default {
    /// When it holds nothing that a new one would not.
    fn full_at(&self) -> u64;
}

/// The buckets of all known keys.
///
/// - There are never more than `max_keys`.
/// - A bucket is given to another key only when it is full, and so holds nothing that a new one would not.
/// - A new key that finds the table at its bound, and no full bucket in its shard, shares the shard's overflow
///   bucket. It is neither refused nor unlimited.
/// - The work for one key is bounded by the size of a shard, and usually is one look-up. Up to a million keys a
///   shard has some hundred buckets; beyond that it grows with `max_keys`.
#[derive(Debug)]
pub(crate) struct Table<B> {
    secret: Secret,
    shards: Box<[Padded<Mutex<Shard<B>>>]>,
    max_keys: usize,
    /// Written when a shard grows, which it stops to do; read only at the bound.
    keys: Padded<AtomicUsize>,
}

/// Where a key found its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It had one.
    Known,
    /// A new one.
    New,
    /// That of a key whose bucket was full again.
    Evicted,
    /// The one that all new keys share while there is no room.
    Overflow,
    /// Nothing was taken, so nothing is remembered.
    None,
}

impl<B: Bucket> Table<B> {
    pub(crate) fn new(max_keys: usize, secret: Secret) -> Self {
        /// Few enough to be looked through in a microsecond, many enough that shards fill evenly.
        const KEYS_PER_SHARD: usize = 256;
        const MOST_SHARDS: usize = 4096;
        let shards = (max_keys / KEYS_PER_SHARD).clamp(1, MOST_SHARDS).next_power_of_two();
        Self {
            secret,
            shards: (0..shards).map(|_| Padded::default()).collect(),
            max_keys,
            keys: Padded::default(),
        }
    }

    /// How many keys have a bucket of their own.
    pub(crate) fn keys(&self) -> usize {
        self.keys.0.load(Relaxed)
    }

    /// The bound.
    pub(crate) fn max_keys(&self) -> usize {
        self.max_keys
    }

    /// Under which the table knows its keys.
    #[inline]
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What the table remembers instead of the key.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn fingerprint(&self, key: &Key<'_>) -> Fingerprint {
        self.secret.fingerprint(key)
    }

    /// The bucket of a key, and its shard locked until the answer is written or the lock is dropped.
    ///
    /// `now` counts nanoseconds. A reading older than one that the shard has seen counts as that one: a bucket
    /// may have been given away since because it was full then.
    // What it returns is large, and then stays in registers.
    #[inline(always)]
    pub(crate) fn lock(&self, key: Fingerprint, now: u64) -> Locked<'_, B> {
        let hash = self.secret.hash(&key);
        // The index takes its position from the lowest bits and its tag from the highest.
        let shard = usize::try_from(hash >> 32).unwrap_or_default() & (self.shards.len() - 1);
        let mut shard = self.shards[shard].0.lock();
        let now = shard.at(now);
        match shard.find(hash, &key) {
            Some(at) => Locked { table: self, shard, hash, key, now, at: At::Known(at) },
            None => self.lock_new(shard, hash, key, now),
        }
    }

    #[cold]
    fn lock_new<'a>(
        &'a self,
        mut shard: MutexGuard<'a, Shard<B>>,
        hash: u64,
        key: Fingerprint,
        now: u64,
    ) -> Locked<'a, B> {
        let at = if shard.has_spare() && self.reserve() {
            At::Reserved
        } else if let Some(victim) = shard.sweep(now) {
            At::Idle(victim)
        } else if self.reserve() {
            At::Reserved
        } else if let Some(victim) = shard.search(now) {
            At::Idle(victim)
        } else {
            At::Overflow
        };
        Locked { table: self, shard, hash, key, now, at }
    }

    /// Room for one more key, if there is.
    fn reserve(&self) -> bool {
        let more = |keys| (keys < self.max_keys).then_some(keys + 1);
        self.keys() < self.max_keys && self.keys.0.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}

/// A key that is being decided on.
pub(crate) struct Locked<'a, B: Bucket> {
    table: &'a Table<B>,
    shard: MutexGuard<'a, Shard<B>>,
    hash: u64,
    key: Fingerprint,
    now: u64,
    at: At,
}

/// Where the bucket of a key is, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Known(usize),
    /// In a place of its own that is counted already.
    Reserved,
    /// In that of another key, whose bucket is full.
    Idle(usize),
    Overflow,
    Written,
}

impl<B: Bucket> Locked<'_, B> {
    /// The time that counts for this decision.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The bucket as it is.
    #[inline]
    pub(crate) fn bucket(&self) -> B {
        match self.at {
            At::Known(at) => self.shard.slots.get(at).map(|slot| slot.bucket).unwrap_or_default(),
            At::Overflow => self.shard.overflow,
            At::Reserved | At::Idle(_) | At::Written => B::default(),
        }
    }

    /// Where the bucket is while nothing is written.
    #[inline]
    pub(crate) fn place(&self) -> Place {
        match self.at {
            At::Known(_) => Place::Known,
            At::Overflow => Place::Overflow,
            At::Reserved | At::Idle(_) | At::Written => Place::None,
        }
    }

    /// The bucket as it shall be.
    #[inline]
    pub(crate) fn write(mut self, bucket: B) -> Place {
        match self.at {
            At::Known(at) => {
                let shard = &mut *self.shard;
                if let Some(slot) = shard.slots.get_mut(at) {
                    // What is given back may fill it earlier than was known.
                    shard.none_before = shard.none_before.min(bucket.full_at());
                    slot.bucket = bucket;
                }
                Place::Known
            }
            _ => self.write_new(bucket),
        }
    }

    #[cold]
    fn write_new(&mut self, bucket: B) -> Place {
        let slot = Slot { key: self.key, bucket };
        let secret = &self.table.secret;
        match std::mem::replace(&mut self.at, At::Written) {
            At::Reserved => {
                self.shard.push(self.hash, slot, secret);
                Place::New
            }
            At::Idle(victim) => {
                self.shard.replace(victim, self.hash, slot, secret);
                Place::Evicted
            }
            At::Overflow => {
                self.shard.overflow = bucket;
                Place::Overflow
            }
            At::Known(_) | At::Written => Place::Known,
        }
    }
}

impl<B: Bucket> Drop for Locked<'_, B> {
    #[inline]
    fn drop(&mut self) {
        if self.at == At::Reserved {
            self.table.keys.0.fetch_sub(1, Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct Shard<B> {
    /// The latest reading seen.
    latest: u64,
    index: HashTable<u32>,
    slots: Vec<Slot<B>>,
    /// Where the next sweep starts.
    hand: usize,
    /// No bucket is full before this.
    none_before: u64,
    /// What new keys share without room.
    overflow: B,
}

struct Slot<B> {
    key: Fingerprint,
    bucket: B,
}

impl<B> std::fmt::Debug for Slot<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

impl<B: Bucket> Shard<B> {
    /// The time that counts for a reading.
    fn at(&mut self, now: u64) -> u64 {
        self.latest = self.latest.max(now);
        self.latest
    }

    #[inline]
    fn find(&self, hash: u64, key: &Fingerprint) -> Option<usize> {
        let at = *self.index.find(hash, |at| self.slots[*at as usize].key == *key)?;
        Some(at as usize)
    }

    /// Whether one more bucket needs no memory.
    fn has_spare(&self) -> bool {
        self.slots.len() < self.slots.capacity()
    }

    /// The next of some few buckets that is full.
    fn sweep(&mut self, now: u64) -> Option<usize> {
        const FEW: usize = 8;
        self.walk(FEW, now)
    }

    /// Any bucket that is full. That there is none is remembered for as long as it must hold.
    fn search(&mut self, now: u64) -> Option<usize> {
        if now < self.none_before {
            return None;
        }
        let found = self.walk(self.slots.len(), now);
        if found.is_none() {
            self.none_before = self.slots.iter().map(|slot| slot.bucket.full_at()).min().unwrap_or(0);
        }
        found
    }

    fn walk(&mut self, steps: usize, now: u64) -> Option<usize> {
        for _ in 0..steps.min(self.slots.len()) {
            let at = self.hand;
            self.hand = if at + 1 < self.slots.len() { at + 1 } else { 0 };
            if self.slots[at].bucket.full_at() <= now {
                return Some(at);
            }
        }
        None
    }

    fn push(&mut self, hash: u64, slot: Slot<B>, secret: &Secret) {
        if !self.has_spare() {
            // By half, not by doubling: memory follows the number of keys more closely.
            self.slots.reserve_exact((self.slots.len() / 2).max(16));
        }
        self.none_before = self.none_before.min(slot.bucket.full_at());
        let at = self.slots.len();
        self.slots.push(slot);
        self.link(at, hash, secret);
    }

    /// Gives the bucket at `victim` to another key.
    fn replace(&mut self, victim: usize, hash: u64, slot: Slot<B>, secret: &Secret) {
        let former = secret.hash(&self.slots[victim].key);
        if let Ok(entry) = self.index.find_entry(former, |at| *at as usize == victim) {
            entry.remove();
        }
        self.none_before = self.none_before.min(slot.bucket.full_at());
        self.slots[victim] = slot;
        self.link(victim, hash, secret);
    }

    fn link(&mut self, at: usize, hash: u64, secret: &Secret) {
        let slots = &self.slots;
        // Bounded by `max_keys`, which is checked to fit.
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.index.insert_unique(hash, at, |at| secret.hash(&slots[*at as usize].key));
    }
}

/// On cache lines of its own, of which common processors fetch two at once.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Default)]
    struct Until(u64);

    impl Bucket for Until {
        fn full_at(&self) -> u64 {
            self.0
        }
    }

    /// What a table did for one key.
    #[derive(Debug, PartialEq)]
    struct Measured {
        backlog: u64,
        taken: bool,
        place: Place,
    }

    /// Shows the backlog of a key to `take`, which says what it is to be then, or `None` for no change.
    fn measure(table: &Table<Until>, key: u64, now: u64, take: impl Fn(u64) -> Option<u64>) -> Measured {
        let locked = table.lock(table.fingerprint(&Key::number(key)), now);
        let now = locked.now();
        let backlog = locked.bucket().0.saturating_sub(now);
        match take(backlog) {
            Some(backlog) => Measured { backlog, taken: true, place: locked.write(Until(now + backlog)) },
            None => Measured { backlog, taken: false, place: locked.place() },
        }
    }

    /// One second of a limit of one per second, burst 1: taken when full, else refused.
    fn take(backlog: u64) -> Option<u64> {
        (backlog == 0).then_some(1_000)
    }

    fn store(max_keys: usize) -> Table<Until> {
        Table::new(max_keys, Secret::fixed(7))
    }

    fn place(store: &Table<Until>, key: u64, now: u64) -> Place {
        measure(store, key, now, take).place
    }

    #[test]
    fn rl_11_a_bucket_is_given_away_only_when_it_is_full_again() {
        let store = store(2);
        assert_eq!(place(&store, 1, 0), Place::New);
        assert_eq!(place(&store, 2, 500), Place::New);
        assert_eq!(place(&store, 3, 999), Place::Overflow, "both are limited");
        assert_eq!(place(&store, 3, 1_000), Place::Evicted, "the first is full");
        assert_eq!(place(&store, 2, 1_001), Place::Known, "the second is not");
        assert_eq!(place(&store, 1, 1_499), Place::Overflow);
        assert_eq!(place(&store, 1, 1_500), Place::Evicted);
        assert_eq!(store.keys(), 2);
    }

    #[test]
    fn rl_11_new_keys_without_room_share_one_bucket_of_the_same_rate() {
        let store = store(1);
        assert_eq!(place(&store, 1, 0), Place::New);
        let overflow = |key, now| {
            let measured = measure(&store, key, now, take);
            assert_eq!(measured.place, Place::Overflow);
            measured.taken
        };
        assert!(overflow(2, 0));
        assert!(!overflow(3, 0), "another key, the same bucket");
        assert!(!overflow(2, 999));
    }

    #[test]
    fn rl_11_an_older_reading_does_not_see_a_bucket_emptier_or_fuller() {
        let store = store(1);
        assert_eq!(place(&store, 1, 0), Place::New);
        assert_eq!(place(&store, 2, 1_000), Place::Evicted);
        // A slow request of the first key, read at 999, when one nanosecond was missing. By now none is.
        assert_eq!(measure(&store, 1, 999, take).place, Place::Overflow);
        assert_eq!(measure(&store, 2, 0, take).backlog, 1_000);
    }

    #[test]
    fn what_takes_nothing_is_not_remembered() {
        let store = store(1);
        let measured = measure(&store, 1, 5, |_| None);
        assert_eq!(measured, Measured { backlog: 0, taken: false, place: Place::None });
        assert_eq!(store.keys(), 0);
    }

    #[test]
    fn a_full_bucket_is_found_wherever_it_stands() {
        // One shard of 200 buckets, more than one sweep sees.
        let store = store(200);
        for key in 0..200 {
            assert_eq!(place(&store, key, if key == 0 { 0 } else { 500 }), Place::New);
        }
        store.shards[0].0.lock().hand = 50;
        assert_eq!(place(&store, 1_000, 999), Place::Overflow);
        assert_eq!(place(&store, 1_000, 1_000), Place::Evicted);
        assert_eq!(place(&store, 1_001, 1_000), Place::Overflow, "there was one");
        for key in 1_001..1_200 {
            assert_eq!(place(&store, key, 1_500), Place::Evicted);
        }
        assert_eq!(place(&store, 1_200, 1_500), Place::Overflow);
        assert_eq!(store.keys(), 200);
    }

    #[test]
    fn rl_11_a_flood_of_keys_stays_within_its_memory() {
        const MAX_KEYS: usize = 20_000;
        let store = store(MAX_KEYS);
        let mut places = [0_usize; 3];
        for key in 0..10 * MAX_KEYS as u64 {
            match place(&store, key, key / 1_000) {
                Place::New => places[0] += 1,
                Place::Evicted => places[1] += 1,
                Place::Overflow => places[2] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(places, [MAX_KEYS, 0, 9 * MAX_KEYS], "none was full within the time of the flood");
        assert_eq!(store.keys(), MAX_KEYS);
        for key in 0..MAX_KEYS as u64 {
            let now = 10 * MAX_KEYS as u64 / 1_000;
            assert_eq!(place(&store, key, now), Place::Known, "a limited key was forgotten");
        }
        assert!(store.bytes() / MAX_KEYS < 80, "{} bytes per key", store.bytes() / MAX_KEYS);
        // Those who come back later find room, and no memory is added for them.
        let before = store.bytes();
        for key in 0..10 * MAX_KEYS as u64 {
            assert_ne!(place(&store, key, 10_000 + key), Place::Overflow);
        }
        assert_eq!(store.keys(), MAX_KEYS);
        assert!(store.bytes() <= before + before / 4, "{before} bytes became {}", store.bytes());
    }

    proptest! {
        /// Whatever comes, each key with a bucket of its own gets what it would get alone, all others together
        /// get what one key would, and there are others only while no bucket is full.
        #[test]
        fn rl_11_the_store_equals_a_map_that_forgets_nothing(
            max_keys in 1_usize..12,
            steps in prop::collection::vec((0_u64..16, 0_u64..600), 1..400),
        ) {
            const INTERVAL: u64 = 1_000;
            const DEPTH: u64 = 3 * INTERVAL;
            let take = |backlog: u64| (backlog + INTERVAL <= DEPTH).then_some(backlog + INTERVAL);
            let store = store(max_keys);
            let (mut own, mut others, mut now) = (HashMap::new(), 0, 0);
            for (key, wait) in steps {
                now += wait;
                let measured = measure(&store, key, now, take);
                let limited = own.values().filter(|full_at| **full_at > now).count();
                let full_at = match measured.place {
                    Place::Known | Place::New | Place::Evicted => own.entry(key).or_insert(0),
                    Place::Overflow => {
                        prop_assert_eq!(limited, max_keys);
                        &mut others
                    }
                    Place::None => panic!("a full bucket always has one"),
                };
                let before = u64::saturating_sub(*full_at, now);
                let after = take(before);
                let expected = (after.unwrap_or(before), after.is_some());
                prop_assert_eq!((measured.backlog, measured.taken), expected);
                *full_at = after.map_or(*full_at, |backlog| now + backlog);
                prop_assert!(store.keys() <= max_keys && limited <= max_keys);
            }
        }
    }

    impl Table<Until> {
        /// The memory in use.
        fn bytes(&self) -> usize {
            let shards = self.shards.iter().map(|shard| {
                let shard = shard.0.lock();
                size_of::<Padded<Mutex<Shard<Until>>>>()
                    + shard.slots.capacity() * size_of::<Slot<Until>>()
                    + shard.index.allocation_size()
            });
            shards.sum()
        }
    }
}
