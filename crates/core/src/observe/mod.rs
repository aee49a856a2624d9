//! Seeing a request to its real end.

mod body;
mod future;

pub use self::{
    body::{BodyEnd, BodyObserver, BodyReport, ObservedBody},
    future::{HeadSeen, ObservedFuture, Observer, observe},
};
