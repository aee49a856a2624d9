//! The headers of a part.

use super::{Disposition, Malformed};

/// What the headers of a part say, as far as RFC 7578 gives them a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) disposition: Disposition,
    /// The declared type, in lower case and without parameters.
    pub(crate) media_type: Option<String>,
}

impl Headers {
    /// `block` is what stands before the empty line.
    pub(super) fn parse(block: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(block).map_err(|_| Malformed::Headers)?;
        let (mut disposition, mut media_type, mut encoding) = (None, None, None);
        for line in text.split("\r\n").filter(|line| !line.is_empty()) {
            // A folded line starts with a space, and no name does.
            let (name, value) = line.split_once(':').ok_or(Malformed::Headers)?;
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
            if name.is_empty() || !name.bytes().all(is_token) || value.bytes().any(is_control) {
                return Err(Malformed::Headers);
            }
            let value = value.trim_matches([' ', '\t']);
            let known = [
                ("content-disposition", &mut disposition),
                ("content-type", &mut media_type),
                ("content-transfer-encoding", &mut encoding),
            ];
            // All others have no meaning here, and are ignored (RFC 7578 section 4.8).
            for (header, slot) in known {
                if name.eq_ignore_ascii_case(header) && slot.replace(value).is_some() {
                    return Err(Malformed::Headers);
                }
            }
        }
        // Deprecated, and where it says anything but "as it is", nobody undoes it (RFC 7578 section 4.7).
        let as_it_is = |encoding: &str| {
            ["binary", "8bit", "7bit"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
        };
        if !encoding.is_none_or(as_it_is) {
            return Err(Malformed::Encoding);
        }
        let disposition = disposition.ok_or(Malformed::Disposition)?;
        Ok(Self {
            disposition: Disposition::parse(disposition)?,
            media_type: media_type.map(|value| {
                value.split(';').next().unwrap_or_default().trim_matches([' ', '\t']).to_ascii_lowercase()
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = "Content-Disposition: form-data; name=\"a\"";

    #[test]
    fn upl_01_headers_are_read_strictly() {
        let parse = |more: &str| Headers::parse(format!("{NAMED}\r\n{more}").as_bytes());
        assert_eq!(parse("Content-Type: Text/Plain; charset=x").unwrap().media_type.unwrap(), "text/plain");
        assert_eq!(parse("X-Other:: \u{e9}").unwrap().media_type, None);
        assert!(parse("content-transfer-encoding: BINARY").is_ok());
        assert_eq!(parse("content-transfer-encoding: base64"), Err(Malformed::Encoding));
        for bad in [NAMED, " folded", "no colon", "Bad Name: x", ": x", "a: \u{0}", "a: b\rc", "a: b\nc: d"] {
            assert_eq!(parse(bad), Err(Malformed::Headers), "{bad:?}");
        }
        assert_eq!(Headers::parse(b""), Err(Malformed::Disposition));
        assert_eq!(Headers::parse(b"Content-Type: text/plain"), Err(Malformed::Disposition));
        assert_eq!(Headers::parse(b"a: \xff"), Err(Malformed::Headers));
    }
}
