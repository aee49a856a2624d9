//! `Vegas` in front of a simulated service, in simulated time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use bartizan_bulkhead::{Sample, Vegas};
use bartizan_core::Clock;
use proptest::prelude::*;

/// A service of so many workers, each of which needs so long for a request; what they cannot take on queues.
struct Service {
    workers: usize,
    /// How long a request takes, in microseconds.
    time: u64,
    /// Whether that is exponentially distributed, rather than the same for all.
    varies: bool,
}

/// What was seen in some span of time.
#[derive(Debug, Default)]
struct Seen {
    answered: u64,
    refused: u64,
    latency: u64,
    limits: u64,
}

impl Seen {
    /// Over all requests: at a given moment a probe may hold much of it back.
    fn mean_limit(&self) -> u64 {
        self.limits / self.answered.max(1)
    }

    fn mean_latency(&self) -> u64 {
        self.latency / self.answered.max(1)
    }
}

struct Simulation {
    limit: Vegas,
    service: Service,
    epoch: Instant,
    /// Microseconds.
    now: u64,
    next_arrival: u64,
    in_flight: usize,
    /// So many besides have had their answer, and stay.
    streams: usize,
    queue: VecDeque<u64>,
    /// When which request, by its arrival, is done.
    busy: BinaryHeap<Reverse<(u64, u64)>>,
    random: u64,
}

impl Simulation {
    fn new(limit: Vegas, workers: usize, time: u64) -> Self {
        Self {
            limit,
            service: Service { workers, time, varies: false },
            epoch: Clock::system().now(),
            now: 0,
            next_arrival: 0,
            in_flight: 0,
            streams: 0,
            queue: VecDeque::new(),
            busy: BinaryHeap::new(),
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Above 0, at most 1: xorshift64*.
    fn random(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        (bits + 1) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> u64 {
        let random = self.random();
        (-random.ln() * mean).max(1.0) as u64
    }

    fn at(&self, micros: u64) -> Instant {
        self.epoch + Duration::from_micros(micros)
    }

    fn start(&mut self, arrived: u64) {
        let time = self.service.time;
        let time = if self.service.varies { self.exponential(time as f64) } else { time };
        self.busy.push(Reverse((self.now + time, arrived)));
    }

    /// Runs for so many seconds while so many requests per second arrive.
    fn run(&mut self, seconds: u64, per_second: f64) -> Seen {
        let end = self.now + seconds * 1_000_000;
        let mut seen = Seen::default();
        loop {
            let done = self.busy.peek().map_or(u64::MAX, |Reverse((done, _))| *done);
            self.now = done.min(self.next_arrival);
            if self.now >= end {
                self.now = end;
                return seen;
            }
            if self.now == done {
                let Some(Reverse((_, arrived))) = self.busy.pop() else { unreachable!("it was there") };
                let latency = self.now - arrived;
                let (began, now) = (self.at(arrived), self.at(self.now));
                self.limit.set_answered(self.streams as u32);
                let in_flight = (self.in_flight + self.streams) as u32;
                self.limit.sample(began, now, in_flight, Sample::Answered(Duration::from_micros(latency)));
                self.in_flight -= 1;
                seen.answered += 1;
                seen.latency += latency;
                seen.limits += u64::from(self.limit.limit());
                while self.busy.len() < self.service.workers {
                    let Some(next) = self.queue.pop_front() else { break };
                    self.start(next);
                }
            } else {
                self.next_arrival = self.now + self.exponential(1_000_000.0 / per_second);
                if self.in_flight + self.streams >= self.limit.limit() as usize {
                    seen.refused += 1;
                    continue;
                }
                self.in_flight += 1;
                if self.busy.len() < self.service.workers {
                    self.start(self.now);
                } else {
                    self.queue.push_back(self.now);
                }
            }
        }
    }
}

const MS: u64 = 1_000;

/// 50 workers and 20 ms: 2 500 requests per second, and a knee at 50.
fn busy() -> Simulation {
    Simulation::new(Vegas::new(5, 1_000).unwrap(), 50, 20 * MS)
}

#[test]
fn it_finds_the_knee_and_stays_there() {
    let mut simulation = busy();
    simulation.run(20, 5_000.0);
    for _ in 0..10 {
        let seen = simulation.run(60, 5_000.0);
        assert!((50..=90).contains(&seen.mean_limit()), "{}", seen.mean_limit());
        assert!(seen.answered >= 60 * 2_500 * 97 / 100, "it costs hardly any throughput: {seen:?}");
        assert!(seen.mean_latency() <= 35 * MS, "and keeps the queue short: {seen:?}");
    }
}

#[test]
fn without_it_the_queue_would_grow_for_ever() {
    // What the tests above compare with: the same load and no limit to speak of.
    let mut simulation = Simulation::new(Vegas::new(100_000, 100_000).unwrap(), 50, 20 * MS);
    let seen = simulation.run(60, 5_000.0);
    assert!(seen.mean_latency() > 1_000 * MS, "{seen:?}");
}

#[test]
fn it_finds_small_and_large_knees_from_either_side() {
    for (workers, time) in [(4, 50 * MS), (10, 20 * MS), (300, 100 * MS)] {
        for initial in [5, 1_000] {
            let limit = Vegas::new(2, 2_000).unwrap().with_initial(initial).unwrap();
            let mut simulation = Simulation::new(limit, workers, time);
            let capacity = workers as f64 * 1e6 / time as f64;
            simulation.run(180, capacity * 2.0);
            let seen = simulation.run(60, capacity * 2.0);
            let limit = seen.mean_limit() as usize;
            assert!(
                (workers..=workers * 2 + 12).contains(&limit),
                "{limit} for {workers} workers, from {initial}"
            );
            assert!(
                seen.answered as f64 >= capacity * 60.0 * 0.95,
                "{workers} workers, from {initial}: {seen:?}"
            );
        }
    }
}

#[test]
fn a_service_that_is_not_busy_refuses_nothing() {
    let mut simulation = busy();
    let seen = simulation.run(120, 500.0);
    assert_eq!(seen.refused, 0, "{seen:?}");
    assert!(simulation.limit.limit() >= 20);
}

#[test]
fn long_streams_keep_their_places_and_nobody_is_locked_out() {
    let limit = Vegas::new(5, 100).unwrap().with_initial(100).unwrap();
    // Ten are under way at a time beside the streams.
    let mut simulation = Simulation::new(limit, 50, 20 * MS);
    simulation.streams = 55;
    for minute in 0..10 {
        let seen = simulation.run(60, 500.0);
        assert_eq!(seen.refused, 0, "in minute {minute}: {seen:?}");
    }
}

#[test]
fn it_follows_a_service_that_gets_weaker_and_recovers() {
    let mut simulation = busy();
    simulation.run(30, 5_000.0);
    simulation.service.workers = 10;
    simulation.run(60, 5_000.0);
    let seen = simulation.run(30, 5_000.0);
    assert!((10..=40).contains(&seen.mean_limit()), "{}", seen.mean_limit());
    assert!(seen.answered >= 30 * 500 * 95 / 100, "{seen:?}");

    simulation.service.workers = 50;
    simulation.run(10, 5_000.0);
    let seen = simulation.run(60, 5_000.0);
    assert!(seen.answered >= 60 * 2_500 * 95 / 100, "{seen:?}");
    assert!((50..=90).contains(&seen.mean_limit()), "{}", seen.mean_limit());
}

#[test]
fn it_does_not_take_a_slower_service_for_a_queue_for_long() {
    let mut simulation = busy();
    simulation.run(30, 2_000.0);
    // Each request takes three times as long: 50 workers still bring 833 per second.
    simulation.service.time = 60 * MS;
    simulation.run(60, 2_000.0);
    let seen = simulation.run(60, 2_000.0);
    assert!(
        seen.answered >= 60 * 833 * 95 / 100,
        "it has not collapsed: {seen:?}, {}",
        simulation.limit.limit()
    );
    simulation.service.time = 20 * MS;
    simulation.run(30, 5_000.0);
    let seen = simulation.run(60, 5_000.0);
    assert!(seen.answered >= 60 * 2_500 * 95 / 100, "{seen:?}");
}

#[test]
fn times_that_vary_by_themselves_do_not_make_it_collapse() {
    let mut simulation = busy();
    simulation.service.varies = true;
    simulation.run(60, 5_000.0);
    for _ in 0..5 {
        let seen = simulation.run(60, 5_000.0);
        assert!((45..=110).contains(&seen.mean_limit()), "{}", seen.mean_limit());
        assert!(seen.answered >= 60 * 2_500 * 90 / 100, "{seen:?}");
    }
}

#[test]
fn requests_that_time_out_or_are_given_up_cut_the_limit() {
    let epoch = Clock::system().now();
    let fed = |sample: Sample| {
        let mut limit = Vegas::new(5, 100).unwrap().with_initial(50).unwrap();
        let mut now = epoch;
        for index in 0..300_u32 {
            now += Duration::from_millis(10);
            // One window as it should be, to know how long requests take.
            let sample = if index < 12 { Sample::Answered(Duration::from_millis(20)) } else { sample };
            limit.sample(now, now, 50, sample);
        }
        limit.limit()
    };
    assert!(fed(Sample::Overloaded) < 20);
    assert!(fed(Sample::GivenUp(Duration::from_millis(500))) < 40);
    assert!(fed(Sample::GivenUp(Duration::from_millis(1))) >= 50, "soon given up says nothing");
    assert!(fed(Sample::Answered(Duration::from_millis(20))) > 50);
}

proptest! {
    #[test]
    fn it_stays_between_its_bounds_whatever_it_is_told(
        min in 1..50_u32,
        more in 0..500_u32,
        samples in prop::collection::vec((0..6_u8, any::<u64>(), any::<u32>(), 0..2_000_u64), 1..500),
    ) {
        let mut limit = Vegas::new(min, min + more).unwrap().with_probe_interval(Duration::from_secs(1)).unwrap();
        let mut now = Clock::system().now();
        for (kind, nanos, in_flight, step) in samples {
            let began = now;
            now += Duration::from_millis(step);
            let latency = Duration::from_nanos(nanos);
            if kind == 4 {
                limit.set_answered(in_flight);
            } else if kind == 5 {
                limit.refused(now);
            }
            let sample = match kind {
                0 => Sample::Overloaded,
                1 => Sample::GivenUp(latency),
                2 => Sample::Answered(Duration::ZERO),
                _ => Sample::Answered(latency),
            };
            limit.sample(began, now, in_flight, sample);
            prop_assert!((min..=min + more).contains(&limit.limit()));
        }
    }
}
