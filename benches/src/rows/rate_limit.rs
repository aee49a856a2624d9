//! Limits by address: a request that passes, and one that is refused.

use std::time::Duration;

use bartizan::{
    ClientAddr, RequestContext, phase,
    rate_limit::{HeaderFields, KeyExtractor, PerClientAddr, Rate, RateLimitLayer},
};
use http::{Request, StatusCode};
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder, key_extractor::PeerIpKeyExtractor};
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const ACCEPTED: &str = "rate limit by address, no headers";
const TOLD: &str = "rate limit by address, RateLimit headers";
const REFUSED: &str = "rate limit by address, refused";
const TOWER_GOVERNOR: &str = "tower_governor";

pub(super) fn rows() -> Vec<Scenario> {
    let accepted = Budget::new(500, 0);
    let told = Budget::new(2000, 2);
    let refused = Budget::new(6000, 12);
    vec![
        Scenario::ours(ACCEPTED, Some(accepted), |arm| ours(arm, ENOUGH, StatusCode::OK)),
        Scenario::peer(ACCEPTED, TOWER_GOVERNOR, |arm| tower_governor(arm, ENOUGH, StatusCode::OK)),
        Scenario::ours(TOLD, Some(told), with_headers),
        Scenario::peer(TOLD, TOWER_GOVERNOR, tower_governor_with_headers),
        Scenario::ours(REFUSED, Some(refused), |arm| ours(arm, NOTHING, StatusCode::TOO_MANY_REQUESTS)),
        Scenario::peer(REFUSED, TOWER_GOVERNOR, |arm| {
            tower_governor(arm, NOTHING, StatusCode::TOO_MANY_REQUESTS)
        }),
    ]
}

/// So many at once, and one more after so many seconds.
#[derive(Clone, Copy)]
pub(super) struct Quota {
    burst: u32,
    seconds: u32,
}

/// More than any run sends.
pub(super) const ENOUGH: Quota = Quota { burst: 1_000_000_000, seconds: 1 };

/// All but the first request are refused.
const NOTHING: Quota = Quota { burst: 1, seconds: 3600 };

impl Quota {
    pub(super) fn rate(self) -> Rate {
        Rate::new(1, Duration::from_secs(self.seconds.into()))
            .and_then(|rate| rate.burst(self.burst))
            .expect("neither rate nor burst is zero")
    }
}

/// What threads share, each as a client of its own.
pub(crate) fn layer() -> RateLimitLayer<PerClientAddr> {
    RateLimitLayer::new(ENOUGH.rate()).by(PerClientAddr)
}

/// The requests of one of the clients.
pub(crate) fn client(number: u8) -> impl Fn() -> Request<Body> + 'static {
    move || {
        let mut request = request::with_context();
        RequestContext::of(&mut request).set_client_addr(ClientAddr::new([203, 0, 113, number].into()));
        request
    }
}

fn ours(arm: Arm, quota: Quota, expected: StatusCode) -> Prepared {
    arm.prepare(request::with_peer, expected, move |bare: Bare<Body>| {
        RateLimitLayer::new(quota.rate()).by(PerClientAddr).with_insecure_seed(1).layer(bare)
    })
}

/// Where there is nobody to authenticate, so that a limit by address may tell what is left.
fn with_headers(arm: Arm) -> Prepared {
    arm.prepare(request::with_peer, StatusCode::OK, |bare: Bare<Body>| {
        RateLimitLayer::new(ENOUGH.rate())
            .by(PerClientAddr.at::<phase::PrincipalLimit>())
            .with_headers(HeaderFields::new())
            .with_insecure_seed(1)
            .layer(bare)
    })
}

fn tower_governor_with_headers(arm: Arm) -> Prepared {
    arm.prepare(request::with_peer, StatusCode::OK, |bare: Bare<axum::body::Body>| {
        let config = GovernorConfigBuilder::default()
            .key_extractor(PeerIpKeyExtractor)
            .per_second(ENOUGH.seconds.into())
            .burst_size(ENOUGH.burst)
            .use_headers()
            .finish()
            .expect("neither period nor burst is zero");
        GovernorLayer::new(config).layer(bare)
    })
}

fn tower_governor(arm: Arm, quota: Quota, expected: StatusCode) -> Prepared {
    arm.prepare(request::with_peer, expected, move |bare: Bare<axum::body::Body>| {
        let config = GovernorConfigBuilder::default()
            .key_extractor(PeerIpKeyExtractor)
            .per_second(quota.seconds.into())
            .burst_size(quota.burst)
            .finish()
            .expect("neither period nor burst is zero");
        GovernorLayer::new(config).layer(bare)
    })
}
