//! CB-01, CB-02, CB-04, CB-05, CB-06: what each state does, and what leads out of it.

use bartizan_circuit_breaker::{BreakerPolicy, Cause, HungProbes, State};
use bartizan_core::Verdict;

use super::{Bench, Duration, SECOND};

/// One failure is enough, one probe decides.
fn touchy() -> BreakerPolicy {
    BreakerPolicy::consecutive(1).unwrap().with_probes(1).unwrap()
}

fn opened(policy: BreakerPolicy) -> Bench {
    let mut bench = Bench::new(policy);
    bench.bad(1);
    assert_eq!(bench.state(), State::Open);
    bench
}

#[test]
fn cb_01_the_states_have_names_that_dashboards_know() {
    let names = State::ALL.map(State::as_str);
    let expected =
        ["closed", "open", "half_open", "recovering", "forced_open", "forced_closed", "metrics_only"];
    assert_eq!(names, expected);
    assert_eq!(State::ALL.map(|state| state.to_string()), expected);
    assert_eq!(Cause::ConsecutiveFailures.to_string(), "consecutive_failures");
}

#[test]
fn cb_01_a_count_window_holds_the_last_calls() {
    let policy = BreakerPolicy::new().with_count_window(4).unwrap().with_minimum_calls(4).unwrap();
    let mut bench = Bench::new(policy);
    bench.bad(1);
    bench.good(4);
    bench.bad(1);
    assert_eq!(bench.state(), State::Closed, "the first failure is out: one of four");
    bench.good(1);
    assert_eq!(bench.breaker.snapshot(bench.now).failures, 1);
    bench.bad(1);
    assert_eq!(bench.state(), State::Open, "two of four");
}

#[test]
fn cb_01_a_time_window_forgets_bucket_by_bucket() {
    let policy = BreakerPolicy::new().with_time_window(10 * SECOND, 10).unwrap();
    let mut bench = Bench::new(policy.with_minimum_calls(4).unwrap());
    bench.bad(1);
    bench.pass(5 * SECOND);
    bench.good(2);
    let counted = |bench: &Bench| {
        let snapshot = bench.breaker.snapshot(bench.now);
        (snapshot.calls, snapshot.failures)
    };
    assert_eq!(counted(&bench), (3, 1));
    bench.pass(5 * SECOND - Duration::from_nanos(1));
    assert_eq!(counted(&bench), (3, 1), "in the tenth bucket still");
    bench.pass(Duration::from_nanos(1));
    assert_eq!(counted(&bench), (2, 0));
    bench.pass(3_600 * SECOND);
    assert_eq!(counted(&bench), (0, 0));
    assert_eq!(bench.breaker.snapshot(bench.now).failure_rate(), None);
}

#[test]
fn cb_02_the_defaults_are_those_of_the_rule() {
    let mut bench = Bench::new(BreakerPolicy::new());
    bench.bad(19);
    assert_eq!(bench.state(), State::Closed, "below the minimum");
    bench.bad(1);
    assert_eq!(bench.state(), State::Open);
    let refused = bench.admit().unwrap_err();
    assert_eq!(refused.retry_after, 30 * SECOND);
    bench.pass(30 * SECOND);
    let probes: Vec<_> = (0..3).map(|_| bench.admit().expect("three probes")).collect();
    assert_eq!(bench.admit().unwrap_err().state, State::HalfOpen);
    for probe in probes {
        bench.record(probe, Verdict::Success);
    }
    assert_eq!(bench.state(), State::Closed);
    // 30 s in 10 buckets.
    bench.bad(9);
    bench.pass(30 * SECOND);
    bench.bad(10);
    assert_eq!(bench.breaker.snapshot(bench.now).calls, 10);
    bench.good(10);
    assert_eq!(bench.state(), State::Open, "half of twenty; a success may be the twentieth");
}

#[test]
fn cb_02_the_rate_is_reached_exactly_and_needs_the_minimum() {
    for (good, bad, opens) in [(10, 10, true), (11, 10, false), (0, 19, false), (10, 9, false)] {
        let mut bench = Bench::new(BreakerPolicy::new());
        bench.good(good);
        bench.bad(bad);
        assert_eq!(bench.state() == State::Open, opens, "{good} good, {bad} bad");
    }
}

#[test]
fn cb_02_slow_calls_count_when_they_are_asked_for() {
    let slow = |policy: BreakerPolicy| {
        let mut bench = Bench::new(policy.with_minimum_calls(2).unwrap());
        for _ in 0..2 {
            let permit = bench.admit().unwrap();
            bench.pass(SECOND + Duration::from_nanos(1));
            bench.record(permit, Verdict::Success);
        }
        (bench.state(), bench.seen.first().map(|transition| transition.cause))
    };
    assert_eq!(slow(BreakerPolicy::new()), (State::Closed, None));
    let policy = BreakerPolicy::new().with_slow_calls(100.0, SECOND).unwrap();
    assert_eq!(slow(policy), (State::Open, Some(Cause::SlowCallRate)));
    let policy = BreakerPolicy::new().with_slow_calls(100.0, SECOND + Duration::from_nanos(1)).unwrap();
    assert_eq!(slow(policy), (State::Closed, None), "not longer than that");
}

#[test]
fn cb_02_the_minimum_is_capped_to_the_count_window() {
    let policy = BreakerPolicy::new().with_count_window(5).unwrap().with_minimum_calls(100).unwrap();
    let mut bench = Bench::new(policy);
    bench.bad(4);
    assert_eq!(bench.state(), State::Closed);
    bench.bad(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn failures_in_a_row_open_whatever_the_rate_is() {
    let policy = BreakerPolicy::new().with_consecutive_failures(3).unwrap();
    let mut bench = Bench::new(policy);
    bench.bad(2);
    bench.good(1);
    bench.bad(2);
    assert_eq!(bench.state(), State::Closed);
    assert!(bench.call(Verdict::Ignored));
    bench.bad(1);
    assert_eq!(bench.state(), State::Open, "what is ignored neither counts nor ends the row");
    assert_eq!(bench.seen[0].cause, Cause::ConsecutiveFailures);
}

#[test]
fn cb_04_open_refuses_says_for_how_long_and_becomes_half_open_with_a_call() {
    let mut bench = opened(touchy().with_open_time(10 * SECOND).unwrap());
    for (passed, left) in [(0, 10), (3, 7), (6, 1)] {
        bench.pass(passed * SECOND);
        let refused = bench.admit().unwrap_err();
        assert_eq!((refused.state, refused.retry_after), (State::Open, left * SECOND));
    }
    assert_eq!(bench.breaker.snapshot(bench.now).calls, 0, "refusals are not recorded");
    bench.pass(SECOND);
    assert_eq!(bench.state(), State::Open, "nothing happens by itself");
    let probe = bench.admit().expect("its time is over");
    assert_eq!(probe.state(), State::HalfOpen);
    bench.record(probe, Verdict::Success);
    assert_eq!(bench.path(), [State::Open, State::HalfOpen, State::Closed]);
}

#[test]
fn cb_04_a_timer_may_do_what_a_call_does() {
    let mut bench = opened(touchy());
    assert_eq!(bench.breaker.advance(bench.now), None);
    bench.pass(30 * SECOND);
    let transition = bench.breaker.advance(bench.now).expect("its time is over");
    assert_eq!((transition.to, transition.cause), (State::HalfOpen, Cause::OpenTimeOver));
    assert!(bench.admit().is_ok());
}

#[test]
fn cb_05_all_probes_decide_by_the_rate_and_closed_is_empty() {
    let policy = || BreakerPolicy::new().with_probes(4).unwrap();
    for (bad, expected) in [(0, State::Closed), (1, State::Closed), (2, State::Open), (4, State::Open)] {
        let mut bench = Bench::new(policy());
        bench.bad(20);
        bench.pass(30 * SECOND);
        for probe in 0..4 {
            let state = bench.state();
            assert!(probe == 0 || state == State::HalfOpen, "all are waited for");
            assert!(bench.call(if probe < bad { Verdict::Failure } else { Verdict::Success }));
        }
        assert_eq!(bench.state(), expected, "{bad} of 4 failed");
        assert_eq!(bench.breaker.snapshot(bench.now).calls, 0);
    }
}

#[test]
fn cb_05_at_most_so_many_probes_at_once_and_in_total() {
    let policy = BreakerPolicy::consecutive(1).unwrap().with_probes(2).unwrap();
    let mut bench = opened(policy);
    bench.pass(30 * SECOND);
    let first = bench.admit().unwrap();
    bench.record(first, Verdict::Success);
    let second = bench.admit().unwrap();
    let refused = bench.admit().unwrap_err();
    assert_eq!((refused.state, refused.retry_after), (State::HalfOpen, SECOND), "two in total");
    bench.record(second, Verdict::Success);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn cb_05_a_cancelled_or_ignored_probe_gives_its_permit_back() {
    let mut bench = opened(touchy());
    bench.pass(30 * SECOND);
    for _ in 0..10 {
        let probe = bench.admit().expect("the permit came back");
        assert!(bench.admit().is_err());
        bench.record(probe, Verdict::Ignored);
        assert_eq!(bench.state(), State::HalfOpen, "it says nothing");
    }
    bench.good(1);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn cb_05_probes_that_hang_open_the_breaker_again() {
    let mut bench = opened(touchy().with_open_time(10 * SECOND).unwrap());
    bench.pass(10 * SECOND);
    let hung = bench.admit().unwrap();
    bench.pass(10 * SECOND - Duration::from_nanos(1));
    assert_eq!(bench.admit().unwrap_err().state, State::HalfOpen);
    bench.pass(Duration::from_nanos(1));
    let refused = bench.admit().unwrap_err();
    assert_eq!((refused.state, refused.retry_after), (State::Open, 10 * SECOND));
    assert_eq!(bench.seen.last().unwrap().cause, Cause::ProbesHung);
    bench.record(hung, Verdict::Success);
    assert_eq!(bench.state(), State::Open, "too late");
    bench.pass(10 * SECOND);
    bench.good(1);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn cb_05_hung_probes_that_nobody_noticed_in_time_cost_no_further_wait() {
    let mut bench = opened(touchy());
    bench.pass(30 * SECOND);
    let _hung = bench.admit().unwrap();
    bench.pass(3_600 * SECOND);
    bench.good(1);
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.path(), [State::Open, State::HalfOpen, State::Closed]);
}

#[test]
fn cb_05_hung_probes_may_be_issued_again() {
    let policy = touchy().with_half_open_wait(5 * SECOND, HungProbes::Reissue).unwrap();
    let mut bench = opened(policy);
    bench.pass(30 * SECOND);
    let hung = bench.admit().unwrap();
    bench.pass(5 * SECOND);
    let probe = bench.admit().expect("issued again");
    bench.record(hung, Verdict::Failure);
    assert_eq!(bench.state(), State::HalfOpen, "the hung one is written off");
    bench.record(probe, Verdict::Success);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn cb_05_few_calls_are_no_hung_probes() {
    let policy = BreakerPolicy::consecutive(1).unwrap().with_probes(3).unwrap();
    let mut bench = opened(policy);
    bench.pass(30 * SECOND);
    for _ in 0..3 {
        assert_ne!(bench.state(), State::Closed);
        bench.good(1);
        bench.pass(3_600 * SECOND);
    }
    assert_eq!(bench.state(), State::Closed, "a call an hour recovers too");
}

#[test]
fn cb_05_the_open_time_grows_to_its_cap_and_starts_again_once_closed() {
    let policy = touchy().with_open_time(SECOND).unwrap().with_open_growth(3.0, 20 * SECOND).unwrap();
    let mut bench = opened(policy);
    for seconds in [1, 3, 9, 20, 20] {
        assert_eq!(bench.admit().unwrap_err().retry_after, seconds * SECOND);
        bench.pass(seconds * SECOND);
        bench.bad(1);
    }
    bench.pass(20 * SECOND);
    bench.good(1);
    bench.bad(1);
    assert_eq!(bench.admit().unwrap_err().retry_after, SECOND);
}

#[test]
fn cb_05_growth_never_overflows() {
    let day = Duration::from_secs(24 * 3_600);
    let policy = touchy().with_open_growth(100.0, day).unwrap();
    let mut bench = opened(policy);
    for _ in 0..1_000 {
        let left = bench.admit().unwrap_err().retry_after;
        assert!(left <= day);
        bench.pass(left);
        bench.bad(1);
    }
}

#[test]
fn cb_02_an_outage_of_any_length_leaves_a_breaker_that_counts() {
    let policy = BreakerPolicy::new().with_probes(1).unwrap().with_minimum_calls(2).unwrap();
    // The generations come round at 1024, of which a recovery that fails takes two.
    for recoveries in 0..1_100 {
        let mut bench = Bench::new(policy.clone());
        bench.bad(2);
        for _ in 0..recoveries {
            bench.pass(30 * SECOND);
            bench.bad(1);
        }
        bench.pass(30 * SECOND);
        bench.good(2);
        let counted = bench.breaker.snapshot(bench.now).calls;
        assert_eq!((bench.state(), counted), (State::Closed, 1), "{recoveries} recoveries have failed");
        bench.bad(1);
        assert_eq!(bench.state(), State::Open, "{recoveries} recoveries have failed");
    }
}

#[test]
fn cb_02_a_breaker_counts_after_any_time_in_which_nobody_called() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let policy = BreakerPolicy::new().with_time_window(SECOND / 10, 10).unwrap();
    for days in [1, 61, 63, 100, 123, 125, 200, 1_000] {
        let mut bench = Bench::new(policy.clone());
        (0..10).for_each(|_| {
            bench.good(10);
            bench.pass(SECOND / 100);
        });
        bench.pass(days * DAY);
        bench.bad(20);
        assert_eq!(bench.state(), State::Open, "after {days} days");
    }
}

#[test]
fn cb_06_results_from_before_a_change_do_not_count_after_it() {
    let mut bench = Bench::new(touchy());
    let late: Vec<_> = (0..6).map(|_| bench.admit().unwrap()).collect();
    let mut late = late.into_iter();
    bench.bad(1);
    bench.pass(20 * SECOND);
    bench.record(late.next().unwrap(), Verdict::Failure);
    assert_eq!(bench.admit().unwrap_err().retry_after, 10 * SECOND, "the open time is not extended");
    bench.record(late.next().unwrap(), Verdict::Success);
    assert_eq!(bench.state(), State::Open);
    bench.pass(10 * SECOND);
    let probe = bench.admit().unwrap();
    for verdict in [Verdict::Failure, Verdict::Success, Verdict::Ignored] {
        bench.record(late.next().unwrap(), verdict);
        assert_eq!(bench.state(), State::HalfOpen);
    }
    assert!(bench.admit().is_err(), "no permit came back that was never issued");
    bench.record(probe, Verdict::Success);
    bench.record(late.next().unwrap(), Verdict::Failure);
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.breaker.snapshot(bench.now).calls, 0);
}

#[test]
fn a_ramp_lets_a_growing_share_pass_evenly() {
    let policy = touchy().with_ramp_up([10, 25, 50], 10 * SECOND).unwrap();
    let mut bench = opened(policy);
    bench.pass(30 * SECOND);
    bench.good(1);
    assert_eq!(bench.state(), State::Recovering);
    let share = |bench: &mut Bench| (0..100).filter(|_| bench.call(Verdict::Success)).count();
    let mut shares = Vec::new();
    for _ in 0..4 {
        shares.push(share(&mut bench));
        bench.pass(10 * SECOND);
    }
    assert_eq!(shares, [10, 25, 50, 100]);
    assert_eq!(bench.path(), [State::Open, State::HalfOpen, State::Recovering, State::Closed]);
    assert_eq!(bench.seen.last().unwrap().cause, Cause::RampOver);
}

#[test]
fn a_ramp_refuses_shortly_and_ends_at_once_when_calls_fail_again() {
    let policy = touchy().with_ramp_up([50], 10 * SECOND).unwrap();
    let policy = policy.with_open_growth(2.0, 600 * SECOND).unwrap();
    let mut bench = opened(policy);
    bench.pass(30 * SECOND);
    bench.good(2);
    let refused = bench.admit().unwrap_err();
    assert_eq!((refused.state, refused.retry_after), (State::Recovering, SECOND));
    bench.bad(1);
    let refused = bench.admit().unwrap_err();
    assert_eq!((refused.state, refused.retry_after), (State::Open, 60 * SECOND), "a recovery that failed");
}

#[test]
fn what_was_counted_on_the_ramp_counts_after_it() {
    let policy = BreakerPolicy::new().with_probes(1).unwrap().with_ramp_up([50], SECOND).unwrap();
    let mut bench = Bench::new(policy);
    bench.bad(20);
    bench.pass(30 * SECOND);
    bench.good(1);
    let late = bench.admit().unwrap();
    for _ in 0..36 {
        bench.call(Verdict::Failure);
    }
    assert_eq!(bench.breaker.snapshot(bench.now).failures, 18);
    bench.pass(SECOND);
    bench.bad(1);
    assert_eq!(bench.state(), State::Closed);
    bench.record(late, Verdict::Failure);
    assert_eq!(bench.state(), State::Open, "eighteen on the ramp, one after it, and one from there");
}

#[test]
fn cb_01_forced_states_stay_until_they_are_reset() {
    let mut bench = Bench::new(touchy());
    assert_eq!(bench.breaker.force_open(bench.now).unwrap().cause, Cause::Forced);
    bench.pass(3_600 * SECOND);
    let refused = bench.admit().unwrap_err();
    assert_eq!((refused.state, refused.retry_after), (State::ForcedOpen, 30 * SECOND));
    bench.breaker.force_closed(bench.now).unwrap();
    bench.bad(100);
    assert_eq!(bench.state(), State::ForcedClosed);
    assert_eq!(bench.breaker.snapshot(bench.now).calls, 0, "nothing is counted");
    bench.breaker.metrics_only(bench.now).unwrap();
    bench.bad(100);
    assert_eq!(bench.state(), State::MetricsOnly);
    assert_eq!(bench.breaker.snapshot(bench.now).failures, 100);
    assert_eq!(bench.breaker.metrics_only(bench.now), None, "it is so already");
    bench.breaker.reset(bench.now).unwrap();
    assert_eq!(bench.breaker.snapshot(bench.now).calls, 0);
    bench.bad(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_reset_empties_a_closed_breaker_without_a_change() {
    let mut bench = Bench::new(BreakerPolicy::new());
    bench.bad(19);
    assert_eq!(bench.breaker.reset(bench.now), None);
    bench.bad(1);
    assert_eq!((bench.state(), bench.breaker.snapshot(bench.now).calls), (State::Closed, 1));
}

#[test]
fn an_upstream_that_asks_for_a_pause_gets_it() {
    let bench = Bench::new(touchy());
    let permit = bench.breaker.admit(bench.now).result.unwrap();
    let (breaker, now) = (&bench.breaker, bench.now);
    breaker.record_asked(permit, Verdict::Failure, 90 * SECOND, now).expect("it opens");
    assert_eq!(breaker.admit(now).result.unwrap_err().retry_after, 90 * SECOND);
    let shorter = Bench::new(touchy());
    let permit = shorter.breaker.admit(shorter.now).result.unwrap();
    shorter.breaker.record_asked(permit, Verdict::Failure, SECOND, shorter.now).expect("it opens");
    assert_eq!(shorter.breaker.admit(shorter.now).result.unwrap_err().retry_after, 30 * SECOND);
}

#[test]
fn changes_are_numbered_and_say_when() {
    let mut bench = opened(touchy());
    bench.pass(31 * SECOND);
    bench.good(1);
    let numbers: Vec<_> = bench.seen.iter().map(|transition| transition.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(bench.seen[0].at, bench.start);
    assert_eq!(bench.seen[2].at, bench.start + 31 * SECOND);
    bench.pass(5 * SECOND);
    assert_eq!(bench.breaker.snapshot(bench.now).since, 5 * SECOND);
}
