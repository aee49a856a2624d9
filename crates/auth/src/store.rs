//! Where keys are found.

use std::{ops::Deref, sync::Arc};

use crate::StoredKey;

/// Finds a key by its public part. Shared by all requests, so a lookup must not wait.
///
/// [`StaticKeys`](crate::StaticKeys) is the store that most services want. A store of one's own answers from
/// memory too:
///
/// ```
/// use std::collections::HashMap;
/// use bartizan_auth::{KeyStore, StoredKey};
///
/// struct Tenants(HashMap<String, StoredKey>);
///
/// impl KeyStore for Tenants {
///     type Found<'a> = &'a StoredKey;
///
///     fn lookup(&self, id: &str) -> Option<&StoredKey> {
///         self.0.get(id)
///     }
/// }
/// ```
pub trait KeyStore: Send + Sync + 'static {
    /// A key found: a reference, an `Arc`, or a guard of the store.
    type Found<'a>: Deref<Target = StoredKey>
    where
        Self: 'a;

    /// The key whose public part, `<prefix>_<id>`, is `id`: at most 57 bytes of letters, digits and `_`.
    fn lookup(&self, id: &str) -> Option<Self::Found<'_>>;
}

impl<K: KeyStore> KeyStore for Arc<K> {
    type Found<'a> = K::Found<'a>;

    fn lookup(&self, id: &str) -> Option<K::Found<'_>> {
        (**self).lookup(id)
    }
}
