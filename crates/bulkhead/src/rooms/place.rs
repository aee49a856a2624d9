//! A place, and a place in the line: both are given back when they are dropped.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    line::Seat,
    table::{At, Learned, Rooms},
};
use crate::{Priority, limit::sealed::Limit};

/// What becomes of one who comes.
pub(crate) enum Admission<L: Limit> {
    Taken(Place<L>),
    Queued(Waiting<L>),
    Refused(Refused),
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// All places are taken, and as many wait as may.
    Full,
    /// None became free in time.
    TimedOut,
    /// One who is more important needed it.
    Shed,
}

/// A place among those who are under way.
pub(crate) struct Place<L: Limit> {
    rooms: Arc<Rooms<L>>,
    at: At,
    /// Whether the head of the response was there, and the limit knows.
    is_answered: bool,
}

impl<L: Limit> Place<L> {
    pub(super) fn new(rooms: Arc<Rooms<L>>, at: At) -> Self {
        Self { rooms, at, is_answered: false }
    }

    /// Tells the limit what became clear of the request; what the limit is, if it moved.
    pub(crate) fn learn(&mut self, learned: Learned) -> Option<u32> {
        let learned = Learned { is_answer: learned.is_answer && !self.is_answered, ..learned };
        self.is_answered |= learned.is_answer;
        self.rooms.learn(self.at, learned)
    }

    /// Whether it is in the room of those who have none of their own.
    pub(crate) fn is_common(&self) -> bool {
        self.at == At::Common
    }
}

impl<L: Limit> Drop for Place<L> {
    fn drop(&mut self) {
        self.rooms.leave(self.at, self.is_answered);
    }
}

impl<L: Limit> fmt::Debug for Place<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// A place in the line.
pub(crate) struct Waiting<L: Limit> {
    rooms: Arc<Rooms<L>>,
    at: At,
    priority: Priority,
    /// Empty once it has a place or is out of the line.
    seat: Option<Arc<Seat>>,
}

impl<L: Limit> Waiting<L> {
    pub(super) fn new(rooms: Arc<Rooms<L>>, at: At, priority: Priority, seat: Arc<Seat>) -> Self {
        Self { rooms, at, priority, seat: Some(seat) }
    }

    /// Ready once it has a place, or must leave without.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Place<L>, Refused>> {
        let Some(seat) = &self.seat else { return Poll::Ready(Err(Refused::Shed)) };
        let granted = ready!(seat.poll(cx));
        self.seat = None;
        Poll::Ready(if granted { Ok(self.place()) } else { Err(Refused::Shed) })
    }

    /// Leaves the line; the place that it may have got in the last moment.
    pub(crate) fn give_up(&mut self) -> Option<Place<L>> {
        let seat = self.seat.take()?;
        self.rooms.give_up(self.at, self.priority, &seat).then(|| self.place())
    }

    fn place(&self) -> Place<L> {
        Place::new(Arc::clone(&self.rooms), self.at)
    }
}

impl<L: Limit> Drop for Waiting<L> {
    fn drop(&mut self) {
        // A place that it got in the last moment goes to the next.
        drop(self.give_up());
    }
}

impl<L: Limit> fmt::Debug for Waiting<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("priority", &self.priority).finish_non_exhaustive()
    }
}
