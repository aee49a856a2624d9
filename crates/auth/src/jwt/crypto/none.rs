//! No library: keys, and so tokens, are refused when the service is put together.

use crate::jwt::{Algorithm, KeyError, key::Material};

pub(crate) enum Verifier {}

impl Verifier {
    pub(crate) fn new(_: Algorithm, _: &Material) -> Result<Self, KeyError> {
        Err(KeyError::NoBackEnd)
    }

    pub(crate) fn verify(&self, _: &[u8], _: &[u8]) -> bool {
        match *self {}
    }
}
