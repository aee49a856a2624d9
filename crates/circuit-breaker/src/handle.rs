//! Breakers from outside: what they are, and what they shall be.

use std::{fmt, sync::Arc};

use crate::{ConfigError, Snapshot, State, Transitions, breaker::Breaker, registry::Registry, slot::Slot};

/// The breakers of a layer from outside: for health endpoints, operators and tests. Made by
/// [`CircuitBreakerLayer::handle`](crate::CircuitBreakerLayer::handle); clones see the same breakers.
#[derive(Clone)]
pub struct CircuitBreakerHandle {
    registry: Arc<Registry>,
}

impl CircuitBreakerHandle {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// The name of the layer.
    pub fn name(&self) -> &str {
        &self.registry.common.settings.name
    }

    /// All breakers that have been used, in the order of their keys.
    pub fn breakers(&self) -> Vec<KeyedBreaker> {
        self.registry.all().into_iter().map(KeyedBreaker).collect()
    }

    /// The breaker of this key, if it has been used: `*` is the one that requests without a key share, and the only one
    /// with the key [`Single`](crate::Single).
    pub fn get(&self, key: &str) -> Option<KeyedBreaker> {
        self.registry.find(key).map(KeyedBreaker)
    }

    /// The breaker of this key, made if it has not been used: to force it before the first request. `*` is the one that
    /// requests without a key share; it is also what this is, and what [`key`](KeyedBreaker::key) says, when there is no room
    /// for another.
    pub fn breaker(&self, key: &str) -> KeyedBreaker {
        KeyedBreaker(self.registry.hold(key))
    }

    /// What all breakers are now, for a health endpoint. Says so to the metrics' recorder in force too, which may have
    /// come after the last change.
    ///
    /// An open breaker is no reason to take the service out of rotation: the service is well, and what it calls is not.
    pub fn report(&self) -> Vec<BreakerReport> {
        self.registry.common.telemetry.refresh();
        self.breakers().iter().map(KeyedBreaker::report).collect()
    }

    /// Whether no breaker refuses all calls now. One whose open time is over does not, also if nobody has called it since.
    pub fn is_all_well(&self) -> bool {
        let now = self.registry.common.settings.clock.now();
        !self.breakers().iter().any(|breaker| breaker.0.breaker.is_open(now))
    }

    /// Makes the changes of state that are due, in all breakers, without waiting for calls. Call it from a timer where
    /// the state must be that of the clock.
    pub fn advance(&self) {
        for breaker in self.breakers() {
            breaker.0.change(Breaker::advance);
        }
    }

    /// The changes of state from now on. At most `capacity` wait to be read; then the oldest are lost.
    ///
    /// # Errors
    ///
    /// When `capacity` is 0 or more than 65 536.
    pub fn subscribe(&self, capacity: usize) -> Result<Transitions, ConfigError> {
        if !(1..=65_536).contains(&capacity) {
            return Err(ConfigError::new("capacity", "must be 1 to 65536"));
        }
        Ok(self.registry.common.subscribers.subscribe(capacity))
    }
}

impl fmt::Debug for CircuitBreakerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CircuitBreakerHandle").field(&self.registry).finish()
    }
}

/// One breaker of a layer. It is that of its key for as long as it is held: meanwhile it gives its place to no other, however
/// idle it is.
#[derive(Clone, Debug)]
pub struct KeyedBreaker(Arc<Slot>);

impl KeyedBreaker {
    /// The key; `*` for the one that requests without a key share.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The state, as of the last call.
    pub fn state(&self) -> State {
        self.0.breaker.state()
    }

    /// What is known of it.
    pub fn report(&self) -> BreakerReport {
        let common = &self.0.common;
        BreakerReport {
            name: Arc::clone(&common.settings.name),
            key: Arc::clone(&self.0.key),
            snapshot: self.0.breaker.snapshot(common.settings.clock.now()),
        }
    }

    /// Lets no call pass until [`reset`](Self::reset).
    pub fn force_open(&self) {
        self.0.change(Breaker::force_open);
    }

    /// Lets all calls pass, and counts none, until [`reset`](Self::reset).
    pub fn force_closed(&self) {
        self.0.change(Breaker::force_closed);
    }

    /// Lets all calls pass, and counts them, until [`reset`](Self::reset).
    pub fn metrics_only(&self) {
        self.0.change(Breaker::metrics_only);
    }

    /// Closes it as if it were new.
    pub fn reset(&self) {
        self.0.change(Breaker::reset);
    }
}

/// What a breaker of a layer is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreakerReport {
    /// The name of the layer.
    pub name: Arc<str>,
    /// The key of the breaker; `*` for the one that requests without a key share.
    pub key: Arc<str>,
    /// Its state, and what it has counted.
    pub snapshot: Snapshot,
}
