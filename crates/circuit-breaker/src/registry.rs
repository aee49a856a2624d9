//! All breakers of a layer, in bounded memory.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use bartizan_core::Fault;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::{
    LAYER,
    breaker::Group,
    settings::{Common, Settings},
    slot::Slot,
};

/// The longest key that gets a breaker of its own: DNS has no longer names, and templates of routes seldom are.
const LONGEST_KEY: usize = 512;

/// The key of the breaker that is shared by those without one of their own.
pub(crate) const SHARED: &str = "*";

type Known = HashMap<Arc<str>, Arc<Slot>, RandomState>;

/// The breakers by key. Looking one up takes no lock; a new one copies the map, which has a bound.
pub(crate) struct Registry {
    pub(crate) common: Arc<Common>,
    known: ArcSwap<Known>,
    /// Who changes the map.
    writer: Mutex<()>,
    /// For those that have no key or find no room, all together.
    pub(crate) shared: Arc<Slot>,
    shared_is_used: AtomicBool,
    group: Option<Arc<Group>>,
    full: Fault,
}

impl Registry {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = settings.clock.now();
        let group = settings.policy.open_share.map(|share| Arc::new(Group::new(share)));
        let full = format!("the breakers `{}` have more keys than they may be", settings.name);
        let common = Arc::new(Common::new(settings));
        Self {
            // Whatever the share is: it is the only one there may be, and stands for several.
            shared: Arc::new(Slot::new(SHARED, &common, None, now)),
            common,
            known: ArcSwap::default(),
            writer: Mutex::new(()),
            shared_is_used: AtomicBool::new(false),
            group,
            full: Fault::named(
                LAYER,
                full,
                "raise `with_max_breakers`, or take a key of which there are fewer; until then new keys share a breaker",
            ),
        }
    }

    /// The breaker of all, which is used from now on.
    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Slot> {
        if !self.shared_is_used.load(Relaxed) {
            self.first_share();
        }
        &self.shared
    }

    #[cold]
    fn first_share(&self) {
        if !self.shared_is_used.swap(true, Relaxed) {
            self.common.telemetry.added();
        }
    }

    /// The breaker of `key`.
    #[inline]
    pub(crate) fn of(&self, key: &str) -> Arc<Slot> {
        match self.known.load().get(key) {
            Some(slot) => Arc::clone(slot),
            None => self.hold(key),
        }
    }

    /// The breaker of `key`, if it has one, for whoever keeps it: see [`hold`](Self::hold).
    pub(crate) fn find(&self, key: &str) -> Option<Arc<Slot>> {
        if key == SHARED {
            return self.shared_is_used.load(Relaxed).then(|| Arc::clone(&self.shared));
        }
        let _writer = self.writer.lock();
        self.known.load().get(key).cloned()
    }

    /// All breakers that have been used, by key, for whoever keeps them: see [`hold`](Self::hold).
    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        let _writer = self.writer.lock();
        let mut all: Vec<_> = self.known.load().values().cloned().chain(self.find(SHARED)).collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// The breaker of `key`, for whoever keeps it: it gives its place to no other while it is held.
    ///
    /// It is taken under the lock: one that was just found to be held by nobody, and is about to give way, is not taken.
    /// A call needs no such care; one that comes in between counts in a breaker that nobody else sees.
    #[cold]
    pub(crate) fn hold(&self, key: &str) -> Arc<Slot> {
        if key.is_empty() || key.len() > LONGEST_KEY || key == SHARED {
            return Arc::clone(self.shared());
        }
        let made = {
            let _writer = self.writer.lock();
            let known = self.known.load_full();
            if let Some(slot) = known.get(key) {
                return Arc::clone(slot);
            }
            let now = self.common.settings.clock.now();
            let mut idle = Vec::new();
            if known.len() >= self.common.settings.max_breakers {
                // Held by nobody, not even by a call that is on its way.
                let is_idle = |slot: &&Arc<Slot>| Arc::strong_count(slot) == 1 && slot.breaker.is_idle(now);
                idle.extend(known.values().filter(is_idle).cloned());
            }
            let has_room = known.len() < self.common.settings.max_breakers || !idle.is_empty();
            has_room.then(|| {
                let mut changed = Known::clone(&known);
                for slot in &idle {
                    changed.remove(&slot.key);
                }
                let slot = Arc::new(Slot::new(key, &self.common, self.group.clone(), now));
                changed.insert(Arc::clone(&slot.key), Arc::clone(&slot));
                if let Some(group) = &self.group {
                    group.set_members(changed.len());
                }
                self.known.store(Arc::new(changed));
                (slot, idle)
            })
        };
        // Not under the lock: listeners are told, who may ask for a breaker.
        let Some((slot, idle)) = made else {
            self.full.report();
            return Arc::clone(self.shared());
        };
        idle.iter().for_each(|slot| slot.retire());
        self.common.telemetry.added();
        slot
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("settings", &self.common.settings)
            .field("breakers", &self.known.load().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use bartizan_core::{Clock, ManualClock, Verdict};

    use super::*;
    use crate::{BreakerPolicy, State};

    fn registry(max_breakers: usize) -> (Registry, ManualClock) {
        let time = ManualClock::new();
        let policy = BreakerPolicy::consecutive(1).unwrap();
        let settings = Settings { max_breakers, clock: Clock::from(time.clone()), ..Settings::new(policy) };
        (Registry::new(settings), time)
    }

    fn call(slot: &Slot, verdict: Verdict) {
        if let Ok(permit) = slot.admit() {
            slot.record(permit, verdict, 0);
        }
    }

    #[test]
    fn cb_08_breakers_are_bounded_and_only_closed_and_idle_ones_give_way() {
        let (registry, time) = registry(2);
        call(&registry.of("down"), Verdict::Failure);
        call(&registry.of("up"), Verdict::Success);
        assert_eq!(&*registry.of("new").key, SHARED, "both are in use");
        time.advance(Duration::from_secs(31));
        let held = registry.of("up");
        assert_eq!(&*registry.of("new").key, SHARED, "a call is on its way");
        drop(held);
        assert_eq!(&*registry.of("new").key, "new", "in the place of the idle one");
        assert!(registry.find("up").is_none());
        assert_eq!(registry.of("down").breaker.state(), State::Open, "it is remembered");
        for key in 0..1_000 {
            call(&registry.of(&key.to_string()), Verdict::Success);
        }
        let keys: Vec<_> = registry.all().iter().map(|slot| slot.key.to_string()).collect();
        assert_eq!(keys.len(), 3, "two, and the shared one: {keys:?}");
    }

    #[test]
    fn cb_08_a_breaker_that_is_held_is_that_of_its_key_whatever_comes_at_the_same_time() {
        let (registry, time) = registry(2);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0_u64;
                while !over.load(Relaxed) {
                    // What was used before is idle by now, and gives its place to this.
                    time.advance(Duration::from_secs(1_000));
                    registry.of(&number.to_string());
                    number += 1;
                }
            });
            let gave_way = (0..20_000).any(|_| {
                let held = registry.hold("held");
                // Where there is no room it is the one that all share.
                let found = if &*held.key == SHARED { None } else { registry.find("held") };
                &*held.key != SHARED && !found.is_some_and(|found| Arc::ptr_eq(&found, &held))
            });
            over.store(true, Relaxed);
            assert!(!gave_way, "to another, while it is held");
        });
    }

    #[test]
    fn cb_08_keys_that_are_no_names_share_a_breaker() {
        let (registry, _) = registry(10);
        for key in ["", SHARED, &"x".repeat(513)] {
            assert_eq!(&*registry.of(key).key, SHARED);
        }
        assert_eq!(&*registry.of(&"x".repeat(512)).key, "x".repeat(512));
    }

    #[test]
    fn cb_08_at_most_a_share_of_the_breakers_is_open() {
        let time = ManualClock::new();
        let clock = Clock::from(time.clone());
        let registry = Registry::new(Settings { clock, ..Settings::new(BreakerPolicy::envoy()) });
        let fail = |key: &str| {
            for _ in 0..5 {
                call(&registry.of(key), Verdict::Failure);
            }
            registry.of(key).breaker.state()
        };
        for host in 0..9 {
            assert_eq!(fail(&host.to_string()), State::Closed, "one of {} is more than 10 %", host + 1);
        }
        assert_eq!(fail("9"), State::Open);
        assert_eq!(fail("0"), State::Closed, "two of ten are 20 %");
        time.advance(Duration::from_secs(30));
        call(&registry.of("9"), Verdict::Success);
        assert_eq!(fail("0"), State::Open, "the place is free again");
    }
}
