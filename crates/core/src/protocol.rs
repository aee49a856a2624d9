//! Which protocol a request speaks, decided once from its head.

use http::{HeaderMap, HeaderValue, Method, Request, header};

/// The protocol of a request, and so the face a refusal shows it.
///
/// Decided from the method, which is POST for every call, and `content-type`, as the [gRPC protocol] asks:
/// `application/grpc`, or that followed by `+` or `;`, in any case. `application/grpcfoo` is plain HTTP.
///
/// [gRPC protocol]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// Plain HTTP: refusals are problem+json.
    #[default]
    Http,
    /// gRPC over HTTP/2: refusals are Trailers-Only.
    Grpc,
    /// gRPC-Web: refusals carry the status in the response headers, under the request's own content type.
    GrpcWeb(GrpcWebFormat),
}

/// The content type of a gRPC-Web request, which its refusal repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrpcWebFormat {
    /// `application/grpc-web`
    Binary,
    /// `application/grpc-web+proto`
    BinaryProto,
    /// `application/grpc-web+json`
    BinaryJson,
    /// `application/grpc-web-text`
    Text,
    /// `application/grpc-web-text+proto`
    TextProto,
}

/// What the types of gRPC begin with.
const GRPC: &[u8; 16] = b"application/grpc";

/// In a head of so many fields, going through the names takes less than looking up one that is not there.
const SHORT: usize = 8;

impl Protocol {
    /// The protocol of `request`.
    #[inline]
    pub fn of<B>(request: &Request<B>) -> Self {
        Self::of_parts(request.method(), request.headers())
    }

    /// The protocol of a request with this method and these headers.
    ///
    /// Every call of gRPC is a POST. What only says so in its type, which any caller can write, is plain HTTP: a GET that is
    /// refused must not look like a success to a cache, nor have its path taken for the name of a method.
    #[inline]
    pub fn of_parts(method: &Method, headers: &HeaderMap) -> Self {
        let told = Self::from_headers(headers);
        if told.is_grpc() && *method != Method::POST { Self::Http } else { told }
    }

    /// The protocol that the type of a body tells: of a response, or of a request that is known to be a POST.
    #[inline]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        if headers.keys_len() <= SHORT && headers.keys().all(|name| *name != header::CONTENT_TYPE) {
            return Self::Http;
        }
        headers
            .get(header::CONTENT_TYPE)
            .map_or(Self::Http, |value| Self::from_content_type(value.as_bytes()))
    }

    /// Whether a head may be one of gRPC, by a look at its first field: most that have one begin with their type.
    #[inline(always)]
    pub(crate) fn may_be_grpc(headers: &HeaderMap) -> bool {
        match headers.iter().next() {
            Some((name, value)) if *name == header::CONTENT_TYPE => begins_like_grpc(value.as_bytes()),
            Some(_) => Self::from_headers(headers).is_grpc(),
            None => false,
        }
    }

    fn from_content_type(value: &[u8]) -> Self {
        let Some((head, rest)) = value.split_at_checked(GRPC.len()) else { return Self::Http };
        if !head.eq_ignore_ascii_case(GRPC) {
            return Self::Http;
        }
        match rest.first() {
            None | Some(b'+' | b';') => Self::Grpc,
            Some(b'-') => GrpcWebFormat::from_suffix(rest).map_or(Self::Http, Self::GrpcWeb),
            Some(b' ' | b'\t') if is_parameters(rest) => Self::Grpc,
            Some(_) => Self::Http,
        }
    }

    /// Whether refusals are a gRPC status rather than an HTTP one.
    #[inline]
    pub fn is_grpc(self) -> bool {
        !matches!(self, Self::Http)
    }

    /// The `content-type` of a gRPC refusal; `None` for plain HTTP.
    pub(crate) fn grpc_content_type(self) -> Option<HeaderValue> {
        match self {
            Self::Http => None,
            Self::Grpc => Some(HeaderValue::from_static("application/grpc")),
            Self::GrpcWeb(format) => Some(HeaderValue::from_static(format.as_str())),
        }
    }
}

/// Whether a value begins as the types of gRPC do, in any case. Some that are none do so too.
#[inline]
fn begins_like_grpc(value: &[u8]) -> bool {
    // The bit in which the cases of a letter differ.
    const LOWER: u128 = u128::from_ne_bytes([0x20; GRPC.len()]);
    value.first_chunk().is_some_and(|start| u128::from_ne_bytes(*start) | LOWER == u128::from_ne_bytes(*GRPC))
}

impl GrpcWebFormat {
    const ALL: [Self; 5] = [Self::Binary, Self::BinaryProto, Self::BinaryJson, Self::Text, Self::TextProto];

    /// The content type, in lower case and without parameters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "application/grpc-web",
            Self::BinaryProto => "application/grpc-web+proto",
            Self::BinaryJson => "application/grpc-web+json",
            Self::Text => "application/grpc-web-text",
            Self::TextProto => "application/grpc-web-text+proto",
        }
    }

    /// `suffix` is what follows `application/grpc`. An unknown `+codec` falls back to the base format.
    fn from_suffix(suffix: &[u8]) -> Option<Self> {
        let end = suffix.iter().position(|b| matches!(b, b';' | b' ' | b'\t')).unwrap_or(suffix.len());
        let (name, parameters) = suffix.split_at(end);
        if !is_parameters(parameters) {
            return None;
        }
        let matches = |name: &[u8], format: &Self| {
            format.as_str().as_bytes()["application/grpc".len()..].eq_ignore_ascii_case(name)
        };
        let base = name.split(|b| *b == b'+').next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|format| matches(name, format))
            .or_else(|| Self::ALL.into_iter().find(|format| matches(base, format)))
    }
}

/// Nothing, or `;` after optional white space (RFC 9110 section 8.3.1).
fn is_parameters(rest: &[u8]) -> bool {
    matches!(rest.trim_ascii_start().first(), None | Some(b';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_01_the_content_type_decides() {
        for (value, expected) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("application/grpc;charset=x", Protocol::Grpc),
            ("application/grpc ; charset=x", Protocol::Grpc),
            ("Application/GRPC+JSON", Protocol::Grpc),
            ("application/grpcfoo", Protocol::Http),
            ("application/grp", Protocol::Http),
            ("application/grpc foo", Protocol::Http),
            ("application/grpc-websocket", Protocol::Http),
            ("application/json", Protocol::Http),
            ("", Protocol::Http),
        ] {
            assert_eq!(Protocol::from_content_type(value.as_bytes()), expected, "{value}");
            for others in [0, 1, SHORT - 1, SHORT, 3 * SHORT] {
                let other = |index| (format!("x-{index}").parse().unwrap(), HeaderValue::from_static("x"));
                let mut headers: HeaderMap = (0..others).map(other).collect();
                assert_eq!(Protocol::from_headers(&headers), Protocol::Http, "{others} others");
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
                assert_eq!(Protocol::from_headers(&headers), expected, "{value} after {others} others");
            }
        }
        assert_eq!(Protocol::from_headers(&HeaderMap::new()), Protocol::Http);
    }

    #[test]
    fn grpc_01_only_a_post_is_a_call() {
        for value in ["application/grpc", "application/grpc-web", "application/grpc-web-text"] {
            let request = |method| {
                let request = Request::builder().method(method).header("content-type", value);
                Protocol::of(&request.body(()).unwrap()).is_grpc()
            };
            assert!(request(Method::POST), "{value}");
            for other in [Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS] {
                assert!(!request(other), "{value}");
            }
        }
    }

    #[test]
    fn grpc_13_a_head_may_be_grpcs_wherever_its_type_stands() {
        let head = |fields: &[(&'static str, &'static str)]| {
            fields
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect()
        };
        let other = ("server", "x");
        for (value, expected) in [
            ("application/grpc", true),
            ("Application/GRPC+proto", true),
            ("application/grpc-web", true),
            ("application/json", false),
            ("", false),
        ] {
            let kind = ("content-type", value);
            for fields in [&[kind][..], &[kind, other], &[other, kind]] {
                assert_eq!(Protocol::may_be_grpc(&head(fields)), expected, "{fields:?}");
            }
        }
        assert!(!Protocol::may_be_grpc(&HeaderMap::new()) && !Protocol::may_be_grpc(&head(&[other])));
    }

    #[test]
    fn grpc_14_web_requests_keep_their_own_content_type() {
        for (value, expected) in [
            ("application/grpc-web", "application/grpc-web"),
            ("application/grpc-web+proto", "application/grpc-web+proto"),
            ("application/grpc-web+json;charset=utf-8", "application/grpc-web+json"),
            ("application/grpc-web+thrift", "application/grpc-web"),
            ("APPLICATION/gRPC-Web-Text", "application/grpc-web-text"),
            ("application/grpc-web-text+proto ; x=y", "application/grpc-web-text+proto"),
        ] {
            let protocol = Protocol::from_content_type(value.as_bytes());
            assert_eq!(protocol.grpc_content_type().unwrap(), expected, "{value}");
        }
    }
}
