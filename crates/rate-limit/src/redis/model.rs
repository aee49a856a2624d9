//! One sequence, two stores: memory and Redis give the same answer.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bartizan_core::{Clock, ManualClock, RecorderChoice};
use bartizan_testkit::RedisServer;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use super::{
    key::RemoteKey,
    script::{Asked, Call, Said},
    store::RedisStore,
};
use crate::{
    Charge, Decision, Key, Rate,
    keys::KeyInfo,
    limit::{Choice, Limit, LimitSettings},
    store::{Answer, Ask, decide},
};

/// A time of today: what a double must hold to the microsecond.
const TODAY: u64 = 1_764_225_360_123_456;

/// The same limits in both stores.
struct Both {
    limits: Vec<Limit>,
    epoch: u64,
    server: Arc<RedisServer>,
    store: RedisStore,
    runtime: tokio::runtime::Runtime,
}

/// What one limit is asked: which key, by which of its rates, at what cost.
#[derive(Clone, Copy, Debug)]
struct Question {
    key: u64,
    quota: u16,
    cost: u32,
}

impl Both {
    fn new(server: &Arc<RedisServer>, settings: impl IntoIterator<Item = LimitSettings>) -> Self {
        let epoch = Clock::from(ManualClock::new()).nanos();
        let limit = |(place, mut settings): (usize, LimitSettings)| {
            settings.name = Some(Cow::Owned(format!("limit-{place}")));
            let key =
                KeyInfo { name: "", fault: None, patience: 0, failed_credential_charge: 0, refusal: "" };
            Limit::new(settings, key, epoch, &RecorderChoice::default())
        };
        assert_eq!(server.command(&["FLUSHALL"]), "+OK");
        let store = RedisStore::single(&server.url()).unwrap().with_timeout(Duration::from_secs(1)).unwrap();
        Self {
            limits: settings.into_iter().enumerate().map(limit).collect(),
            epoch,
            server: Arc::clone(server),
            store,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    fn one(server: &Arc<RedisServer>, rate: &str, sliding: bool) -> Self {
        let settings = LimitSettings { sliding, ..LimitSettings::new(rate.parse().unwrap()) };
        Self::new(server, [settings])
    }

    fn in_redis(&self, micros: u64, questions: &[Question]) -> Vec<Said> {
        let digester = self.store.digester();
        let asked: Vec<_> = self
            .limits
            .iter()
            .zip(questions)
            .map(|(limit, question)| Asked {
                limit,
                key: RemoteKey { digest: digester.digest(&Key::number(question.key)), slot: None },
                rate: limit.quota(question.quota).rate,
                cost: question.cost,
            })
            .collect();
        self.store.set_time(micros);
        let parts = self.store.calls(&asked);
        assert_eq!(parts.len(), 1, "one script, however many limits");
        self.runtime.block_on(async { self.store.ask(&parts[0], self.store.deadline()).await }).unwrap()
    }

    fn in_memory(&self, micros: u64, questions: &[Question]) -> Vec<Said> {
        let mut asks: Vec<_> = self
            .limits
            .iter()
            .zip(questions)
            .map(|(limit, question)| Ask {
                limit,
                key: limit.memory.fingerprint(&Key::number(question.key)),
                quota: question.quota,
                cost: question.cost,
                answer: Answer::OPEN,
            })
            .collect();
        decide(&mut asks, self.epoch + micros * 1_000);
        asks.iter().map(|ask| Said { allowed: ask.answer.allowed, level: ask.answer.level }).collect()
    }

    /// The answer of both, which is the same.
    fn ask(&self, micros: u64, questions: &[Question]) -> Vec<Said> {
        let said = self.in_memory(micros, questions);
        assert_eq!(self.in_redis(micros, questions), said, "Redis is left, memory right");
        said
    }

    fn ask_one(&self, micros: u64, cost: u32) -> Decision {
        let said = self.ask(micros, &[Question { key: 1, quota: 0, cost }])[0];
        Decision::new(self.limits[0].quota(0).rate, cost, said.allowed, said.level)
    }

    fn settle(&self, micros: u64, place: usize, question: Question, charge: Charge) {
        let limit = &self.limits[place];
        let rate = limit.quota(question.quota).rate;
        let key = Key::number(question.key);
        let now = micros * 1_000;
        let _ = limit.memory.settle(limit.memory.fingerprint(&key), rate, now, charge);
        let key = RemoteKey { digest: self.store.digester().digest(&key), slot: None };
        let asked = Asked { limit, key, rate, cost: 0 };
        if let Some(call) = Call::settle("bartizan", asked, charge, Some(micros)) {
            self.runtime.block_on(self.store.send(&call)).unwrap();
        }
    }
}

#[test]
fn rl_08_rl_12_memory_and_redis_know_the_same_answers() {
    let server = Arc::new(RedisServer::start());
    let seconds = |seconds: f64| Some(Duration::from_secs_f64(seconds));
    // Seconds, cost, allowed, remaining, retry, reset.
    let table = [
        (0.0, 1, true, 15, None, 2.0),
        (0.0, 15, true, 0, None, 32.0),
        (0.0, 1, false, 0, seconds(2.0), 32.0),
        (1.999_999, 1, false, 0, seconds(0.000_001), 30.000_001),
        (2.0, 1, true, 0, None, 32.0),
        (2.0, 1, false, 0, seconds(2.0), 32.0),
        (2.0, 17, false, 0, None, 32.0),
        (2.0, 0, true, 0, None, 32.0),
        (12.5, 3, true, 2, None, 27.5),
        (100.0, 0, true, 16, None, 0.0),
        (100.0, 16, true, 0, None, 32.0),
    ];
    for start in [1, TODAY] {
        let both = Both::one(&server, "30/min burst 16", false);
        for (at, cost, allowed, remaining, retry, reset) in table {
            let micros = start + u64::try_from(Duration::from_secs_f64(at).as_micros()).unwrap();
            let decision = both.ask_one(micros, cost);
            assert_eq!(decision.is_allowed(), allowed, "{at} {cost}");
            assert_eq!(decision.remaining(), remaining, "{at} {cost}");
            assert_eq!(decision.retry_after(), retry, "{at} {cost}");
            assert_eq!(decision.reset_after(), Duration::from_secs_f64(reset), "{at} {cost}");
        }
    }
}

#[test]
fn rl_09_rl_12_a_window_slides_in_redis_as_in_memory() {
    let server = Arc::new(RedisServer::start());
    let minute = 60_000_000;
    let start = TODAY - TODAY % minute;
    let both = Both::one(&server, "10/min", true);
    assert_eq!(both.ask_one(start + minute / 2, 10).remaining(), 0);
    assert_eq!(both.ask_one(start + minute / 2, 1).retry_after(), Some(Duration::from_secs(36)));
    // Half into the next window half of the last one counts still.
    assert_eq!(both.ask_one(start + minute + minute / 2, 0).remaining(), 5);
    assert!(both.ask_one(start + minute + minute / 2, 5).is_allowed());
    assert!(!both.ask_one(start + minute + minute / 2, 1).is_allowed());
    assert_eq!(both.ask_one(start + 4 * minute, 0).remaining(), 10);
}

fn rate() -> impl Strategy<Value = Rate> {
    // Among them intervals that are no whole microseconds, and ones of days.
    let period = select(vec![1_000_000_u64, 3_000_000, 60_000_000, 3_600_000_000, 86_400_000_000]);
    (1_u32..=7, period, 1_u32..=7).prop_map(|(limit, period, burst)| {
        Rate::new(limit, Duration::from_micros(period)).unwrap().burst(burst).unwrap()
    })
}

#[derive(Clone, Copy, Debug)]
struct Setup {
    rate: Rate,
    other: Rate,
    sliding: bool,
    rehearsal: bool,
    counts_refused: bool,
}

impl From<Setup> for LimitSettings {
    fn from(setup: Setup) -> Self {
        let Setup { rate, other, sliding, rehearsal, counts_refused } = setup;
        let choice = Choice::By(Box::new([other]), Arc::new(|_: &crate::RequestHead<'_>| None));
        Self { choice, sliding, rehearsal, counts_refused, ..Self::new(rate) }
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    let seldom = || prop::bool::weighted(0.2);
    let parts = (rate(), 1_u32..=7, rate(), any::<bool>(), seldom(), seldom());
    parts.prop_map(|(rate, second, other, sliding, rehearsal, counts_refused)| {
        // A window's rates have one period, and no burst.
        let windowed = |limit| Rate::new(limit, rate.period()).unwrap();
        let (rate, other) = if sliding { (windowed(rate.limit()), windowed(second)) } else { (rate, other) };
        Setup { rate, other, sliding, rehearsal, counts_refused }
    })
}

#[derive(Clone, Debug)]
enum Step {
    Ask(Vec<Question>),
    Settle(usize, Question, Charge),
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let question =
        || (0_u64..2, 0_u16..2, 0_u32..=8).prop_map(|(key, quota, cost)| Question { key, quota, cost });
    let charge = (any::<bool>(), 0_u32..=20)
        .prop_map(|(refund, n)| if refund { Charge::Refund(n) } else { Charge::More(n) });
    let step = prop_oneof![
        4 => prop::collection::vec(question(), 3).prop_map(Step::Ask),
        1 => (0_usize..3, question(), charge).prop_map(|(place, question, charge)| Step::Settle(place, question, charge)),
    ];
    let pause = prop_oneof![
        3 => Just(0_u64),
        3 => 0_u64..2_000_000,
        1 => 0_u64..100_000_000,
        1 => 0_u64..200_000_000_000,
    ];
    prop::collection::vec((pause, step), 1..25)
}

#[test]
fn rl_10_rl_12_memory_and_redis_give_the_same_answers_to_the_same_sequence() {
    let server = Arc::new(RedisServer::start());
    let mut runner = TestRunner::new(Config::with_cases(200));
    let cases = (prop::collection::vec(setup(), 1..=3), 0_u64..TODAY, steps());
    let run = runner.run(&cases, |(setups, start, steps)| {
        let both = Both::new(&server, setups.into_iter().map(LimitSettings::from));
        let mut micros = start + 1;
        for (pause, step) in steps {
            micros += pause;
            match step {
                Step::Ask(questions) => {
                    both.ask(micros, &questions);
                }
                Step::Settle(place, question, charge) => {
                    both.settle(micros, place % both.limits.len(), question, charge);
                }
            }
        }
        // And what is left is the same.
        for key in 0..2 {
            both.ask(micros, &[Question { key, quota: 0, cost: 0 }; 3]);
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn rl_12_a_clock_that_goes_back_stands_still() {
    let server = Arc::new(RedisServer::start());
    let hour = 3_600_000_000;
    let both = Both::one(&server, "30/min burst 16", false);
    assert!(both.ask_one(TODAY, 14).is_allowed());
    for back in [1, 1_000_000, hour] {
        let decision = both.ask_one(TODAY - back, 0);
        assert_eq!(decision.remaining(), 2, "{back} back");
        assert_eq!(decision.reset_after(), Duration::from_secs(28), "{back} back");
    }
    assert!(both.ask_one(TODAY - hour, 2).is_allowed(), "what is left is left");
    assert!(!both.ask_one(TODAY - hour, 1).is_allowed());
    assert!(!both.ask_one(TODAY + 1_999_999, 1).is_allowed(), "the way back to now fills nothing");
    assert!(both.ask_one(TODAY + 2_000_000, 1).is_allowed());

    let windowed = Both::one(&server, "10/min", true);
    assert!(windowed.ask_one(TODAY, 10).is_allowed());
    let question = [Question { key: 1, quota: 0, cost: 1 }];
    for back in [1, 60_000_000, hour] {
        assert!(!windowed.in_redis(TODAY - back, &question)[0].allowed, "{back} back");
    }
}

#[test]
fn rl_12_a_clock_that_jumps_about_never_grants_more_than_its_span() {
    let server = Arc::new(RedisServer::start());
    let mut runner = TestRunner::new(Config::with_cases(60));
    let times = prop::collection::vec(0_u64..6_000_000, 2..60);
    let run = runner.run(&times, |times| {
        let both = Both::one(&server, "1/s burst 3", false);
        let question = [Question { key: 1, quota: 0, cost: 1 }];
        let granted = times.iter().filter(|time| both.in_redis(TODAY + **time, &question)[0].allowed).count();
        let span = times.iter().max().unwrap() - times.iter().min().unwrap();
        let most = 3 + usize::try_from(span / 1_000_000).unwrap();
        prop_assert!(granted <= most, "{granted} within {span} us");
        Ok(())
    });
    run.unwrap();
}

#[test]
fn rl_12_what_is_no_state_of_ours_is_a_full_bucket_and_another_type_an_error() {
    let server = Arc::new(RedisServer::start());
    let both = Both::one(&server, "1/h burst 2", false);
    let question = [Question { key: 1, quota: 0, cost: 2 }];
    let digest = both.store.digester().digest(&Key::number(1));
    let name = RemoteKey { digest, slot: None }.name("bartizan", "limit-0", false);
    for value in ["", "x", "12", "1 2 3", "-1 5", "1e9 5", "nan nan"] {
        assert_eq!(both.server.command(&["SET", &name, value]), "+OK");
        assert!(both.in_redis(TODAY, &question)[0].allowed, "{value:?}");
        assert!(!both.in_redis(TODAY, &question)[0].allowed, "and counts again");
    }
    assert_eq!(both.server.command(&["GET", &name]), format!("{TODAY} 7200000000000"), "no digit is lost");
    assert_eq!(both.server.command(&["DEL", &name]), ":1");
    assert_eq!(both.server.command(&["LPUSH", &name, "foreign"]), ":1");
    let limit = &both.limits[0];
    let asked = Asked { limit, key: RemoteKey { digest, slot: None }, rate: limit.quota(0).rate, cost: 1 };
    let parts = both.store.calls(&[asked]);
    let said = both.runtime.block_on(async { both.store.ask(&parts[0], both.store.deadline()).await });
    assert_eq!(said, Err(super::Failure::Error));
    assert_eq!(both.server.command(&["TYPE", &name]), "+list", "what belongs to others is left alone");
}
