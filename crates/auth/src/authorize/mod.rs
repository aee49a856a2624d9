//! What a caller may do.

mod access;
mod coverage;
mod decide;
mod layer;
mod lookup;
mod matched;
mod node;
mod policy;
mod query;
mod refusal;
mod require;
mod service;
mod table;

pub use self::{
    access::Access,
    layer::{AuthorizeLayer, NoPolicy, RequireLayer},
    policy::{AccessPolicy, AsyncPolicy, PolicyDecision},
    query::PolicyQuery,
    require::Require,
    service::Authorize,
    table::RuleTable,
};
pub(crate) use self::{
    refusal::unavailable,
    require::{ROLE_FORM, SCOPE_FORM, is_role, is_scope},
};
