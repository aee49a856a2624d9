//! For code that takes the request id from where tower-http leaves it.

use bartizan_core::RequestContext;
use http::Extensions;

/// Leaves the id in the extensions of a request or a response as tower-http's `RequestId`.
#[cfg_attr(not(feature = "tower-http"), expect(unused_variables))]
#[inline]
pub(crate) fn leave(extensions: &mut Extensions, context: &RequestContext) {
    #[cfg(feature = "tower-http")]
    if let Some(id) = context.request_id() {
        extensions.insert(tower_http::request_id::RequestId::new(id.to_header()));
    }
}
