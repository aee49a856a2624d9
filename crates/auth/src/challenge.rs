//! `WWW-Authenticate`.

use std::sync::{Mutex, PoisonError};

pub(crate) use bartizan_core::Challenges;
use http::{HeaderValue, StatusCode, header, response::Parts};

use crate::{ConfigError, error::Part};

/// The challenge where no layer was given a realm.
pub(crate) const DEFAULT: HeaderValue = HeaderValue::from_static("ApiKey realm=\"api\"");

/// `ApiKey realm="…"`. No scheme is registered for API keys.
pub(crate) fn for_realm(realm: &str) -> Result<HeaderValue, ConfigError> {
    let challenge = format!("ApiKey realm={}", quoted(Part::ApiKey, "realm", realm)?);
    HeaderValue::try_from(challenge).map_err(|_| ConfigError::new(Part::ApiKey, "realm", PARAMETER_FORM))
}

const PARAMETER_FORM: &str = "must have 1 to 128 printable ASCII characters";

/// The text of a challenge's parameter as a quoted-string (RFC 9110 section 5.6.4).
pub(crate) fn quoted(part: Part, field: &'static str, text: &str) -> Result<String, ConfigError> {
    const MAX: usize = 128;
    if !(1..=MAX).contains(&text.len()) || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(ConfigError::new(part, field, PARAMETER_FORM));
    }
    let mut quoted = String::from('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Ok(quoted)
}

/// What a layer asks with, at hand where a response comes back from further in.
///
/// Kept for as long as the process lives: the future of a response may outlive its layer, and to count who refers to the
/// lines would be one more write to shared memory for each request. Equal lines are kept once, so that a service that
/// is set up again adds nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks(&'static [HeaderValue]);

impl Asks {
    /// Of a layer that asks for no credential.
    pub(crate) const NOTHING: Self = Self(&[]);

    /// One line for each scheme.
    #[cold]
    pub(crate) fn with<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        static KEPT: Mutex<Vec<&[HeaderValue]>> = Mutex::new(Vec::new());
        let lines: Vec<_> = lines.into_iter().cloned().collect();
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.iter().copied().find(|kept| **kept == *lines) {
            return Self(kept);
        }
        let lines: &'static [HeaderValue] = lines.leak();
        kept.push(lines);
        Self(lines)
    }

    /// Whether a response of this status says what credential it wants.
    #[inline(always)]
    pub(crate) fn concern(status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN
    }

    /// Gives a 401 the challenge that it must have (AUT-01), and the challenge of a 403 what only this layer knows:
    /// realm and `resource_metadata` (AUT-05). What another layer or the handler asks with stays as it is.
    #[cold]
    #[inline(never)]
    pub(crate) fn complete(self, mut head: Parts) -> Parts {
        if head.status == StatusCode::UNAUTHORIZED {
            if !head.headers.contains_key(header::WWW_AUTHENTICATE) {
                head.headers.extend(self.0.iter().map(|line| (header::WWW_AUTHENTICATE, line.clone())));
            }
        } else if let header::Entry::Occupied(mut lines) = head.headers.entry(header::WWW_AUTHENTICATE) {
            for line in lines.iter_mut() {
                if let Some(completed) = self.0.iter().find_map(|own| join(own, line)) {
                    *line = completed;
                }
            }
        }
        head
    }
}

/// The challenge `own`, followed by what the bare one of the same scheme complains of.
fn join(own: &HeaderValue, bare: &HeaderValue) -> Option<HeaderValue> {
    let scheme = own.as_bytes().split_inclusive(|byte| *byte == b' ').next()?;
    let complaint = bare.as_bytes().strip_prefix(scheme)?;
    if !complaint.starts_with(b"error=\"insufficient_scope\"") {
        return None;
    }
    HeaderValue::from_bytes(&[own.as_bytes(), b", ", complaint].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_05_the_lines_of_a_layer_are_kept_once() {
        let lines =
            || [HeaderValue::from_static("ApiKey realm=\"kept\""), HeaderValue::from_static("Bearer")];
        let one = Asks::with(&lines());
        assert!(std::ptr::eq(one.0, Asks::with(&lines()).0));
        assert_eq!(one.0, lines());
        assert_ne!(Asks::with(&lines()[..1]).0, one.0);
    }

    #[test]
    fn aut_05_only_a_bare_complaint_about_scopes_is_completed() {
        let join = |own, bare| join(&HeaderValue::from_static(own), &HeaderValue::from_static(bare));
        let own = "Bearer realm=\"api\"";
        assert_eq!(
            join(own, "Bearer error=\"insufficient_scope\", scope=\"a\"").unwrap(),
            "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"a\""
        );
        for bare in [
            "ApiKey error=\"insufficient_scope\"",
            "Bearer realm=\"b\", error=\"insufficient_scope\"",
            "Bearer",
            "Bearer error=\"insufficient_user_authentication\"",
        ] {
            assert_eq!(join(own, bare), None, "{bare}");
        }
    }

    #[test]
    fn aut_01_the_realm_is_a_quoted_string() {
        assert_eq!(for_realm("orders").unwrap(), "ApiKey realm=\"orders\"");
        assert_eq!(for_realm("a \"b\" \\ c").unwrap(), r#"ApiKey realm="a \"b\" \\ c""#);
        for realm in ["", "a\r\nset-cookie: b", "ä", "\t", &"x".repeat(129)] {
            assert_eq!(for_realm(realm).unwrap_err().field(), "realm", "{realm:?}");
        }
    }
}
