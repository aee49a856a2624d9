//! The development keys.
//!
//! A real service keeps the digests of its keys in its configuration, and no key in its source.

use bartizan::auth::{ApiKey, KeyRecord, ParseKeyError};
use serde_json::json;

/// A key with both scopes.
pub const WRITER_KEY: &str = "inventory_dev_writer_DevelopmentKeyThatWritesAndReads3I7FpN";

/// A key with `inventory:read` alone.
pub const READER_KEY: &str = "inventory_dev_reader_DevelopmentKeyThatDoesNothingBut2fJqHC";

const KEYS: [(&str, &str, &[&str]); 2] = [
    (WRITER_KEY, "writer", &["inventory:read", "inventory:write"]),
    (READER_KEY, "reader", &["inventory:read"]),
];

/// The development keys as a JSON array of `{"key": …, "scopes": […]}`.
pub fn development_keys() -> String {
    let keys: Vec<_> = KEYS.iter().map(|(key, _, scopes)| json!({ "key": key, "scopes": scopes })).collect();
    format!("{:#}", serde_json::Value::from(keys))
}

/// What the service stores of them.
pub(crate) fn records() -> Result<Vec<KeyRecord>, ParseKeyError> {
    let record = |(key, owner, scopes): &(&str, &str, &[&str])| {
        let key: ApiKey = key.parse()?;
        Ok(key.record(*owner).with_scopes(scopes.iter().copied()))
    };
    KEYS.iter().map(record).collect()
}
