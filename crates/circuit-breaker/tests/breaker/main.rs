//! The state machine, without tower and on virtual time.

mod model;
mod presets;
mod settings;
mod states;
mod stress;

use std::time::{Duration, Instant};

use bartizan_circuit_breaker::{Breaker, BreakerPolicy, Permit, Refused, State, Transition};
use bartizan_core::{Clock, Verdict};

const SECOND: Duration = Duration::from_secs(1);

/// A breaker and its time.
struct Bench {
    breaker: Breaker,
    start: Instant,
    now: Instant,
    seen: Vec<Transition>,
}

impl Bench {
    fn new(policy: BreakerPolicy) -> Self {
        let now = Clock::system().now();
        Self { breaker: Breaker::new(policy, now), start: now, now, seen: Vec::new() }
    }

    fn admit(&mut self) -> Result<Permit, Refused> {
        let admission = self.breaker.admit(self.now);
        self.seen.extend(admission.transition);
        admission.result
    }

    fn record(&mut self, permit: Permit, verdict: Verdict) {
        self.seen.extend(self.breaker.record(permit, verdict, self.now));
    }

    /// A whole call; false if it was refused.
    fn call(&mut self, verdict: Verdict) -> bool {
        match self.admit() {
            Ok(permit) => {
                self.record(permit, verdict);
                true
            }
            Err(_) => false,
        }
    }

    fn good(&mut self, calls: u32) {
        (0..calls).for_each(|_| assert!(self.call(Verdict::Success), "refused"));
    }

    fn bad(&mut self, calls: u32) {
        (0..calls).for_each(|_| assert!(self.call(Verdict::Failure), "refused"));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn state(&self) -> State {
        self.breaker.state()
    }

    /// The states it went through.
    fn path(&self) -> Vec<State> {
        self.seen.iter().map(|transition| transition.to).collect()
    }
}
