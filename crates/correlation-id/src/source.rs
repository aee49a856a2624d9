//! What each thread makes ids from: no system call per id, and nothing that two threads share.

use std::{
    cell::RefCell,
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use bartizan_core::{Clock, SpanId, TraceId};
use rand::{
    Rng, SeedableRng,
    rngs::{StdRng, SysRng},
};
use uuid::Uuid;

/// A random UUID.
pub(crate) fn v4() -> Uuid {
    with_source(Source::v4)
}

/// A UUID of the time `millis` that sorts behind those this thread made before.
pub(crate) fn v7(millis: u64) -> Uuid {
    with_source(|source| source.v7(millis))
}

/// The id of a new trace: all of it random, and so the low seven bytes too.
pub(crate) fn trace_id() -> TraceId {
    // Zero, which is no id, is as unlikely as any other number, and so is the one that stands in for it.
    let bytes = with_source(Source::random).max(1).to_be_bytes();
    TraceId::new(bytes).expect("not zero")
}

/// The id of a new span.
pub(crate) fn span_id() -> SpanId {
    let bytes = with_source(|source| source.rng.next_u64()).max(1).to_be_bytes();
    SpanId::new(bytes).expect("not zero")
}

thread_local! {
    static SOURCE: RefCell<Source> = RefCell::new(Source::seeded());
}

fn with_source<T>(make: impl Fn(&mut Source) -> T) -> T {
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
    let since_epoch = Clock::system().since_1970();
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&since_epoch.as_nanos().to_le_bytes());
    seed[16..20].copy_from_slice(&process::id().to_le_bytes());
    seed[24..].copy_from_slice(&THREADS.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    seed
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

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
    fn a_makeshift_seed_is_not_made_twice() {
        let seeds: HashSet<_> = (0..100).map(|_| makeshift_seed()).collect();
        assert_eq!(seeds.len(), 100);
    }

    #[test]
    fn trc_04_span_and_trace_ids_do_not_repeat_on_any_thread() {
        let ids = || (0..1_000).map(|_| (trace_id(), span_id())).collect::<Vec<_>>();
        let all: Vec<_> =
            (0..4).map(|_| thread::spawn(ids)).flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.iter().map(|(trace, _)| trace).collect::<HashSet<_>>().len(), 4_000);
        assert_eq!(all.iter().map(|(_, span)| span).collect::<HashSet<_>>().len(), 4_000);
    }
}
