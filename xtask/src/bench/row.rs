//! What is measured of one layer.

use serde::Deserialize;

/// One line of the table.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    /// What the row is about: our layer and its peers share it.
    pub(crate) layer: String,
    /// Whose layer it is.
    pub(crate) subject: String,
    /// Whether it is ours, and so held to budget and baseline.
    pub(crate) ours: bool,
    /// The ceiling of design, if the row has one.
    pub(crate) budget: Option<Budget>,
    /// Allocations for each request, beyond those of the bare service.
    pub(crate) allocations: f64,
    /// Instructions for each request, beyond those of the bare service.
    #[serde(skip)]
    pub(crate) instructions: f64,
    /// Time for each request as a multiple of that of the bare service, if it was measured.
    #[serde(skip)]
    pub(crate) time_ratio: Option<f64>,
}

/// The most a layer may cost.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Budget {
    pub(crate) instructions: u32,
    pub(crate) allocations: u32,
    /// The ceiling while the budget is not met.
    pub(crate) not_met_yet: Option<Ceiling>,
}

/// What a layer may cost that does not meet its budget yet.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Ceiling {
    pub(crate) instructions: u32,
    pub(crate) allocations: u32,
}
