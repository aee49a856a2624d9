//! The official suites: what every implementation must do.
//!
//! `json-schema/` is the required part for 2020-12 of the JSON-Schema-Test-Suite (MIT, see its LICENSE), unchanged.
#![cfg(feature = "openapi")]

#[path = "../requests/support.rs"]
mod support;

mod json;
mod schema;
