//! No certificates: no layer can be told to ask for them.

use http::Request;

use super::Thumbprint;
use crate::Failure;

#[derive(Debug)]
pub(crate) enum MutualTls {}

impl MutualTls {
    pub(crate) fn strip<B>(&self, _: &mut Request<B>) {
        match *self {}
    }

    pub(crate) fn check<B>(&self, _: &Request<B>, _: &Thumbprint) -> Result<(), Failure> {
        match *self {}
    }
}
