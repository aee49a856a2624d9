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

    /// The face for an outgoing call: by its own head, whichever request's context it carries along.
    pub fn of_call<B>(request: &Request<B>) -> Self {
        let context = RequestContext::get(request.extensions());
        Self {
            addressed: true,
            protocol: Protocol::of(request),
            head: request.method() == Method::HEAD,
            http1: request.version() <= Version::HTTP_11,
            request_id: context.and_then(RequestContext::request_id).cloned(),
        }
    }

    /// The protocol the caller speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_own_protocol_and_the_id_of_the_request_it_is_made_for() {
        let inbound = RequestContext::of(&mut Request::new(()));
        inbound.set_request_id(RequestId::new("r-1").unwrap());
        let mut call = Request::post("/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
        call.extensions_mut().insert(inbound);
        assert_eq!(Face::of(&call).protocol(), Protocol::Http);
        let face = Face::of_call(&call);
        assert!((face.protocol(), face.head) == (Protocol::Grpc, false));
        assert_eq!(face.request_id.unwrap().as_str(), "r-1");
    }
}
