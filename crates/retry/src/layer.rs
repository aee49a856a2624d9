//! The layer: settings and state.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bartizan_core::{ClientLayer, Clock, Fault, Reason, RecorderChoice, Rejection, RequestContext, phase};
use http::{HeaderName, Request};
use rand::{SeedableRng, rngs::StdRng};
use tower_layer::Layer;

use crate::{
    Backoff, Budget, ConfigError, Policy, SkipReason, StandardPolicy,
    config::checked_name,
    head::KeptHead,
    limits::{Bounds, Limits, give_key},
    service::Retry,
    telemetry::{EVENT_SKIPPED, Telemetry},
    time::Time,
};

pub(crate) const LAYER: &str = "retry";

/// What is kept of a request body, unless set otherwise.
pub(crate) const REPLAY_CAP: usize = 64 * 1024;

/// Makes failed attempts of outgoing calls again, as long as that is right and helps. See the [crate](crate).
///
/// The state, which is the budget, belongs to the value and is shared by its clones and services.
#[must_use]
pub struct RetryLayer<P = StandardPolicy> {
    shared: Arc<Shared<P>>,
}

/// What all services of a layer share.
pub(crate) struct Shared<P> {
    pub(crate) policy: Arc<P>,
    pub(crate) settings: Settings,
    pub(crate) telemetry: Telemetry,
    pub(crate) too_large: Fault,
}

#[derive(Clone)]
pub(crate) struct Settings {
    name: Cow<'static, str>,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) budget: Budget,
    pub(crate) bounds: Bounds,
    pub(crate) replay_cap: usize,
    pub(crate) mints_keys: bool,
    pub(crate) random: Random,
    recorder: RecorderChoice,
}

/// Where jitter comes from.
#[derive(Clone)]
pub(crate) enum Random {
    Thread,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    pub(crate) fn delay(&self, backoff: &Backoff, n: u32, previous: Option<Duration>) -> Duration {
        match self {
            Self::Thread => backoff.delay(n, previous, &mut rand::rng()),
            Self::Seeded(rng) => {
                let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
                backoff.delay(n, previous, &mut *rng)
            }
        }
    }
}

impl RetryLayer {
    /// Three attempts by the [`StandardPolicy`], the [`Backoff`] and the [`Budget`] that are their defaults.
    pub fn new() -> Self {
        Self::assemble(Arc::new(StandardPolicy::new()), Settings::new())
    }
}

impl Default for RetryLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> RetryLayer<P> {
    /// What is retried. Default: [`StandardPolicy`].
    pub fn with_policy<Q: Policy>(self, policy: Q) -> RetryLayer<Q> {
        RetryLayer::assemble(Arc::new(policy), self.shared.settings.clone())
    }

    /// How many attempts a call has at most, the first among them. Default: 3. Of a gRPC call never more than 5.
    ///
    /// # Errors
    ///
    /// When it is 0, or more than 100.
    pub fn with_max_attempts(self, max: u32) -> Result<Self, ConfigError> {
        if !(1..=100).contains(&max) {
            return Err(ConfigError::new("max_attempts", "must be between 1 and 100"));
        }
        Ok(self.with(|settings| settings.max_attempts = max))
    }

    /// How long to wait between attempts.
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        self.with(|settings| settings.backoff = backoff)
    }

    /// What the upstream is asked to bear: share the handle with the other clients of the same upstream. Default: one of
    /// this layer's own.
    pub fn with_budget(self, budget: Budget) -> Self {
        self.with(|settings| settings.budget = budget)
    }

    /// How long an attempt may take, until the head of its response. Default: as long as the call may.
    ///
    /// **Only for a client without a circuit breaker, an outlier detection or metrics inside of the retries.** An attempt
    /// that takes longer is dropped, which is to the layers inside a caller who left: a breaker does not count it and stays
    /// closed over an upstream that hangs, and metrics tell of no timeout. Where there are such layers, let an
    /// `OutboundTimeoutLayer::per_attempt` of `bartizan-deadline` end the attempt inside of them, as the recommended stack
    /// of clients does. What it answers with is retried as a timeout just the same.
    ///
    /// If the attempt is the last, the call is answered with 504 (DEADLINE_EXCEEDED), as by a proxy.
    ///
    /// # Errors
    ///
    /// When it is zero, or longer than a day.
    pub fn with_attempt_timeout(self, timeout: Duration) -> Result<Self, ConfigError> {
        let timeout = checked_timeout("attempt_timeout", timeout)?;
        Ok(self.with(|settings| settings.bounds.attempt_timeout = Some(timeout)))
    }

    /// How long a call may take, all attempts and waits together, until the head of the response. The attempt that runs at
    /// its end is dropped, of which [`with_attempt_timeout`](Self::with_attempt_timeout) tells more. It is also bounded by
    /// the deadline of the request that is served (`RequestContext::deadline`, in the call's own extensions or, with the
    /// feature `scope`, in the scope), and by the `grpc-timeout` of the call. Default: by these alone.
    ///
    /// # Errors
    ///
    /// When it is zero, or longer than a day.
    pub fn with_total_timeout(self, timeout: Duration) -> Result<Self, ConfigError> {
        let timeout = checked_timeout("total_timeout", timeout)?;
        Ok(self.with(|settings| settings.bounds.total_timeout = Some(timeout)))
    }

    /// No attempt is begun with less time left than this. Default: 5 ms.
    ///
    /// # Errors
    ///
    /// When it is longer than a minute.
    pub fn with_min_remaining(self, min: Duration) -> Result<Self, ConfigError> {
        if min > Duration::from_secs(60) {
            return Err(ConfigError::new("min_remaining", "must be at most a minute"));
        }
        Ok(self.with(|settings| settings.bounds.min_remaining = min))
    }

    /// How many bytes of a request body are kept for further attempts. A body of which more was sent is sent once.
    /// Default: 64 KiB.
    pub fn with_replay_cap(self, bytes: usize) -> Self {
        self.with(|settings| settings.replay_cap = bytes)
    }

    /// Tells the upstream of an HTTP request which attempt it gets, in this header: the number of those before, from the
    /// second attempt on. A request that has it when it is made is a retry already, and is not retried here; nor is one
    /// made for a request that arrived with it, of which an [`InboundRetryLayer`](crate::InboundRetryLayer) takes note.
    /// Default: none. gRPC has a header of its own, `grpc-previous-rpc-attempts`.
    ///
    /// # Errors
    ///
    /// When its name does not begin with `x-`: any other may mean something else.
    pub fn with_attempt_header(self, name: HeaderName) -> Result<Self, ConfigError> {
        let name = checked_attempt_header(name)?;
        Ok(self.with(|settings| settings.bounds.attempt_header = Some(name)))
    }

    /// Retries calls that are retries already. Each layer of services that does so multiplies the load of an outage by
    /// its attempts. Default: such calls have one attempt.
    pub fn with_nested_retries(self) -> Self {
        self.with(|settings| settings.bounds.nested = true)
    }

    /// Gives each POST and PATCH that has none an `Idempotency-Key` of its own, the same in all its attempts, so that
    /// they may be repeated: only for an upstream that knows the header
    /// (draft-ietf-httpapi-idempotency-key-header). Not for gRPC. Default: off.
    pub fn with_idempotency_keys(self) -> Self {
        self.with(|settings| settings.mints_keys = true)
    }

    /// The name of the upstream, in metrics. Default: `upstream`.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn with_name(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = checked_name(name.into())?;
        Ok(self.with(|settings| settings.name = name))
    }

    /// Where time comes from. Default: tokio's clock, which a test may pause; waiting is by that in any case.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.bounds.clock = Time::Injected(clock))
    }

    /// Makes the random part of the waits the same in each run: for tests.
    pub fn with_seed(self, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        self.with(|settings| settings.random = Random::Seeded(Arc::new(Mutex::new(rng))))
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.recorder = RecorderChoice::pinned(recorder))
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        set(&mut settings);
        Self::assemble(Arc::clone(&self.shared.policy), settings)
    }

    fn assemble(policy: Arc<P>, settings: Settings) -> Self {
        let what = format!("bodies of requests to `{}` are too large to be sent again", settings.name);
        Self {
            shared: Arc::new(Shared {
                policy,
                telemetry: Telemetry::new(&settings.name, &settings.recorder),
                too_large: Fault::named(LAYER, what, "raise `with_replay_cap`, or expect no retries of them"),
                settings,
            }),
        }
    }
}

impl Settings {
    fn new() -> Self {
        Self {
            name: Cow::Borrowed("upstream"),
            max_attempts: 3,
            backoff: Backoff::default(),
            budget: Budget::default(),
            bounds: Bounds::new(),
            replay_cap: REPLAY_CAP,
            mints_keys: false,
            random: Random::Thread,
            recorder: RecorderChoice::default(),
        }
    }
}

impl<P> Shared<P> {
    /// Looks at a call that begins, and gives it a key if it is to have one.
    #[inline(always)]
    pub(crate) fn begin<B>(&self, request: &mut Request<B>) -> (KeptHead, Limits) {
        if self.settings.mints_keys {
            give_key(request);
        }
        self.settings.bounds.begin(request)
    }

    /// Not even one attempt of a call can be made in time.
    #[cold]
    pub(crate) fn refuse(&self, context: Option<&RequestContext>) -> Rejection {
        self.telemetry.skipped(SkipReason::Deadline);
        if let Some(context) = context {
            context.event().record(EVENT_SKIPPED, SkipReason::Deadline.as_str());
        }
        self.too_late()
    }

    pub(crate) fn too_late(&self) -> Rejection {
        Rejection::new(Reason::DeadlineExceeded)
            .with_layer(LAYER)
            .with_detail("The upstream did not answer in the time that was left.")
    }
}

pub(crate) fn checked_attempt_header(name: HeaderName) -> Result<HeaderName, ConfigError> {
    if name.as_str().starts_with("x-") {
        Ok(name)
    } else {
        Err(ConfigError::new("attempt_header", "must begin with `x-`"))
    }
}

fn checked_timeout(field: &'static str, timeout: Duration) -> Result<Duration, ConfigError> {
    if timeout.is_zero() || timeout > Duration::from_secs(86_400) {
        return Err(ConfigError::new(field, "must be longer than zero and at most a day"));
    }
    Ok(timeout)
}

impl<P> Clone for RetryLayer<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<P> fmt::Debug for RetryLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.shared.settings;
        f.debug_struct("RetryLayer")
            .field("name", &settings.name)
            .field("max_attempts", &settings.max_attempts)
            .field("backoff", &settings.backoff)
            .field("attempt_timeout", &settings.bounds.attempt_timeout)
            .field("total_timeout", &settings.bounds.total_timeout)
            .field("replay_cap", &settings.replay_cap)
            .finish_non_exhaustive()
    }
}

impl<P> ClientLayer for RetryLayer<P> {
    type Phase = phase::client::Retry;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        LAYER
    }
}

impl<S, P> Layer<S> for RetryLayer<P> {
    type Service = Retry<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry::new(inner, Arc::clone(&self.shared))
    }
}
