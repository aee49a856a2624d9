use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::{Bare, Body, Budget, Prepared};

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What the line is about: our layer and its peers share it.
    pub layer: &'static str,
    /// Whose layer it is.
    pub subject: &'static str,
    /// Whether it is ours.
    pub ours: bool,
    /// The most it may cost, for what is ours.
    pub budget: Option<Budget>,
    pub(crate) prepare: fn(Arm) -> Prepared,
}

impl Scenario {
    /// A layer of ours.
    pub(crate) fn ours(layer: &'static str, budget: Option<Budget>, prepare: fn(Arm) -> Prepared) -> Self {
        Self { layer, subject: "bartizan", ours: true, budget, prepare }
    }

    /// What others do for the same purpose.
    pub(crate) fn peer(layer: &'static str, subject: &'static str, prepare: fn(Arm) -> Prepared) -> Self {
        Self { layer, subject, ours: false, budget: None, prepare }
    }

    /// Builds and warms up one arm.
    pub fn prepare(&self, arm: Arm) -> Prepared {
        (self.prepare)(arm).warm()
    }
}

/// With the layer or without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// The bare service alone.
    Bare,
    /// The bare service in the layer.
    Layered,
}

impl Arm {
    /// The bare service, wrapped by `stack` if this arm says so, and `request` to send, which the layered arm answers
    /// with `expected`.
    pub(crate) fn prepare<S, B, C>(
        self,
        request: impl Fn() -> Request<Body> + 'static,
        expected: StatusCode,
        stack: impl FnOnce(Bare<B>) -> S,
    ) -> Prepared
    where
        S: Service<Request<Body>, Response = Response<C>> + 'static,
        B: http_body::Body + From<Bytes> + 'static,
        C: http_body::Body,
    {
        match self {
            Self::Bare => Prepared::new(Bare::<B>::new(), request, StatusCode::OK),
            Self::Layered => Prepared::new(stack(Bare::new()), request, expected),
        }
    }
}
