//! Names and values: of a query, of cookies, of a form.

use std::borrow::Cow;

use http::{HeaderMap, header};

/// Whether `+` stands for a space, as in forms and therefore in queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    Space,
    Literal,
}

/// A text whose percent-encoding is broken, or that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecodable;

/// The text that `raw` stands for (RFC 3986 section 2.1). Decoded once: `%2541` is `%41`.
pub(crate) fn decode(raw: &str, plus: Plus) -> Result<Cow<'_, str>, Undecodable> {
    let bytes = raw.as_bytes();
    let is_plus = |byte: u8| byte == b'+' && plus == Plus::Space;
    let Some(first) = bytes.iter().position(|byte| *byte == b'%' || is_plus(*byte)) else {
        return Ok(Cow::Borrowed(raw));
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    decoded.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte == b'%' {
            let digits = bytes.get(at..at + 2).ok_or(Undecodable)?;
            decoded.push(hex(digits[0])? << 4 | hex(digits[1])?);
            at += 2;
        } else {
            decoded.push(if is_plus(byte) { b' ' } else { byte });
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Undecodable)
}

fn hex(digit: u8) -> Result<u8, Undecodable> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Undecodable),
    }
}

/// Names, which are decoded, and values, which are not: what parts a value in pieces is told from data by being
/// encoded or not.
#[derive(Debug, Default)]
pub(crate) struct Pairs<'a>(Vec<(Cow<'a, str>, &'a str)>);

/// Why pairs cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPairs {
    /// A name is not decodable.
    Name,
    /// There are more than so many.
    TooMany(usize),
}

impl<'a> Pairs<'a> {
    /// Those of a query string or a form, at most `most`. A piece without `=` is a name with an empty value.
    pub(crate) fn of_query(query: &'a str, most: usize) -> Result<Self, BadPairs> {
        let mut pairs = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            if pairs.len() == most {
                return Err(BadPairs::TooMany(most));
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            pairs.push((decode(name, Plus::Space).map_err(|_| BadPairs::Name)?, value));
        }
        Ok(Self(pairs))
    }

    /// The values of a name, in their order.
    #[cfg(feature = "openapi")]
    pub(crate) fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| *value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }
}

/// The cookies of a request (RFC 6265 section 4.2.1), at most `most`. What is no pair is skipped, as servers do.
pub(crate) fn cookies(headers: &HeaderMap, most: usize) -> Result<Pairs<'_>, BadPairs> {
    let mut pairs = Vec::new();
    for line in headers.get_all(header::COOKIE) {
        // A value that is not text is no value that a schema could judge.
        let line = std::str::from_utf8(line.as_bytes()).map_err(|_| BadPairs::Name)?;
        for piece in line.split(';') {
            let Some((name, value)) = piece.split_once('=') else { continue };
            if pairs.len() == most {
                return Err(BadPairs::TooMany(most));
            }
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
            pairs.push((Cow::Borrowed(name.trim()), value));
        }
    }
    Ok(Pairs(pairs))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn val_05_a_text_is_decoded_once_or_not_at_all() {
        for (raw, plus, expected) in [
            ("plain", Plus::Space, Ok("plain")),
            ("a+b%20c", Plus::Space, Ok("a b c")),
            ("a+b%20c", Plus::Literal, Ok("a+b c")),
            ("%2541", Plus::Space, Ok("%41")),
            ("%C3%BC%f0%9f%98%80", Plus::Space, Ok("ü😀")),
            ("%", Plus::Space, Err(Undecodable)),
            ("%4", Plus::Space, Err(Undecodable)),
            ("%zz", Plus::Space, Err(Undecodable)),
            ("%+1", Plus::Space, Err(Undecodable)),
            ("%c3", Plus::Space, Err(Undecodable)),
            ("%C0%AF", Plus::Space, Err(Undecodable)),
        ] {
            assert_eq!(decode(raw, plus).as_deref(), expected.as_ref().copied(), "{raw}");
        }
    }

    #[test]
    fn val_05_pairs_keep_their_order_and_their_encoding() {
        let pairs = Pairs::of_query("a=1&&b%5B=x%2Cy&a=2&c", 9).unwrap();
        assert!(pairs.iter().eq([("a", "1"), ("b[", "x%2Cy"), ("a", "2"), ("c", "")]));
        #[cfg(feature = "openapi")]
        assert!(pairs.values("a").eq(["1", "2"]));
        assert_eq!(Pairs::of_query("a&b&c", 2).unwrap_err(), BadPairs::TooMany(2));
        assert_eq!(Pairs::of_query("%zz=1", 2).unwrap_err(), BadPairs::Name);
    }

    #[test]
    fn val_05_cookies_of_all_lines_are_pairs() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; b=\"x y\"; junk; c=="));
        headers.append(header::COOKIE, HeaderValue::from_static("d=4"));
        let pairs = cookies(&headers, 9).unwrap();
        assert!(pairs.iter().eq([("a", "1"), ("b", "x y"), ("c", "="), ("d", "4")]));
        assert_eq!(cookies(&headers, 3).unwrap_err(), BadPairs::TooMany(3));
    }

    #[test]
    fn val_05_any_query_is_read_without_a_panic() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let _ = decode(text, Plus::Space);
            let _ = Pairs::of_query(text, 100);
            if let Ok(value) = HeaderValue::from_str(text) {
                let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
                let _ = cookies(&headers, 100);
            }
        });
    }
}
