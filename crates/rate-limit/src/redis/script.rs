//! The scripts, how they are called, and what they answer.

use std::sync::LazyLock;

use redis::{Cmd, Value};

use super::key::RemoteKey;
use crate::{Charge, Rate, decision::Level, limit::Limit};

/// Decides all limits of a request.
pub(super) static DECIDE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("state.lua"), include_str!("decide.lua"))));

/// Charges or gives back after a response.
pub(super) static SETTLE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("state.lua"), include_str!("settle.lua"))));

/// Text that a server runs, and its name there.
#[derive(Debug)]
pub(super) struct Script(redis::Script, &'static str);

impl Script {
    fn new(text: &'static str) -> Self {
        Self(redis::Script::new(text), text)
    }
}

/// One call of a script.
#[derive(Clone, Debug)]
pub(super) struct Call {
    script: &'static Script,
    keys: Vec<String>,
    /// Microseconds since 1970 instead of the server's clock.
    time: Option<u64>,
    arguments: Vec<u64>,
}

/// One limit's part of a decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) limit: &'a Limit,
    pub(super) key: RemoteKey,
    pub(super) rate: Rate,
    pub(super) cost: u32,
}

/// What Redis says of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) allowed: bool,
    pub(super) level: Level,
}

impl Call {
    /// Decides all of these together. In a cluster their keys must be in one slot.
    pub(super) fn decide<'a>(
        prefix: &str,
        asked: impl IntoIterator<Item = Asked<'a>>,
        time: Option<u64>,
    ) -> Self {
        let mut call = Self { script: &DECIDE, keys: Vec::new(), time, arguments: Vec::new() };
        for Asked { limit, key, rate, cost } in asked {
            let sliding = limit.is_sliding();
            call.keys.push(key.name(prefix, limit.name(), sliding));
            call.arguments.extend([
                u64::from(sliding),
                u64::from(limit.is_rehearsal()),
                u64::from(limit.counts_refused()),
                cost.into(),
                rate.capacity().into(),
                unit(rate, sliding),
            ]);
        }
        call
    }

    /// A decision about this key, of no limit.
    pub(super) fn probe(key: String) -> Self {
        // One in each millisecond, at a cost of one.
        Self { script: &DECIDE, keys: vec![key], time: None, arguments: vec![0, 0, 0, 1, 1, 1_000_000] }
    }

    /// Charges or gives back; `None` when there is nothing to be done.
    pub(super) fn settle(prefix: &str, asked: Asked<'_>, charge: Charge, time: Option<u64>) -> Option<Self> {
        let (refund, n) = match charge {
            Charge::Nothing | Charge::More(0) | Charge::Refund(0) => return None,
            Charge::More(n) => (0, n),
            Charge::Refund(n) => (1, n),
        };
        let Asked { limit, key, rate, .. } = asked;
        let sliding = limit.is_sliding();
        Some(Self {
            script: &SETTLE,
            keys: vec![key.name(prefix, limit.name(), sliding)],
            time,
            arguments: vec![
                u64::from(sliding),
                rate.capacity().into(),
                unit(rate, sliding),
                refund,
                n.into(),
            ],
        })
    }

    /// Whether it may run twice where it should once: a charge would be seen.
    pub(super) fn may_be_repeated(&self) -> bool {
        std::ptr::eq(self.script, &*DECIDE)
    }

    /// By the name of the script, which the server has seen before.
    pub(super) fn by_name(&self) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.script.0.get_hash());
        self.finish(command)
    }

    /// By the text of the script, which the server will know from then on.
    pub(super) fn by_text(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.script.1);
        self.finish(command)
    }

    fn finish(&self, mut command: Cmd) -> Cmd {
        command.arg(self.keys.len()).arg(&self.keys);
        match self.time {
            Some(time) => command.arg(time),
            None => command.arg(""),
        };
        command.arg(&self.arguments);
        command
    }
}

/// Of a bucket the nanoseconds from one request to the next, of a window the microseconds of its period.
fn unit(rate: Rate, sliding: bool) -> u64 {
    if sliding { rate.period_nanos() / 1_000 } else { rate.interval_nanos() }
}

/// What a decision says of limits with these rates; `None` when it is no such answer.
pub(super) fn read(answer: &Value, rates: impl ExactSizeIterator<Item = (Rate, bool)>) -> Option<Vec<Said>> {
    let Value::Array(items) = answer else { return None };
    if items.len() != 4 * rates.len() {
        return None;
    }
    let number = |item: &Value| match item {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    items
        .chunks_exact(4)
        .zip(rates)
        .map(|(said, (rate, sliding))| {
            let [allowed, a, b, c] = said else { return None };
            let (a, b, c) = (number(a)?, number(b)?, number(c)?);
            let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            // Within what the arithmetic of levels can bear, whatever was found under the key.
            let level = if sliding {
                let elapsed = c.saturating_mul(1_000).min(rate.period_nanos());
                Level::Window { current: count(a), previous: count(b), elapsed }
            } else {
                Level::Bucket { backlog: a.min(MOST_BACKLOG) }
            };
            Some(Said { allowed: number(allowed)? == 1, level })
        })
        .collect()
}

/// Twice the longest time in which a bucket may fill: no debt is larger.
const MOST_BACKLOG: u64 = u64::MAX / 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    fn ints(numbers: &[i64]) -> Value {
        Value::Array(numbers.iter().copied().map(Value::Int).collect())
    }

    #[test]
    fn rl_12_an_answer_that_is_none_is_not_taken_for_one() {
        let one = || [(rate("1/s"), false)].into_iter();
        for wrong in [
            Value::Nil,
            Value::Okay,
            ints(&[]),
            ints(&[1, 2, 3]),
            ints(&[1, 2, 3, 4, 5]),
            ints(&[1, -1, 0, 0]),
            Value::Array(vec![Value::Int(1), Value::Nil, Value::Int(0), Value::Int(0)]),
            Value::Array(vec![Value::Int(1), Value::Double(1.5), Value::Int(0), Value::Int(0)]),
        ] {
            assert_eq!(read(&wrong, one()), None, "{wrong:?}");
        }
        let said = read(&ints(&[0, 1_500, 0, 0]), one()).unwrap();
        assert_eq!(said, [Said { allowed: false, level: Level::Bucket { backlog: 1_500 } }]);
    }

    #[test]
    fn rl_12_no_answer_is_too_large_to_be_told() {
        let rates = [(rate("1/s"), false), (rate("5/s"), true)];
        let most = i64::MAX;
        let said = read(&ints(&[0, most, most, most, 0, most, most, most]), rates.into_iter()).unwrap();
        for (said, (rate, _)) in said.iter().zip(rates) {
            let decision = crate::Decision::new(rate, 1, said.allowed, said.level);
            assert_eq!(decision.remaining(), 0);
            assert!(decision.retry_after() > Some(std::time::Duration::ZERO));
            let _ = (decision.reset_after(), decision.more_after());
        }
    }
}
