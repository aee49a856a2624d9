//! What a caller is told that lacks a scope.

use http::HeaderValue;

/// The challenge of a 403 where `scopes`, all of them, would have helped (RFC 6750 section 3.1, which says it of tokens;
/// said of keys alike).
///
/// Without a scope, and where one of them is none by its form (RFC 6749 section 3.3), the parameter `scope` is not there:
/// part of the list would not help. The challenge names no realm: the layer that authenticated the caller adds its own.
/// `None` where `scheme` is no text for a header.
///
/// ```
/// use bartizan_core::insufficient_scope;
///
/// let challenge = insufficient_scope("Bearer", ["write", "read", "write"]).unwrap();
/// assert_eq!(challenge, "Bearer error=\"insufficient_scope\", scope=\"read write\"");
/// assert_eq!(insufficient_scope("Bearer", []).unwrap(), "Bearer error=\"insufficient_scope\"");
/// ```
#[cold]
pub fn insufficient_scope<'a>(
    scheme: &str,
    scopes: impl IntoIterator<Item = &'a str>,
) -> Option<HeaderValue> {
    let mut scopes: Vec<_> = scopes.into_iter().collect();
    scopes.sort_unstable();
    scopes.dedup();
    let mut challenge = format!("{scheme} error=\"insufficient_scope\"");
    if !scopes.is_empty() && scopes.iter().all(|scope| is_scope(scope)) {
        challenge += &format!(", scope=\"{}\"", scopes.join(" "));
    }
    HeaderValue::try_from(challenge).ok()
}

/// RFC 6749 section 3.3.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_04_a_scope_that_is_none_by_its_form_takes_the_parameter_away() {
        for scope in ["", "two words", "a\"b", "a\\b", "ä", "a\r\nb"] {
            let challenge = insufficient_scope("Bearer", ["read", scope]).unwrap();
            assert_eq!(challenge, "Bearer error=\"insufficient_scope\"", "{scope:?}");
        }
        assert_eq!(insufficient_scope("a\nb", ["read"]), None);
    }
}
