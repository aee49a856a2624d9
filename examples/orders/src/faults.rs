//! How the supplier can be told to misbehave, so that one can watch what its caller does about it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use bartizan::{Reason, Rejection, Violation};
use serde::{Deserialize, Serialize};

use crate::orders::JsonBody;

/// The longest that an answer can be held back.
const MAX_LATENCY_MS: u64 = 60_000;

/// What is wrong with the supplier; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Settings {
    /// The share of calls that get a 503, from 0 to 1. Spread evenly, not by chance: of a half, it is every second.
    error_rate: f64,
    /// How long each answer takes, in milliseconds.
    latency_ms: u64,
    /// Every call gets a 503.
    down: bool,
}

impl Settings {
    fn check(self) -> Result<Self, Rejection> {
        let wrong = if !(0.0..=1.0).contains(&self.error_rate) {
            Violation::in_body(["errorRate"], "range", "must be from 0 to 1")
        } else if self.latency_ms > MAX_LATENCY_MS {
            Violation::in_body(["latencyMs"], "range", "must be at most 60000")
        } else {
            return Ok(self);
        };
        Err(Rejection::new(Reason::SchemaViolation).with_violation(wrong))
    }

    /// Whether the call after `calls` others fails.
    fn fails_after(self, calls: u32) -> bool {
        let failed_after = |calls: f64| (calls * self.error_rate).floor();
        let calls = f64::from(calls);
        self.down || failed_after(calls + 1.0) > failed_after(calls)
    }
}

/// The faults of one supplier. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Current>>);

#[derive(Debug, Default)]
struct Current {
    settings: Settings,
    /// Since the settings were made.
    calls: u32,
}

impl Faults {
    /// `GET /faults` and `POST /faults`: `{"errorRate": 0.5, "latencyMs": 200, "down": true}`. What is left out is
    /// as it should be.
    pub(crate) fn routes(&self) -> Router {
        Router::new().route("/faults", get(read).post(replace)).with_state(self.clone())
    }

    /// What a call has to bear: a delay, and perhaps a 503.
    pub(crate) async fn suffer(&self) -> Result<(), StatusCode> {
        let (settings, fails) = self.with(|current| {
            let calls = current.calls;
            current.calls = calls.wrapping_add(1);
            (current.settings, current.settings.fails_after(calls))
        });
        if settings.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(settings.latency_ms)).await;
        }
        if fails { Err(StatusCode::SERVICE_UNAVAILABLE) } else { Ok(()) }
    }

    fn with<T>(&self, run: impl FnOnce(&mut Current) -> T) -> T {
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn read(State(faults): State<Faults>) -> Json<Settings> {
    Json(faults.with(|current| current.settings))
}

async fn replace(
    State(faults): State<Faults>,
    JsonBody(settings): JsonBody<Settings>,
) -> Result<Json<Settings>, Rejection> {
    let settings = settings.check()?;
    faults.with(|current| *current = Current { settings, calls: 0 });
    Ok(Json(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_spread_evenly() {
        let failing = |error_rate| {
            let settings = Settings { error_rate, ..Settings::default() };
            (0..8).map(|calls| u8::from(settings.fails_after(calls))).collect::<Vec<_>>()
        };
        assert_eq!(failing(0.0), [0; 8]);
        assert_eq!(failing(0.25), [0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(failing(0.5), [0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(failing(1.0), [1; 8]);
        assert!(Settings { down: true, ..Settings::default() }.fails_after(0));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (settings, pointer) in [
            (Settings { error_rate: 1.5, ..Settings::default() }, "#/errorRate"),
            (Settings { error_rate: f64::NAN, ..Settings::default() }, "#/errorRate"),
            (Settings { latency_ms: 60_001, ..Settings::default() }, "#/latencyMs"),
        ] {
            let refused = settings.check().unwrap_err();
            assert_eq!(refused.violations()[0].pointer().as_deref(), Some(pointer));
        }
        let slowest = Settings { error_rate: 1.0, latency_ms: 60_000, down: true };
        assert_eq!(slowest.check().unwrap(), slowest);
    }

    /// Time is not real here: it jumps to the end of the delay.
    #[tokio::test(start_paused = true)]
    async fn a_slow_supplier_takes_its_time() {
        let faults = Faults::default();
        let before = tokio::time::Instant::now();
        assert_eq!(faults.suffer().await, Ok(()));
        assert_eq!(before.elapsed(), Duration::ZERO);
        let settings = Settings { latency_ms: 200, down: true, ..Settings::default() };
        faults.with(|current| *current = Current { settings, calls: 0 });
        assert_eq!(faults.suffer().await, Err(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(before.elapsed(), Duration::from_millis(200));
    }
}
