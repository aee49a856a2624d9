//! Keys that the service was given, replaceable as a whole.

use std::{fmt, ops::Deref, sync::Arc, time::SystemTime};

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Deserializer, de};

use crate::{ConfigError, KeyRecord, KeyStore, StoredKey, error::Part, key::RawRecord};

/// Keys from code or configuration, held in memory. Clones share one set.
///
/// [`replace`](Self::replace) swaps the whole set atomically, which is how a revocation or a rotation reaches a
/// running service: no request sees half of it, and none waits. An empty set refuses every key.
///
/// With serde it is a list of [`KeyRecord`]s.
///
/// ```
/// use bartizan_auth::{ApiKey, StaticKeys};
///
/// let key = ApiKey::generate("orders")?;
/// let keys = StaticKeys::new([key.record("billing").with_scopes(["orders:read"])])?;
/// let twice = StaticKeys::new([key.record("billing"), key.record("shipping")]).unwrap_err();
/// assert_eq!(twice.field(), "keys[1].id");
///
/// keys.replace([])?; // revokes it, at once
/// assert!(keys.is_empty());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct StaticKeys(Arc<ArcSwap<KeySet>>);

impl StaticKeys {
    /// # Errors
    ///
    /// When a record holds a value that can never work, or two have the same id; names it as `keys[1].id`.
    pub fn new(records: impl IntoIterator<Item = KeyRecord>) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(KeySet::new(records)?))))
    }

    /// Puts another set in the place of this one, for all clones at once. Keys in both keep the time of their
    /// last use.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); the set is then unchanged.
    pub fn replace(&self, records: impl IntoIterator<Item = KeyRecord>) -> Result<(), ConfigError> {
        let set = KeySet::new(records)?;
        for older in &self.0.load().keys {
            if let Some(key) = set.position(older.id()) {
                set.keys[key].inherit(older);
            }
        }
        self.0.store(Arc::new(set));
        Ok(())
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.load().keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the key with this public part was last accepted, to the minute.
    pub fn last_used(&self, id: &str) -> Option<SystemTime> {
        self.lookup(id)?.last_used()
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("len", &self.len()).finish()
    }
}

impl<'de> Deserialize<'de> for StaticKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Vec::<RawRecord>::deserialize(deserializer)?;
        records(raw).and_then(Self::new).map_err(de::Error::custom)
    }
}

/// The records of a configuration.
pub(crate) fn records(raw: Vec<RawRecord>) -> Result<Vec<KeyRecord>, ConfigError> {
    let read = |(index, raw)| KeyRecord::try_from(raw).map_err(|error| at(error, index));
    raw.into_iter().enumerate().map(read).collect()
}

fn at(error: ConfigError, index: usize) -> ConfigError {
    error.within(format_args!("keys[{index}]"))
}

impl KeyStore for StaticKeys {
    type Found<'a> = FoundKey;

    fn lookup(&self, id: &str) -> Option<FoundKey> {
        let set = self.0.load();
        set.position(id).map(|position| FoundKey { set, position })
    }
}

/// A key of [`StaticKeys`]: it stays what it is while the set is replaced.
pub struct FoundKey {
    set: Guard<Arc<KeySet>>,
    position: usize,
}

impl Deref for FoundKey {
    type Target = StoredKey;

    fn deref(&self) -> &StoredKey {
        &self.set.keys[self.position]
    }
}

impl fmt::Debug for FoundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Keys, and where each stands. The ids are the service's own, so the hash need not resist chosen input: a
/// caller's id can only be looked up, never added.
struct KeySet {
    keys: Box<[StoredKey]>,
    positions: HashTable<usize>,
}

impl KeySet {
    fn new(records: impl IntoIterator<Item = KeyRecord>) -> Result<Self, ConfigError> {
        let mut keys: Vec<StoredKey> = Vec::new();
        let mut positions = HashTable::new();
        for (index, record) in records.into_iter().enumerate() {
            let key = StoredKey::new(record).map_err(|error| at(error, index))?;
            let entry = positions.entry(
                hash(key.id()),
                |position: &usize| keys[*position].id() == key.id(),
                |position| hash(keys[*position].id()),
            );
            match entry {
                hashbrown::hash_table::Entry::Occupied(_) => {
                    return Err(at(ConfigError::new(Part::ApiKey, "id", "is used twice"), index));
                }
                hashbrown::hash_table::Entry::Vacant(vacant) => {
                    vacant.insert(index);
                }
            }
            keys.push(key);
        }
        Ok(Self { keys: keys.into_boxed_slice(), positions })
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.positions.find(hash(id), |position| self.keys[*position].id() == id).copied()
    }
}

fn hash(id: &str) -> u64 {
    use std::hash::BuildHasher;
    FxBuildHasher.hash_one(id)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::ApiKey;

    #[test]
    fn every_key_is_found_by_its_public_part_and_no_other() {
        let generated: Vec<_> = (0..300).map(|_| ApiKey::generate("orders").unwrap()).collect();
        let records = generated.iter().enumerate().map(|(index, key)| key.record(format!("owner-{index}")));
        let keys = StaticKeys::new(records).unwrap();
        assert_eq!(keys.len(), 300);
        for (index, key) in generated.iter().enumerate() {
            let found = keys.lookup(key.id()).unwrap();
            assert_eq!((found.id(), found.principal().subject()), (key.id(), &*format!("owner-{index}")));
        }
        for id in ["", "orders", "orders_", ApiKey::generate("orders").unwrap().id()] {
            assert!(keys.lookup(id).is_none(), "{id}");
        }
    }

    #[test]
    fn key_03_a_replaced_set_is_seen_by_every_clone_and_keeps_the_last_use() {
        let (stays, goes) = (ApiKey::generate("orders").unwrap(), ApiKey::generate("orders").unwrap());
        let keys = StaticKeys::new([stays.record("a"), goes.record("b")]).unwrap();
        let clone = keys.clone();
        let minute = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        keys.lookup(stays.id()).unwrap().note_use(minute);

        let held = clone.lookup(goes.id()).unwrap();
        keys.replace([stays.record("a2")]).unwrap();
        assert_eq!(held.principal().subject(), "b", "a request in flight keeps what it found");
        assert!(clone.lookup(goes.id()).is_none());
        assert_eq!(clone.lookup(stays.id()).unwrap().principal().subject(), "a2");
        assert_eq!(clone.last_used(stays.id()), Some(minute));
        assert_eq!(clone.last_used(goes.id()), None);

        let error = keys.replace([goes.record("b"), stays.record(""), goes.record("c")]).unwrap_err();
        assert_eq!(error.field(), "keys[1].owner");
        assert_eq!(clone.len(), 1, "a bad set changes nothing");
    }

    #[test]
    fn a_configuration_is_read_and_its_faults_are_named() {
        let digest = "861009ec4d599fab1f40abc76e6f89880cff5833c79c548c99f9045f191cd90b";
        let good = json!({"id": "orders_a", "digests": [digest], "owner": "billing"});
        let keys: StaticKeys = serde_json::from_value(json!([good])).unwrap();
        assert_eq!(keys.lookup("orders_a").unwrap().principal().subject(), "billing");
        for (bad, field) in [
            (good.clone(), "`keys[1].id` is used twice"),
            (json!({"id": "a", "digests": [digest], "owner": "x"}), "`keys[1].id` must"),
            (json!({"id": "orders_b", "digests": ["x"], "owner": "x"}), "`keys[1].digests[0]`"),
            (
                json!({"id": "orders_b", "digests": [digest], "owner": "x", "scopes": [""]}),
                "`keys[1].scopes[0]`",
            ),
        ] {
            let error = serde_json::from_value::<StaticKeys>(json!([good, bad])).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
