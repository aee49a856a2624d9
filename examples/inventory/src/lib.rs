//! A tonic service behind a whole bartizan stack. `README.md` beside this crate has the commands to try.

mod app;
mod keys;
mod shelf;

/// The generated messages, client and server.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated"
)]
pub mod proto {
    tonic::include_proto!("inventory.v1");

    /// The protocol file as reflection tells it.
    pub(crate) const DESCRIPTOR: &[u8] = tonic::include_file_descriptor_set!("inventory");
}

pub use self::{
    app::{App, Limits, WATCH, app},
    keys::{READER_KEY, WRITER_KEY, development_keys},
    shelf::Shelf,
};
