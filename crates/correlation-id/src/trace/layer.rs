//! The layer and its settings.

use std::{fmt, sync::Arc};

use bartizan_core::{ServerLayer, fact, phase};
use tower_layer::Layer;

use super::{TraceContextService, member::OwnEntry, place::Policy, span::SpanSetting};
use crate::{ConfigError, Trust};

/// Gives every request its place in a distributed trace: continues the caller's, or begins one.
///
/// See the [crate documentation](crate#traces).
#[derive(Clone)]
#[must_use]
pub struct TraceContextLayer {
    settings: Arc<Settings>,
}

#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    pub(super) span: SpanSetting,
}

impl TraceContextLayer {
    /// The layer with its defaults: [`Trust::Internal`], every trace that begins here sampled, no entry of its own in
    /// `tracestate`, no span.
    pub fn new() -> Self {
        Self { settings: Arc::default() }
    }

    pub(super) fn edit(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Whether a caller's trace goes on. Default: [`Trust::Internal`].
    ///
    /// [`Trust::Edge`] restarts every trace: new ids, no `tracestate`, no baggage, and the caller's sampled flag
    /// does not count.
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.edit().policy.trust = trust;
        self
    }

    /// The share of the traces begun here that are sampled, from 0.0 to 1.0. Default: 1.0, all of them.
    ///
    /// That is what OpenTelemetry's SDKs do unless they are told otherwise, and for a reason: they and the services
    /// behind this one follow the flag, so that a trace which begins unsampled is recorded nowhere. It is decided by
    /// the random part of the trace id, and so alike wherever the same share is asked for.
    ///
    /// # Errors
    ///
    /// When the share is not between 0 and 1.
    pub fn with_sampled_share(mut self, share: f64) -> Result<Self, ConfigError> {
        let sampling = self.settings.policy.sampling;
        self.edit().policy.sampling = sampling.with_share(share).ok_or(ConfigError::SampledShare)?;
        Ok(self)
    }

    /// Whether the sampled flag of a caller counts, rather than the [share](Self::with_sampled_share). Default: yes
    /// where the caller's trace goes on, no at the edge.
    pub fn with_caller_sampling(mut self, counts: bool) -> Self {
        let sampling = self.settings.policy.sampling;
        self.edit().policy.sampling = sampling.with_caller(counts);
        self
    }

    /// Puts an entry of our own before the others in `tracestate`, in place of one of this key. Default: none.
    ///
    /// ```
    /// use bartizan_correlation_id::TraceContextLayer;
    ///
    /// let layer = TraceContextLayer::new().with_state_entry("acme", "zone:eu1")?;
    /// assert!(TraceContextLayer::new().with_state_entry("Acme", "a,b").is_err());
    /// # Ok::<_, bartizan_correlation_id::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the key is not `[a-z0-9]` and then up to 255 of `[a-z0-9_*/@-]`, the value not 1 to 256 printable
    /// characters without `,` and `=` that do not end in a space, or both together over 128 characters.
    pub fn with_state_entry(
        mut self,
        key: impl AsRef<str>,
        value: impl AsRef<str>,
    ) -> Result<Self, ConfigError> {
        let (key, value) = (key.as_ref(), value.as_ref());
        let own = OwnEntry::new(key, value)
            .ok_or_else(|| ConfigError::StateEntry { key: key.to_owned(), value: value.to_owned() })?;
        self.edit().policy.own = Some(own);
        Ok(self)
    }
}

impl Default for TraceContextLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TraceContextLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceContextLayer")
            .field("policy", &self.settings.policy)
            .field("span", &self.settings.span)
            .finish()
    }
}

impl ServerLayer for TraceContextLayer {
    type Phase = phase::Trace;
    type Needs = ();
    type Provides = fact::Trace;

    fn name(&self) -> &'static str {
        "trace_context"
    }
}

impl<S> Layer<S> for TraceContextLayer {
    type Service = TraceContextService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraceContextService::new(inner, Arc::clone(&self.settings))
    }
}
