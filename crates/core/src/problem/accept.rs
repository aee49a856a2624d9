//! Which format of a problem a client would rather have.

use http::{HeaderMap, header};

/// Whether `Accept` prefers problem+xml strictly to problem+json (RFC 9110 section 12.5.1).
pub(crate) fn prefers_xml(headers: &HeaderMap) -> bool {
    let mut json = Quality::default();
    let mut xml = Quality::default();
    for line in headers.get_all(header::ACCEPT) {
        for item in line.to_str().unwrap_or_default().split(',') {
            let mut parts = item.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default();
            let quality = parts.find_map(quality_value).unwrap_or(1000);
            json.offer(range, "application/problem+json", quality);
            xml.offer(range, "application/problem+xml", quality);
        }
    }
    xml.value() > json.value()
}

/// The best match so far: the most specific range decides, whatever its quality.
#[derive(Default)]
struct Quality {
    specificity: u8,
    thousandths: u16,
}

impl Quality {
    fn offer(&mut self, range: &str, media_type: &str, thousandths: u16) {
        let specificity = if range.eq_ignore_ascii_case(media_type) {
            3
        } else if range.eq_ignore_ascii_case("application/*") {
            2
        } else if range == "*/*" {
            1
        } else {
            return;
        };
        if specificity >= self.specificity {
            *self = Self { specificity, thousandths };
        }
    }

    fn value(&self) -> u16 {
        if self.specificity == 0 { 0 } else { self.thousandths }
    }
}

/// `q=0.123` in thousandths; a malformed weight counts as no weight.
fn quality_value(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn err_08_xml_only_when_strictly_preferred() {
        for (accept, xml) in [
            ("application/problem+xml", true),
            ("application/problem+xml, application/problem+json", false),
            ("application/problem+xml;q=0.9, application/problem+json;q=0.899", true),
            ("application/problem+xml;q=0, */*", false),
            ("*/*;q=0.1, application/problem+xml", true),
            ("application/*", false),
            ("text/html, application/problem+XML;Q=0.2", true),
            ("application/problem+xml;q=7, application/problem+json;q=0.5", true),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(prefers_xml(&headers), xml, "{accept}");
        }
    }
}
