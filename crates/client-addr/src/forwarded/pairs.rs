//! One entry of `Forwarded`, RFC 7239 section 4.

use super::{
    list::trim,
    value::{Value, is_token},
};

/// The pairs of an entry that are of use; `by` and extensions are checked and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs<'a> {
    pub(super) node: Option<Value<'a>>,
    pub(super) proto: Option<Value<'a>>,
    pub(super) host: Option<Value<'a>>,
}

impl<'a> Pairs<'a> {
    /// Reads `name=value` pairs between semicolons. `None` when any part of the entry is malformed, or one of the
    /// names that matter stands there twice. Blanks around a semicolon are let pass: proxies write them.
    pub(super) fn read(mut text: &'a [u8]) -> Option<Self> {
        let mut pairs = Self::default();
        loop {
            text = trim(text);
            if let Some(rest) = text.strip_prefix(b";") {
                text = rest; // RFC 7239 section 4 lets pairs be empty.
                continue;
            }
            if text.is_empty() {
                return Some(pairs);
            }
            let len = text.iter().take_while(|byte| is_token(**byte)).count();
            let (name, rest) = text.split_at(len);
            let (value, rest) = Value::read(rest.strip_prefix(b"=")?)?;
            let slot = match name {
                b"" => return None,
                name if name.eq_ignore_ascii_case(b"for") => Some(&mut pairs.node),
                name if name.eq_ignore_ascii_case(b"proto") => Some(&mut pairs.proto),
                name if name.eq_ignore_ascii_case(b"host") => Some(&mut pairs.host),
                _ => None,
            };
            if slot.is_some_and(|slot| slot.replace(value).is_some()) {
                return None;
            }
            text = trim(rest);
            if !text.is_empty() && !text.starts_with(b";") {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<[Option<Value<'_>>; 3]> {
        Pairs::read(text.as_bytes()).map(|pairs| [pairs.node, pairs.proto, pairs.host])
    }

    #[test]
    fn cli_03_an_entry_is_pairs_between_semicolons() {
        let value = |text: &'static str| Value::bare(text.as_bytes());
        for (text, pairs) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", [value("192.0.2.60"), value("http"), None]),
            ("For=\"[2001:db8:cafe::17]:4711\"", [value("[2001:db8:cafe::17]:4711"), None, None]),
            ("HOST=\"example.com:8080\" ; fOr=_hidden", [value("_hidden"), None, value("example.com:8080")]),
            ("for=unknown;secret=\"a;b,c\";", [value("unknown"), None, None]),
            (";;proto=https;;", [None, value("https"), None]),
            ("", [None, None, None]),
        ] {
            assert_eq!(read(text), Some(pairs), "{text}");
        }
    }

    #[test]
    fn cli_03_a_malformed_entry_is_none_at_all() {
        for text in [
            "192.0.2.60",
            "for",
            "for=",
            "for =192.0.2.60",
            "for= 192.0.2.60",
            "=192.0.2.60",
            "for=192.0.2.60 proto=http",
            "for=192.0.2.60:80",
            "for=[2001:db8::1]",
            "for=\"192.0.2.60",
            "for=\"192.0.2.60\"x",
            "for=192.0.2.60;for=192.0.2.61",
            "for=192.0.2.60;FOR=192.0.2.60",
            "for=192.0.2.60;proto=http;proto=https",
            "for=192.0.2.60;{}=1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn cli_03_no_bytes_make_the_reader_fail_otherwise() {
        bolero::check!().for_each(|bytes: &[u8]| {
            if let Some(pairs) = Pairs::read(bytes) {
                let again: Vec<u8> = [bytes, b" ; by=_a"].concat();
                assert_eq!(Pairs::read(&again), Some(pairs), "an extension changes nothing");
            }
        });
    }
}
