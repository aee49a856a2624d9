//! Who waits for the next frame of a body that several read.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

/// The readers that wait for the source. As a waker it wakes them all: the one that polled last may be one that nobody
/// polls any more.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    readers: Mutex<Vec<(u32, Waker)>>,
    /// Who runs the attempts, and wants to know when the body is left to one of them.
    watcher: Mutex<Option<Waker>>,
}

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

    /// Notes who is to be woken when the body is left to one reader.
    pub(super) fn watch(&self, waker: &Waker) {
        note(&mut self.watcher.lock().unwrap_or_else(PoisonError::into_inner), waker);
    }

    /// The body is left to one reader.
    pub(super) fn wake_watcher(&self) {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        watcher.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u32, Waker)>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps `waker` instead of what is kept; of the same task it is kept already.
pub(super) fn note(kept: &mut Option<Waker>, waker: &Waker) {
    match kept {
        Some(known) => known.clone_from(waker),
        None => *kept = Some(waker.clone()),
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
