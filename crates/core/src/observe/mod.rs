//! Seeing a request to its real end.

mod body;
mod future;
mod web_status;

pub use self::{
    body::{BodyEnd, BodyObserver, BodyReport, ObservedBody},
    future::{HeadSeen, ObservedFuture, Observer, observe},
    web_status::GrpcWebStatus,
};
