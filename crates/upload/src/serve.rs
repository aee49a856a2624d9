//! How an uploaded file is served again.

use http::{HeaderMap, HeaderValue, header};

use crate::FileName;

/// Headers for a response that serves a file which a client uploaded: it is saved under its name, not shown, and taken
/// for what its `Content-Type` says (RFC 6266, the `nosniff` of Fetch). A `Content-Type` is the caller's to set.
///
/// ```
/// use bartizan_upload::{FileName, attachment};
///
/// let headers = attachment(&FileName::new("kätzchen \"1\".png").unwrap());
/// assert_eq!(
///     headers["content-disposition"],
///     "attachment; filename=\"k_tzchen _1_.png\"; filename*=UTF-8''k%C3%A4tzchen%20_1_.png"
/// );
/// assert_eq!(headers["x-content-type-options"], "nosniff");
/// ```
pub fn attachment(name: &FileName) -> HeaderMap {
    let plain = |char: char| if char.is_ascii() && !matches!(char, '"' | '\\' | '%') { char } else { '_' };
    let ascii: String = name.as_str().chars().map(plain).collect();
    let mut value = format!("attachment; filename=\"{ascii}\"");
    if ascii != name.as_str() {
        value.push_str("; filename*=UTF-8''");
        for byte in name.as_str().bytes() {
            // RFC 8187 section 3.2.1 `attr-char`.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                value.push(char::from(byte));
            } else {
                value.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    let mut headers = HeaderMap::new();
    let disposition = HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upl_04_any_safe_name_is_served_as_an_attachment() {
        bolero::check!().with_type::<String>().for_each(|sent| {
            let Some(name) = FileName::new(sent) else { return };
            let headers = attachment(&name);
            let value = headers[header::CONTENT_DISPOSITION].to_str().unwrap();
            assert!(
                value.starts_with("attachment; filename=\"") && value.matches('"').count() == 2,
                "{value}"
            );
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        });
        let headers = attachment(&FileName::new("cat.png").unwrap());
        assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment; filename=\"cat.png\"");
    }
}
