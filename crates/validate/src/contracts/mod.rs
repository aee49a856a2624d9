//! Contracts of messages that do not come by HTTP.

mod compare;
mod contract;
mod registry;

pub use self::{
    compare::Compatibility,
    contract::Contract,
    registry::{ContractError, Contracts},
};
