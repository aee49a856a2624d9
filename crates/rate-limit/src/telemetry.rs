//! Every metric of the crate.

/// What became of a request, as the label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Allowed,
    Limited,
    /// Would have been refused, and this is a rehearsal.
    WouldLimit,
    /// Refused because it has no key.
    NoKey,
}

/// A caller is over a limit, and refused: by the name that OWASP's logging vocabulary has for it (LOG-06).
pub(crate) fn refused(policy: &str) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "bartizan::rate_limit", event = "excess_rate_limit", policy, "refused");
    #[cfg(not(feature = "tracing"))]
    let _ = policy;
}

#[cfg(feature = "metrics")]
pub(crate) use self::enabled::Telemetry;

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::Telemetry;

#[cfg(feature = "metrics")]
mod enabled {
    use bartizan_core::{PerRecorder, RecorderChoice, Series};
    use metrics::{Counter, Gauge, Recorder, SharedString};

    use super::Outcome;

    const DECISIONS: &str = "bartizan_rate_limit_decisions_total";
    const KEYS: &str = "bartizan_rate_limit_keys";
    const EVICTIONS: &str = "bartizan_rate_limit_evictions_total";
    const OVERFLOWS: &str = "bartizan_rate_limit_overflows_total";

    #[cfg(feature = "redis")]
    const STORE_FAILURES: &str = "bartizan_rate_limit_store_failures_total";
    #[cfg(feature = "redis")]
    const CHARGES_LOST: &str = "bartizan_rate_limit_charges_lost_total";

    /// The metrics of one limit.
    #[derive(Debug)]
    pub(crate) struct Telemetry {
        policy: SharedString,
        handles: PerRecorder<Handles>,
        /// Apart: limits in memory have none of these series.
        #[cfg(feature = "redis")]
        redis: PerRecorder<RedisHandles>,
    }

    struct Handles {
        allowed: Counter,
        limited: Counter,
        would_limit: Counter,
        no_key: Counter,
        keys: Gauge,
        evictions: Counter,
        overflows: Counter,
    }

    #[cfg(feature = "redis")]
    struct RedisHandles {
        failed_open: Counter,
        failed_closed: Counter,
        timeout: Counter,
        error: Counter,
        down: Counter,
        charges_lost: Counter,
    }

    impl Telemetry {
        pub(crate) fn new(policy: &str, recorder: &RecorderChoice) -> Self {
            Self {
                policy: policy.to_owned().into(),
                handles: PerRecorder::of(recorder),
                #[cfg(feature = "redis")]
                redis: PerRecorder::of(recorder),
            }
        }

        #[inline]
        pub(crate) fn decided(&self, outcome: Outcome) {
            self.with(|handles| {
                match outcome {
                    Outcome::Allowed => &handles.allowed,
                    Outcome::Limited => &handles.limited,
                    Outcome::WouldLimit => &handles.would_limit,
                    Outcome::NoKey => &handles.no_key,
                }
                .increment(1);
            });
        }

        #[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53 keys")]
        pub(crate) fn keys(&self, keys: usize) {
            self.with(|handles| handles.keys.set(keys as f64));
        }

        pub(crate) fn evicted(&self) {
            self.with(|handles| handles.evictions.increment(1));
        }

        pub(crate) fn overflowed(&self) {
            self.with(|handles| handles.overflows.increment(1));
        }

        /// Redis did not decide about a request.
        #[cfg(feature = "redis")]
        pub(crate) fn unanswered(&self, failure: crate::redis::Failure) {
            use crate::redis::Failure;

            self.with_redis(|handles| {
                match failure {
                    Failure::Timeout => &handles.timeout,
                    Failure::Error => &handles.error,
                    Failure::Down => &handles.down,
                }
                .increment(1);
            });
        }

        /// It passes all the same.
        #[cfg(feature = "redis")]
        pub(crate) fn failed_open(&self) {
            self.with_redis(|handles| handles.failed_open.increment(1));
        }

        /// It is refused for that.
        #[cfg(feature = "redis")]
        pub(crate) fn failed_closed(&self) {
            self.with_redis(|handles| handles.failed_closed.increment(1));
        }

        /// A charge or a refund did not reach Redis.
        #[cfg(feature = "redis")]
        pub(crate) fn unsettled(&self) {
            self.with_redis(|handles| handles.charges_lost.increment(1));
        }

        #[cfg(feature = "redis")]
        fn with_redis(&self, count: impl FnOnce(&RedisHandles)) {
            self.redis
                .with(|recorder| RedisHandles::resolve(recorder, &self.policy), |handles, _| count(handles));
        }

        #[inline]
        fn with(&self, count: impl FnOnce(&Handles)) {
            self.handles
                .with(|recorder| Handles::resolve(recorder, &self.policy), |handles, _| count(handles));
        }
    }

    impl Handles {
        #[cold]
        fn resolve(recorder: &dyn Recorder, policy: &SharedString) -> Self {
            let series = series(recorder, policy);
            series.describe_counter(DECISIONS, "Requests that a rate limit decided on.");
            series.describe_counter(EVICTIONS, "Idle keys whose place a new key took.");
            series
                .describe_counter(OVERFLOWS, "Requests of new keys that found no place and shared a bucket.");
            series.describe_gauge(KEYS, "Keys that have a bucket.");
            let decisions = |outcome| series.counter(DECISIONS, &[("outcome", outcome)]);
            Self {
                allowed: decisions("allowed"),
                limited: decisions("limited"),
                would_limit: decisions("would_limit"),
                no_key: decisions("no_key"),
                keys: series.gauge(KEYS, &[]),
                evictions: series.counter(EVICTIONS, &[]),
                overflows: series.counter(OVERFLOWS, &[]),
            }
        }
    }

    fn series<'a>(recorder: &'a dyn Recorder, policy: &SharedString) -> Series<'a> {
        Series::new(recorder, module_path!()).labelled("policy", policy.clone())
    }

    #[cfg(feature = "redis")]
    impl RedisHandles {
        #[cold]
        fn resolve(recorder: &dyn Recorder, policy: &SharedString) -> Self {
            let series = series(recorder, policy);
            series.describe_counter(STORE_FAILURES, "Requests that Redis did not decide on.");
            series.describe_counter(
                CHARGES_LOST,
                "Charges and refunds after the response that did not reach Redis.",
            );
            let decisions = |outcome| series.counter(DECISIONS, &[("outcome", outcome)]);
            let failures = |reason| series.counter(STORE_FAILURES, &[("reason", reason)]);
            Self {
                failed_open: decisions("failed_open"),
                failed_closed: decisions("failed_closed"),
                timeout: failures("timeout"),
                error: failures("error"),
                down: failures("down"),
                charges_lost: series.counter(CHARGES_LOST, &[]),
            }
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use bartizan_core::RecorderChoice;

    use super::Outcome;

    #[derive(Debug)]
    pub(crate) struct Telemetry;

    impl Telemetry {
        pub(crate) fn new(_policy: &str, _recorder: &RecorderChoice) -> Self {
            Self
        }

        pub(crate) fn decided(&self, _outcome: Outcome) {}

        pub(crate) fn keys(&self, _keys: usize) {}

        pub(crate) fn evicted(&self) {}

        pub(crate) fn overflowed(&self) {}

        #[cfg(feature = "redis")]
        pub(crate) fn unanswered(&self, _failure: crate::redis::Failure) {}

        #[cfg(feature = "redis")]
        pub(crate) fn failed_open(&self) {}

        #[cfg(feature = "redis")]
        pub(crate) fn failed_closed(&self) {}

        #[cfg(feature = "redis")]
        pub(crate) fn unsettled(&self) {}
    }
}
