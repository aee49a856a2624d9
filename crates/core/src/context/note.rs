//! What a layer makes of a caller once, for all requests of that caller.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// Whose note on a caller it is: a layer has one of its own, and another whenever its settings change.
///
/// See [`Principal::noted`](crate::Principal::noted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteOwner(u64);

impl NoteOwner {
    /// One that no other is equal to.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// The room for one note.
#[derive(Default)]
pub(super) struct Note {
    made: OnceLock<(NoteOwner, Option<Box<[u8]>>)>,
    /// Whether one was asked for before.
    was_wanted: AtomicBool,
}

impl Note {
    #[inline]
    pub(super) fn get(&self, owner: NoteOwner, most: usize, make: impl FnOnce() -> Vec<u8>) -> Option<&[u8]> {
        let (of, note) = match self.made.get() {
            Some(made) => made,
            None => self.make(owner, most, make)?,
        };
        note.as_deref().filter(|_| *of == owner)
    }

    /// Not at the first time: of a caller that was made for one request, no note is used again.
    #[cold]
    #[inline(never)]
    fn make(
        &self,
        owner: NoteOwner,
        most: usize,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Option<&(NoteOwner, Option<Box<[u8]>>)> {
        if !self.was_wanted.swap(true, Relaxed) {
            return None;
        }
        Some(self.made.get_or_init(|| {
            let note = make();
            (owner, (note.len() <= most).then(|| note.into_boxed_slice()))
        }))
    }
}

/// Not what it says: that may be the caller's name.
impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Note").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{NoteOwner, Principal};

    #[test]
    fn a_note_is_made_at_the_second_time_and_then_known_to_all_clones() {
        let (owner, other) = (NoteOwner::new(), NoteOwner::new());
        let caller = Principal::user("ada").build();
        assert_eq!(caller.noted(owner, || unreachable!("it may be the only request")), None);
        let clone = caller.clone();
        assert_eq!(clone.noted(owner, || b"note".to_vec()), Some(&b"note"[..]));
        assert_eq!(caller.noted(owner, || unreachable!("it is known")), Some(&b"note"[..]));
        assert_eq!(caller.noted(other, || unreachable!("there is room for one")), None);
    }

    #[test]
    fn a_long_note_is_not_kept_and_not_made_again() {
        let owner = NoteOwner::new();
        for (length, is_kept) in [(Principal::MAX_NOTE, true), (Principal::MAX_NOTE + 1, false)] {
            let caller = Principal::user("ada").build();
            assert_eq!(caller.noted(owner, Vec::new), None);
            assert_eq!(caller.noted(owner, || vec![0; length]).is_some(), is_kept);
            assert_eq!(caller.noted(owner, || unreachable!("it was made")).is_some(), is_kept);
        }
    }
}
