//! A request body that is kept while it is sent, and sent again.

mod body;
mod buffer;
mod waiters;

pub(crate) use self::body::BoxError;
pub use self::body::{GivenUp, Replay, ReplayBody};

pub(crate) use self::buffer::Standing;
