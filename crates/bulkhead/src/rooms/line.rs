//! Those who wait, in the order in which they came.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

/// One who waits. Its state changes under the lock of its room alone, but for the waker.
#[derive(Debug)]
pub(crate) struct Seat(Mutex<State>);

// Waiting => (Granted | Shed | Left)
#[derive(Debug)]
enum State {
    Waiting(Option<Waker>),
    /// It has a place.
    Granted,
    /// It had to make room for one who is more important.
    Shed,
    /// It gave up.
    Left,
}

impl Seat {
    fn new() -> Self {
        Self(Mutex::new(State::Waiting(None)))
    }

    /// Ready with whether it got a place.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.0.lock();
        match &mut *state {
            State::Waiting(Some(waker)) => waker.clone_from(cx.waker()),
            State::Waiting(waker) => *waker = Some(cx.waker().clone()),
            State::Granted => return Poll::Ready(true),
            State::Shed | State::Left => return Poll::Ready(false),
        }
        Poll::Pending
    }

    /// Gives up; whether it had got a place, which is now to be given back.
    fn leave(&self) -> Leaving {
        match mem::replace(&mut *self.0.lock(), State::Left) {
            State::Waiting(_) => Leaving::Waiting,
            State::Granted => Leaving::Granted,
            State::Shed | State::Left => Leaving::Nothing,
        }
    }

    /// Settles for one who waits, who is to be woken outside of all locks; `None` if it has left.
    fn settle(&self, state: State) -> Option<Option<Waker>> {
        let mut known = self.0.lock();
        if !matches!(*known, State::Waiting(_)) {
            return None;
        }
        match mem::replace(&mut *known, state) {
            State::Waiting(waker) => Some(waker),
            State::Granted | State::Shed | State::Left => None,
        }
    }
}

enum Leaving {
    Waiting,
    Granted,
    Nothing,
}

/// The seats of one priority.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Those who left stand here until they are passed by, or are too many.
    seats: VecDeque<Arc<Seat>>,
    waiting: usize,
}

impl Line {
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn join(&mut self) -> Arc<Seat> {
        let seat = Arc::new(Seat::new());
        self.seats.push_back(Arc::clone(&seat));
        self.waiting += 1;
        seat
    }

    /// The first of those who wait gets a place.
    pub(super) fn grant(&mut self) -> Option<Option<Waker>> {
        self.settle(VecDeque::pop_front, || State::Granted)
    }

    /// The last of those who wait makes room.
    pub(super) fn shed(&mut self) -> Option<Option<Waker>> {
        self.settle(VecDeque::pop_back, || State::Shed)
    }

    fn settle(
        &mut self,
        next: fn(&mut VecDeque<Arc<Seat>>) -> Option<Arc<Seat>>,
        state: fn() -> State,
    ) -> Option<Option<Waker>> {
        while let Some(seat) = next(&mut self.seats) {
            if let Some(waker) = seat.settle(state()) {
                self.waiting -= 1;
                return Some(waker);
            }
        }
        None
    }

    /// One gives up; whether it had a place already.
    pub(super) fn leave(&mut self, seat: &Seat) -> bool {
        match seat.leave() {
            Leaving::Granted => return true,
            Leaving::Nothing => return false,
            Leaving::Waiting => self.waiting -= 1,
        }
        // At most as many are gone as are here, and a few: each is cleared away once.
        const FEW: usize = 8;
        if self.seats.len() > 2 * self.waiting + FEW {
            self.seats.retain(|seat| matches!(*seat.0.lock(), State::Waiting(_)));
        }
        false
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }
}
