//! `WWW-Authenticate`.

use http::{Extensions, HeaderValue};

use crate::ConfigError;

/// The challenge where no layer was given a realm.
pub(crate) const DEFAULT: HeaderValue = HeaderValue::from_static("ApiKey realm=\"api\"");

/// `ApiKey realm="…"`. No scheme is registered for API keys.
pub(crate) fn for_realm(realm: &str) -> Result<HeaderValue, ConfigError> {
    let challenge = format!("ApiKey realm={}", quoted("realm", realm)?);
    HeaderValue::try_from(challenge).map_err(|_| ConfigError::new("realm", PARAMETER_FORM))
}

const PARAMETER_FORM: &str = "must have 1 to 128 printable ASCII characters";

/// The text of a challenge's parameter as a quoted-string (RFC 9110 section 5.6.4).
pub(crate) fn quoted(field: &'static str, text: &str) -> Result<String, ConfigError> {
    const MAX: usize = 128;
    if !(1..=MAX).contains(&text.len()) || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(ConfigError::new(field, PARAMETER_FORM));
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

/// What the authentication layers ask for that let a request pass without a principal, for the layer that then
/// refuses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenges(Vec<HeaderValue>);

impl Challenges {
    /// Leaves `challenge` in a request.
    pub(crate) fn leave(extensions: &mut Extensions, challenge: &HeaderValue) {
        extensions.get_or_insert_default::<Self>().0.push(challenge.clone());
    }

    /// The challenges left in a request.
    pub(crate) fn of(extensions: &Extensions) -> &[HeaderValue] {
        extensions.get::<Self>().map_or(&[], |challenges| &challenges.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_01_the_realm_is_a_quoted_string() {
        assert_eq!(for_realm("orders").unwrap(), "ApiKey realm=\"orders\"");
        assert_eq!(for_realm("a \"b\" \\ c").unwrap(), r#"ApiKey realm="a \"b\" \\ c""#);
        for realm in ["", "a\r\nset-cookie: b", "ä", "\t", &"x".repeat(129)] {
            assert_eq!(for_realm(realm).unwrap_err().field(), "realm", "{realm:?}");
        }
    }
}
