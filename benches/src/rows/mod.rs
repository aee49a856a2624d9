//! The lines of the table, one module for each layer.

mod access_log;
mod api_key;
mod context;
mod metrics;
mod normalize;
mod problem;
mod rate_limit;
mod request;
mod request_id;
mod require;
mod whole_stack;

use crate::Scenario;

pub(crate) fn all() -> Vec<Scenario> {
    [
        context::rows(),
        problem::rows(),
        request_id::rows(),
        api_key::rows(),
        require::rows(),
        rate_limit::rows(),
        access_log::rows(),
        metrics::rows(),
        normalize::rows(),
        whole_stack::rows(),
    ]
    .concat()
}
