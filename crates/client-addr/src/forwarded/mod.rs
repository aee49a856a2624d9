//! The walk over what proxies wrote, from this service towards the caller.

mod list;
mod node;
mod pairs;
mod value;

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};

pub(crate) use self::value::{Value, scratch};
use self::{list::from_right, pairs::Pairs};
use crate::{ForwardedOrigin, TrustedProxies};

/// The one header in which the proxies tell whom they forward for. The other one is never read: a proxy that
/// writes the one passes on what a caller wrote into the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, and for the origin `X-Forwarded-Proto` and `X-Forwarded-Host`: what most proxies write.
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

/// As many entries are looked at, so that the work does not grow with what a caller sends. More than any chain has.
const MAX_ENTRIES: usize = 64;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Where a walk ended.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// The last address that a trusted hop told, the peer's own at first.
    pub(crate) addr: Option<IpAddr>,
    /// How many addresses were taken from the header.
    pub(crate) depth: usize,
    /// The last entry that a trusted hop wrote, as far as it could be read.
    entry: Option<Entry<'a>>,
}

/// What one hop said.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    /// None for `unknown` and names that are no addresses.
    addr: Option<IpAddr>,
    proto: Option<Value<'a>>,
    host: Option<Value<'a>>,
}

impl ForwardedHeader {
    /// Walks from the peer to the first address that is not a trusted proxy's. What cannot be read ends the walk,
    /// at the last hop that could.
    pub(crate) fn walk<'a>(
        self,
        proxies: &TrustedProxies,
        peer: Option<IpAddr>,
        headers: &'a HeaderMap,
    ) -> Found<'a> {
        let mut found = Found { addr: peer, depth: 0, entry: None };
        if !proxies.trusts(0, peer) {
            return found;
        }
        for text in entries(headers, &self.name()) {
            let Some(entry) = self.read(text) else { break };
            found.entry = Some(entry);
            let Some(addr) = entry.addr else { break };
            found.addr = Some(addr);
            found.depth += 1;
            if !proxies.trusts(found.depth, found.addr) {
                break;
            }
        }
        found
    }

    /// The scheme and host that the caller used, as the hop told that told of the caller. Ask only about peers that
    /// are trusted.
    pub(crate) fn origin(self, found: &Found<'_>, headers: &HeaderMap) -> Option<ForwardedOrigin> {
        let (proto, host) = match self {
            Self::XForwardedFor => (
                aligned(headers, &X_FORWARDED_PROTO, found.depth),
                aligned(headers, &X_FORWARDED_HOST, found.depth),
            ),
            Self::Forwarded => found.entry.map_or((None, None), |entry| (entry.proto, entry.host)),
        };
        ForwardedOrigin::read(proto, host)
    }

    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => X_FORWARDED_FOR,
            Self::Forwarded => header::FORWARDED,
        }
    }

    fn read(self, text: &[u8]) -> Option<Entry<'_>> {
        match self {
            Self::XForwardedFor => {
                Some(Entry { addr: Some(node::x_forwarded_for(text)?), proto: None, host: None })
            }
            Self::Forwarded => {
                let pairs = Pairs::read(text)?;
                let addr = pairs.node.and_then(|node| node::forwarded(node.text(&mut scratch())?));
                Some(Entry { addr, proto: pairs.proto, host: pairs.host })
            }
        }
    }
}

/// The entries of all lines of a header, the last one first. RFC 9110 section 5.6.1.2: empty ones do not count.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line| from_right(line.as_bytes())).take(MAX_ENTRIES).filter(|entry| !entry.is_empty())
}

/// The value that stands where the caller's address stands. Many proxies overwrite these fields rather than append
/// to them, so a single value is it wherever the address stands; several that do not reach that far mean nothing.
fn aligned<'a>(headers: &'a HeaderMap, name: &HeaderName, depth: usize) -> Option<Value<'a>> {
    let mut values = entries(headers, name);
    let last = values.next()?;
    match (depth.saturating_sub(1), values.next()) {
        (_, None) | (0, _) => Value::bare(last),
        (1, Some(second)) => Value::bare(second),
        (further, Some(_)) => values.nth(further - 2).and_then(Value::bare),
    }
}

#[cfg(test)]
mod tests;
