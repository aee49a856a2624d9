//! The memory of contexts that are done with, for those of later requests.

use std::{cell::RefCell, mem};

use triomphe::Arc;

use super::Inner;

/// How many each thread keeps: with the room for their facts they are smaller than 16 KiB.
const MOST: usize = 16;

/// What a thread keeps.
struct Spares {
    kept: RefCell<Vec<Arc<Inner>>>,
    /// Stands for one that is kept, in the context that is dropped.
    nobody: Arc<Inner>,
}

thread_local!(static SPARES: Spares = Spares {
    // All the room at once, so that no request pays for it where it ends.
    kept: RefCell::new(Vec::with_capacity(MOST)),
    nobody: Arc::default(),
});

/// An empty one, that nobody else has.
#[inline(always)]
pub(super) fn take() -> Arc<Inner> {
    let kept = SPARES.try_with(|spares| spares.kept.try_borrow_mut().ok()?.pop());
    // A thread that is being torn down keeps none.
    kept.ok().flatten().unwrap_or_else(make)
}

#[cold]
#[inline(never)]
fn make() -> Arc<Inner> {
    Arc::default()
}

/// Keeps `inner`, which is empty and which nobody else has, if there is room for it.
#[inline]
pub(super) fn keep(inner: &mut Arc<Inner>) {
    let _ = SPARES.try_with(|spares| {
        // Taken first: with nothing between the look for room and the push, there is one look and not two.
        let nobody = Arc::clone(&spares.nobody);
        if let Ok(mut kept) = spares.kept.try_borrow_mut()
            && kept.len() < kept.capacity()
        {
            kept.push(mem::replace(inner, nobody));
        }
    });
}

/// How many this thread keeps now.
#[cfg(test)]
pub(super) fn count() -> usize {
    SPARES.with(|spares| spares.kept.borrow().len())
}
