//! What each layer costs, beside its nearest peers.
//!
//! A [`Scenario`] is one line of the table: a layer, ours or a peer's, and a request. It is run in two [`Arm`]s: the
//! bare service alone, and the same service in the layer. The cost of the layer is the difference. The stack is
//! built and warmed up before anything is measured; [`Prepared::run`] is the measured part: it builds each request,
//! makes the service ready, calls it, polls the future, and reads the body to its end.
//!
//! Three programs measure that: `instructions` counts under valgrind, `allocations` counts calls of the allocator,
//! `time` lets criterion sample. Each run is a process of its own, because a metrics recorder or a tracing subscriber,
//! once installed for one scenario, would be there for the next. A fourth, `scaling`, says what a second thread adds.
//! `cargo xtask bench` runs all and prints the table.

mod bare;
mod budget;
mod loopback;
mod prepared;
mod rows;
mod scaling;
mod scenario;

pub use self::{
    bare::Bare,
    budget::{Budget, Ceiling},
    loopback::Loopback,
    prepared::{BATCH, Body, Prepared},
    scaling::{Together, requests_per_second},
    scenario::{Arm, Scenario},
};

/// All scenarios, in the order of the table. Their places are their numbers in the reports.
pub fn scenarios() -> Vec<Scenario> {
    rows::all()
}

/// The run of this number, with [`BATCH`] requests: scenario `n` without its layer is `2 n`, with it `2 n + 1`.
///
/// # Panics
///
/// If there is no scenario `number / 2`.
pub fn prepare(number: usize) -> Prepared {
    let arm = if number.is_multiple_of(2) { Arm::Bare } else { Arm::Layered };
    scenarios()[number / 2].prepare(arm)
}
