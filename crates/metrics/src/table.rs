//! Handles found by key, without a lock.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// What is found by key: entries are added, never changed and never removed.
///
/// A reader takes no lock and writes to no shared memory. Entries lie in segments of growing size; a key may lie
/// in one of a few neighbouring slots of each, and the first segment with room takes it.
pub(crate) struct Table<K, H> {
    segments: [OnceLock<Segment<K, H>>; SIZES.len()],
    entries: AtomicUsize,
}

type Segment<K, H> = Box<[Slot<K, H>]>;

type Slot<K, H> = OnceLock<(K, H)>;

/// Powers of two, each a multiple of the window.
const SIZES: [usize; 4] = [64, 512, 4096, 8192];

/// How many neighbouring slots a key may lie in.
const WINDOW: usize = 8;

impl<K, H> Table<K, H> {
    pub(crate) const fn new() -> Self {
        Self { segments: [const { OnceLock::new() }; SIZES.len()], entries: AtomicUsize::new(0) }
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// The entry whose key hashes to `hash` and is the one looked for.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<&H> {
        // Most entries lie in the first slot where they may.
        let (key, handle) = window(self.segments[0].get()?, hash)[0].get()?;
        if is(key) { Some(handle) } else { self.find_further(hash, is) }
    }

    #[inline(never)]
    fn find_further(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<&H> {
        for segment in &self.segments {
            for slot in window(segment.get()?, hash) {
                // Slots fill in order: behind an empty one there is nothing.
                let (key, handle) = slot.get()?;
                if is(key) {
                    return Some(handle);
                }
            }
        }
        None
    }

    /// Whether an entry whose key hashes to `hash` could be added.
    pub(crate) fn has_room(&self, hash: u64) -> bool {
        self.segments.iter().any(|segment| match segment.get() {
            Some(slots) => window(slots, hash).iter().any(|slot| slot.get().is_none()),
            None => true,
        })
    }

    /// Adds an entry, unless there is one with its key, or no room for it.
    pub(crate) fn insert(&self, hash: u64, key: K, handle: H)
    where
        K: PartialEq,
    {
        let mut entry = (key, handle);
        for (segment, size) in self.segments.iter().zip(SIZES) {
            let slots = segment.get_or_init(|| (0..size).map(|_| Slot::new()).collect());
            for slot in window(slots, hash) {
                entry = match slot.set(entry) {
                    Ok(()) => {
                        self.entries.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    // The slot was taken, perhaps just now and by the same key.
                    Err(entry) if slot.get().is_some_and(|(key, _)| *key == entry.0) => return,
                    Err(entry) => entry,
                };
            }
        }
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, H)> {
        self.segments
            .iter()
            .filter_map(OnceLock::get)
            .flat_map(|slots| slots.iter().filter_map(OnceLock::get))
    }
}

#[inline]
fn window<K, H>(slots: &[Slot<K, H>], hash: u64) -> &[Slot<K, H>] {
    // The upper bits are the well mixed ones; the size is a power of two.
    let windows = slots.len() / WINDOW;
    let start = ((hash >> 40) as usize & (windows - 1)) * WINDOW;
    &slots[start..start + WINDOW]
}

impl<K, H> Default for Table<K, H> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use rustc_hash::FxBuildHasher;

    use super::*;

    fn hash(key: u32) -> u64 {
        FxBuildHasher.hash_one(key)
    }

    #[test]
    fn an_entry_is_found_by_its_key_alone() {
        let table = Table::new();
        for key in 0..4096 {
            assert_eq!(table.find(hash(key), |known| *known == key), None);
            table.insert(hash(key), key, key * 2);
            table.insert(hash(key), key, 0);
        }
        assert_eq!((table.len(), table.iter().count()), (4096, 4096));
        for key in 0..4096 {
            assert_eq!(table.find(hash(key), |known| *known == key), Some(&(key * 2)), "the first stays");
        }
        assert_eq!(table.find(hash(5000), |known| *known == 5000), None);
    }

    #[test]
    fn keys_of_one_hash_are_told_apart_and_more_than_fit_are_left_out() {
        let table = Table::new();
        for key in 0..100_u32 {
            assert_eq!(table.has_room(7), key < 32);
            table.insert(7, key, key);
        }
        let room = WINDOW * SIZES.len();
        assert_eq!(table.len(), room);
        for key in 0..100 {
            assert_eq!(table.find(7, |known| *known == key).is_some(), (key as usize) < room);
        }
    }

    #[test]
    fn no_entry_is_lost_or_doubled_when_threads_add_at_once() {
        let table = Table::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|key| table.insert(hash(key), key, key)));
            }
        });
        assert_eq!(table.len(), 1000);
        assert!((0..1000).all(|key| table.find(hash(key), |known| *known == key) == Some(&key)));
    }
}
