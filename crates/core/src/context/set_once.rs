//! A field that is set once.

use spin::{once::Once, relax::Yield};

/// A field of a context: set once, and read by all others.
///
/// A request pays for each one that it sets, and the standard library's `OnceLock` takes some ninety instructions for
/// what is here one exchange and two stores. A thread that comes while another one moves its value in, which takes
/// no longer than that, yields until it is there.
pub(super) struct SetOnce<T>(Once<T, Yield>);

impl<T> SetOnce<T> {
    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// False if it was set before.
    #[inline]
    pub(super) fn set(&self, value: T) -> bool {
        let mut is_first = false;
        self.0.call_once(|| {
            is_first = true;
            value
        });
        is_first
    }

    /// What it is set to, by now.
    #[inline]
    pub(super) fn get_or_set(&self, value: T) -> &T {
        self.0.call_once(|| value)
    }

    /// Drops what was set, if something was: a look is enough where nothing was.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        if self.0.is_completed() {
            self.renew();
        }
    }

    /// Apart, so that a context in which little was set pays for little.
    #[inline(never)]
    fn renew(&mut self) {
        *self = Self::default();
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self(Once::new())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Barrier},
        thread,
    };

    use super::*;

    #[test]
    fn what_is_set_first_stays_until_all_is_cleared() {
        let mut field = SetOnce::default();
        assert_eq!(field.get(), None);
        assert!(field.set(Arc::new(1)) && !field.set(Arc::new(2)));
        assert_eq!((field.get_or_set(Arc::new(3)), field.get()), (&Arc::new(1), Some(&Arc::new(1))));
        let held = field.get().cloned().unwrap();
        field.clear();
        assert_eq!((field.get(), Arc::strong_count(&held)), (None, 1), "dropped");
        assert_eq!(field.get_or_set(Arc::new(4)), &Arc::new(4));
    }

    #[test]
    fn of_threads_that_meet_one_sets_it_and_all_see_what_it_set() {
        for _ in 0..200 {
            let (field, barrier) = (SetOnce::default(), Barrier::new(4));
            let set = |number: usize| {
                barrier.wait();
                let is_first = field.set(number.to_string());
                (is_first, field.get().expect("by one of us").clone())
            };
            let set = &set;
            let seen: Vec<(bool, String)> = thread::scope(|scope| {
                let threads = [0, 1, 2, 3].map(|number| scope.spawn(move || set(number)));
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(seen.iter().filter(|(is_first, _)| *is_first).count(), 1);
            assert!(seen.iter().all(|(_, text)| *text == seen[0].1));
        }
    }
}
