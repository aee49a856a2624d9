//! The URL of an outgoing request, without its secrets.

use bartizan_core::is_secret_name;
use http::Uri;
use percent_encoding::percent_decode_str;

/// What stands for what was taken out (OpenTelemetry's semantic conventions for `url.full`).
const REDACTED: &str = "REDACTED";

/// The keys whose values those conventions have redacted, in this case.
const SECRET_KEYS: [&str; 7] = [
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
];

/// `url.full`: what of a URI may be told, with its query if that is wanted. `more` are further keys of secrets.
pub(super) fn full(uri: &Uri, with_query: bool, more: &[Box<str>]) -> String {
    let mut full = String::new();
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        full.push_str(scheme);
        full.push_str("://");
        let host = match authority.as_str().rsplit_once('@') {
            Some((_, host)) => {
                full.extend([REDACTED, ":", REDACTED, "@"]);
                host
            }
            None => authority.as_str(),
        };
        full.push_str(host);
    }
    full.push_str(uri.path());
    if let Some(query) = uri.query().filter(|_| with_query) {
        full.push('?');
        // Some take a semicolon for an ampersand.
        for pair in query.split_inclusive(['&', ';']) {
            let (pair, end) = pair.split_at(pair.len() - usize::from(pair.ends_with(['&', ';'])));
            match pair.split_once('=') {
                Some((key, _)) if is_secret(key, more) => full.extend([key, "=", REDACTED]),
                _ => full.push_str(pair),
            }
            full.push_str(end);
        }
    }
    full
}

fn is_secret(key: &str, more: &[Box<str>]) -> bool {
    let key = percent_decode_str(key).decode_utf8_lossy();
    // `token[0]` is an element of `token`.
    let key = key.split('[').next().unwrap_or_default();
    SECRET_KEYS.contains(&key) || more.iter().any(|known| **known == *key) || is_secret_name(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(uri: &str) -> String {
        full(&uri.parse().unwrap(), true, &["code".into()])
    }

    #[test]
    fn obs_04_credentials_in_a_url_are_redacted() {
        for (uri, expected) in [
            ("https://user:pass@shop.example/a", "https://REDACTED:REDACTED@shop.example/a"),
            ("https://user@shop.example:8443/", "https://REDACTED:REDACTED@shop.example:8443/"),
            ("http://a.example/?Signature=x&a=1", "http://a.example/?Signature=REDACTED&a=1"),
            (
                "http://a.example/k?X-Amz-Signature=a&X-Amz-Credential=b&X-Amz-Security-Token=c",
                "http://a.example/k?X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED",
            ),
            ("http://a/?AWSAccessKeyId=a&sig=b", "http://a/?AWSAccessKeyId=REDACTED&sig=REDACTED"),
            ("http://a/?X-Goog-Signature=a==", "http://a/?X-Goog-Signature=REDACTED"),
            ("http://a/?X%2DGoog%2DSignature=a", "http://a/?X%2DGoog%2DSignature=REDACTED"),
            ("http://a/?awsaccesskeyid=a&SIG=b&sig", "http://a/?awsaccesskeyid=a&SIG=b&sig"),
        ] {
            assert_eq!(told(uri), expected);
        }
    }

    #[test]
    fn log_04_what_is_named_like_a_secret_is_redacted_too() {
        assert_eq!(
            told("/x?access_token=a&Password=b&API_KEY=&q=c&code=d&Code=e"),
            "/x?access_token=REDACTED&Password=REDACTED&API_KEY=REDACTED&q=c&code=REDACTED&Code=e"
        );
    }

    #[test]
    fn log_04_a_secret_is_found_behind_a_semicolon_and_in_an_array() {
        assert_eq!(told("/?x=1;access_token=a;y=2&z"), "/?x=1;access_token=REDACTED;y=2&z");
        assert_eq!(
            told("/?cookie[]=a&code[0]=b&sig%5B%5D=c"),
            "/?cookie[]=REDACTED&code[0]=REDACTED&sig%5B%5D=REDACTED"
        );
    }

    #[test]
    fn obs_08_the_query_may_be_left_out() {
        let uri = "http://user@a/b?c=d".parse().unwrap();
        assert_eq!(full(&uri, false, &[]), "http://REDACTED:REDACTED@a/b");
    }

    #[test]
    fn what_holds_no_secret_is_told_as_it_is() {
        for uri in ["http://a.example/", "https://[::1]:8443/a?b=c&&d=&=e&f", "/a?", "/a?=", "*"] {
            assert_eq!(told(uri), uri);
        }
    }

    #[test]
    fn log_04_no_secret_survives_in_any_query() {
        bolero::check!().with_type::<(String, String)>().for_each(|(before, after)| {
            let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
            let uri = format!("http://a/?{}=1&sig=topsecret&{}", plain(before), plain(after));
            assert!(!told(&uri).contains("topsecret"), "{uri}");
        });
    }
}
