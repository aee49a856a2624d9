//! Where new ids come from.

use std::{
    cell::RefCell,
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use bartizan_core::{Clock, RequestId};
use bytes::Bytes;
use rand::{
    Rng, SeedableRng,
    rngs::{StdRng, SysRng},
};
use uuid::Uuid;

/// Makes an id for a request that comes without one.
///
/// Implemented by [`UuidV7`], [`UuidV4`] and every `Fn(&Clock) -> RequestId`:
///
/// ```
/// use bartizan_core::{Clock, RequestId};
/// use bartizan_correlation_id::CorrelationIdLayer;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let count = AtomicU64::new(0);
/// let layer = CorrelationIdLayer::new().with_generator(move |_: &Clock| {
///     let number = count.fetch_add(1, Ordering::Relaxed);
///     RequestId::new(format!("req-{number}")).expect("letters, digits and a hyphen")
/// });
/// ```
pub trait MakeId: Send + Sync + 'static {
    /// A new id. `clock` is the layer's, for ids that hold the time.
    fn make_id(&self, clock: &Clock) -> RequestId;
}

impl<F> MakeId for F
where
    F: Fn(&Clock) -> RequestId + Send + Sync + 'static,
{
    fn make_id(&self, clock: &Clock) -> RequestId {
        self(clock)
    }
}

/// Version 7 UUIDs (RFC 9562 section 5.7): the time in milliseconds, then 74 random bits. The default.
///
/// The ids that one thread makes sort in the order of their making (section 6.2, method 2: within a millisecond
/// the random part grows by a random step). A clock set back by up to ten seconds is waited out, one set back
/// further is followed.
///
/// The random bits come from a generator per thread, ChaCha seeded once from the system: no system call per id.
/// They cannot be guessed, and yet are no secrets: an id is on every response and in every log (CID-06).
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV7;

impl MakeId for UuidV7 {
    fn make_id(&self, clock: &Clock) -> RequestId {
        let since_epoch = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        render(with_source(|source| source.v7(millis(since_epoch))))
    }
}

/// Version 4 UUIDs (RFC 9562 section 5.4): 122 random bits, from the same generator as [`UuidV7`].
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV4;

impl MakeId for UuidV4 {
    fn make_id(&self, _: &Clock) -> RequestId {
        render(with_source(Source::v4))
    }
}

/// The text of an id, held by its reference count: one allocation, however often the id is shared.
struct Text([u8; 36]);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn render(uuid: Uuid) -> RequestId {
    let mut text = Text([b'-'; 36]);
    let mut at = 0;
    for (index, byte) in uuid.as_bytes().iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text.0[at..at + 2].copy_from_slice(&HEX[usize::from(*byte)]);
        at += 2;
    }
    RequestId::new(Bytes::from_owner(text)).expect("36 hex digits and hyphens are an id")
}

/// The two lower-case digits of each byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

fn millis(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000).saturating_add(u64::from(duration.subsec_millis()))
}

thread_local! {
    static SOURCE: RefCell<Source> = RefCell::new(Source::seeded());
}

fn with_source(make: impl Fn(&mut Source) -> Uuid) -> Uuid {
    SOURCE
        .try_with(|source| make(&mut source.borrow_mut()))
        // A thread that ends has lost its source.
        .unwrap_or_else(|_| make(&mut Source::seeded()))
}

/// What a thread makes ids from.
struct Source {
    rng: StdRng,
    /// The time in the last version 7 id.
    millis: u64,
    /// The 74 bits after it.
    tail: u128,
}

/// How far back the clock may be set before ids follow it.
const WAIT_OUT: u64 = 10_000;
const TAIL_BITS: u32 = 74;
const TIME_MASK: u128 = (1 << 48) - 1;
const RAND_B_BITS: u32 = 62;
const RAND_B_MASK: u128 = (1 << RAND_B_BITS) - 1;

impl Source {
    fn seeded() -> Self {
        let rng = StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::from_seed(makeshift_seed()));
        Self { rng, millis: 0, tail: 0 }
    }

    fn random(&mut self) -> u128 {
        u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64())
    }

    fn v4(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random().to_be_bytes()).into_uuid()
    }

    fn v7(&mut self, now: u64) -> Uuid {
        if now > self.millis || self.millis - now > WAIT_OUT {
            self.begin(now);
        } else {
            // At least one step, so that ids never repeat.
            self.tail += 1 + u128::from(self.rng.next_u32());
            if self.tail >> TAIL_BITS != 0 {
                self.begin(self.millis + 1);
            }
        }
        let (rand_a, rand_b) = (self.tail >> RAND_B_BITS, self.tail & RAND_B_MASK);
        let time = u128::from(self.millis) & TIME_MASK;
        Uuid::from_u128(time << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << RAND_B_BITS | rand_b)
    }

    /// A new millisecond. The top bit of the tail stays free, so that what follows has room to grow.
    fn begin(&mut self, millis: u64) {
        self.millis = millis;
        self.tail = self.random() >> (u128::BITS - TAIL_BITS + 1);
    }
}

/// A seed for when the system gives none: distinct for each thread, process and start, which is all an id needs.
#[cold]
fn makeshift_seed() -> [u8; 32] {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    let since_epoch = Clock::system().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&since_epoch.as_nanos().to_le_bytes());
    seed[16..20].copy_from_slice(&process::id().to_le_bytes());
    seed[24..].copy_from_slice(&THREADS.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    seed
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use bartizan_core::ManualClock;
    use uuid::{Variant, Version};

    use super::*;

    fn parse(id: &RequestId) -> Uuid {
        let uuid = Uuid::parse_str(id.as_str()).expect("a UUID");
        assert_eq!(uuid.hyphenated().to_string(), id.as_str(), "36 lower-case characters");
        assert_eq!(uuid.get_variant(), Variant::RFC4122);
        uuid
    }

    #[test]
    fn cid_01_a_made_id_is_a_version_7_uuid_of_the_time_it_was_made() {
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        for step in [0, 1, 999, 86_400_000] {
            manual.advance(Duration::from_millis(step));
            let uuid = parse(&UuidV7.make_id(&clock));
            assert_eq!(uuid.get_version(), Some(Version::SortRand));
            let (secs, nanos) = uuid.get_timestamp().unwrap().to_unix();
            let wall = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!((secs, nanos / 1_000_000), (wall.as_secs(), wall.subsec_millis()));
        }
    }

    #[test]
    fn cid_01_a_made_id_may_be_a_version_4_uuid() {
        let ids: HashSet<_> = (0..1_000).map(|_| parse(&UuidV4.make_id(&Clock::system()))).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|uuid| uuid.get_version() == Some(Version::Random)));
    }

    #[test]
    fn the_ids_of_a_thread_sort_as_they_were_made() {
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        let ids: Vec<_> = (0..10_000)
            .map(|index| {
                manual.advance(Duration::from_millis(index % 3 / 2));
                UuidV7.make_id(&clock).to_string()
            })
            .collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_clock_set_back_a_little_is_waited_out_and_a_lot_followed() {
        let mut source = Source::seeded();
        let first = source.v7(20_000);
        let second = source.v7(10_000);
        assert!(first < second);
        assert_eq!(second.get_timestamp().unwrap().to_unix(), (20, 0));
        assert_eq!(source.v7(9_999).get_timestamp().unwrap().to_unix(), (9, 999_000_000));
    }

    #[test]
    fn a_millisecond_without_room_borrows_from_the_next() {
        let mut source = Source::seeded();
        source.v7(5);
        source.tail = (1 << TAIL_BITS) - 1;
        let last = source.v7(5);
        assert_eq!(last.get_timestamp().unwrap().to_unix(), (0, 6_000_000));
        assert!(last < source.v7(5));
    }

    #[test]
    fn threads_make_different_ids_at_one_time() {
        let clock = Clock::from(ManualClock::new());
        let ids: Vec<_> = (0..8)
            .map(|_| {
                let clock = clock.clone();
                thread::spawn(move || {
                    (0..1_000).map(|_| UuidV7.make_id(&clock).to_string()).collect::<Vec<_>>()
                })
            })
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }

    #[test]
    fn a_makeshift_seed_is_not_made_twice() {
        let seeds: HashSet<_> = (0..100).map(|_| makeshift_seed()).collect();
        assert_eq!(seeds.len(), 100);
    }

    #[test]
    fn the_time_is_in_whole_milliseconds() {
        assert_eq!(millis(Duration::new(7, 1_999_999)), 7_001);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }

    #[test]
    fn copies_of_an_id_share_its_bytes() {
        let id = UuidV7.make_id(&Clock::system());
        let header = id.to_header();
        assert_eq!(header.as_bytes().as_ptr(), id.as_str().as_ptr());
    }
}
