use serde::Serialize;

/// The most a layer of ours may add to a request.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Budget {
    /// Instructions.
    pub instructions: u32,
    /// Calls of the allocator that take memory.
    pub allocations: u32,
    /// The ceiling while the budget is not met: the layer must not get worse in the meantime.
    pub not_met_yet: Option<Ceiling>,
}

/// What a layer may cost that does not meet its budget yet.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ceiling {
    /// Instructions.
    pub instructions: u32,
    /// Calls of the allocator that take memory.
    pub allocations: u32,
}

impl Budget {
    /// So many instructions, and so many allocations.
    pub const fn new(instructions: u32, allocations: u32) -> Self {
        Self { instructions, allocations, not_met_yet: None }
    }

    /// A budget that the layer is still over, and what it may cost until it is not. Once the budget is met, the
    /// gate asks for this to be taken out.
    #[must_use]
    pub const fn not_met_yet(mut self, instructions: u32, allocations: u32) -> Self {
        self.not_met_yet = Some(Ceiling { instructions, allocations });
        self
    }
}
