//! Keys that are fetched: when, from where, and what is good enough to use.

mod attempt;
mod builder;
mod discovery;
mod freshness;
mod remote;
mod schedule;
mod telemetry;
mod worker;

pub use self::{builder::RemoteKeysBuilder, remote::RemoteKeys};
