//! Decisions that something else makes: a policy engine, a database.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_core::Clock;
use http::Request;
use quick_cache::sync::Cache;
use tokio::time::timeout;

use super::PolicyQuery;
use crate::{Access, ConfigError, Failure, error::Part, telemetry};

/// What a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyDecision {
    /// The request passes.
    Allow,
    /// The caller may not: 403, `PERMISSION_DENIED`.
    Deny,
    /// The caller may not even know: 404, `NOT_FOUND`, as for what does not exist.
    Hide,
}

/// Decides by asking elsewhere. The one place of authorization where a future is boxed.
///
/// It sees what [`PolicyQuery`] holds and nothing else, so that a remembered decision was made on the same grounds.
///
/// ```
/// use std::convert::Infallible;
/// use bartizan_auth::{AsyncPolicy, PolicyDecision, PolicyQuery};
///
/// struct OwnTenant;
///
/// impl AsyncPolicy for OwnTenant {
///     type Error = Infallible;
///
///     async fn decide(&self, query: &PolicyQuery) -> Result<PolicyDecision, Infallible> {
///         let is_own = query.param("tenant").is_some_and(|tenant| query.principal().tenant() == Some(tenant));
///         Ok(if is_own { PolicyDecision::Allow } else { PolicyDecision::Hide })
///     }
/// }
/// ```
pub trait AsyncPolicy: Send + Sync + 'static {
    /// Why there is no decision. It is told to logs alone: keep secrets out of its text.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Whether the request may pass.
    fn decide(&self, query: &PolicyQuery)
    -> impl Future<Output = Result<PolicyDecision, Self::Error>> + Send;
}

/// An [`AsyncPolicy`] and how it is asked; given to a layer with
/// [`with_policy`](crate::AuthorizeLayer::with_policy). Clones share the policy and what is remembered.
///
/// A policy that fails, or takes longer than its time, lets nobody pass: 503, `UNAVAILABLE`. The time is tokio's: the
/// service must run on a runtime of tokio with timers enabled.
#[derive(Clone)]
#[must_use = "a policy is asked by a layer"]
pub struct AccessPolicy(Arc<Settings>);

#[derive(Clone)]
struct Settings {
    ask: Arc<dyn Ask>,
    attributes: Vec<(&'static str, Attribute)>,
    timeout: Duration,
    memory: Option<Arc<Memory>>,
    clock: Clock,
}

type Attribute = Arc<dyn Fn(&Access<'_>) -> Option<String> + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<PolicyDecision, Failure>> + Send>>;

impl AccessPolicy {
    /// How long a policy may take, unless it is told otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);

    /// Asks `policy` about each request, and waits at most [`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT).
    pub fn new(policy: impl AsyncPolicy) -> Self {
        Self(Arc::new(Settings {
            ask: Arc::new(policy),
            attributes: Vec::new(),
            timeout: Self::DEFAULT_TIMEOUT,
            memory: None,
            clock: Clock::system(),
        }))
    }

    /// How long the policy may take. Default: 500 ms.
    ///
    /// # Errors
    ///
    /// When it is zero or more than a minute.
    pub fn with_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() || timeout > Duration::from_secs(60) {
            return Err(ConfigError::new(
                Part::AccessPolicy,
                "timeout",
                "must be more than nothing and at most a minute",
            ));
        }
        self.edit().timeout = timeout;
        Ok(self)
    }

    /// Remembers up to `capacity` decisions for `ttl`, and none for longer than the credential works that it was
    /// made for. Failures are not remembered, nor is what was decided over a path that has, with its parameters, more
    /// than 2048 bytes: how much is kept is not the caller's to choose. Default: nothing is.
    ///
    /// # Errors
    ///
    /// When the capacity is zero or more than a million, or the time zero or more than an hour.
    pub fn with_cache(mut self, capacity: usize, ttl: Duration) -> Result<Self, ConfigError> {
        if !(1..=1_000_000).contains(&capacity) {
            return Err(ConfigError::new(Part::AccessPolicy, "capacity", "must be 1 to 1 000 000"));
        }
        if ttl.is_zero() || ttl > Duration::from_secs(3600) {
            return Err(ConfigError::new(
                Part::AccessPolicy,
                "ttl",
                "must be more than nothing and at most an hour",
            ));
        }
        self.edit().memory = Some(Arc::new(Memory { decisions: Cache::new(capacity), ttl }));
        Ok(self)
    }

    /// Shows the policy something more of the request: a header, a claim. At most 1024 bytes of it are passed on;
    /// with more the request is refused as if the policy had failed. Default: nothing.
    pub fn with_attribute<F>(mut self, name: &'static str, attribute: F) -> Self
    where
        F: Fn(&Access<'_>) -> Option<String> + Send + Sync + 'static,
    {
        self.edit().attributes.push((name, Arc::new(attribute)));
        self
    }

    /// The clock that says how long a decision is remembered, and whether a credential still works. Default: the
    /// system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.edit().clock = clock;
        self
    }

    /// A clone made before keeps its own settings.
    fn edit(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }

    /// What the policy is asked about this request.
    pub(super) fn query<B>(&self, request: &Request<B>, access: &Access<'_>) -> Result<PolicyQuery, Failure> {
        const MAX_ATTRIBUTE: usize = 1024;
        let mut attributes = Vec::with_capacity(self.0.attributes.len());
        for (name, attribute) in &self.0.attributes {
            match attribute(access) {
                Some(value) if value.len() > MAX_ATTRIBUTE => return Err(Failure::PolicyUnavailable),
                Some(value) => attributes.push((*name, value.into_boxed_str())),
                None => {}
            }
        }
        Ok(PolicyQuery::new(request, access, attributes))
    }

    /// The decision, if it was made before and may still be used.
    pub(super) fn remembered(&self, query: &PolicyQuery) -> Option<PolicyDecision> {
        let memory = self.0.memory.as_ref().filter(|_| query.is_short())?;
        let remembered = memory.decisions.get(query)?;
        (self.0.clock.now() < remembered.until && self.is_valid(query)).then_some(remembered.decision)
    }

    /// Asks the policy.
    pub(super) async fn ask(self, query: PolicyQuery) -> Result<PolicyDecision, Failure> {
        let decided = timeout(self.0.timeout, Arc::clone(&self.0.ask).ask(query.clone())).await;
        let decision = decided.unwrap_or_else(|_| {
            telemetry::policy_failed(&"it took too long");
            Err(Failure::PolicyUnavailable)
        })?;
        if let Some(memory) = &self.0.memory
            && query.is_short()
            && self.is_valid(&query)
        {
            let until = self.0.clock.now() + memory.ttl;
            memory.decisions.insert(query, Remembered { decision, until });
        }
        Ok(decision)
    }

    fn is_valid(&self, query: &PolicyQuery) -> bool {
        query.principal().expires_at().is_none_or(|end| self.0.clock.wall() < end)
    }
}

impl fmt::Debug for AccessPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes: Vec<_> = self.0.attributes.iter().map(|(name, _)| name).collect();
        f.debug_struct("AccessPolicy")
            .field("timeout", &self.0.timeout)
            .field("attributes", &attributes)
            .field(
                "remembers",
                &self.0.memory.as_ref().map(|memory| (memory.decisions.capacity(), memory.ttl)),
            )
            .finish_non_exhaustive()
    }
}

/// Bounded: what is asked least goes first.
struct Memory {
    decisions: Cache<PolicyQuery, Remembered>,
    ttl: Duration,
}

#[derive(Clone, Copy)]
struct Remembered {
    decision: PolicyDecision,
    until: Instant,
}

/// An [`AsyncPolicy`] whose type is not known.
trait Ask: Send + Sync {
    fn ask(self: Arc<Self>, query: PolicyQuery) -> Asked;
}

impl<P: AsyncPolicy> Ask for P {
    fn ask(self: Arc<Self>, query: PolicyQuery) -> Asked {
        Box::pin(async move {
            self.decide(&query).await.map_err(|error| {
                telemetry::policy_failed(&error);
                Failure::PolicyUnavailable
            })
        })
    }
}
