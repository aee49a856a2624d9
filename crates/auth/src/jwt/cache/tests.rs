//! What the cache keeps, and for how long.

use bartizan_core::Principal;

use super::*;
use crate::{jwt::policy::Window, pop::Confirmation};

const SOURCE: Source = Source { issuer: 0, generation: 7 };

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn verified(subject: &str, until: u64) -> Verified<()> {
    Verified {
        identity: Identity {
            principal: Principal::user(subject).build(),
            claims: (),
            confirmation: Confirmation::default(),
        },
        window: Window { from: secs(1), until: secs(until) },
        source: SOURCE,
    }
}

fn subject(found: Option<Identity<()>>) -> Option<String> {
    found.map(|identity| identity.principal.subject().to_owned())
}

fn cache(tokens: usize, bytes: usize) -> Cache<()> {
    Cache::new(Limits { tokens, bytes })
}

fn held(cache: &Cache<()>) -> (usize, usize) {
    let entries = || cache.slots.iter().filter_map(|slot| slot.entry.load_full());
    (entries().count(), entries().map(|entry| entry.taken.bytes.load(Ordering::Relaxed)).sum())
}

fn taken(cache: &Cache<()>) -> usize {
    cache.room.taken.load(Ordering::Relaxed)
}

/// What a token of 100 bytes takes.
fn usual() -> usize {
    let cache = cache(8, 1 << 20);
    cache.insert(0, &[0; 100], &verified("a", 9), secs(1), |_| true);
    taken(&cache)
}

/// Looks for a token in a thread of another stripe; false where there is but one.
fn find_elsewhere(cache: &Cache<()>, hash: u64, token: &[u8]) -> bool {
    let here = stripe::of_thread();
    let look = || {
        let is_other = stripe::of_thread() != here;
        if is_other {
            assert!(cache.find(hash, token, secs(1), |_| true).is_some());
        }
        is_other
    };
    (0..2 * stripe::count()).any(|_| std::thread::scope(|scope| scope.spawn(look).join().unwrap()))
}

#[test]
fn jwt_17_a_forced_collision_never_hits() {
    bolero::check!().with_type::<(Vec<u8>, Vec<u8>, u64)>().for_each(|(kept, asked, hash)| {
        let cache = cache(64, 1 << 20);
        cache.insert(*hash, kept, &verified("kept", 9), secs(1), |_| true);
        let found = cache.find(*hash, asked, secs(1), |_| true);
        assert_eq!(found.is_some(), kept == asked);
        assert_eq!(subject(cache.find(*hash, kept, secs(1), |_| true)).as_deref(), Some("kept"));
    });
}

#[test]
fn jwt_17_tokens_that_share_a_hash_are_each_found_as_themselves() {
    let cache = cache(64, 1 << 20);
    let tokens: Vec<_> = (0..WAYS).map(|index| format!("token-{index}")).collect();
    for token in &tokens {
        cache.insert(5, token.as_bytes(), &verified(token, 9), secs(1), |_| true);
    }
    for token in &tokens {
        assert_eq!(subject(cache.find(5, token.as_bytes(), secs(1), |_| true)).as_ref(), Some(token));
    }
    assert!(cache.find(5, b"token-8", secs(1), |_| true).is_none());
}

#[test]
fn jwt_17_the_hash_is_seeded_at_random() {
    let (one, other) = (cache(8, 1), cache(8, 1));
    assert_eq!(one.hash(b"token"), one.hash(b"token"));
    assert_ne!(one.hash(b"token"), other.hash(b"token"));
}

#[test]
fn jwt_17_an_entry_outlives_neither_its_token_nor_its_key() {
    let cache = cache(64, 1 << 20);
    let fill = || cache.insert(5, b"token", &verified("a", 9), secs(1), |_| true);
    let find = |now, generation| {
        cache.find(5, b"token", secs(now), |source| source.generation == generation).is_some()
    };
    fill();
    assert!(find(1, 7) && find(8, 7));
    assert!(!find(9, 7), "expired");
    assert_eq!(held(&cache), (0, 0), "and gone");
    assert_eq!(taken(&cache), 0);
    fill();
    assert!(!find(0, 7), "not yet good, after the clock was set back");
    fill();
    assert!(find(1, 7) && !find(1, 8), "the key was removed");
    assert_eq!(held(&cache), (0, 0));
}

#[test]
fn jwt_17_the_cache_is_bounded_in_count_and_bytes() {
    let entry = usual();
    assert!(entry > size_of::<Entry<()>>() + 100 + 512);
    bolero::check!().with_type::<Vec<(u64, u8)>>().for_each(|inserts| {
        let cache = cache(16, 10 * entry);
        for (hash, fill) in inserts {
            let token = [*fill; 100];
            cache.insert(*hash, &token, &verified("a", 9), secs(1), |_| true);
            let (count, bytes) = held(&cache);
            assert!(count <= 10 && bytes <= 10 * entry);
            assert_eq!(bytes, taken(&cache), "no byte is lost from the count");
            assert!(cache.find(*hash, &token, secs(1), |_| true).is_some(), "room is made for the newest");
        }
    });
    let huge = cache(16, 10 * entry);
    huge.insert(1, &[0; 16 * 1024], &verified("a", 9), secs(1), |_| true);
    assert_eq!(held(&huge), (0, 0), "too large for the whole cache");
    assert_eq!(taken(&huge), 0);
}

#[test]
fn jwt_17_no_more_tokens_are_kept_than_were_asked_for() {
    for (asked, kept) in [(1, 8), (8, 8), (15, 8), (100, 96), (5000, 5000)] {
        let cache = cache(asked, 1 << 30);
        for index in 0..40_000_u64 {
            let hash = cache.hash(&index.to_be_bytes());
            cache.insert(hash, &index.to_be_bytes(), &verified("a", 9), secs(1), |_| true);
        }
        assert_eq!(held(&cache).0, kept, "{asked}");
    }
}

#[test]
fn jwt_17_copies_count_and_give_way_to_tokens() {
    let roomy = cache(8, 1 << 20);
    roomy.insert(5, &[0; 100], &verified("a", 9), secs(1), |_| true);
    let before = taken(&roomy);
    if !find_elsewhere(&roomy, 5, &[0; 100]) {
        return;
    }
    let copy = shape::bytes(&verified("a", 9).identity.principal);
    let table = stripe::count() * size_of::<OnceLock<Identity<()>>>();
    assert_eq!(taken(&roomy), before + copy + table, "a copy, and the table of them");
    find_elsewhere(&roomy, 5, &[0; 100]);
    assert!(taken(&roomy) <= before + stripe::count() * copy + table, "one for each stripe");
    assert_eq!(held(&roomy), (1, taken(&roomy)));
    assert!(roomy.find(5, &[0; 100], secs(10), |_| true).is_none());
    assert_eq!(taken(&roomy), 0, "and all that is gone with the token");

    let full = cache(8, 8 * before);
    for fill in 0..8_u8 {
        full.insert(5, &[fill; 100], &verified("a", 9), secs(1), |_| true);
    }
    for fill in 0..8_u8 {
        assert!(find_elsewhere(&full, 5, &[fill; 100]), "found all the same");
    }
    assert_eq!((held(&full).0, taken(&full)), (8, 8 * before), "and no copy where there is no room");
}

#[test]
fn jwt_17_what_is_good_no_more_makes_room_without_being_asked_for() {
    let cache = cache(1024, 1 << 24);
    for index in 0..1024_u64 {
        cache.insert(index, &index.to_be_bytes(), &verified("a", 9), secs(1), |_| true);
    }
    let before = held(&cache).0;
    for index in 2000..2064_u64 {
        cache.insert(index, &index.to_be_bytes(), &verified("a", 99), secs(50), |_| true);
    }
    assert!(before > 512);
    assert_eq!(held(&cache).0, 64, "all that expired are gone");
}

#[test]
fn each_stripe_has_a_copy_of_its_own_that_says_the_same() {
    let room = Arc::new(Room { taken: AtomicUsize::new(0), max: 1 << 20 });
    let entry = Entry {
        token: Kept((*b"token").into()),
        window: Window { from: secs(0), until: secs(9) },
        source: SOURCE,
        first: ((stripe::of_thread() + 1) % 1024, verified("a", 9).identity),
        others: OnceLock::new(),
        copy_bytes: 1,
        taken: Taken { bytes: AtomicUsize::new(0), room },
    };
    let (one, two) = (entry.identity(), entry.identity());
    assert_eq!(one.principal, entry.first.1.principal);
    assert_eq!(one.principal, two.principal);
    let address = |principal: &Principal| std::ptr::from_ref(principal.subject()).addr();
    assert_ne!(address(&one.principal), address(&entry.first.1.principal));
    assert_eq!(address(&one.principal), address(&two.principal));
}

#[test]
fn jwt_17_nothing_is_left_of_a_token_that_is_wiped() {
    let mut kept = Kept(Box::from(&b"header.payload.signature"[..]));
    kept.wipe();
    assert_eq!(*kept.0, [0; 24]);
    assert!(std::mem::needs_drop::<Kept>(), "it is wiped when it is dropped");
}
