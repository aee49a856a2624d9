//! What the fetching of tokens tells.

use super::grant::GrantError;
use crate::outbound::Tally;

#[cfg(feature = "metrics")]
const REFRESHES: crate::outbound::Metric = crate::outbound::Metric {
    name: "bartizan_bearer_refreshes_total",
    help: "Tokens asked for, by endpoint and outcome.",
    source: "endpoint",
};

/// Counts and tells what becomes of one client's tokens.
#[derive(Clone, Default)]
pub(super) struct Telemetry(pub(super) Tally);

impl Telemetry {
    pub(super) fn granted(&self, lifetime: std::time::Duration) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "bartizan::auth", endpoint = self.0.name(), lifetime_s = lifetime.as_secs(), "got a token"
        );
        #[cfg(feature = "metrics")]
        self.0.increment(REFRESHES, "outcome", "success");
        let _ = lifetime;
    }

    /// There is no new token; whether an older one still works.
    pub(super) fn failed(&self, error: &GrantError, has_token: bool) {
        #[cfg(feature = "tracing")]
        {
            let (endpoint, error) = (self.0.name(), crate::outbound::text_of(error));
            if has_token {
                tracing::warn!(target: "bartizan::auth", endpoint, error, "got no new token; the older one still works");
            } else {
                tracing::error!(target: "bartizan::auth", endpoint, error, "got no token, and there is none");
            }
        }
        #[cfg(feature = "metrics")]
        self.0.increment(REFRESHES, "outcome", error.outcome());
        let _ = (error, has_token);
    }
}
