//! The requests that are under way, by key.

use std::{fmt, sync::Arc};

use bartizan_core::{Observer, Outcome, stripe::Padded};
use hashbrown::{HashTable, hash_table::Entry};
use parking_lot::Mutex;

use crate::{
    Key,
    fingerprint::{Fingerprint, Secret},
};

/// Counts what is under way. A key has an entry while it has a request; so memory follows the requests that are
/// held anyway. Beyond `max_keys` keys, new ones count together.
pub(super) struct Slots {
    secret: Secret,
    shards: Box<[Padded<Mutex<Shard>>]>,
    max: u32,
    max_keys_per_shard: usize,
}

#[derive(Default)]
struct Shard {
    counts: HashTable<(Fingerprint, u32)>,
    /// What is under way of keys that found no room.
    overflow: u32,
}

impl Slots {
    pub(super) fn new(max: u32, max_keys: usize) -> Self {
        let shards = (max_keys / 256).clamp(1, 64).next_power_of_two();
        Self {
            secret: Secret::random(),
            shards: (0..shards).map(|_| Padded::default()).collect(),
            max,
            max_keys_per_shard: (max_keys / shards).max(1),
        }
    }

    /// How many requests are under way.
    pub(super) fn in_flight(&self) -> usize {
        let shard = |shard: &Padded<Mutex<Shard>>| {
            let shard = shard.0.lock();
            shard.counts.iter().map(|(_, count)| *count as usize).sum::<usize>() + shard.overflow as usize
        };
        self.shards.iter().map(shard).sum()
    }

    /// A place for one more request of `key`, if there is one.
    pub(super) fn acquire(self: &Arc<Self>, key: &Key<'_>) -> Option<Permit> {
        let key = self.secret.fingerprint(key);
        let hash = self.secret.hash(&key);
        let mut shard = self.shard(hash).lock();
        let full = shard.counts.len() >= self.max_keys_per_shard;
        let Shard { counts, overflow } = &mut *shard;
        let (count, shared) =
            match counts.entry(hash, |(known, _)| *known == key, |(known, _)| self.secret.hash(known)) {
                Entry::Occupied(entry) => (&mut entry.into_mut().1, false),
                Entry::Vacant(_) if full => (overflow, true),
                Entry::Vacant(entry) => (&mut entry.insert((key, 0)).into_mut().1, false),
            };
        if *count >= self.max {
            return None;
        }
        *count += 1;
        drop(shard);
        Some(Permit(Some(Place { slots: Arc::clone(self), key, hash, shared })))
    }

    fn release(&self, place: &Place) {
        let mut shard = self.shard(place.hash).lock();
        if place.shared {
            shard.overflow = shard.overflow.saturating_sub(1);
        } else if let Ok(mut entry) = shard.counts.find_entry(place.hash, |(known, _)| *known == place.key) {
            let count = &mut entry.get_mut().1;
            *count = count.saturating_sub(1);
            if *count == 0 {
                entry.remove();
            }
        }
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[usize::try_from(hash >> 32).unwrap_or_default() & (self.shards.len() - 1)].0
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("max", &self.max)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Lets a request be under way until it is dropped: at the end of the response's body, or when the request is given
/// up. An exempt request takes no place.
pub struct Permit(Option<Place>);

/// A place among the requests that are under way, given back when it is dropped.
struct Place {
    slots: Arc<Slots>,
    key: Fingerprint,
    hash: u64,
    /// Whether it counts with keys that found no room of their own.
    shared: bool,
}

impl Permit {
    /// For a request that is not counted.
    pub(super) const fn exempt() -> Self {
        Self(None)
    }

    /// Whether it counts with keys that found no room of their own.
    pub(super) fn is_shared(&self) -> bool {
        self.0.as_ref().is_some_and(|place| place.shared)
    }
}

impl Observer for Permit {
    fn on_end(self, _: Outcome) {}
}

impl Drop for Place {
    fn drop(&mut self) {
        self.slots.release(self);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rl_09_a_key_has_so_many_places_and_gets_them_back() {
        let slots = Arc::new(Slots::new(2, 100));
        let (a, b) = (Key::text("a"), Key::text("b"));
        let held = [slots.acquire(&a), slots.acquire(&a), slots.acquire(&b)];
        assert!(held.iter().all(Option::is_some));
        assert!(slots.acquire(&a).is_none());
        assert_eq!(slots.in_flight(), 3);
        drop(held);
        assert_eq!(slots.in_flight(), 0);
        assert!(slots.shards.iter().all(|shard| shard.0.lock().counts.is_empty()), "nothing is kept");
        assert!(slots.acquire(&a).is_some());
    }

    #[test]
    fn rl_11_keys_without_room_count_together() {
        let slots = Arc::new(Slots::new(2, 1));
        let own = slots.acquire(&Key::number(0)).unwrap();
        let shared: Vec<_> = (1..4).map(|key| slots.acquire(&Key::number(key))).collect();
        assert!(!own.is_shared());
        assert!(shared[..2].iter().flatten().all(Permit::is_shared));
        assert!(shared[2].is_none(), "two of all others together");
        drop(shared);
        assert!(slots.acquire(&Key::number(0)).is_some_and(|permit| !permit.is_shared()));
        drop(own);
        assert_eq!(slots.in_flight(), 0);
    }
}
