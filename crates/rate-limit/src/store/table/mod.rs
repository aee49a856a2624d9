//! Many buckets in bounded memory.
//!
//! Keys are spread over shards, each behind a lock that is held for some dozen nanoseconds and stands on cache
//! lines of its own. A shard keeps its buckets in a vector, which a hand walks round, and finds them by an index.

mod shard;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bartizan_core::stripe::Padded;
use parking_lot::{Mutex, MutexGuard};

use self::shard::{Shard, Slot};
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
        let mut shard = self.shard(hash);
        let now = shard.at(now);
        match shard.find(hash, &key) {
            Some(at) => Locked { table: self, shard, hash, key, now, at: At::Known(at) },
            None => self.lock_new(shard, hash, key, now),
        }
    }

    /// The same for a key that has a bucket: less to carry.
    #[inline(always)]
    pub(crate) fn lock_known(&self, key: Fingerprint, now: u64) -> Option<Known<'_, B>> {
        let hash = self.secret.hash(&key);
        let mut shard = self.shard(hash);
        let now = shard.at(now);
        let at = shard.find(hash, &key)?;
        Some(Known { bucket: shard.slots[at].bucket, shard, at, now })
    }

    /// Locks that of a hash.
    #[inline(always)]
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<B>> {
        // The index takes its position from the lowest bits and its tag from the highest.
        let shard = usize::try_from(hash >> 32).unwrap_or_default() & (self.shards.len() - 1);
        self.shards[shard].0.lock()
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

/// The bucket of a key that has one, while it is being decided on.
pub(crate) struct Known<'a, B> {
    shard: MutexGuard<'a, Shard<B>>,
    at: usize,
    bucket: B,
    now: u64,
}

impl<B: Bucket> Known<'_, B> {
    /// The time that counts for this decision.
    #[inline(always)]
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The bucket as it is.
    #[inline(always)]
    pub(crate) fn bucket(&self) -> B {
        self.bucket
    }

    /// The bucket as it shall be.
    #[inline(always)]
    pub(crate) fn write(mut self, bucket: B) {
        self.shard.write(self.at, bucket);
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
                self.shard.write(at, bucket);
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

#[cfg(test)]
mod tests;
