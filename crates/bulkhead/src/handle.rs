//! What is under way, for those who want to know.

use std::{fmt, sync::Arc};

use crate::{limit::sealed::Limit, rooms::Rooms};

/// Reads the state of a layer while it is in use: for a health endpoint, a dashboard, a decision to scale. Clones read
/// the same.
///
/// ```
/// use bartizan_bulkhead::BulkheadLayer;
///
/// let layer = BulkheadLayer::new(100)?;
/// let handle = layer.handle();
/// assert_eq!((handle.limit(), handle.in_flight(), handle.queued()), (100, 0, 0));
/// # Ok::<(), bartizan_bulkhead::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct BulkheadHandle(Arc<dyn Read>);

trait Read: Send + Sync {
    fn in_flight(&self) -> usize;
    fn queued(&self) -> usize;
    fn limit(&self) -> u32;
}

impl<L: Limit> Read for Rooms<L> {
    fn in_flight(&self) -> usize {
        self.in_flight()
    }

    fn queued(&self) -> usize {
        self.queued()
    }

    fn limit(&self) -> u32 {
        self.limit()
    }
}

impl BulkheadHandle {
    pub(crate) fn new<L: Limit>(rooms: Arc<Rooms<L>>) -> Self {
        Self(rooms)
    }

    /// How many requests hold a place, of all keys.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight()
    }

    /// How many requests wait, of all keys.
    pub fn queued(&self) -> usize {
        self.0.queued()
    }

    /// How many requests of a key may be under way. A limit that was found is the lowest of the keys that are known.
    pub fn limit(&self) -> u32 {
        self.0.limit()
    }
}

impl fmt::Debug for BulkheadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadHandle")
            .field("limit", &self.limit())
            .field("in_flight", &self.in_flight())
            .field("queued", &self.queued())
            .finish()
    }
}
