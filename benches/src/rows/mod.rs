//! The lines of the table, one module for each layer.

mod access_log;
mod api_key;
mod context;
mod metrics;
mod rate_limit;
mod request;
mod request_id;
mod whole_stack;

use crate::Scenario;

pub(crate) fn all() -> Vec<Scenario> {
    [
        context::rows(),
        request_id::rows(),
        api_key::rows(),
        rate_limit::rows(),
        access_log::rows(),
        metrics::rows(),
        whole_stack::rows(),
    ]
    .concat()
}
