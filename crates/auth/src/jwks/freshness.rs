//! How long a key set may be used before it is fetched again (RFC 9111).

use std::time::Duration;

use http::{HeaderMap, header};

/// The shortest time between refreshes that a server can ask for.
const SHORTEST: Duration = Duration::from_secs(5 * 60);
/// The longest.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// For a server that does not say.
const DEFAULT: Duration = Duration::from_secs(10 * 60);

/// How long the answer with these headers is fresh, within 5 minutes and 24 hours; 10 minutes if it does not say.
///
/// What it says is `Cache-Control`, less the `Age` that the answer already has. `s-maxage` is for shared caches,
/// which this is not.
pub(super) fn lifetime(headers: &HeaderMap) -> Duration {
    let mut lifetime = None;
    for value in headers.get_all(header::CACHE_CONTROL) {
        for directive in Directives(value.as_bytes()) {
            let said = match directive {
                Directive::Stale => 0,
                Directive::MaxAge(seconds) => seconds,
                Directive::Other => continue,
            };
            // Whoever says two things means the shorter (RFC 9111 section 4.2.1).
            lifetime = Some(lifetime.map_or(said, |known: u64| known.min(said)));
        }
    }
    let Some(lifetime) = lifetime else { return DEFAULT };
    let age = headers.get(header::AGE).and_then(|age| seconds(age.as_bytes())).unwrap_or(0);
    Duration::from_secs(lifetime.saturating_sub(age)).clamp(SHORTEST, LONGEST)
}

enum Directive {
    /// `no-store`, `no-cache`, or a `max-age` that is no number, which counts as none left.
    Stale,
    MaxAge(u64),
    Other,
}

/// The directives of one line, separated by commas that are not within quotes.
struct Directives<'a>(&'a [u8]);

impl Iterator for Directives<'_> {
    type Item = Directive;

    fn next(&mut self) -> Option<Directive> {
        if self.0.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = self.0.iter().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return true,
                _ => {}
            }
            false
        });
        let (directive, rest) = match end {
            Some(end) => (&self.0[..end], &self.0[end + 1..]),
            None => (self.0, &[][..]),
        };
        self.0 = rest;
        Some(read(directive))
    }
}

fn read(directive: &[u8]) -> Directive {
    let (name, value) = match directive.iter().position(|byte| *byte == b'=') {
        Some(at) => (&directive[..at], Some(directive[at + 1..].trim_ascii())),
        None => (directive, None),
    };
    let name = name.trim_ascii();
    if name.eq_ignore_ascii_case(b"no-store") || name.eq_ignore_ascii_case(b"no-cache") {
        return Directive::Stale;
    }
    if !name.eq_ignore_ascii_case(b"max-age") {
        return Directive::Other;
    }
    // A quoted number is not to be sent, and to be understood (RFC 9111 section 5.2).
    let bare =
        value.map(|value| value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value));
    bare.and_then(seconds).map_or(Directive::Stale, Directive::MaxAge)
}

/// Seconds in digits; more than fit are very many.
fn seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))),
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn lifetime_of(lines: &[&[u8]], age: Option<&str>) -> u64 {
        let mut headers = HeaderMap::new();
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                headers.append(header::CACHE_CONTROL, value);
            }
        }
        if let Some(age) = age {
            headers.insert(header::AGE, age.parse().unwrap());
        }
        lifetime(&headers).as_secs()
    }

    #[test]
    fn jwk_04_the_server_says_how_long_within_limits() {
        const DAY: u64 = 24 * 3600;
        for (line, expected) in [
            ("max-age=3600", 3600),
            ("public, Max-Age = 3600 , must-revalidate", 3600),
            ("max-age=\"3600\"", 3600),
            ("s-maxage=60, max-age=3600", 3600),
            ("ext=\"a,max-age=301\", max-age=3600", 3600),
            ("ext=\"\\\",max-age=301\", max-age=3600", 3600),
            ("max-age=3600, max-age=1800", 1800),
            ("max-age=1", 300),
            ("max-age=0", 300),
            ("max-age=-1", 300),
            ("max-age=soon", 300),
            ("max-age", 300),
            ("max-age=3600, no-store", 300),
            ("no-cache", 300),
            ("max-age=31536000", DAY),
            ("max-age=99999999999999999999999999", DAY),
            ("public", 600),
            ("", 600),
        ] {
            assert_eq!(lifetime_of(&[line.as_bytes()], None), expected, "{line}");
        }
        assert_eq!(lifetime_of(&[], None), 600);
        assert_eq!(lifetime_of(&[b"public", b"max-age=900"], None), 900, "over several lines");
        assert_eq!(
            lifetime_of(&[b"max-age=3600"], Some("1000")),
            2600,
            "a cache on the way had it for a while"
        );
        assert_eq!(lifetime_of(&[b"max-age=3600"], Some("9999")), 300);
    }

    #[test]
    fn jwk_04_fuzz_cache_control_never_leaves_the_limits() {
        bolero::check!().for_each(|line: &[u8]| {
            assert!((300..=24 * 3600).contains(&lifetime_of(&[line], None)));
        });
    }
}
