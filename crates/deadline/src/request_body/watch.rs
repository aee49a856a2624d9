//! What the body of a request tells the one who waits for the response.

use std::{mem, sync::Arc, task::Waker};

use parking_lot::Mutex;

/// Whether the body came too slowly. Shared by the body, which a handler may read in a task of its own, and the
/// response future.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Quiet,
    /// Someone wants to know.
    Watched(Waker),
    TooSlow,
}

impl Watch {
    /// The body came too slowly.
    pub(super) fn tell(&self) {
        // Woken outside of the lock: a waker may run anything.
        let told = mem::replace(&mut *self.0.lock(), State::TooSlow);
        if let State::Watched(waker) = told {
            waker.wake();
        }
    }

    /// Whether it came too slowly.
    pub(super) fn is_told(&self) -> bool {
        matches!(*self.0.lock(), State::TooSlow)
    }

    /// The same; if it has not come too slowly so far, `waker` is woken when it does.
    pub(super) fn is_told_or_wakes(&self, waker: &Waker) -> bool {
        let mut state = self.0.lock();
        match &mut *state {
            State::TooSlow => return true,
            State::Watched(known) => known.clone_from(waker),
            State::Quiet => *state = State::Watched(waker.clone()),
        }
        false
    }
}
