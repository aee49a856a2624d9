//! Where keys are found.

use std::{future::Future, ops::Deref, sync::Arc};

use crate::{KeyRecord, StoredKey};

/// Finds a key by its public part. Shared by all requests, so a lookup must not wait.
///
/// [`StaticKeys`](crate::StaticKeys) is the store that most services want, [`FileKeys`](crate::FileKeys) the same
/// kept in a file. One that must ask elsewhere is an [`AsyncKeyStore`]. A store of one's own that answers from
/// memory:
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

/// Finds what is stored of a key by asking elsewhere: a database, another service. Used through
/// [`CachedKeys`](crate::CachedKeys), which asks seldom, and for each key once at a time.
///
/// ```
/// use std::{collections::HashMap, convert::Infallible};
/// use bartizan_auth::{ApiKeyLayer, AsyncKeyStore, CachedKeys, KeyRecord};
///
/// struct Database(HashMap<String, KeyRecord>);
///
/// impl AsyncKeyStore for Database {
///     type Error = Infallible;
///
///     async fn fetch(&self, id: &str) -> Result<Option<KeyRecord>, Infallible> {
///         Ok(self.0.get(id).cloned()) // A query, most often.
///     }
/// }
///
/// let layer = ApiKeyLayer::new(CachedKeys::new(Database(HashMap::new())));
/// # let _ = layer;
/// ```
pub trait AsyncKeyStore: Send + Sync + 'static {
    /// Why the store does not know. It is told to logs alone: keep secrets out of its text.
    type Error: std::error::Error + Send + Sync + 'static;

    /// What is stored of the key whose public part, `<prefix>_<id>`, is `id`; `None` if there is no such key.
    fn fetch(&self, id: &str) -> impl Future<Output = Result<Option<KeyRecord>, Self::Error>> + Send;
}
