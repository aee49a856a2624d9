mod member;

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

pub use self::member::BaggageMember;
use self::member::{is_member, is_token, members};

/// What a caller sends along for every service of its request to read: the `baggage` header (W3C Baggage).
///
/// It is a list of members, each a key, a percent-encoded value and sometimes properties. Anyone on the way may
/// have written it: it is neither trusted nor told to logs or metrics, and `Debug` shows no more than its size.
///
/// Clones share one text. A baggage has at least one member, and no more than [`MAX_MEMBERS`](Self::MAX_MEMBERS)
/// in [`MAX_BYTES`](Self::MAX_BYTES).
///
/// ```
/// use bartizan_core::Baggage;
/// use http::HeaderValue;
///
/// let lines = [HeaderValue::from_static("tenant=acme, city=K%C3%B6ln;ttl=3"), HeaderValue::from_static("no member")];
/// let baggage = Baggage::from_lines(&lines).unwrap();
/// let city = baggage.get("city").unwrap();
/// assert_eq!((city.value(), &*city.decoded()), ("K%C3%B6ln", "Köln"));
/// assert_eq!(baggage.only(|key| key == "tenant").unwrap().as_str(), "tenant=acme");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Baggage(HeaderValue);

/// Why a [`Baggage`] cannot be made of some pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaggageError {
    /// No pair at all.
    Empty,
    /// A key is not a token (RFC 9110 section 5.6.2).
    BadKey,
    /// More than [`Baggage::MAX_MEMBERS`], or more than [`Baggage::MAX_BYTES`] once encoded.
    TooLarge,
}

impl fmt::Display for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the baggage has no member",
            Self::BadKey => "a key of the baggage is not a token",
            Self::TooLarge => "the baggage has more than 64 members or 8192 bytes",
        })
    }
}

impl std::error::Error for BaggageError {}

/// What must be percent-encoded in a value: all that is no `baggage-octet`, and the `%` itself.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b',').add(b';').add(b'\\');

impl Baggage {
    /// The most members that are carried on: what W3C Baggage section 3.3.2 asks of everyone, and no more.
    pub const MAX_MEMBERS: usize = 64;

    /// The most bytes that are carried on, over all lines: likewise.
    pub const MAX_BYTES: usize = 8192;

    /// The baggage of these pairs; the values are encoded here.
    ///
    /// # Errors
    ///
    /// Without a pair, with a key that is not a token, or over the limits.
    pub fn new<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, BaggageError>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut text = String::new();
        for (index, (key, value)) in pairs.into_iter().enumerate() {
            let key = key.as_ref();
            if !is_token(key.as_bytes()) {
                return Err(BaggageError::BadKey);
            }
            if index > 0 {
                text.push(',');
            }
            text.push_str(key);
            text.push('=');
            text.extend(utf8_percent_encode(value.as_ref(), ENCODED));
            if index == Self::MAX_MEMBERS || text.len() > Self::MAX_BYTES {
                return Err(BaggageError::TooLarge);
            }
        }
        if text.is_empty() {
            return Err(BaggageError::Empty);
        }
        HeaderValue::from_maybe_shared(Bytes::from(text)).map(Self).map_err(|_| BaggageError::BadKey)
    }

    /// The baggage in the lines of a `baggage` header; `None` without a member.
    ///
    /// A member that is not well-formed, and one that does not fit into the limits, is left out as a whole. One
    /// line of good members is shared, not copied.
    pub fn from_lines<'a, I>(lines: I) -> Option<Self>
    where
        I: IntoIterator<Item = &'a HeaderValue> + Clone,
    {
        let mut rest = lines.clone().into_iter();
        let first = rest.next()?;
        if rest.next().is_none() && is_good_line(first.as_bytes()) {
            return Some(Self(first.clone()));
        }
        Self::join(
            lines.into_iter().flat_map(|line| members(line.as_bytes())).filter(|member| is_member(member)),
        )
    }

    /// Copies good members into one text.
    fn join<'a>(members: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut text = BytesMut::new();
        let mut count = 0;
        for member in members {
            let comma = usize::from(count > 0);
            if text.len() + comma + member.len() > Self::MAX_BYTES {
                continue;
            }
            if comma == 1 {
                text.put_u8(b',');
            }
            text.put_slice(member);
            count += 1;
            if count == Self::MAX_MEMBERS {
                break;
            }
        }
        if count == 0 {
            return None;
        }
        HeaderValue::from_maybe_shared(text.freeze()).ok().map(Self)
    }

    /// The members, in order. A key may come more than once.
    pub fn iter(&self) -> impl Iterator<Item = BaggageMember<'_>> {
        self.as_str().split(',').map(BaggageMember::of)
    }

    /// The first member of this key; keys are told apart by case.
    pub fn get(&self, key: &str) -> Option<BaggageMember<'_>> {
        self.iter().find(|member| member.key() == key)
    }

    /// The members whose key `keep` lets pass, if any: what a service allows to travel on.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Option<Self> {
        if self.iter().all(|member| keep(member.key())) {
            return Some(self.clone());
        }
        Self::join(self.iter().filter(|member| keep(member.key())).map(|member| member.text.as_bytes()))
    }

    /// The text, as it may be sent.
    pub fn as_str(&self) -> &str {
        // Its octets are ASCII: this never falls back.
        self.0.to_str().unwrap_or_default()
    }

    /// The text as a header value; sharing, not copying.
    pub fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Baggage").field("members", &self.iter().count()).finish_non_exhaustive()
    }
}

/// Whether a line can be taken as it is.
fn is_good_line(line: &[u8]) -> bool {
    let mut count = 0;
    line.len() <= Baggage::MAX_BYTES
        && line.trim_ascii().len() == line.len()
        && members(line).all(|member| {
            count += 1;
            count <= Baggage::MAX_MEMBERS && is_member(member)
        })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn lines(lines: &[&str]) -> Vec<HeaderValue> {
        lines.iter().map(|line| HeaderValue::from_bytes(line.as_bytes()).unwrap()).collect()
    }

    fn read(values: &[&str]) -> Option<String> {
        Baggage::from_lines(&lines(values)).map(|baggage| baggage.as_str().to_owned())
    }

    #[test]
    fn trc_08_members_are_read_and_bad_ones_left_out_whole() {
        for (values, expected) in [
            (["a=1"].as_slice(), Some("a=1")),
            (&["a=1,b=2;p;q=3"], Some("a=1,b=2;p;q=3")),
            (&["a = 1 ; p = 2 ,\tb=2"], Some("a = 1 ; p = 2 ,\tb=2")),
            (&["a=1", "b=2"], Some("a=1,b=2")),
            (&["\ta=1 , b=2 "], Some("a=1,b=2")),
            (&["a=1", "a=1"], Some("a=1,a=1")),
            (&["a=b=c=="], Some("a=b=c==")),
            (&["a="], Some("a=")),
            (&["a=%C3%28"], Some("a=%C3%28")),
            (&["a=1;"], None),
            (&["a=1;;b"], None),
            (&["a=1,,b=2"], Some("a=1,b=2")),
            (&["a=1,b,c=3"], Some("a=1,c=3")),
            (&["=1,b=2"], Some("b=2")),
            (&["a b=1,b=2"], Some("b=2")),
            (&["a=1 2,b=2"], Some("b=2")),
            (&["a=1;p=\"x\",b=2"], Some("b=2")),
            (&["a=\\,b=2"], Some("b=2")),
            (&["a=é,b=2"], Some("b=2")),
            (&["(=1"], None),
            (&[""], None),
            (&[" , "], None),
            (&[], None),
        ] {
            assert_eq!(read(values).as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn trc_08_every_octet_of_a_value_is_judged() {
        for byte in (b'!'..=b'~').filter(|byte| !b",;".contains(byte)) {
            let line = format!("a={}", char::from(byte));
            assert_eq!(read(&[&line]).is_some(), !b"\"\\".contains(&byte), "{line}");
        }
    }

    #[test]
    fn trc_08_values_and_properties_are_told_apart_and_decoded() {
        let values = lines(&[" k = a=%C3%A9%FF ; secret ; ttl = 3=4"]);
        let baggage = Baggage::from_lines(&values).unwrap();
        let member = baggage.get("k").unwrap();
        assert_eq!(member.value(), "a=%C3%A9%FF");
        assert_eq!(member.decoded(), "a=é\u{fffd}");
        assert_eq!(member.properties().collect::<Vec<_>>(), [("secret", None), ("ttl", Some("3=4"))]);
        assert!(baggage.get("K").is_none(), "keys have a case");
    }

    #[test]
    fn trc_08_64_members_of_8192_bytes_over_all_lines_are_carried_on() {
        let wide: Vec<_> = (0..64).map(|index| format!("k{index:02}={}", "v".repeat(123))).collect();
        let line = wide.join(",");
        assert_eq!(line.len(), 64 * 127 + 63);
        let line = format!("{line}v");
        assert_eq!(read(&[&line]).as_deref(), Some(line.as_str()));
        let halves = [wide[..32].join(","), wide[32..].join(",")];
        assert_eq!(read(&[&halves[0], &halves[1]]).unwrap(), wide.join(","));
        let largest = format!("k={}", "v".repeat(8190));
        assert_eq!(read(&[&largest]).as_deref(), Some(largest.as_str()));

        let too_many = format!("{},last=1", (0..64).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(","));
        let kept = Baggage::from_lines(&lines(&[&too_many])).unwrap();
        assert_eq!(kept.iter().count(), 64);
        assert!(kept.get("last").is_none());
        let too_long = format!("a=1,{largest},b=2");
        assert_eq!(read(&[&too_long]).unwrap(), "a=1,b=2", "whole members, or none of one");
        assert_eq!(read(&[&format!("{largest}v")]), None);
    }

    #[test]
    fn one_good_line_is_shared() {
        let line = HeaderValue::from_maybe_shared(Bytes::from("a=1 , b=2".to_owned())).unwrap();
        let baggage = Baggage::from_lines([&line]).unwrap();
        assert_eq!(baggage.as_str().as_ptr(), line.as_bytes().as_ptr());
        assert_eq!(baggage.only(|_| true).unwrap().as_str().as_ptr(), line.as_bytes().as_ptr());
    }

    #[test]
    fn trc_08_only_what_is_allowed_travels_on() {
        let values = lines(&["tenant=acme;p=1, session = s3cret, tenant=b"]);
        let baggage = Baggage::from_lines(&values).unwrap();
        assert_eq!(baggage.only(|key| key == "tenant").unwrap().as_str(), "tenant=acme;p=1,tenant=b");
        assert_eq!(baggage.only(|_| false), None);
    }

    #[test]
    fn trc_08_debug_tells_no_value() {
        let baggage = Baggage::new([("session", "s3cret")]).unwrap();
        assert!(!format!("{baggage:?} {:?}", baggage.get("session")).contains("s3cret"));
    }

    #[test]
    fn pairs_that_make_no_baggage_are_an_error() {
        let none: [(&str, &str); 0] = [];
        assert_eq!(Baggage::new(none), Err(BaggageError::Empty));
        assert_eq!(Baggage::new([("a b", "1")]), Err(BaggageError::BadKey));
        assert_eq!(Baggage::new([("", "1")]), Err(BaggageError::BadKey));
        assert_eq!(Baggage::new([("a", "1"); 65]), Err(BaggageError::TooLarge));
        assert_eq!(Baggage::new([("a", "ä".repeat(2_000))]), Err(BaggageError::TooLarge));
        assert_eq!(Baggage::new([("a", "1"); 64]).unwrap().iter().count(), 64);
    }

    #[test]
    fn trc_08_what_is_rendered_is_read_again() {
        bolero::check!().with_type::<Vec<String>>().for_each(|values| {
            let pairs = values.iter().map(|value| ("key", value));
            let Ok(baggage) = Baggage::new(pairs) else {
                return assert!(
                    values.is_empty()
                        || values.iter().map(String::len).sum::<usize>() > 2_000
                        || values.len() > 64
                );
            };
            let again = Baggage::from_lines([&baggage.to_header()]).unwrap();
            assert_eq!(again, baggage);
            assert!(again.iter().map(|member| member.decoded()).eq(values.iter().map(Cow::from)));
        });
    }

    #[test]
    fn trc_08_no_input_is_carried_on_that_is_not_baggage() {
        bolero::check!().with_type::<Vec<Vec<u8>>>().for_each(|values| {
            let lines: Vec<_> =
                values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()).collect();
            let Some(baggage) = Baggage::from_lines(&lines) else { return };
            assert!(baggage.as_str().len() <= Baggage::MAX_BYTES);
            assert!((1..=Baggage::MAX_MEMBERS).contains(&baggage.iter().count()));
            for member in baggage.iter() {
                assert!(is_member(member.text.as_bytes()), "{member:?}");
            }
            assert!(baggage.as_str().bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
            assert_eq!(Baggage::from_lines([&baggage.to_header()]), Some(baggage));
        });
    }
}
