//! API keys: their form, what is stored of them, and what is ready for use.

mod api_key;
mod digest;
mod format;
mod record;
mod serde_record;
mod stored;

#[cfg(test)]
pub(crate) use self::digest::calls;
pub use self::{api_key::ApiKey, record::KeyRecord, stored::StoredKey};
pub(crate) use self::{
    digest::{Digest, SecretDigests, sha256},
    format::{Presented, is_text, parse},
    serde_record::RawRecord,
};
