//! The state and its generation in one word, so that one load says both.

use super::State;

/// A state and its generation. Results that began under another generation do not count (CB-06).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

const STATE_BITS: u32 = 3;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;

impl Word {
    pub(super) const fn new(generation: u64, state: State) -> Self {
        Self((generation << STATE_BITS) | state.index() as u64)
    }

    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) const fn generation(self) -> u64 {
        self.0 >> STATE_BITS
    }

    /// Whether the state is closed, as it nearly always is.
    #[inline]
    pub(super) const fn is_closed(self) -> bool {
        self.0 & STATE_MASK == 0
    }

    #[inline]
    pub(super) const fn state(self) -> State {
        match self.0 & STATE_MASK {
            0 => State::Closed,
            1 => State::Open,
            2 => State::HalfOpen,
            3 => State::Recovering,
            4 => State::ForcedOpen,
            5 => State::ForcedClosed,
            _ => State::MetricsOnly,
        }
    }
}
