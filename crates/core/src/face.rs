//! What a refusal must know of the request it answers.

use http::{Method, Request, Version};

use crate::{Protocol, RequestContext, RequestId};

/// What a refusal must know of the request it answers: protocol, whether a body may follow, and the request id.
///
/// A layer that may refuse after it has given the request away takes one before.
#[derive(Clone, Debug, Default)]
pub struct Face {
    /// Whether this is the face of a real request, rather than a stand-in where none is known.
    pub(crate) addressed: bool,
    pub(crate) protocol: Protocol,
    pub(crate) head: bool,
    pub(crate) http1: bool,
    pub(crate) request_id: Option<RequestId>,
}

impl Face {
    /// The face for `request`.
    pub fn of<B>(request: &Request<B>) -> Self {
        if let Some(context) = RequestContext::get(request.extensions()) {
            return context.face();
        }
        Self {
            addressed: true,
            protocol: Protocol::of(request),
            head: request.method() == Method::HEAD,
            http1: request.version() <= Version::HTTP_11,
            request_id: None,
        }
    }

    /// The protocol the caller speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}
