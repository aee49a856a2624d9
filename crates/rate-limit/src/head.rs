//! What a key may be taken from.

use bartizan_core::RequestContext;
use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

/// A request without its body, which no key is taken from.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    context: Option<&'a RequestContext>,
}

impl<'a> RequestHead<'a> {
    /// The head of `request`.
    #[inline]
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
            context: RequestContext::get(request.extensions()),
        }
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The target.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The version of HTTP.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What other layers left.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// What other layers found out: the caller, its address, the route. `None` when there is no other layer.
    pub fn context(&self) -> Option<&'a RequestContext> {
        self.context
    }
}
