//! The service that the W3C Trace Context conformance suite asks for. `README.md` beside this crate tells how to run
//! both.

mod app;
mod calls;

pub use self::app::app;
