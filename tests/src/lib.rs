//! Tests that cross crates, with real servers and real clients.
