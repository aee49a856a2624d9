//! The `Content-Disposition` of a part.

use super::Malformed;

/// The name of a field, and the file name that came with it, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disposition {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
}

impl Disposition {
    /// The most bytes of the name of a field.
    const MAX_NAME: usize = 256;

    pub(super) fn parse(value: &str) -> Result<Self, Malformed> {
        let (kind, mut rest) = value.split_at(value.find(';').unwrap_or(value.len()));
        if !kind.trim_matches([' ', '\t']).eq_ignore_ascii_case("form-data") {
            return Err(Malformed::Disposition);
        }
        let (mut name, mut file_name) = (None, None);
        while let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_start_matches([' ', '\t']);
            if rest.is_empty() {
                break;
            }
            let (key, value, left) = parameter(rest).ok_or(Malformed::Disposition)?;
            rest = left;
            let slot = match key.to_ascii_lowercase().as_str() {
                "name" => &mut name,
                "filename" => &mut file_name,
                // RFC 7578 section 4.2 forbids it; a reader that prefers it would see another name than one that
                // does not.
                "filename*" | "name*" => return Err(Malformed::ExtendedName),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(Malformed::Disposition);
            }
        }
        let name =
            name.filter(|name| (1..=Self::MAX_NAME).contains(&name.len())).ok_or(Malformed::Disposition)?;
        if !rest.is_empty() {
            return Err(Malformed::Disposition);
        }
        Ok(Self { name, file_name })
    }
}

/// `key=value` or `key="value"`, and what follows up to the next `;`.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (key, rest) = text.split_once('=')?;
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte)) {
        return None;
    }
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let (value, rest) = rest.split_at(rest.find([';', ' ', '\t']).unwrap_or(rest.len()));
            (value.to_owned(), rest)
        }
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    (rest.is_empty() || rest.starts_with(';')).then_some((key, value, rest))
}

/// What stands before the closing quote. A quote is written as `\"`, or by browsers as `%22`; a backslash before
/// anything else stands for itself, as in the paths that old browsers send.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value.replace("%22", "\""), &text[at + 1..])),
            '\\' if text[at + 1..].starts_with(['"', '\\']) => {
                value.extend(chars.next().map(|(_, char)| char));
            }
            char => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<(String, Option<String>), Malformed> {
        Disposition::parse(value).map(|disposition| (disposition.name, disposition.file_name))
    }

    #[test]
    fn upl_01_a_part_has_a_name_once() {
        for (value, name, file) in [
            ("form-data; name=\"a\"", "a", None),
            ("Form-Data;NAME=a;filename=b.png", "a", Some("b.png")),
            ("form-data; name=\"a;b\"; filename=\"x\\\"y.png\" ;", "a;b", Some("x\"y.png")),
            ("form-data; name=\"a\"; filename=\"C:\\dir\\b.png\"", "a", Some("C:\\dir\\b.png")),
            ("form-data; name=\"%22a\"; filename=\"\"; other=1", "\"a", Some("")),
        ] {
            assert_eq!(parse(value), Ok((name.to_owned(), file.map(str::to_owned))), "{value}");
        }
        for value in [
            "form-data",
            "form-data; name=\"\"",
            "attachment; name=\"a\"",
            "form-data; filename=\"b\"",
            "form-data; name=\"a\"; name=\"b\"",
            "form-data; name=\"a\"; filename=\"b\"; FileName=\"c\"",
            "form-data; name=\"a",
            "form-data; name=\"a\"b",
            "form-data; name",
            "form-data; na me=a",
            "form-data name=a",
        ] {
            assert_eq!(parse(value), Err(Malformed::Disposition), "{value}");
        }
        assert_eq!(parse(&format!("form-data; name={}", "x".repeat(257))), Err(Malformed::Disposition));
    }

    #[test]
    fn upl_01_the_extended_file_name_is_refused() {
        let value = "form-data; name=\"a\"; filename=\"b.png\"; filename*=UTF-8''evil.php";
        assert_eq!(parse(value), Err(Malformed::ExtendedName));
    }
}
