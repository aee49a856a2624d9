//! The layer.

use std::{fmt, sync::Arc};

use bartizan_core::{ServerLayer, phase};
use tower_layer::Layer;

use crate::{AllowList, ArchiveLimits, UploadLimits, UploadService, fault, policy::Policy};

/// Lets files of the allowed types in, in forms within limits.
///
/// See the [crate's documentation](crate) for an example and for the behaviour. Clones share the settings.
#[derive(Clone)]
#[must_use]
pub struct UploadLayer {
    policy: Arc<Policy>,
}

impl UploadLayer {
    /// Accepts files of these types, within the default limits. With an empty list it accepts forms without files.
    pub fn new(allow: AllowList) -> Self {
        Self { policy: Arc::new(Policy { allow, ..Policy::default() }) }
    }

    /// How much a form may hold. Default: [`UploadLimits::new`].
    pub fn with_limits(self, limits: UploadLimits) -> Self {
        self.with(|policy| policy.limits = limits)
    }

    /// How much an archive may hold. Default: [`ArchiveLimits::new`].
    pub fn with_archive_limits(self, limits: ArchiveLimits) -> Self {
        self.with(|policy| policy.archives = limits)
    }

    /// Refuses bodies that are no forms with a 415: for a layer on the route of an upload. Default: they go on
    /// untouched.
    pub fn with_forms_only(self) -> Self {
        self.with(|policy| policy.forms_only = true)
    }

    /// Files that would be refused for their type, their name or what is in them are counted and told, and handed on,
    /// so that a list can be tried on real traffic first. What is no form, or over a limit, is refused all the same.
    pub fn with_report_only(self) -> Self {
        self.with(|policy| policy.report_only = true)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with(|policy| policy.telemetry = crate::telemetry::Telemetry::pinned(recorder))
    }

    fn with(self, set: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Arc::unwrap_or_clone(self.policy);
        set(&mut policy);
        Self { policy: Arc::new(policy) }
    }
}

impl fmt::Debug for UploadLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadLayer").field("policy", &self.policy).finish()
    }
}

impl ServerLayer for UploadLayer {
    type Phase = phase::Validation;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        fault::LAYER
    }
}

impl<S> Layer<S> for UploadLayer {
    type Service = UploadService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        UploadService::new(inner, Arc::clone(&self.policy))
    }
}
