//! An orders API behind a whole bartizan stack. `README.md` beside this crate has the commands to try.

mod app;
mod document;
mod faults;
mod keys;
mod orders;
mod owner;
mod quotes;
mod supplier;
mod tokens;

pub use self::{
    app::{App, app, app_with},
    document::OPENAPI,
    keys::{READER_KEY, WRITER_KEY, development_keys},
    orders::{NewOrder, Order, Orders},
    quotes::{Supplier, SupplierUrlError},
    supplier::supplier,
    tokens::{AUDIENCE, DEVELOPMENT_ISSUER, DevelopmentToken, Remote, Tokens, development_token},
};
