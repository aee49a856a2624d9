//! The contract every layer passes.

use std::net::{IpAddr, Ipv4Addr};

use bartizan_client_addr::{ClientAddrLayer, MissingAddr};
use bartizan_core::{Reason, insert_peer_addr};
use bartizan_testkit::contract;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

#[test]
fn the_layer_keeps_the_contract() {
    contract(ClientAddrLayer::peer)
        .accept(|request| insert_peer_addr(request.extensions_mut(), PEER))
        .check();
}

#[test]
fn the_layer_keeps_the_contract_when_it_refuses() {
    contract(|| ClientAddrLayer::peer().with_missing(MissingAddr::Refuse))
        .accept(|request| insert_peer_addr(request.extensions_mut(), PEER))
        .refuse(Reason::DependencyUnavailable, |request| request.extensions_mut().clear())
        .check();
}
