//! Which recorder the metrics go to.

use std::{fmt, ptr, sync::Arc};

use metrics::Recorder;

/// The recorder in force, or one for this layer alone.
#[derive(Clone, Default)]
pub(crate) enum Target {
    #[default]
    InForce,
    Pinned(Arc<dyn Recorder + Send + Sync>),
}

impl Target {
    /// Which recorder [`with`](Self::with) would give.
    #[inline]
    pub(crate) fn address(&self) -> Address {
        self.with(Address::of)
    }

    #[inline]
    pub(crate) fn with<T>(&self, run: impl FnOnce(&dyn Recorder) -> T) -> T {
        match self {
            Self::InForce => metrics::with_recorder(run),
            Self::Pinned(recorder) => run(&**recorder),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InForce => "InForce",
            Self::Pinned(_) => "Pinned",
        })
    }
}

/// Tells one recorder from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(usize);

impl Address {
    #[inline]
    pub(crate) fn of(recorder: &dyn Recorder) -> Self {
        Self(ptr::from_ref(recorder).cast::<()>().addr())
    }
}
