//! Records in configuration.

use std::{fmt, net::IpAddr, time::SystemTime};

use bartizan_core::PrincipalKind;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD_INDIFFERENT as BASE64};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{Digest, KeyRecord};
use crate::{ConfigError, error::Part};

/// A record as it is written: texts that are still to be read.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRecord {
    id: String,
    #[serde(deserialize_with = "read_digests")]
    digests: Vec<String>,
    owner: String,
    #[serde(default, skip_serializing_if = "RawKind::is_default")]
    kind: RawKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    networks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    #[default]
    Service,
    User,
}

impl RawKind {
    fn is_default(&self) -> bool {
        matches!(self, Self::Service)
    }
}

impl<'de> Deserialize<'de> for KeyRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(RawRecord::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for KeyRecord {
    /// As configuration has it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.clone();
        let time = |time: Option<SystemTime>| time.map(write_time).transpose().map_err(ser::Error::custom);
        let raw = RawRecord {
            id: record.id,
            digests: record.digests.into_iter().map(write_digest).collect(),
            owner: record.owner,
            kind: if record.kind == PrincipalKind::User { RawKind::User } else { RawKind::Service },
            issuer: record.issuer,
            scopes: record.scopes,
            roles: record.roles,
            tenant: record.tenant,
            tier: record.tier,
            networks: record.networks.iter().map(IpNet::to_string).collect(),
            routes: record.routes,
            not_before: time(record.not_before)?,
            expires_at: time(record.expires_at)?,
            revoked_at: time(record.revoked_at)?,
        };
        raw.serialize(serializer)
    }
}

impl TryFrom<RawRecord> for KeyRecord {
    type Error = ConfigError;

    fn try_from(raw: RawRecord) -> Result<Self, ConfigError> {
        Ok(Self {
            id: raw.id,
            digests: read_each("digests", &raw.digests, DIGEST_FORM, read_digest)?,
            owner: raw.owner,
            kind: match raw.kind {
                RawKind::Service => PrincipalKind::Service,
                RawKind::User => PrincipalKind::User,
            },
            issuer: raw.issuer,
            scopes: raw.scopes,
            roles: raw.roles,
            tenant: raw.tenant,
            tier: raw.tier,
            networks: read_each("networks", &raw.networks, "must be a network or an address", read_network)?,
            routes: raw.routes,
            not_before: read_time("not_before", raw.not_before.as_deref())?,
            expires_at: read_time("expires_at", raw.expires_at.as_deref())?,
            revoked_at: read_time("revoked_at", raw.revoked_at.as_deref())?,
        })
    }
}

fn read_each<T>(
    field: &'static str,
    texts: &[String],
    form: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ConfigError> {
    let read = |(index, text): (usize, &String)| {
        read(text).ok_or_else(|| ConfigError::new(Part::ApiKey, format!("{field}[{index}]"), form))
    };
    texts.iter().enumerate().map(read).collect()
}

/// A list of texts. Somebody may have put the key itself in its place, which serde's own error would repeat.
fn read_digests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Digests;

    impl<'de> de::Visitor<'de> for Digests {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of digests")
        }

        fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
            Err(E::custom("`digests` must be a list, and never the secret"))
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut digests = Vec::new();
            while let Some(digest) = items.next_element()? {
                digests.push(digest);
            }
            Ok(digests)
        }
    }

    // Asked for a list, `serde_json` would refuse a text by itself, and repeat it.
    deserializer.deserialize_any(Digests)
}

const ALGORITHM: &str = "sha256:";
const DIGEST_FORM: &str =
    "must be a SHA-256 digest, 64 hex digits or base64 of 32 bytes, and never the secret";

fn read_digest(text: &str) -> Option<Digest> {
    let text = text.strip_prefix(ALGORITHM).unwrap_or(text);
    if text.len() == 64 {
        return read_hex(text.as_bytes()).map(Digest);
    }
    let mut bytes = [0; 33]; // What 44 characters may decode to.
    let length = BASE64.decode_slice(text, &mut bytes).ok()?;
    if length == 32 { bytes.first_chunk().copied().map(Digest) } else { None }
}

fn read_hex(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn write_digest(digest: Digest) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(ALGORITHM.len() + 64);
    text.push_str(ALGORITHM);
    for byte in digest.0 {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn read_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().map(|addr: IpAddr| addr.into()).ok())
}

fn read_time(field: &'static str, text: Option<&str>) -> Result<Option<SystemTime>, ConfigError> {
    let read = |text: &str| text.parse::<jiff::Timestamp>().map(SystemTime::from);
    text.map(read)
        .transpose()
        .map_err(|_| ConfigError::new(Part::ApiKey, field, "must be a time in the form of RFC 3339"))
}

fn write_time(time: SystemTime) -> Result<String, &'static str> {
    let timestamp =
        jiff::Timestamp::try_from(time).map_err(|_| "a time lies outside the years of RFC 3339")?;
    Ok(timestamp.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ApiKey;

    const HEX: &str = "861009ec4d599fab1f40abc76e6f89880cff5833c79c548c99f9045f191cd90b";
    const BASE64: &str = "hhAJ7E1Zn6sfQKvHbm+JiAz/WDPHnFSMmfkEXxkc2Qs=";

    fn record(change: impl FnOnce(&mut Value)) -> Result<KeyRecord, String> {
        let mut value = json!({"id": "orders_dev", "digests": [HEX], "owner": "billing"});
        change(&mut value);
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn key_02_a_digest_may_be_hex_or_base64() {
        let hex = record(|_| {}).unwrap();
        let same = [BASE64.to_owned(), BASE64.replace('=', ""), HEX.to_uppercase(), format!("sha256:{HEX}")];
        for text in same {
            assert_eq!(record(|value| value["digests"][0] = text.clone().into()).unwrap(), hex, "{text}");
        }
    }

    #[test]
    fn key_02_a_secret_in_the_place_of_a_digest_is_refused_and_not_repeated() {
        let key = ApiKey::generate("orders").unwrap();
        let wrong = [key.expose(), "", "md5:00", &HEX[1..], &format!("{HEX}00"), &"!".repeat(64)];
        for text in wrong {
            let error = record(|value| value["digests"] = json!([HEX, text])).unwrap_err();
            assert!(error.contains("`digests[1]`"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let time = |secs| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(secs);
        let full = ApiKey::generate("orders")
            .unwrap()
            .record("billing")
            .with_kind(PrincipalKind::User)
            .with_issuer("keys")
            .with_scopes(["b", "a"])
            .with_roles(["admin"])
            .with_tenant("acme")
            .with_tier("gold")
            .with_networks(["10.0.0.0/8".parse().unwrap()])
            .with_routes(["/v1/orders"])
            .with_not_before(time(1))
            .with_expires_at(time(1_900_000_000))
            .with_revoked_at(time(2));
        for written in [full, ApiKey::generate("orders").unwrap().record("x")] {
            let text = serde_json::to_string(&written).unwrap();
            assert_eq!(serde_json::from_str::<KeyRecord>(&text).unwrap(), written, "{text}");
        }
    }

    #[test]
    fn a_value_that_does_not_read_is_named() {
        let wrong: [(&str, Value); 5] = [
            ("`networks[1]`", json!({"networks": ["10.0.0.1", "10.0.0.0/33"]})),
            ("`expires_at`", json!({"expires_at": "tomorrow"})),
            ("`not_before`", json!({"not_before": "2030-01-01"})),
            ("`secret`", json!({"secret": "x"})),
            ("`robot`", json!({"kind": "robot"})),
        ];
        for (field, members) in wrong {
            let error = record(|value| {
                let members = members.as_object().unwrap().clone();
                value.as_object_mut().unwrap().extend(members);
            });
            let error = error.unwrap_err();
            assert!(error.contains(field), "{error}");
        }
    }
}
