//! What the caller called the service.

use http::uri::{Authority, Scheme};

use crate::forwarded::{Value, scratch};

/// The scheme and host that the caller used, as the trusted proxies tell it: an extension of the request.
///
/// Only there with [`TrustedProxies::with_origin`](crate::TrustedProxies::with_origin), and only where a trusted
/// proxy told one of them. Use it for links and redirects to oneself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedOrigin {
    scheme: Option<Scheme>,
    host: Option<Authority>,
}

impl ForwardedOrigin {
    /// `http` or `https`. None where no proxy told, or told anything else.
    pub fn scheme(&self) -> Option<&Scheme> {
        self.scheme.as_ref()
    }

    /// The host and, where it was given, the port: what was in the caller's `Host` or `:authority`. None where no
    /// proxy told, or told what cannot be a host.
    pub fn host(&self) -> Option<&Authority> {
        self.host.as_ref()
    }

    pub(crate) fn read(proto: Option<Value<'_>>, host: Option<Value<'_>>) -> Option<Self> {
        let scheme = proto.and_then(|value| scheme(value.text(&mut scratch())?));
        let host = host.and_then(|value| authority(value.text(&mut scratch())?));
        (scheme.is_some() || host.is_some()).then_some(Self { scheme, host })
    }
}

fn scheme(text: &[u8]) -> Option<Scheme> {
    [Scheme::HTTPS, Scheme::HTTP]
        .into_iter()
        .find(|scheme| scheme.as_str().as_bytes().eq_ignore_ascii_case(text))
}

/// RFC 9110 section 4.2.4: a `user@` in front of a host is there to mislead.
fn authority(text: &[u8]) -> Option<Authority> {
    if text.contains(&b'@') {
        return None;
    }
    Authority::try_from(text).ok().filter(|authority| !authority.host().is_empty())
}
