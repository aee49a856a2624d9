//! What a response tells of the quota.

pub(crate) mod draft10;
mod legacy;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    Decision,
    policy::{Notes, Shared},
    store::Note,
};

/// Which header fields tell a caller what is left of its quota, see
/// [`RateLimitLayer::with_headers`](crate::RateLimitLayer::with_headers).
///
/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): a list member per limit, such as
/// `"per-principal";r=49;t=1` and `"per-principal";q=100;w=2`. Several layers add to one list.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct HeaderFields {
    legacy: Option<Reset>,
}

/// What `X-RateLimit-Reset` holds. Both are found in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// Seconds from now.
    Delta,
    /// Seconds since 1970.
    Epoch,
}

impl HeaderFields {
    /// The standard's fields alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `X-RateLimit-Limit`, `-Remaining` and `-Reset` of the tightest limit, for clients that know no better.
    pub fn with_legacy(mut self, reset: Reset) -> Self {
        self.legacy = Some(reset);
        self
    }

    /// The fields for what was decided. A caller who was refused, here or further in, may come again after `retry_after`.
    pub(crate) fn of(self, shared: &Shared, notes: &Notes, retry_after: Option<Duration>) -> Fields {
        let is_told = |note: &Note| note.is_known() && !shared.limit(note).is_rehearsal();
        let told = || notes.iter().filter(|note| is_told(note));
        let legacy = self.legacy.and_then(|reset| {
            let tightest = told().map(|note| shared.decision(note)).min_by_key(Decision::remaining)?;
            Some(Box::new(legacy::Legacy::new(&tightest, reset, shared.clock())))
        });
        let draft = match notes {
            Notes::One(note) if is_told(note) => draft10::fields_of_one(shared, note, retry_after),
            Notes::One(_) => None,
            Notes::Several(_) => draft10::fields(shared, told(), retry_after),
        };
        Fields { draft, legacy }
    }
}

/// Header fields of one response, ready to be sent.
#[derive(Debug)]
pub(crate) struct Fields {
    /// `None` where nothing can be told.
    draft: Option<[HeaderValue; 2]>,
    legacy: Option<Box<legacy::Legacy>>,
}

impl Fields {
    /// Adds them to a response. Layers further in may have added their own.
    pub(crate) fn add_to(self, headers: &mut HeaderMap) {
        if let Some([policy, limit]) = self.draft {
            headers.append(draft10::POLICY, policy);
            headers.append(draft10::LIMIT, limit);
        }
        if let Some(legacy) = self.legacy {
            legacy.add_to(headers);
        }
    }

    /// All of them, for a response that is not there yet.
    pub(crate) fn into_pairs(self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = HeaderMap::new();
        self.add_to(&mut headers);
        headers.into_iter().filter_map(|(name, value)| Some((name?, value))).collect()
    }
}
