use std::fmt;

use http::Method;

/// A method as one of a bounded set, for labels and logs: a standard one (RFC 9110 section 9, and PATCH of RFC 5789), or
/// [`OTHER`](Self::OTHER), since a method is the caller's text.
///
/// ```
/// use bartizan_core::MethodName;
/// use http::Method;
///
/// assert_eq!(MethodName::of(&Method::PUT).as_str(), "PUT");
/// assert_eq!(MethodName::of(&Method::from_bytes(b"PURGE").unwrap()), MethodName::OTHER);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodName(u8);

impl MethodName {
    /// Any method that is no standard one: `_OTHER`.
    pub const OTHER: Self = Self(Self::TEXTS.len() as u8 - 1);

    /// How many there are. [`number`](Self::number) is below it.
    pub const COUNT: usize = Self::TEXTS.len();

    const TEXTS: [&str; 10] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER"];

    /// The name with this number, for tables; [`OTHER`](Self::OTHER) where there is none.
    pub const fn from_number(number: u8) -> Self {
        if number < Self::OTHER.0 { Self(number) } else { Self::OTHER }
    }

    /// The name of `method`.
    #[inline]
    pub fn of(method: &Method) -> Self {
        Self(match *method {
            Method::GET => 0,
            Method::HEAD => 1,
            Method::POST => 2,
            Method::PUT => 3,
            Method::DELETE => 4,
            Method::CONNECT => 5,
            Method::OPTIONS => 6,
            Method::TRACE => 7,
            Method::PATCH => 8,
            _ => return Self::OTHER,
        })
    }

    /// The name in logs and metrics.
    #[inline]
    pub const fn as_str(self) -> &'static str {
        Self::TEXTS[self.0 as usize]
    }

    /// The name as a number of four bits, for tables of series.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_that_of_a_name() {
        for number in 0..=u8::MAX {
            let name = MethodName::from_number(number);
            let is_one = usize::from(number) < MethodName::COUNT;
            assert_eq!(name.number(), if is_one { number } else { MethodName::OTHER.number() });
        }
    }

    #[test]
    fn a_standard_method_has_its_own_name_and_any_other_none() {
        for name in &MethodName::TEXTS[..9] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            assert_eq!(MethodName::of(&method).as_str(), *name);
        }
        for odd in ["PURGE", "get", "_OTHER", "PROPFIND"] {
            let odd = Method::from_bytes(odd.as_bytes()).unwrap();
            assert_eq!((MethodName::of(&odd), MethodName::OTHER.as_str()), (MethodName::OTHER, "_OTHER"));
        }
    }
}
