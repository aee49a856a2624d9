//! The official suites: what every implementation must do.
//!
//! `json-schema/` is the required part for 2020-12 of the JSON-Schema-Test-Suite (MIT, see its LICENSE), unchanged.
#![cfg(feature = "openapi")]

mod json;
mod schema;
#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "../requests/support.rs"]
mod support;
