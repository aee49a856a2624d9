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
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(addr)) = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>()
    {
        return Some(addr.ip());
    }
    #[cfg(feature = "tonic")]
    if let Some(info) = extensions.get::<tonic::transport::server::TcpConnectInfo>() {
        return info.remote_addr().map(|addr| addr.ip());
    }
    #[cfg(feature = "tonic-tls")]
    if let Some(info) =
        extensions.get::<tonic::transport::server::TlsConnectInfo<tonic::transport::server::TcpConnectInfo>>()
    {
        return info.get_ref().remote_addr().map(|addr| addr.ip());
    }
    extensions.get::<SocketAddr>().map(SocketAddr::ip)
}
