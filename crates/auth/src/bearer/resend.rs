//! Which requests can be sent once more.

use http_body::Body;

/// Whether a request body can be sent a second time, decided before it is sent the first time.
///
/// [`ResendEmpty`], [`ResendCloned`] and [`NoResend`] are what there is; a body of your own may know better.
pub trait ResendBody<B> {
    /// The same body once more; `None` if there is no way.
    fn copy(body: &B) -> Option<B>;
}

/// Sends requests without a body once more: the default.
#[derive(Clone, Copy, Debug)]
pub enum ResendEmpty {}

impl<B: Body + Default> ResendBody<B> for ResendEmpty {
    fn copy(body: &B) -> Option<B> {
        body.is_end_stream().then(B::default)
    }
}

/// Sends all requests once more: for bodies whose clones are cheap and whole, such as `Full<Bytes>`.
#[derive(Clone, Copy, Debug)]
pub enum ResendCloned {}

impl<B: Clone> ResendBody<B> for ResendCloned {
    fn copy(body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Sends nothing twice.
#[derive(Clone, Copy, Debug)]
pub enum NoResend {}

impl<B> ResendBody<B> for NoResend {
    fn copy(_: &B) -> Option<B> {
        None
    }
}
