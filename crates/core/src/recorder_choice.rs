//! Where a layer counts.

use std::fmt;
#[cfg(feature = "metrics")]
use std::sync::Arc;

/// The recorder that a layer counts in: the one in force, unless it was given its own. Part of a layer's settings.
///
/// Without the feature `metrics` there is nothing to choose.
#[derive(Clone, Default)]
pub struct RecorderChoice {
    #[cfg(feature = "metrics")]
    pub(crate) pinned: Option<Arc<dyn metrics::Recorder + Send + Sync>>,
}

impl RecorderChoice {
    /// `recorder` alone, whichever is in force.
    #[cfg(feature = "metrics")]
    pub fn pinned(recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        Self { pinned: Some(Arc::new(recorder)) }
    }
}

impl fmt::Debug for RecorderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RecorderChoice");
        #[cfg(feature = "metrics")]
        shown.field("pinned", &self.pinned.is_some());
        shown.finish()
    }
}
