//! `application/x-www-form-urlencoded`, as it is checked before anyone parses it.

use std::borrow::Cow;

use bartizan_core::{Location, Violation, excerpt};

use crate::JsonLimits;

/// Whether `form` is within the limits, and its text is what it says: the parser behind takes a bad escape as it is,
/// and replaces what is not UTF-8.
pub(crate) fn check(form: &[u8], limits: &JsonLimits, location: Location) -> Result<(), Violation> {
    let mut count = 0;
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = (&pair[..end], pair.get(end + 1..).unwrap_or_default());
        let violation = |code, detail| violation(name, location, code, detail);
        count += 1;
        if count > limits.max_members() {
            let detail = format!("too many fields: at most {} allowed", limits.max_members());
            return Err(violation("limit", Cow::Owned(detail)));
        }
        for (part, what, most) in
            [(name, "too long a name", limits.max_key()), (value, "too long", limits.max_string())]
        {
            if part.len() > most {
                return Err(violation("limit", Cow::Owned(format!("{what}: at most {most} bytes allowed"))));
            }
            match decoded(part) {
                Some(bytes) if std::str::from_utf8(&bytes).is_ok() => {}
                Some(_) => return Err(violation("encoding", Cow::Borrowed("is not UTF-8"))),
                None => return Err(violation("encoding", Cow::Borrowed("is not percent-encoded rightly"))),
            }
        }
    }
    Ok(())
}

/// At the field of this name, if the name can be shown.
fn violation(name: &[u8], location: Location, code: &'static str, detail: Cow<'static, str>) -> Violation {
    let name = decoded(name).and_then(|name| String::from_utf8(name.into_owned()).ok()).unwrap_or_default();
    let name = excerpt(&name).into_owned();
    match location {
        Location::Body => Violation::in_body([name], code, detail),
        other => Violation::in_parameter(other, name, code, detail),
    }
}

/// The bytes that `text` stands for; `None` if a `%` is not followed by two hexadecimal digits.
fn decoded(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            other => *other,
        });
    }
    Some(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(form: &str) -> Option<&'static str> {
        let limits = JsonLimits::new().with_max_members(2).unwrap().with_max_key(12).unwrap();
        let limits = limits.with_max_string(8).unwrap();
        check(form.as_bytes(), &limits, Location::Query).err().map(|violation| violation.code())
    }

    #[test]
    fn val_03_text_is_what_it_says() {
        for form in ["", "a", "a=", "a=1&b=2", "a=%C3%A9+x", "&&a=1&", "=x"] {
            assert_eq!(code(form), None, "{form}");
        }
        for form in ["a=%", "a=%4", "a=%zz", "%+1=a", "a=%ff", "a=%c3", "%ED%A0%80=1"] {
            assert_eq!(code(form), Some("encoding"), "{form}");
        }
    }

    #[test]
    fn val_02_fields_names_and_values_are_limited() {
        for form in ["a&b&c", "abcdefghijklm=1", "a=123456789"] {
            assert_eq!(code(form), Some("limit"), "{form}");
        }
    }

    #[test]
    fn val_03_the_parser_behind_reads_what_was_checked() {
        bolero::check!().for_each(|bytes: &[u8]| {
            if check(bytes, &JsonLimits::new(), Location::Body).is_err() {
                return;
            }
            let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
                let mut parts = pair.splitn(2, |byte| *byte == b'=');
                let mut part = || decoded(parts.next().unwrap_or_default()).expect("checked");
                (part(), part())
            });
            let ours: Vec<_> = pairs.collect();
            let theirs: Vec<_> = form_urlencoded::parse(bytes).collect();
            assert_eq!(ours.len(), theirs.len());
            for ((name, value), (their_name, their_value)) in ours.iter().zip(&theirs) {
                assert_eq!((&**name, &**value), (their_name.as_bytes(), their_value.as_bytes()));
            }
        });
    }
}
