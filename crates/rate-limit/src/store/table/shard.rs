//! The buckets behind one lock.

use hashbrown::HashTable;

use super::Bucket;
use crate::fingerprint::{Fingerprint, Secret};

#[derive(Debug, Default)]
pub(super) struct Shard<B> {
    /// The latest reading seen.
    latest: u64,
    pub(super) index: HashTable<u32>,
    pub(super) slots: Vec<Slot<B>>,
    /// Where the next sweep starts.
    pub(super) hand: usize,
    /// No bucket is full before this.
    pub(super) none_before: u64,
    /// What new keys share without room.
    pub(super) overflow: B,
}

pub(super) struct Slot<B> {
    pub(super) key: Fingerprint,
    pub(super) bucket: B,
}

impl<B> std::fmt::Debug for Slot<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

impl<B: Bucket> Shard<B> {
    /// The time that counts for a reading.
    pub(super) fn at(&mut self, now: u64) -> u64 {
        self.latest = self.latest.max(now);
        self.latest
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &Fingerprint) -> Option<usize> {
        let at = *self.index.find(hash, |at| self.slots[*at as usize].key == *key)?;
        Some(at as usize)
    }

    /// Changes the bucket at this place.
    #[inline]
    pub(super) fn write(&mut self, at: usize, bucket: B) {
        if let Some(slot) = self.slots.get_mut(at) {
            // What is given back may fill it earlier than was known.
            self.none_before = self.none_before.min(bucket.full_at());
            slot.bucket = bucket;
        }
    }

    /// Whether one more bucket needs no memory.
    pub(super) fn has_spare(&self) -> bool {
        self.slots.len() < self.slots.capacity()
    }

    /// The next of some few buckets that is full.
    pub(super) fn sweep(&mut self, now: u64) -> Option<usize> {
        const FEW: usize = 8;
        self.walk(FEW, now)
    }

    /// Any bucket that is full. That there is none is remembered for as long as it must hold.
    pub(super) fn search(&mut self, now: u64) -> Option<usize> {
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

    pub(super) fn push(&mut self, hash: u64, slot: Slot<B>, secret: &Secret) {
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
    pub(super) fn replace(&mut self, victim: usize, hash: u64, slot: Slot<B>, secret: &Secret) {
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
