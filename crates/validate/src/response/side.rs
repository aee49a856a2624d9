//! Whose responses they are.

use bartizan_core::{Client, Reason, Server};

use crate::OtherMedia;

/// The side of the call that checks: [`Server`], its own responses; [`Client`], an upstream's.
///
/// Sealed: there are two.
pub trait Side: sealed::Sealed + 'static {
    /// What a broken contract is to the caller: one's own is a bug, an upstream's a bad gateway.
    #[doc(hidden)]
    const REASON: Reason;
    /// A server's layer may stand around routes of many kinds; an upstream that answers with a page of HTML instead
    /// of JSON is the plainest broken contract.
    #[doc(hidden)]
    const OTHER_MEDIA: OtherMedia;
}

impl Side for Server {
    const REASON: Reason = Reason::Internal;
    const OTHER_MEDIA: OtherMedia = OtherMedia::Pass;
}

impl Side for Client {
    const REASON: Reason = Reason::BadGateway;
    const OTHER_MEDIA: OtherMedia = OtherMedia::Refuse;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for bartizan_core::Server {}
    impl Sealed for bartizan_core::Client {}
}
