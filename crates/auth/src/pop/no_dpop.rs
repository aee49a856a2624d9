//! No DPoP: no layer can be told to take it.

use std::time::Duration;

use http::{HeaderValue, Request};

use super::{Offer, Thumbprint};
use crate::{Failure, settings::Settings};

#[derive(Debug)]
pub(crate) enum Dpop {}

impl Dpop {
    pub(crate) fn check<B>(
        &self,
        _: &Request<B>,
        _: &[u8],
        _: &Thumbprint,
        _: &Settings,
    ) -> Result<Offer, Failure> {
        match *self {}
    }

    pub(crate) fn nonce(&self, _: Duration) -> Option<HeaderValue> {
        match *self {}
    }
}
