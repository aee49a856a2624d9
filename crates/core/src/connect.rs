//! The address of the other end of the connection.

use std::net::{IpAddr, SocketAddr};

use http::Extensions;

/// A peer address that the service put there itself.
#[derive(Clone, Copy)]
struct PeerAddr(IpAddr);

/// Puts the peer address into a request's extensions, for servers that neither axum nor tonic runs.
pub fn insert_peer_addr(extensions: &mut Extensions, addr: IpAddr) {
    extensions.insert(PeerAddr(addr));
}

/// The peer address: what [`insert_peer_addr`] put there, axum's `ConnectInfo<SocketAddr>` (feature `axum`),
/// tonic's `TcpConnectInfo` (feature `tonic`) or its TLS twin (feature `tonic-tls`), or a bare
/// [`SocketAddr`].
pub fn peer_addr(extensions: &Extensions) -> Option<IpAddr> {
    if let Some(PeerAddr(addr)) = extensions.get() {
        return Some(*addr);
    }
    peer_socket(extensions).map(|addr| addr.ip())
}

/// The peer's port, from where [`peer_addr`] has the address. `None` for an address of [`insert_peer_addr`], which has
/// none.
pub fn peer_port(extensions: &Extensions) -> Option<u16> {
    if extensions.get::<PeerAddr>().is_some() {
        return None;
    }
    peer_socket(extensions).map(|addr| addr.port())
}

#[inline(always)]
fn peer_socket(extensions: &Extensions) -> Option<SocketAddr> {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(addr)) = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>()
    {
        return Some(*addr);
    }
    #[cfg(feature = "tonic")]
    if let Some(info) = extensions.get::<tonic::transport::server::TcpConnectInfo>() {
        return info.remote_addr();
    }
    #[cfg(feature = "tonic-tls")]
    if let Some(info) =
        extensions.get::<tonic::transport::server::TlsConnectInfo<tonic::transport::server::TcpConnectInfo>>()
    {
        return info.get_ref().remote_addr();
    }
    extensions.get::<SocketAddr>().copied()
}
