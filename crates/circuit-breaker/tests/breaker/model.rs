//! The state machine beside a model that keeps everything and works out anew what follows, under random schedules of
//! calls that overlap, end late, are ignored, or never end.

use std::time::{Duration, Instant};

use bartizan_circuit_breaker::{Breaker, BreakerPolicy, HungProbes, Permit, State};
use bartizan_core::{Clock, Verdict};
use proptest::{collection::vec, option, prelude::*};

/// A policy, in milliseconds and percent.
#[derive(Clone, Debug)]
struct Plan {
    /// A count window of so many calls, or a time window of ten seconds.
    count: Option<u32>,
    minimum: u32,
    rate: u32,
    slow: Option<(u32, u64)>,
    row: Option<u32>,
    open: u64,
    factor: u32,
    cap: u64,
    probes: u32,
    wait: Option<u64>,
    reissue: bool,
    ramp: bool,
}

const BUCKETS: u64 = 5;
const BUCKET: u64 = 2_000;
const RAMP: [u8; 2] = [20, 60];
const STEP: u64 = 3_000;

impl Plan {
    fn policy(&self) -> BreakerPolicy {
        let millis = Duration::from_millis;
        let mut policy = BreakerPolicy::new()
            .with_minimum_calls(self.minimum)
            .and_then(|policy| policy.with_failure_rate(self.rate.into()))
            .and_then(|policy| policy.with_open_time(millis(self.open)))
            .and_then(|policy| policy.with_open_growth(self.factor.into(), millis(self.cap)))
            .and_then(|policy| policy.with_probes(self.probes))
            .unwrap();
        policy = match self.count {
            Some(calls) => policy.with_count_window(calls),
            None => policy.with_time_window(millis(BUCKET * BUCKETS), u32::try_from(BUCKETS).unwrap()),
        }
        .unwrap();
        if let Some((rate, longer_than)) = self.slow {
            policy = policy.with_slow_calls(rate.into(), millis(longer_than)).unwrap();
        }
        if let Some(failures) = self.row {
            policy = policy.with_consecutive_failures(failures).unwrap();
        }
        let hung = if self.reissue { HungProbes::Reissue } else { HungProbes::Reopen };
        policy = policy.with_half_open_wait(millis(self.wait.unwrap_or(self.open)), hung).unwrap();
        if self.ramp { policy.with_ramp_up(RAMP, millis(STEP)).unwrap() } else { policy }
    }
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    /// Ends one of the calls that are under way.
    End(usize, u8),
    /// Forgets one of them: it never ends.
    Lose(usize),
    Wait(u64),
    Advance,
    ForceOpen,
    ForceClosed,
    MetricsOnly,
    Reset,
}

fn plans() -> impl Strategy<Value = Plan> {
    let trips = (
        option::of(1..12_u32),
        1..8_u32,
        1..=100_u32,
        option::of((1..=100_u32, 1..3_000_u64)),
        option::of(1..6_u32),
    );
    let away = (
        500..8_000_u64,
        1..4_u32,
        0..20_000_u64,
        1..5_u32,
        option::of(500..8_000_u64),
        any::<bool>(),
        any::<bool>(),
    );
    (trips, away).prop_map(
        |((count, minimum, rate, slow, row), (open, factor, more, probes, wait, reissue, ramp))| Plan {
            count,
            minimum,
            rate,
            slow,
            row,
            open,
            factor,
            cap: open + more,
            probes,
            wait,
            reissue,
            ramp,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        30 => Just(Step::Begin),
        30 => (any::<usize>(), 0..10_u8).prop_map(|(call, how)| Step::End(call, how)),
        1 => any::<usize>().prop_map(Step::Lose),
        10 => (0..4_000_u64).prop_map(Step::Wait),
        2 => Just(Step::Advance),
        1 => prop_oneof![
            Just(Step::ForceOpen), Just(Step::ForceClosed), Just(Step::MetricsOnly), Just(Step::Reset), Just(Step::Reset),
        ],
    ];
    vec(step, 1..250)
}

/// A call, as the model remembers it.
#[derive(Clone, Copy, Debug)]
struct Call {
    era: u64,
    began: u64,
}

/// A result that counts.
#[derive(Clone, Copy, Debug)]
struct Result_ {
    at: u64,
    failed: bool,
    slow: bool,
}

#[derive(Debug)]
struct Model {
    plan: Plan,
    state: State,
    /// What began in another era does not count.
    era: u64,
    results: Vec<Result_>,
    changes: u64,
    until: u64,
    open_for: u64,
    recoveries_failed: i32,
    issued: u32,
    last_issued: u64,
    probes: Vec<Result_>,
    ramp_began: u64,
    ramp_step: usize,
    ramp_seen: u64,
}

impl Model {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            state: State::Closed,
            era: 0,
            results: Vec::new(),
            changes: 0,
            until: 0,
            open_for: 0,
            recoveries_failed: 0,
            issued: 0,
            last_issued: 0,
            probes: Vec::new(),
            ramp_began: 0,
            ramp_step: 0,
            ramp_seen: 0,
        }
    }

    fn enter(&mut self, state: State) {
        self.new_era();
        self.change(state);
    }

    fn change(&mut self, state: State) {
        self.changes += 1;
        self.state = state;
        if state == State::Closed {
            self.recoveries_failed = 0;
        }
    }

    fn new_era(&mut self) {
        self.era += 1;
        self.results.clear();
        self.issued = 0;
        self.probes.clear();
    }

    fn next_open_time(&self) -> u64 {
        let grown = self.plan.open as f64 * f64::from(self.plan.factor).powi(self.recoveries_failed);
        if grown >= self.plan.cap as f64 { self.plan.cap } else { grown.round() as u64 }
    }

    fn open(&mut self, now: u64) {
        self.open_for = self.next_open_time();
        self.until = now + self.open_for;
        self.recoveries_failed += 1;
        self.enter(State::Open);
    }

    /// What time brings.
    fn advance(&mut self, now: u64) {
        match self.state {
            State::Open if now >= self.until => {
                self.enter(State::HalfOpen);
                self.last_issued = now;
            }
            State::HalfOpen => {
                let under_way = self.issued > u32::try_from(self.probes.len()).unwrap();
                let hung = self.last_issued + self.plan.wait.unwrap_or(self.plan.open);
                if under_way && self.issued >= self.plan.probes && now >= hung {
                    if !self.plan.reissue && now < hung + self.next_open_time() {
                        self.open(now);
                    } else {
                        self.new_era();
                        self.last_issued = now;
                    }
                }
            }
            State::Recovering => {
                while now >= self.ramp_began + STEP {
                    if self.ramp_step + 1 == RAMP.len() {
                        // What was counted on the ramp counts after it.
                        self.change(State::Closed);
                        return;
                    }
                    self.ramp_began += STEP;
                    self.ramp_step += 1;
                    self.ramp_seen = 0;
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, now: u64) -> Option<Call> {
        self.advance(now);
        let passes = match self.state {
            State::Open | State::ForcedOpen => false,
            State::HalfOpen => {
                let left = self.issued < self.plan.probes;
                if left {
                    self.issued += 1;
                    self.last_issued = now;
                }
                left
            }
            State::Recovering => {
                self.ramp_seen += 1;
                let percent = f64::from(RAMP[self.ramp_step]) / 100.0;
                let passed = |calls: u64| (calls as f64 * percent - 1e-9).ceil();
                passed(self.ramp_seen) > passed(self.ramp_seen - 1)
            }
            _ => true,
        };
        passes.then_some(Call { era: self.era, began: now })
    }

    fn is_bad(&self, results: &[Result_]) -> bool {
        let count = |of: fn(&Result_) -> bool| results.iter().filter(|result| of(result)).count() * 100;
        count(|result| result.failed) >= self.plan.rate as usize * results.len()
            || self
                .plan
                .slow
                .is_some_and(|(rate, _)| count(|result| result.slow) >= rate as usize * results.len())
    }

    fn window(&self, now: u64) -> Vec<Result_> {
        match self.plan.count {
            Some(calls) => self.results.iter().rev().take(calls as usize).copied().collect(),
            None => {
                let live = |result: &&Result_| result.at / BUCKET + BUCKETS > now / BUCKET;
                self.results.iter().filter(live).copied().collect()
            }
        }
    }

    fn end(&mut self, call: Call, verdict: Verdict, now: u64) {
        if call.era != self.era {
            return;
        }
        let slow = self.plan.slow.is_some_and(|(_, longer_than)| now - call.began > longer_than);
        let result = Result_ { at: now, failed: verdict == Verdict::Failure, slow };
        match self.state {
            State::HalfOpen if verdict == Verdict::Ignored => self.issued -= 1,
            State::HalfOpen => {
                self.probes.push(result);
                if self.probes.len() < self.plan.probes as usize {
                    return;
                }
                if self.is_bad(&self.probes) {
                    self.open(now);
                } else if self.plan.ramp {
                    self.enter(State::Recovering);
                    (self.ramp_began, self.ramp_step, self.ramp_seen) = (now, 0, 0);
                } else {
                    self.enter(State::Closed);
                }
            }
            State::Closed | State::Recovering | State::MetricsOnly if verdict != Verdict::Ignored => {
                self.results.push(result);
                let row = self.results.iter().rev().take_while(|result| result.failed).count();
                let window = self.window(now);
                let minimum = self.plan.count.map_or(self.plan.minimum, |calls| calls.min(self.plan.minimum));
                let too_bad = window.len() >= minimum as usize && self.is_bad(&window);
                let in_a_row = result.failed && self.plan.row.is_some_and(|limit| row >= limit as usize);
                if self.state != State::MetricsOnly && (too_bad || in_a_row) {
                    self.open(now);
                }
            }
            _ => {}
        }
    }

    fn force(&mut self, state: State) {
        if self.state == state {
            self.new_era();
        } else {
            self.enter(state);
        }
        if state == State::Closed {
            self.recoveries_failed = 0;
        }
    }
}

/// A call under way, as both see it.
type UnderWay = (Permit, Call);

fn run(plan: Plan, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let start: Instant = Clock::system().now();
    let breaker = Breaker::new(plan.policy(), start);
    let mut model = Model::new(plan);
    let mut under_way: Vec<UnderWay> = Vec::new();
    let (mut millis, mut changes) = (0, 0);
    for step in steps {
        let now = start + Duration::from_millis(millis);
        let mut told = |transition: Option<bartizan_circuit_breaker::Transition>| {
            if let Some(transition) = transition {
                changes += 1;
                assert_eq!(transition.number, changes, "changes come one by one");
            }
        };
        match step {
            Step::Begin => {
                let admission = breaker.admit(now);
                told(admission.transition);
                let (ours, expected) = (admission.result, model.begin(millis));
                prop_assert_eq!(ours.is_ok(), expected.is_some(), "{:?} at {} ms", model, millis);
                if let Err(refused) = &ours
                    && refused.state == State::Open
                {
                    prop_assert_eq!(refused.retry_after, Duration::from_millis(model.until - millis));
                }
                under_way.extend(ours.ok().zip(expected));
            }
            Step::End(which, how) if !under_way.is_empty() => {
                let (permit, call) = under_way.swap_remove(which % under_way.len());
                let verdict = match how {
                    0 => Verdict::Ignored,
                    1..5 => Verdict::Failure,
                    _ => Verdict::Success,
                };
                told(breaker.record(permit, verdict, now));
                model.end(call, verdict, millis);
            }
            Step::Lose(which) if !under_way.is_empty() => {
                drop(under_way.swap_remove(which % under_way.len()));
            }
            Step::End(..) | Step::Lose(_) => {}
            Step::Wait(more) => millis += more,
            Step::Advance => {
                told(breaker.advance(now));
                model.advance(millis);
            }
            Step::ForceOpen => {
                told(breaker.force_open(now));
                model.force(State::ForcedOpen);
            }
            Step::ForceClosed => {
                told(breaker.force_closed(now));
                model.force(State::ForcedClosed);
            }
            Step::MetricsOnly => {
                told(breaker.metrics_only(now));
                model.force(State::MetricsOnly);
            }
            Step::Reset => {
                told(breaker.reset(now));
                model.force(State::Closed);
            }
        }
        prop_assert_eq!(breaker.state(), model.state, "after {:?} at {} ms: {:?}", step, millis, model);
        prop_assert_eq!(changes, model.changes);
        let now = start + Duration::from_millis(millis);
        let (snapshot, window) = (breaker.snapshot(now), model.window(millis));
        prop_assert_eq!(snapshot.calls, window.len() as u64, "{:?} at {} ms", model, millis);
        prop_assert_eq!(snapshot.failures, window.iter().filter(|result| result.failed).count() as u64);
        prop_assert_eq!(snapshot.slow_calls, window.iter().filter(|result| result.slow).count() as u64);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn cb_02_and_cb_05_and_cb_06_the_breaker_does_what_the_model_does(plan in plans(), steps in steps()) {
        run(plan, steps)?;
    }
}
