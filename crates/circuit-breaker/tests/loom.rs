//! The state machine under every order in which two or three threads may run, as far as loom can tell.
//!
//! Its sources are compiled here once more, on loom's atomics and locks instead of the real ones: `crate::sync` is the
//! only module that differs. So the model needs no flag for the compiler, and runs with the other tests.

// Only a part of it is used.
#![allow(dead_code, unreachable_pub, missing_docs)]

#[path = "../src/breaker/mod.rs"]
mod breaker;
#[path = "../src/config.rs"]
mod config;
#[path = "../src/policy.rs"]
mod policy;
#[path = "../src/window/mod.rs"]
mod window;

use std::time::{Duration, Instant};

use bartizan_core::{Clock, Verdict};
use loom::{
    model::Builder,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

use self::{
    breaker::{Breaker, State},
    config::ConfigError,
    policy::BreakerPolicy,
};

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

    /// loom's lock in the shape of parking_lot's.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("no thread of the model panics with it")
        }
    }

    loom::thread_local! {
        static STRIPE: std::cell::Cell<usize> = std::cell::Cell::new(0);
    }

    /// Two stripes: threads contend for one, and must see what is counted in the other.
    pub(crate) fn stripes() -> usize {
        2
    }

    pub(crate) fn stripe() -> usize {
        STRIPE.with(std::cell::Cell::get)
    }

    /// Which stripe this thread of the model counts in.
    pub(crate) fn count_in(stripe: usize) {
        STRIPE.with(|own| own.set(stripe));
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// All orders of two threads with at most three forced switches: what is wrong shows with two or three.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    explore_within(3, model);
}

fn explore_within(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// One bucket: the fewer atomics, the more orders.
fn small() -> Result<BreakerPolicy, ConfigError> {
    BreakerPolicy::new().with_time_window(10 * SECOND, 1)?.with_probes(1)
}

fn fail(breaker: &Breaker, now: Instant) -> u32 {
    match breaker.admit(now).result {
        Ok(permit) => u32::from(breaker.record(permit, Verdict::Failure, now).is_some()),
        Err(_) => 0,
    }
}

/// So many threads do the same, every other in the other stripe, and how many changes they were told of, the main thread's work included.
fn together(threads: usize, work: impl Fn() -> u32 + Clone + Send + 'static) -> u32 {
    let told = Arc::new(AtomicU32::new(0));
    let others: Vec<_> = (1..threads)
        .map(|index| {
            let (told, work) = (Arc::clone(&told), work.clone());
            thread::spawn(move || {
                sync::count_in(index % 2);
                told.fetch_add(work(), SeqCst);
            })
        })
        .collect();
    told.fetch_add(work(), SeqCst);
    others.into_iter().for_each(|other| other.join().expect("no thread of the model panics"));
    told.load(SeqCst)
}

#[test]
fn cb_09_the_last_of_two_failures_opens_exactly_once() {
    let now = Clock::system().now();
    explore(move || {
        let policy = small().and_then(|policy| policy.with_minimum_calls(2)).unwrap();
        let breaker = Arc::new(Breaker::new(policy, now));
        let shared = Arc::clone(&breaker);
        let told = together(2, move || fail(&shared, now));
        assert_eq!((told, breaker.state()), (1, State::Open));
    });
}

#[test]
fn cb_09_more_failures_than_needed_open_exactly_once() {
    let now = Clock::system().now();
    explore_within(1, move || {
        let policy = small().and_then(|policy| policy.with_minimum_calls(1)).unwrap();
        let breaker = Arc::new(Breaker::new(policy, now));
        let shared = Arc::clone(&breaker);
        let told = together(3, move || fail(&shared, now));
        assert_eq!((told, breaker.state()), (1, State::Open));
    });
}

#[test]
fn cb_09_two_failures_in_a_row_open_exactly_once() {
    let now = Clock::system().now();
    explore(move || {
        let policy =
            small().and_then(|policy| policy.with_minimum_calls(100)?.with_consecutive_failures(2)).unwrap();
        let breaker = Arc::new(Breaker::new(policy, now));
        let shared = Arc::clone(&breaker);
        let told = together(2, move || fail(&shared, now));
        assert_eq!((told, breaker.state()), (1, State::Open));
    });
}

#[test]
fn cb_05_one_permit_is_issued_once_and_its_owner_decides() {
    let now = Clock::system().now();
    explore(move || {
        let policy = small().and_then(|policy| policy.with_minimum_calls(1)).unwrap();
        let breaker = Arc::new(Breaker::new(policy, now));
        assert_eq!(fail(&breaker, now), 1);
        let later = now + 30 * SECOND;
        let (passed, shared) = (Arc::new(AtomicU32::new(0)), Arc::clone(&breaker));
        let probes = Arc::clone(&passed);
        let told = together(2, move || {
            let admission = shared.admit(later);
            let opened = u32::from(admission.transition.is_some());
            let Ok(permit) = admission.result else { return opened };
            if permit.state() == State::HalfOpen {
                probes.fetch_add(1, SeqCst);
            }
            opened + u32::from(shared.record(permit, Verdict::Success, later).is_some())
        });
        assert_eq!((passed.load(SeqCst), told, breaker.state()), (1, 2, State::Closed));
    });
}

#[test]
fn cb_06_a_result_from_before_never_counts_in_the_new_window() {
    let now = Clock::system().now();
    explore(move || {
        let policy = small().and_then(|policy| policy.with_minimum_calls(100)).unwrap();
        let breaker = Arc::new(Breaker::new(policy, now));
        let late = breaker.admit(now).result.expect("it is closed");
        let shared = Arc::clone(&breaker);
        let recorder = thread::spawn(move || {
            shared.record(late, Verdict::Failure, now);
        });
        breaker.force_open(now);
        breaker.reset(now);
        recorder.join().expect("no thread of the model panics");
        assert_eq!(breaker.snapshot(now).calls, 0);
    });
}

#[test]
fn cb_05_a_cancelled_probe_is_issued_again_whoever_waits_for_it() {
    let now = Clock::system().now();
    explore(move || {
        let policy = small().and_then(|policy| policy.with_minimum_calls(1)).unwrap();
        let breaker = Arc::new(Breaker::new(policy, now));
        assert_eq!(fail(&breaker, now), 1);
        let later = now + 30 * SECOND;
        let cancelled = breaker.admit(later).result.expect("a probe");
        let shared = Arc::clone(&breaker);
        let other = thread::spawn(move || shared.admit(later).result.ok());
        breaker.record(cancelled, Verdict::Ignored, later);
        let probe = other.join().expect("no thread of the model panics");
        let probe = probe.or_else(|| breaker.admit(later).result.ok()).expect("the permit came back");
        assert!(breaker.record(probe, Verdict::Success, later).is_some());
        assert_eq!(breaker.state(), State::Closed);
    });
}
