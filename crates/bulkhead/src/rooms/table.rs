//! The rooms of all keys, in bounded memory.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
    task::Waker,
    time::Instant,
};

use bartizan_core::stripe::Padded;
use hashbrown::HashTable;
use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::{
    line::Seat,
    place::{Admission, Place, Refused, Waiting},
    room::{Entry, Room},
};
use crate::{
    Key, Priority,
    limit::{Sample, sealed::Limit},
};

/// How much room there is beside the limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// How many may wait.
    pub(crate) queue: usize,
    /// How many places are for the most important alone.
    pub(crate) reserved: u32,
    /// How many keys are told apart.
    pub(crate) max_keys: usize,
}

/// The rooms of all keys.
///
/// A room with a fixed limit is there while someone is in it, so that memory follows the requests that are held anyway.
/// One that learns stays, until its place is wanted while nobody is in it. Beyond `max_keys` keys, new ones share a
/// room with the requests that have no key.
pub(crate) struct Rooms<L> {
    fresh: L,
    capacity: Capacity,
    secret: SipHasher13,
    shards: Box<[Padded<Mutex<Shard<L>>>]>,
    common: Padded<Mutex<Room<L>>>,
}

type Shard<L> = HashTable<(u128, Room<L>)>;

/// Which room a request is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// That of all who have none of their own.
    Common,
    /// That of a key.
    Own(u128),
}

/// What became clear of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Learned {
    pub(crate) began: Instant,
    pub(crate) now: Instant,
    /// `None` where it says nothing of what is to be learned.
    pub(crate) sample: Option<Sample>,
    /// It was answered, and from now on holds its place for the body of its response.
    pub(crate) is_answer: bool,
}

impl<L: Limit> Rooms<L> {
    pub(crate) fn new(fresh: L, capacity: Capacity) -> Self {
        let random = RandomState::new();
        let secret = SipHasher13::new_with_keys(random.hash_one(0_u8), random.hash_one(1_u8));
        let shards = (capacity.max_keys / 256).clamp(1, 64).next_power_of_two();
        Self {
            common: Padded(Mutex::new(Room::new(fresh.clone()))),
            shards: (0..shards).map(|_| Padded(Mutex::default())).collect(),
            fresh,
            capacity,
            secret,
        }
    }

    /// One comes. `None` is the key of those who have none; the time is asked for only where a limit that learns has no
    /// place.
    pub(crate) fn enter(
        self: &Arc<Self>,
        key: Option<&Key<'_>>,
        priority: Priority,
        now: impl Fn() -> Instant,
    ) -> Entered<L> {
        let at = key.map_or(At::Common, |key| {
            let mut hasher = self.secret;
            key.hash(&mut hasher);
            At::Own(hasher.finish128().as_u128())
        });
        let enter_common = || self.enter_room(&mut self.common.0.lock(), priority, &now);
        let (at, overflowed, door) = match at {
            At::Common => (at, false, enter_common()),
            At::Own(key) => match self.enter_own(key, priority, &now) {
                Some(door) => (at, false, door),
                None => (At::Common, true, enter_common()),
            },
        };
        door.granted.into_iter().for_each(Waker::wake);
        let admission = match door.entry {
            Entry::Taken => Admission::Taken(Place::new(Arc::clone(self), at)),
            Entry::Queued(seat, shed) => {
                wake(shed);
                Admission::Queued(Waiting::new(Arc::clone(self), at, priority, seat))
            }
            Entry::Full => Admission::Refused(Refused::Full),
        };
        let moved = door.moved.map(|limit| (limit, at == At::Common));
        Entered { admission, overflowed, moved }
    }

    /// One comes to a room. Where a probe has kept others out for too long it ends; then those who wait come first.
    #[inline]
    fn enter_room(&self, room: &mut Room<L>, priority: Priority, now: &impl Fn() -> Instant) -> Door {
        let mut granted = Vec::new();
        let moved = L::LEARNS && !room.has_place(priority, &self.capacity) && room.limit.yield_at(now());
        if moved {
            while let Some(woken) = room.grant(&self.capacity) {
                granted.extend(woken);
            }
        }
        let entry = room.enter(priority, &self.capacity);
        Door { entry, granted, moved: moved.then(|| room.limit.current()) }
    }

    /// `None` when there is no room for another key.
    fn enter_own(&self, key: u128, priority: Priority, now: &impl Fn() -> Instant) -> Option<Door> {
        let mut shard = self.shard(key).lock();
        if let Some((_, room)) = shard.find_mut(hash(key), |(known, _)| *known == key) {
            return Some(self.enter_room(room, priority, now));
        }
        let most = (self.capacity.max_keys / self.shards.len()).max(1);
        if shard.len() >= most {
            let idle = shard.iter().find(|(_, room)| room.is_empty()).map(|(idle, _)| *idle)?;
            shard.find_entry(hash(idle), |(known, _)| *known == idle).ok()?.remove();
        }
        let fresh = (key, Room::new(self.fresh.clone()));
        let mut entry = shard.insert_unique(hash(key), fresh, |(known, _)| hash(*known));
        Some(self.enter_room(&mut entry.get_mut().1, priority, now))
    }

    /// One who had a place goes, and the next gets it.
    pub(super) fn leave(&self, at: At, was_answered: bool) {
        self.change(at, |room| room.leave(was_answered));
    }

    /// One who waits gives up. Whether it had got a place meanwhile, which it still has.
    pub(super) fn give_up(&self, at: At, priority: Priority, seat: &Seat) -> bool {
        self.change(at, |room| room.give_up(priority, seat)).unwrap_or(false)
    }

    /// The limit learns; what it is, if it moved.
    pub(super) fn learn(&self, at: At, learned: Learned) -> Option<u32> {
        self.change(at, |room| {
            let Learned { began, now, sample, is_answer } = learned;
            let taken = room.taken();
            let moved = sample.is_some_and(|sample| room.limit.learn(began, now, taken, sample));
            if is_answer {
                room.answer();
            }
            let moved = moved || (room.waiting() > 0 && room.limit.yield_at(now));
            moved.then(|| room.limit.current())
        })?
    }

    /// Changes a room, and gives the places that became free to those who wait. Wakes them outside of the lock.
    fn change<T>(&self, at: At, change: impl FnOnce(&mut Room<L>) -> T) -> Option<T> {
        let (changed, mut waker) = self.with(at, |room| {
            let changed = change(room);
            (changed, room.grant(&self.capacity))
        })?;
        // One change frees one place, but for a limit that grows.
        while let Some(woken) = waker {
            wake(woken);
            waker = if L::LEARNS { self.with(at, |room| room.grant(&self.capacity)).flatten() } else { None };
        }
        Some(changed)
    }

    /// Runs `run` with a room, which is there as long as someone is in it.
    fn with<T>(&self, at: At, run: impl FnOnce(&mut Room<L>) -> T) -> Option<T> {
        let key = match at {
            At::Common => return Some(run(&mut self.common.0.lock())),
            At::Own(key) => key,
        };
        let mut shard = self.shard(key).lock();
        let mut entry = shard.find_entry(hash(key), |(known, _)| *known == key).ok()?;
        let room = &mut entry.get_mut().1;
        let output = run(room);
        if !L::LEARNS && room.is_empty() {
            entry.remove();
        }
        Some(output)
    }

    fn shard(&self, key: u128) -> &Mutex<Shard<L>> {
        // The upper half, since the table takes the lower one.
        let upper = usize::try_from(key >> 96).unwrap_or_default();
        &self.shards[upper & (self.shards.len() - 1)].0
    }

    /// Reads each room.
    fn read(&self, mut read: impl FnMut(&Room<L>)) {
        read(&self.common.0.lock());
        for shard in &self.shards {
            shard.0.lock().iter().for_each(|(_, room)| read(room));
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        let mut taken = 0;
        self.read(|room| taken += room.taken() as usize);
        taken
    }

    pub(crate) fn queued(&self) -> usize {
        let mut waiting = 0;
        self.read(|room| waiting += room.waiting());
        waiting
    }

    /// The lowest of those that are in use; that of a fresh room when none is.
    pub(crate) fn limit(&self) -> u32 {
        let mut lowest = None;
        let common = self.common.0.lock().limit.current();
        for shard in &self.shards {
            for (_, room) in shard.0.lock().iter() {
                lowest = Some(lowest.unwrap_or(u32::MAX).min(room.limit.current()));
            }
        }
        lowest.unwrap_or(common)
    }
}

/// Whether and how one who came is in.
pub(crate) struct Entered<L: Limit> {
    pub(crate) admission: Admission<L>,
    /// Its key found no room of its own.
    pub(crate) overflowed: bool,
    /// What the limit is, if it moved, and whether it is that of the common room.
    pub(crate) moved: Option<(u32, bool)>,
}

/// What became of one who came to a room.
struct Door {
    entry: Entry,
    /// Others who waited and now have a place: to be woken outside of the lock.
    granted: Vec<Waker>,
    moved: Option<u32>,
}

/// The key is a hash already.
#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn hash(key: u128) -> u64 {
    key as u64
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<L: Limit> fmt::Debug for Rooms<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms")
            .field("limit", &self.limit())
            .field("capacity", &self.capacity)
            .field("in_flight", &self.in_flight())
            .field("queued", &self.queued())
            .finish()
    }
}
