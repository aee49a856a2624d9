//! What the fetching of keys tells.

use std::time::SystemTime;

use super::attempt::AttemptError;
use crate::{KeySet, outbound::Tally};

#[cfg(feature = "metrics")]
mod metric {
    use crate::outbound::Metric;

    const SOURCE: &str = "issuer";

    pub(super) const REFRESHES: Metric = Metric {
        name: "bartizan_jwks_refreshes_total",
        help: "Fetches of keys, by issuer and outcome.",
        source: SOURCE,
    };

    /// A time, and not an age, which would be right at the moment of a refresh alone.
    pub(super) const REFRESHED: Metric = Metric {
        name: "bartizan_jwks_refreshed_timestamp_seconds",
        help: "When the keys in force were fetched, by issuer.",
        source: SOURCE,
    };

    pub(super) const EXPOSED: Metric = Metric {
        name: "bartizan_jwks_exposed_keys_total",
        help: "Secrets that an issuer published among its public keys, by issuer and kind.",
        source: SOURCE,
    };
}

/// Counts and tells what becomes of one issuer's keys.
#[derive(Clone, Default)]
pub(super) struct Telemetry(pub(super) Tally);

impl Telemetry {
    /// Keys were fetched at `wall`, and are in force.
    pub(super) fn loaded(&self, keys: &KeySet, changed: bool, wall: SystemTime) {
        #[cfg(feature = "tracing")]
        if changed {
            tracing::info!(
                target: "bartizan::auth", event = "sys_config_change", issuer = self.0.name(), keys = keys.len(),
                ignored = keys.ignored().len(), "fetched other keys"
            );
        } else {
            tracing::debug!(target: "bartizan::auth", issuer = self.0.name(), keys = keys.len(), "fetched the same keys");
        }
        #[cfg(feature = "metrics")]
        {
            self.0.increment(metric::REFRESHES, "outcome", "success");
            let time = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.0.set_seconds(metric::REFRESHED, time.as_secs_f64());
        }
        let _ = (changed, wall);
        for key in keys.ignored() {
            match key.reason() {
                crate::KeyError::Symmetric => self.exposed(key.kid(), "symmetric"),
                crate::KeyError::Private => self.exposed(key.kid(), "private"),
                _ => {}
            }
        }
    }

    /// A secret in a key set is known to everybody: all that it signed is worthless, here and elsewhere.
    fn exposed(&self, kid: Option<&str>, kind: &'static str) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "bartizan::auth", issuer = self.0.name(), kid, kind,
            "the key set publishes a secret; it is not used here, and should be replaced everywhere"
        );
        #[cfg(feature = "metrics")]
        self.0.increment(metric::EXPOSED, "kind", kind);
        let _ = (kid, kind);
    }

    /// Keys could not be fetched; whether others are in force.
    pub(super) fn failed(&self, error: &AttemptError, has_keys: bool) {
        #[cfg(feature = "tracing")]
        {
            let (issuer, error) = (self.0.name(), crate::outbound::text_of(error));
            if has_keys {
                tracing::warn!(target: "bartizan::auth", issuer, error, "could not fetch keys; the last good ones stay");
            } else {
                tracing::error!(target: "bartizan::auth", issuer, error, "could not fetch keys, and there are none");
            }
        }
        #[cfg(feature = "metrics")]
        self.0.increment(metric::REFRESHES, "outcome", error.outcome());
        let _ = (error, has_keys);
    }

    /// The last good keys have reached the hard limit.
    pub(super) fn gave_up(&self) {
        #[cfg(feature = "tracing")]
        tracing::error!(
            target: "bartizan::auth", issuer = self.0.name(), "the keys are too old to be trusted, and no others came"
        );
    }
}
