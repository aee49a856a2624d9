//! What belongs to one connection, and goes no further (RFC 9110 section 7.6.1).

use http::{HeaderMap, HeaderName, HeaderValue, header};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes the fields that were meant for the connection on which a request came, and those that it names.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers.get_all(header::CONNECTION).iter().flat_map(names).collect();
    for name in named {
        headers.remove(name);
    }
    for name in [header::CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE]
    {
        headers.remove(name);
    }
    // gRPC asks for it on each hop, and it is the one that may be sent on.
    let says_trailers = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"trailers");
    if !headers.get_all(header::TE).iter().all(says_trailers) {
        headers.remove(header::TE);
    }
}

/// The names in a line of `Connection`. `TE` is not among them: what may stay of it is decided by its value.
fn names(line: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    let names = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    names.filter_map(|name| HeaderName::from_bytes(name).ok()).filter(|name| *name != header::TE)
}
