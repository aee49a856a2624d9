//! Keys that are replaced while the service runs.

use std::{
    fmt,
    future::Ready,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::KeySet;
use crate::jwt::{KeyQuery, KeySource, Lookup};

/// A [`KeySet`] that is replaced as a whole while the service runs. Clones share the set.
///
/// Readers take no lock. After any change of the keys, tokens that were verified before are verified once more: those of
/// a removed key are refused.
#[derive(Clone)]
pub struct SharedKeys(Arc<Inner>);

struct Inner {
    keys: ArcSwap<KeySet>,
    generation: AtomicU64,
}

impl SharedKeys {
    /// Begins with this set.
    pub fn new(keys: KeySet) -> Self {
        Self(Arc::new(Inner { keys: ArcSwap::from_pointee(keys), generation: AtomicU64::new(0) }))
    }

    /// The set in force.
    pub fn current(&self) -> Arc<KeySet> {
        self.0.keys.load_full()
    }

    /// Puts another set in force, for the next look-up.
    pub fn replace(&self, keys: KeySet) {
        let keys = Arc::new(keys);
        let former = self.0.keys.swap(Arc::clone(&keys));
        // After the swap: a token verified in between counts as one of the former keys.
        if !keys.is_same(&former) {
            self.0.generation.fetch_add(1, Ordering::Release);
        }
    }
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedKeys").field(&self.0.keys.load()).finish()
    }
}

impl KeySource for SharedKeys {
    type Refresh = Ready<()>;

    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup {
        self.0.keys.load().find(query)
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    fn refresh(&self, _: &KeyQuery<'_>) -> Option<Self::Refresh> {
        None
    }
}
