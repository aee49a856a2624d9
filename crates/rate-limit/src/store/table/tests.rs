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
