//! Which calls are retried, when, and with what: on virtual time.

mod bodies;
mod budgets;
mod grpc;
mod hedge;
mod policy;
mod support;
mod telemetry;
mod times;
