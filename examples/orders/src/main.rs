//! An orders API.
fn main() {}
