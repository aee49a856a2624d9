//! Tokens that were verified before (JWT-17).
//!
//! A table of fixed size, in sets of a few slots; the hash of a token says which set it may lie in. A slot holds
//! one pointer. It is read without a lock and without a write to any memory that cores share: what is handed out
//! is a copy that the reading thread's own stripe keeps. It is replaced as a whole, by whoever has something newer.
//!
//! Copies count as the tokens do, and are made while half of the room is left: to verify a token again costs more
//! than to share one.

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwapOption, Guard};
use bartizan_core::stripe;
use foldhash::quality::RandomState;
use zeroize::optimization_barrier;

use super::{
    ClaimsShape, shape,
    verify::{Identity, Source, Verified},
};

/// How many tokens, and how many bytes, a cache may hold. Of tokens, a multiple of [`WAYS`] and at least one of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) tokens: usize,
    pub(crate) bytes: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self { tokens: 8192, bytes: 32 * 1024 * 1024 };
    pub(crate) const MAX_TOKENS: usize = 1 << 20;
}

/// Slots that a token may lie in.
pub(super) const WAYS: usize = 8;

/// Sets that an insertion looks through for entries that are good no more.
const SWEEP: usize = 2;

/// Sets that an insertion empties at most to make room for its bytes.
const EVICT: usize = 16;

pub(crate) struct Cache<C> {
    slots: Box<[Slot<C>]>,
    room: Arc<Room>,
    /// The next set to sweep.
    hand: AtomicUsize,
    seed: RandomState,
}

struct Slot<C> {
    /// The hash of the token in it; zero while there never was one. A hint: the token itself is compared.
    tag: AtomicU64,
    entry: ArcSwapOption<Entry<C>>,
}

impl<C> Slot<C> {
    /// The entry. To find that a slot was never used takes no more than its tag.
    fn load(&self) -> Guard<Option<Arc<Entry<C>>>> {
        if self.tag.load(Ordering::Relaxed) == 0 { Guard::from_inner(None) } else { self.entry.load() }
    }
}

struct Entry<C> {
    token: Kept,
    window: super::policy::Window,
    source: Source,
    /// For the stripe that verified the token; mostly the only one that sees it.
    first: (usize, Identity<C>),
    others: OnceLock<Box<[OnceLock<Identity<C>>]>>,
    /// What one more copy is reckoned to take.
    copy_bytes: usize,
    taken: Taken,
}

/// How many bytes all entries are reckoned to take, and may.
struct Room {
    taken: AtomicUsize,
    max: usize,
}

impl Room {
    /// Counts these bytes if no more than `max` are then taken.
    fn take(&self, bytes: usize, max: usize) -> bool {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

/// What an entry takes, with its copies, for as long as anybody has it.
struct Taken {
    bytes: AtomicUsize,
    room: Arc<Room>,
}

impl Taken {
    /// Counts a copy, or the table of them, if there is room to spare.
    fn add(&self, bytes: usize) -> bool {
        let is_room = self.room.take(bytes, self.room.max / 2);
        if is_room {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        is_room
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.room.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// A token, which is wiped when it is dropped: at once, and not byte by byte as `Zeroizing` does, for each token that
/// takes the place of another has it wiped.
struct Kept(Box<[u8]>);

impl Kept {
    fn wipe(&mut self) {
        self.0.fill(0);
        optimization_barrier(&*self.0);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl<C: ClaimsShape> Cache<C> {
    pub(crate) fn new(limits: Limits) -> Self {
        let slots = (limits.tokens / WAYS).max(1) * WAYS;
        let slot = || Slot { tag: AtomicU64::new(0), entry: ArcSwapOption::const_empty() };
        Self {
            slots: (0..slots).map(|_| slot()).collect(),
            room: Arc::new(Room { taken: AtomicUsize::new(0), max: limits.bytes }),
            hand: AtomicUsize::new(0),
            seed: RandomState::default(),
        }
    }

    /// Of the end of a token, which is of its signature: what a caller cannot choose without the key.
    pub(crate) fn hash(&self, token: &[u8]) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = self.seed.build_hasher();
        hasher.write(&token[token.len().saturating_sub(64)..]);
        hasher.finish()
    }

    /// What this very token proved, if it is still good at `now` and by the same keys.
    #[inline]
    pub(crate) fn find(
        &self,
        hash: u64,
        token: &[u8],
        now: Duration,
        is_current: impl Fn(Source) -> bool,
    ) -> Option<Identity<C>> {
        for slot in self.set(hash) {
            if slot.tag.load(Ordering::Relaxed) != hash {
                continue;
            }
            let found = slot.entry.load();
            let Some(entry) = found.as_deref() else { continue };
            if *entry.token.0 != *token {
                continue;
            }
            if entry.window.contains(now) && is_current(entry.source) {
                return Some(entry.identity());
            }
            remove(slot, &found);
        }
        None
    }

    /// Keeps what a token proved, if there is room for it.
    pub(crate) fn insert(
        &self,
        hash: u64,
        token: &[u8],
        verified: &Verified<C>,
        now: Duration,
        is_current: impl Fn(Source) -> bool,
    ) {
        let is_good = |entry: &Entry<C>| now < entry.window.until && is_current(entry.source);
        self.sweep(is_good);
        let copy_bytes = copy_bytes(token, &verified.identity);
        let Some(taken) = self.reserve(size_of::<Entry<C>>() + token.len() + copy_bytes) else { return };
        let entry = Entry {
            token: Kept(token.into()),
            window: verified.window,
            source: verified.source,
            first: (stripe::of_thread(), verified.identity.clone()),
            others: OnceLock::new(),
            copy_bytes,
            taken,
        };
        let slot = self.place_for(hash, token, is_good);
        slot.entry.store(Some(Arc::new(entry)));
        slot.tag.store(hash, Ordering::Relaxed);
    }

    /// Where the token lies already, else a free place, else that of an entry that is good no more, else that of the one
    /// that soonest will not be.
    fn place_for(&self, hash: u64, token: &[u8], is_good: impl Fn(&Entry<C>) -> bool) -> &Slot<C> {
        let set = self.set(hash);
        let rank = |slot: &&Slot<C>| match slot.load().as_deref() {
            Some(entry) if *entry.token.0 == *token => (0, Duration::ZERO),
            None => (1, Duration::ZERO),
            Some(entry) if !is_good(entry) => (2, Duration::ZERO),
            Some(entry) => (3, entry.window.until),
        };
        set.iter().min_by_key(rank).unwrap_or(&set[0])
    }

    fn set(&self, hash: u64) -> &[Slot<C>] {
        let sets = self.slots.len() / WAYS;
        // The lower half picks the set; all of it is the tag.
        self.set_at(hash as usize % sets)
    }

    fn set_at(&self, index: usize) -> &[Slot<C>] {
        &self.slots[index * WAYS..][..WAYS]
    }

    /// Takes out what is good no more, a little at a time.
    fn sweep(&self, is_good: impl Fn(&Entry<C>) -> bool) {
        for slot in (0..SWEEP).flat_map(|_| self.next_set()) {
            let found = slot.load();
            if found.as_deref().is_some_and(|entry| !is_good(entry)) {
                remove(slot, &found);
            }
        }
    }

    fn next_set(&self) -> &[Slot<C>] {
        let sets = self.slots.len() / WAYS;
        self.set_at(self.hand.fetch_add(1, Ordering::Relaxed) % sets)
    }

    /// Counts these bytes, and takes out others where they are too many. `None` if there is no room for them.
    fn reserve(&self, bytes: usize) -> Option<Taken> {
        let count = || self.room.take(bytes, self.room.max);
        let evict = || self.next_set().iter().for_each(|slot| slot.entry.store(None));
        let is_room = count()
            || (0..EVICT).any(|_| {
                evict();
                count()
            });
        is_room.then(|| Taken { bytes: AtomicUsize::new(bytes), room: Arc::clone(&self.room) })
    }
}

/// Takes out this entry, unless it was replaced meanwhile.
fn remove<C>(slot: &Slot<C>, found: &Guard<Option<Arc<Entry<C>>>>) {
    slot.entry.compare_and_swap(found, None);
}

/// What the principal and the claims of a token take. Of the claims no more is known than how long they are as text.
fn copy_bytes<C>(token: &[u8], identity: &Identity<C>) -> usize {
    let claims = if size_of::<C>() == 0 { 0 } else { 2 * token.len() };
    shape::bytes(&identity.principal) + claims
}

impl<C: ClaimsShape> Entry<C> {
    /// A copy for this thread. Its reference count lies in memory that threads of other stripes leave alone.
    #[inline]
    fn identity(&self) -> Identity<C> {
        let stripe = stripe::of_thread();
        if self.first.0 == stripe {
            return self.first.1.clone();
        }
        match self.others.get().and_then(|others| others[stripe].get()) {
            Some(copy) => copy.clone(),
            None => self.copy_for(stripe),
        }
    }

    /// Without room for a copy, that of the first stripe: threads of several then write to one reference count.
    #[cold]
    fn copy_for(&self, stripe: usize) -> Identity<C> {
        let none = || (0..stripe::count()).map(|_| OnceLock::new()).collect::<Box<[_]>>();
        let table_bytes = stripe::count() * size_of::<OnceLock<Identity<C>>>();
        self.counted(&self.others, table_bytes, none)
            .and_then(|others| self.counted(&others[stripe], self.copy_bytes, || self.first.1.unshared()))
            .unwrap_or(&self.first.1)
            .clone()
    }

    /// What lies in `place`, or is put there if there is room for so many bytes.
    fn counted<'a, V>(
        &self,
        place: &'a OnceLock<V>,
        bytes: usize,
        make: impl FnOnce() -> V,
    ) -> Option<&'a V> {
        if place.get().is_some() {
            return place.get();
        }
        if !self.taken.add(bytes) {
            return None;
        }
        let mut is_made = false;
        let value = place.get_or_init(|| {
            is_made = true;
            make()
        });
        if !is_made {
            // Another thread of the stripe was faster.
            self.taken.remove(bytes);
        }
        Some(value)
    }
}
