//! Who waits for the next frame of a body that several read.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

/// The readers that wait for the source. As a waker it wakes them all: the one that polled last may be one that nobody
/// polls any more.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<Vec<(u32, Waker)>>);

impl Waiters {
    /// Notes that `reader` waits.
    pub(super) fn wait(&self, reader: u32, waker: &Waker) {
        let mut waiting = self.lock();
        match waiting.iter_mut().find(|(known, _)| *known == reader) {
            Some((_, known)) => known.clone_from(waker),
            None => waiting.push((reader, waker.clone())),
        }
    }

    /// `reader` waits no more.
    pub(super) fn served(&self, reader: u32) {
        self.lock().retain(|(known, _)| *known != reader);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u32, Waker)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = mem::take(&mut *self.lock());
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}
