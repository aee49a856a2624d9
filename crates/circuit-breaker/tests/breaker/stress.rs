//! CB-09: many threads, one change.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use bartizan_circuit_breaker::{Breaker, BreakerPolicy, State};
use bartizan_core::{Clock, Verdict};

use super::SECOND;

const TASKS: usize = 64;

/// All tasks at once, and how many changes they were told of.
fn round(work: impl Fn(usize) -> u64 + Sync) -> u64 {
    let (barrier, told) = (Barrier::new(TASKS), AtomicU64::new(0));
    thread::scope(|scope| {
        for task in 0..TASKS {
            let (barrier, told, work) = (&barrier, &told, &work);
            scope.spawn(move || {
                barrier.wait();
                told.fetch_add(work(task), SeqCst);
            });
        }
    });
    told.load(SeqCst)
}

fn trips_once(policy: BreakerPolicy) {
    let mut now = Clock::system().now();
    let breaker = Breaker::new(policy.with_probes(1).unwrap(), now);
    for cycle in 0..50 {
        // Each has one failed call: together they are just enough.
        let opened = round(|_| {
            let permit = breaker.admit(now).result.expect("it is closed");
            u64::from(breaker.record(permit, Verdict::Failure, now).is_some())
        });
        assert_eq!((opened, breaker.state()), (1, State::Open), "cycle {cycle}");
        now += 30 * SECOND;
        let passed = AtomicU64::new(0);
        let half_opened = round(|_| {
            let admission = breaker.admit(now);
            if let Ok(permit) = admission.result {
                passed.fetch_add(1, SeqCst);
                let closed = breaker.record(permit, Verdict::Success, now);
                return u64::from(admission.transition.is_some()) + u64::from(closed.is_some());
            }
            u64::from(admission.transition.is_some())
        });
        // Those that came after the one probe had closed it passed too.
        assert!(passed.load(SeqCst) >= 1);
        assert_eq!((half_opened, breaker.state()), (2, State::Closed), "cycle {cycle}");
        breaker.reset(now);
    }
}

#[test]
fn cb_09_64_tasks_trip_a_time_window_exactly_once() {
    trips_once(BreakerPolicy::new().with_minimum_calls(64).unwrap());
}

#[test]
fn cb_09_64_tasks_trip_a_count_window_exactly_once() {
    let policy = BreakerPolicy::new().with_count_window(64).unwrap();
    trips_once(policy.with_minimum_calls(64).unwrap());
}

#[test]
fn cb_09_64_tasks_trip_a_row_of_failures_exactly_once() {
    trips_once(BreakerPolicy::consecutive(64).unwrap());
}

#[test]
fn cb_09_nothing_that_is_counted_gets_lost() {
    const CALLS: u64 = 1_500;
    let now = Clock::system().now();
    let policy = BreakerPolicy::new;
    for policy in [policy(), policy().with_count_window(100_000).unwrap()] {
        let breaker = Breaker::new(policy, now);
        breaker.metrics_only(now);
        round(|task| {
            for call in 0..CALLS {
                let permit = breaker.admit(now).result.expect("it never opens");
                let verdict = if call % 4 == 0 { Verdict::Failure } else { Verdict::Success };
                breaker.record(permit, verdict, now + if task % 2 == 0 { SECOND } else { 5 * SECOND });
            }
            0
        });
        let snapshot = breaker.snapshot(now + 5 * SECOND);
        assert_eq!(snapshot.calls, TASKS as u64 * CALLS);
        assert_eq!(snapshot.failures, snapshot.calls / 4);
    }
}
