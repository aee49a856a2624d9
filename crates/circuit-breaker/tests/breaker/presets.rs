//! CB-03, CB-08: the breakers of other libraries, as tables of what happens.

use bartizan_circuit_breaker::{Breaker, BreakerPolicy, State};
use bartizan_core::{Clock, Verdict};

use super::{Bench, Duration, SECOND};

/// One line of a table: what happens, and the state after it.
enum Step {
    Good(u32, State),
    Bad(u32, State),
    /// So many calls are refused.
    Refused(u32, State),
    /// Time passes; the state is what it was.
    Wait(u64),
}

use State::{Closed, HalfOpen, Open};
use Step::{Bad, Good, Refused, Wait};

fn check(library: &str, policy: BreakerPolicy, steps: &[Step]) {
    let mut bench = Bench::new(policy);
    for (line, step) in steps.iter().enumerate() {
        let expected = match step {
            Good(calls, state) => {
                bench.good(*calls);
                state
            }
            Bad(calls, state) => {
                bench.bad(*calls);
                state
            }
            Refused(calls, state) => {
                for _ in 0..*calls {
                    assert!(bench.admit().is_err(), "{library}, line {line}: not refused");
                }
                state
            }
            Wait(seconds) => {
                bench.pass(Duration::from_secs(*seconds));
                continue;
            }
        };
        assert_eq!(bench.state(), *expected, "{library}, line {line}");
    }
}

#[test]
fn cb_03_resilience4j_needs_a_full_window_and_opens_at_its_rate() {
    let table = [
        Bad(99, Closed),
        // A success may be the hundredth.
        Good(1, Open),
        Refused(10, Open),
        Wait(59),
        Refused(1, Open),
        Wait(1),
        // Ten probes; half of them failing is the rate.
        Bad(5, HalfOpen),
        Good(4, HalfOpen),
        Good(1, Open),
        Wait(60),
        Bad(4, HalfOpen),
        Good(6, Closed),
        // The last hundred: half of them, exactly.
        Good(100, Closed),
        Bad(49, Closed),
        Bad(1, Open),
    ];
    check("resilience4j", BreakerPolicy::resilience4j(), &table);
}

#[test]
fn cb_03_resilience4j_opens_when_all_calls_take_longer_than_a_minute() {
    let mut bench = Bench::new(BreakerPolicy::resilience4j());
    let slow: Vec<_> = (0..100).map(|_| bench.admit().unwrap()).collect();
    bench.pass(61 * SECOND);
    for permit in slow {
        assert_eq!(bench.state(), Closed);
        bench.record(permit, Verdict::Success);
    }
    assert_eq!(bench.state(), Open);
}

#[test]
fn cb_03_polly_opens_at_a_tenth_by_a_failure_and_has_one_probe() {
    let table = [
        Bad(10, Closed),
        // A success never opens, even the hundredth.
        Good(90, Closed),
        Bad(1, Open),
        Wait(4),
        Refused(1, Open),
        Wait(1),
        Bad(1, Open),
        Wait(5),
        Good(1, Closed),
        // Exactly a tenth.
        Good(90, Closed),
        Bad(9, Closed),
        Bad(1, Open),
        Wait(5),
        Good(1, Closed),
        // Calls older than 30 s are forgotten.
        Bad(50, Closed),
        Wait(30),
        Bad(50, Closed),
        Bad(49, Closed),
        Bad(1, Open),
    ];
    check("Polly", BreakerPolicy::polly(), &table);
    assert!(BreakerPolicy::polly().with_minimum_calls(2).is_ok());
    let error = BreakerPolicy::polly().with_minimum_calls(1).unwrap_err();
    assert_eq!((error.field(), error.to_string().ends_with("must be at least 2")), ("minimum_calls", true));
}

#[test]
fn cb_03_polly_lets_no_second_probe_pass() {
    let mut bench = Bench::new(BreakerPolicy::polly().with_minimum_calls(2).unwrap());
    bench.bad(2);
    bench.pass(5 * SECOND);
    let probe = bench.admit().unwrap();
    assert!(bench.admit().is_err());
    bench.record(probe, Verdict::Failure);
    assert_eq!(bench.state(), Open);
    assert_eq!(bench.admit().unwrap_err().retry_after, 5 * SECOND);
}

#[test]
fn cb_03_opossum_opens_above_its_rate_with_the_first_call() {
    let first = [Bad(1, Open), Wait(29), Refused(1, Open), Wait(1), Good(1, Closed)];
    check("opossum", BreakerPolicy::opossum(), &first);
    let above = [
        Good(5, Closed),
        // Half is not more than half.
        Bad(5, Closed),
        // A success never opens.
        Good(1, Closed),
        Bad(1, Closed),
        Bad(1, Open),
    ];
    check("opossum", BreakerPolicy::opossum(), &above);
    let forgets = [Good(3, Closed), Bad(3, Closed), Wait(10), Bad(1, Open)];
    check("opossum", BreakerPolicy::opossum(), &forgets);
}

#[test]
fn cb_03_opossum_counts_what_it_refused_among_the_fires() {
    let quick = || BreakerPolicy::opossum().with_open_time(SECOND).unwrap();
    // The window outlives the changes: three failures of four fires, the last failure opens again.
    let table = [Bad(1, Open), Wait(1), Bad(1, Open), Wait(1), Good(1, Closed), Bad(1, Open)];
    check("opossum", quick(), &table);
    // With six refusals among them the fires are ten, and three are not more than half.
    let table =
        [Bad(1, Open), Refused(6, Open), Wait(1), Bad(1, Open), Wait(1), Good(1, Closed), Bad(1, Closed)];
    check("opossum", quick(), &table);
}

#[test]
fn cb_03_opossum_counts_calls_that_are_under_way() {
    let mut bench = Bench::new(BreakerPolicy::opossum());
    let under_way = [bench.admit().unwrap(), bench.admit().unwrap(), bench.admit().unwrap()];
    bench.bad(2);
    assert_eq!(bench.state(), Closed, "two of five");
    for permit in under_way {
        bench.record(permit, Verdict::Failure);
    }
    assert_eq!(bench.seen.len(), 1);
    assert_eq!(bench.state(), Open, "more than half of five");
}

#[test]
fn cb_03_opossum_reopens_when_its_one_probe_fails_at_any_rate() {
    let policy =
        || BreakerPolicy::opossum().with_failure_rate(100.0).unwrap().with_consecutive_failures(2).unwrap();
    check("opossum", policy(), &[Bad(2, Open), Wait(30), Bad(1, Open)]);
}

#[test]
fn cb_08_envoy_ejects_after_five_in_a_row_until_a_sweep() {
    let table = [
        Bad(4, Closed),
        Good(1, Closed),
        Bad(4, Closed),
        Bad(1, Open),
        Wait(29),
        Refused(1, Open),
        Wait(1),
        // Back at once, for all; and the row starts anew.
        Good(1, Closed),
        Bad(4, Closed),
        Good(1, Closed),
    ];
    check("Envoy", BreakerPolicy::envoy(), &table);
    // Sweeps are each ten seconds since the start: 30 s from 3 s on are over at 33 s, and the sweep is at 40 s.
    let table = [Wait(3), Bad(5, Open), Wait(36), Refused(1, Open), Wait(1), Good(1, Closed)];
    check("Envoy", BreakerPolicy::envoy(), &table);
}

#[test]
fn cb_08_envoy_ejects_for_longer_each_time_up_to_the_cap() {
    let mut bench = Bench::new(BreakerPolicy::envoy());
    for times in (1..=10).chain([10, 10]) {
        bench.bad(5);
        let refused = bench.admit().unwrap_err();
        assert_eq!(refused.retry_after, times * 30 * SECOND);
        bench.pass(refused.retry_after);
    }
    // Back at the sweep that the last wait ended with, whenever the next call is; each later sweep takes one.
    bench.pass(70 * SECOND);
    bench.bad(5);
    assert_eq!(bench.admit().unwrap_err().retry_after, 120 * SECOND, "ten less seven, and one more");
}

#[test]
fn cb_08_a_reading_from_before_the_last_change_is_no_time_that_forgives() {
    let start = Clock::system().now();
    let breaker = Breaker::new(BreakerPolicy::envoy(), start);
    breaker.force_open(start + 60 * SECOND);
    breaker.reset(start + 60 * SECOND);
    for _ in 0..5 {
        let permit = breaker.admit(start).result.unwrap();
        let _ = breaker.record(permit, Verdict::Failure, start);
    }
    assert_eq!(breaker.state(), Open);
}
