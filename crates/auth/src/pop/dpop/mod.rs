//! Proofs of possession (RFC 9449).

mod address;
mod nonce;
mod proof;
mod replay;

use std::{
    fmt,
    time::{Duration, Instant},
};

use http::{HeaderValue, Request};
use subtle::ConstantTimeEq;

use self::{address::Address, nonce::Nonces, proof::Proof, replay::Replay};
use super::{Offer, Thumbprint, possession::DPOP};
use crate::{
    Algorithm, Algorithms, ConfigError, Failure, JwtLayer, error::Part, jwt::crypto, key::sha256,
    settings::Settings,
};

/// How clients prove that they hold the keys of their tokens (DPoP, RFC 9449), for
/// [`JwtLayer::with_dpop`](crate::JwtLayer::with_dpop).
///
/// A request then carries `Authorization: DPoP …` and, in the header `DPoP`, a proof: a JWT of its own, signed with the
/// client's key, for this method, this address and this token, and good once.
///
/// ```
/// use bartizan_auth::{Algorithm, Dpop};
///
/// # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
/// // As clients call the service. Behind a proxy that takes `/orders` from the path: with it.
/// let dpop = Dpop::new("https://api.example/orders", [Algorithm::Es256, Algorithm::EdDsa])?;
/// # }
/// assert!(Dpop::new("https://api.example", [Algorithm::Hs256]).is_err(), "a shared secret proves nothing");
/// # Ok::<_, bartizan_auth::ConfigError>(())
/// ```
#[must_use]
pub struct Dpop {
    address: Address,
    algorithms: Algorithms,
    window: Duration,
    nonces: Option<Nonces>,
    replay: Replay,
}

impl Dpop {
    /// The default of [`with_window`](Self::with_window).
    pub const WINDOW: Duration = Duration::from_secs(60);

    /// The default of [`with_replay_capacity`](Self::with_replay_capacity).
    pub const REPLAY_CAPACITY: usize = 1 << 20;

    /// Proofs for requests to `address`, which is where clients find the service, signed by one of `algorithms`.
    ///
    /// The address is asked for because nothing in a request can be believed about it: a proof that a client made for
    /// another service would be good here if whoever sends it on could choose the host. The path of a request is put
    /// behind it. Paths compare with their escapes normalized (RFC 3986 section 6.2.2), and no dots resolved.
    ///
    /// # Errors
    ///
    /// When the address is not `https://` or `http://`, a host and perhaps a port and a path; when there is no
    /// algorithm, or one with a shared secret. When neither the feature `aws-lc-rs` nor `rust-crypto` is on, which verify
    /// proofs.
    pub fn new(address: &str, algorithms: impl Into<Algorithms>) -> Result<Self, ConfigError> {
        crypto::check(Part::Dpop)?;
        let algorithms = algorithms.into();
        if !algorithms.iter().all(is_asymmetric) || algorithms.iter().next().is_none() {
            return Err(ConfigError::new(
                Part::Dpop,
                "algorithms",
                "must be one or more, and none with a shared secret",
            ));
        }
        Ok(Self {
            address: Address::read(address)?,
            algorithms,
            window: Self::WINDOW,
            nonces: None,
            replay: Replay::new(Self::REPLAY_CAPACITY),
        })
    }

    /// How far a proof's `iat` may lie from the service's time, before or after. Without effect
    /// [with nonces](Self::with_nonces), which tell the time better. Default: 60 s.
    ///
    /// # Errors
    ///
    /// When it is not 1 s to 300 s.
    pub fn with_window(mut self, window: Duration) -> Result<Self, ConfigError> {
        if !(Duration::from_secs(1)..=Duration::from_secs(300)).contains(&window) {
            return Err(ConfigError::new(Part::Dpop, "window", "must be 1 s to 300 s"));
        }
        self.window = window;
        Ok(self)
    }

    /// Asks for a nonce of the service in each proof (RFC 9449 section 9), so that none can be made in advance. A
    /// client learns it from the refusal of its first request, and the next one from a response. It is good for
    /// `lifetime` at least and twice that at most, and derived from `secret`, which is shared by all instances of the
    /// service; none is stored. Default: no nonces.
    ///
    /// # Errors
    ///
    /// When the secret has less than 32 bytes, or the lifetime is not 10 s to 3600 s.
    pub fn with_nonces(mut self, secret: &[u8], lifetime: Duration) -> Result<Self, ConfigError> {
        self.nonces = Some(Nonces::new(secret, lifetime)?);
        Ok(self)
    }

    /// How many proofs are remembered, so that none is good twice. Each is for as long as it could be used again, and
    /// for twice that at most: by default 120 s to 240 s. Takes 40 bytes each, when they are used. When the memory is
    /// full, requests with proofs get 503, for a proof that cannot be remembered could be used again. Default: 1 048 576.
    ///
    /// Each instance of the service remembers those that it saw: a proof is good once at each. Nonces under a secret
    /// of each instance's own prevent that.
    ///
    /// # Errors
    ///
    /// When it is not 1024 to 16 777 216.
    pub fn with_replay_capacity(mut self, proofs: usize) -> Result<Self, ConfigError> {
        if !(1 << 10..=1 << 24).contains(&proofs) {
            return Err(ConfigError::new(Part::Dpop, "replay_capacity", "must be 1024 to 16777216"));
        }
        self.replay = Replay::new(proofs);
        Ok(self)
    }

    /// The names of the algorithms, as a challenge lists them.
    fn names(&self) -> String {
        self.algorithms.iter().map(Algorithm::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Whether the request has a good proof of this key and for this token. Gives the nonce for the next one, if the
    /// one in use is about to expire.
    pub(crate) fn check<B>(
        &self,
        request: &Request<B>,
        token: &[u8],
        key: &Thumbprint,
        settings: &Settings,
    ) -> Result<Offer, Failure> {
        self.check_at(request, token, key, settings.since_1970(), settings.clock.now())
    }

    fn check_at<B>(
        &self,
        request: &Request<B>,
        token: &[u8],
        key: &Thumbprint,
        wall: Duration,
        now: Instant,
    ) -> Result<Offer, Failure> {
        let mut lines = request.headers().get_all(&DPOP).iter();
        let line = lines.next().ok_or(Failure::MissingProof)?;
        if lines.next().is_some() {
            return Err(Failure::InvalidProof);
        }
        let proof = Proof::read(line.as_bytes(), self.algorithms)?;
        let for_request = proof.method == request.method().as_str()
            && self.address.is_target(&proof.target, request.uri().path());
        if !for_request || proof.token != sha256(token) {
            return Err(Failure::InvalidProof);
        }
        if !bool::from(proof.key.ct_eq(key)) {
            return Err(Failure::WrongProofKey);
        }
        let (lifetime, offer) = match &self.nonces {
            Some(nonces) => (nonces.longest_life(), nonces.check(proof.nonce.as_deref(), wall)?),
            None if wall.abs_diff(proof.issued_at) > self.window => return Err(Failure::StaleProof),
            None => (2 * self.window, None),
        };
        self.replay.use_up(&proof.key, &proof.id, lifetime, now)?;
        Ok(offer)
    }

    pub(crate) fn nonce(&self, wall: Duration) -> Option<HeaderValue> {
        self.nonces.as_ref().map(|nonces| nonces.current(wall))
    }
}

impl fmt::Debug for Dpop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dpop")
            .field("address", &self.address)
            .field("algorithms", &self.algorithms)
            .field("window", &self.window)
            .field("nonces", &self.nonces)
            .field("replay_capacity", &self.replay.capacity())
            .finish()
    }
}

impl<K, C, P> JwtLayer<K, C, P> {
    /// Accepts tokens that are bound to a key of the client (`cnf` with `jkt`, RFC 9449), from whoever proves to hold
    /// it. Default: such a token is refused. Tokens that are not bound are accepted from everybody, unless
    /// [binding is required](Self::with_binding_required).
    ///
    /// Clones of the layer share the memory of the proofs that were used.
    pub fn with_dpop(mut self, dpop: Dpop) -> Self {
        let challenge = self.shared.challenge.with_algorithms(&dpop.names());
        let shared = self.edit();
        shared.set_challenge(challenge);
        shared.possession.dpop = Some(dpop.into());
        self
    }
}

fn is_asymmetric(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512)
}

/// The example of RFC 9449 section 7.1.
#[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
mod tests {
    use bartizan_core::Clock;
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;

    const TOKEN: &[u8] = b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";

    #[test]
    fn pop_01_the_example_of_rfc_9449_is_accepted_once() {
        let key = BASE64_URL_SAFE_NO_PAD.decode("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap();
        let key: Thumbprint = key.try_into().unwrap();
        let dpop = Dpop::new("https://resource.example.org", Algorithm::Es256).unwrap();
        let now = Clock::system().now();
        let check = |path: &str, token: &[u8], key: &Thumbprint, time: u64| {
            let request = Request::get(path).header("dpop", PROOF).body(()).unwrap();
            dpop.check_at(&request, token, key, Duration::from_secs(time), now)
        };
        let (path, time) = ("/protectedresource", 1_562_262_618);
        assert_eq!(check(path, b"another", &key, time), Err(Failure::InvalidProof));
        assert_eq!(check("/another", TOKEN, &key, time), Err(Failure::InvalidProof));
        assert_eq!(check(path, TOKEN, &[7; 32], time), Err(Failure::WrongProofKey));
        assert_eq!(check(path, TOKEN, &key, time + 61), Err(Failure::StaleProof));
        assert_eq!(check(path, TOKEN, &key, time - 61), Err(Failure::StaleProof));
        assert_eq!(check(path, TOKEN, &key, time + 60), Ok(None));
        assert_eq!(check(path, TOKEN, &key, time + 60), Err(Failure::ReplayedProof));
    }
}
