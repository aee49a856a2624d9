use serde::Serialize;

/// The most a layer of ours may add to a request.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Budget {
    /// Instructions.
    pub instructions: u32,
    /// Calls of the allocator that take memory.
    pub allocations: u32,
}
