//! What a token endpoint answers (RFC 6749 section 5).

use std::{error::Error, fmt, time::Duration};

use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::outbound::FetchError;

/// A token, as requests carry it.
pub(super) struct Grant {
    /// `Bearer …`, marked sensitive.
    pub(super) value: HeaderValue,
    /// From when it was asked for.
    pub(super) lifetime: Duration,
}

/// Why there is no token. Never repeats what the server said but for codes that are known.
#[derive(Debug)]
pub(super) enum GrantError {
    Fetch(FetchError),
    Refused {
        status: StatusCode,
        code: Option<&'static str>,
    },
    Malformed,
    /// A type of token that this layer does not know how to use.
    NotBearer,
    /// A token that no header can carry.
    Unusable,
    /// A token that has expired already.
    Expired,
}

/// The longest token in bytes that is taken.
const MAX_TOKEN: usize = 16 * 1024;
/// For a server that does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
/// No token is kept for longer, whatever the server says.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize)]
struct Answer {
    access_token: Zeroizing<String>,
    token_type: String,
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Grant, GrantError> {
    if status != StatusCode::OK {
        let code = serde_json::from_slice(body).ok().and_then(|refusal: Refusal| known(&refusal.error));
        return Err(GrantError::Refused { status, code });
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|_| GrantError::Malformed)?;
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        return Err(GrantError::NotBearer);
    }
    let lifetime = match &answer.expires_in {
        None | Some(Value::Null) => DEFAULT_LIFETIME,
        Some(said) => lifetime(said).ok_or(GrantError::Malformed)?.min(LONGEST_LIFETIME),
    };
    if lifetime.is_zero() {
        return Err(GrantError::Expired);
    }
    let token = &answer.access_token;
    if token.len() > MAX_TOKEN || !is_b64token(token) {
        return Err(GrantError::Unusable);
    }
    let value = Zeroizing::new(format!("Bearer {}", **token));
    let mut value = HeaderValue::from_str(&value).map_err(|_| GrantError::Unusable)?;
    value.set_sensitive(true);
    Ok(Grant { value, lifetime })
}

/// Whole seconds; some servers write them as a string.
fn lifetime(said: &Value) -> Option<Duration> {
    let seconds = match said {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64)),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    seconds.map(Duration::from_secs)
}

/// RFC 6750 section 2.1.
fn is_b64token(token: &str) -> bool {
    let bare = token.trim_end_matches('=');
    !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// RFC 6749 section 5.2, and RFC 8707 section 2: anything else is not repeated.
fn known(code: &str) -> Option<&'static str> {
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "temporarily_unavailable",
        "server_error",
    ]
    .into_iter()
    .find(|known| *known == code)
}

impl GrantError {
    /// The label `outcome`.
    #[cfg(feature = "metrics")]
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Fetch(FetchError::TimedOut) => "timeout",
            Self::Fetch(FetchError::TooLarge) => "too_large",
            Self::Fetch(FetchError::Failed(_)) => "unreachable",
            Self::Refused { .. } => "refused",
            Self::Malformed => "malformed",
            Self::NotBearer => "not_bearer",
            Self::Unusable => "unusable",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(_) => f.write_str("the token endpoint gave no answer"),
            Self::Refused { status, code: Some(code) } => {
                write!(f, "the token endpoint refused with status {} and `{code}`", status.as_u16())
            }
            Self::Refused { status, code: None } => {
                write!(f, "the token endpoint answered with status {}", status.as_u16())
            }
            Self::Malformed => f.write_str("the answer of the token endpoint is not a token response"),
            Self::NotBearer => f.write_str("the token is not a bearer token"),
            Self::Unusable => f.write_str("the token is not one that a header can carry"),
            Self::Expired => f.write_str("the token has expired already"),
        }
    }
}

impl Error for GrantError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Fetch(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn granted(answer: &Value) -> Result<Grant, &'static str> {
        read(StatusCode::OK, answer.to_string().as_bytes()).map_err(|error| match error {
            GrantError::Malformed => "malformed",
            GrantError::NotBearer => "not_bearer",
            GrantError::Unusable => "unusable",
            GrantError::Expired => "expired",
            _ => "other",
        })
    }

    #[test]
    fn aut_08_a_token_is_taken_with_its_lifetime() {
        for (said, expected) in [
            (json!(3600), 3600),
            (json!("3600"), 3600),
            (json!(3599.5), 3599),
            (json!(null), 300),
            (json!(1e300), 24 * 3600),
        ] {
            let answer =
                json!({"access_token": "abc.def-_~+/==", "token_type": "bearer", "expires_in": said});
            let grant = granted(&answer).unwrap_or_else(|error| panic!("{said}: {error}"));
            assert_eq!((grant.lifetime.as_secs(), grant.value.is_sensitive()), (expected, true), "{said}");
            assert_eq!(grant.value.as_bytes(), b"Bearer abc.def-_~+/==");
        }
    }

    #[test]
    fn aut_08_what_is_no_usable_token_is_refused() {
        for (answer, why) in [
            (json!({"access_token": "a"}), "malformed"),
            (json!({"token_type": "Bearer"}), "malformed"),
            (json!([]), "malformed"),
            (json!({"access_token": "a", "token_type": "Bearer", "expires_in": "soon"}), "malformed"),
            (json!({"access_token": "a", "token_type": "Bearer", "expires_in": -1}), "malformed"),
            (json!({"access_token": "a", "token_type": "Bearer", "expires_in": 0}), "expired"),
            (json!({"access_token": "a", "token_type": "DPoP"}), "not_bearer"),
            (json!({"access_token": "", "token_type": "Bearer"}), "unusable"),
            (json!({"access_token": "a b", "token_type": "Bearer"}), "unusable"),
            (json!({"access_token": "a\r\nx: y", "token_type": "Bearer"}), "unusable"),
            (json!({"access_token": "a".repeat(MAX_TOKEN + 1), "token_type": "Bearer"}), "unusable"),
        ] {
            assert_eq!(granted(&answer).err(), Some(why), "{answer:.80}");
        }
    }

    #[test]
    fn aut_08_of_a_refusal_only_known_codes_are_repeated() {
        let text = |body: &str| read(StatusCode::BAD_REQUEST, body.as_bytes()).err().unwrap().to_string();
        let known = r#"{"error":"invalid_client","error_description":"s3cret"}"#;
        assert_eq!(text(known), "the token endpoint refused with status 400 and `invalid_client`");
        for unknown in [r#"{"error":"s3cret"}"#, "s3cret", ""] {
            assert_eq!(text(unknown), "the token endpoint answered with status 400");
        }
    }

    #[test]
    fn aut_08_fuzz_whatever_is_granted_fits_a_header_and_expires() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let made = json!({"access_token": text, "token_type": "Bearer", "expires_in": text}).to_string();
            for body in [bytes, made.as_bytes()] {
                if let Ok(grant) = read(StatusCode::OK, body) {
                    assert!(grant.value.is_sensitive() && grant.value.as_bytes().starts_with(b"Bearer "));
                    assert!((Duration::from_secs(1)..=LONGEST_LIFETIME).contains(&grant.lifetime));
                }
            }
        });
    }
}
