//! The lines of the table, one module for each layer.

mod access_log;
mod api_key;
mod bulkhead;
mod circuit_breaker;
mod client_addr;
mod context;
mod deadline;
pub(crate) mod jwt;
mod metrics;
mod normalize;
mod problem;
pub(crate) mod rate_limit;
mod request;
mod request_id;
mod require;
mod retry;
mod trace_context;
mod validate;
pub(crate) mod whole_stack;

use crate::Scenario;

pub(crate) fn all() -> Vec<Scenario> {
    [
        context::rows(),
        problem::rows(),
        request_id::rows(),
        trace_context::rows(),
        client_addr::rows(),
        api_key::rows(),
        jwt::rows(),
        require::rows(),
        rate_limit::rows(),
        deadline::rows(),
        retry::rows(),
        bulkhead::rows(),
        circuit_breaker::rows(),
        access_log::rows(),
        metrics::rows(),
        normalize::rows(),
        validate::rows(),
        whole_stack::rows(),
    ]
    .concat()
}
