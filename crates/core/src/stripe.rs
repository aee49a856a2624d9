//! What threads keep apart.
//!
//! Threads that write to one cache line wait for each other, be it only to count. So each thread has the number of a
//! stripe, and writes where no thread of another stripe does.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Whatever has more processors is striped as if it had so many.
const MOST: usize = 256;

/// How many stripes there are: a power of two, as many as threads run at once or a little more, at most 256.
#[must_use]
pub fn count() -> usize {
    static COUNT: LazyLock<usize> = LazyLock::new(|| {
        thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(MOST)
    });
    *COUNT
}

/// The stripe of this thread, less than [`count`]. Threads that were started one after the other have different ones.
#[inline]
#[must_use]
pub fn of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static STRIPE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % count());
    // A thread that is being torn down may still end a request.
    STRIPE.try_with(|stripe| *stripe).unwrap_or(0)
}

/// On cache lines of its own, of which common processors fetch two at once.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

/// A value that every request takes a pointer to, with a reference count for each stripe.
///
/// ```
/// use bartizan_core::stripe::Striped;
///
/// let settings = Striped::new(String::from("all that a layer shares"));
/// let share = settings.share();
/// drop(settings);
/// assert_eq!(*share, "all that a layer shares");
/// ```
pub struct Striped<T> {
    value: Share<T>,
    shares: Box<[Share<T>]>,
}

/// A pointer to a [`Striped`] value, which lives as long as any is left.
pub struct Share<T>(Arc<Padded<Arc<T>>>);

impl<T> Striped<T> {
    /// Makes `value` one that is shared.
    pub fn new(value: T) -> Self {
        let value = Arc::new(value);
        let share = || Share(Arc::new(Padded(Arc::clone(&value))));
        Self { value: share(), shares: (0..count()).map(|_| share()).collect() }
    }

    /// A pointer to the value. Threads of different stripes do not fight over it.
    #[inline]
    pub fn share(&self) -> Share<T> {
        self.shares.get(of_thread()).unwrap_or(&self.value).clone()
    }
}

impl<T> Deref for Striped<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for Share<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0.0
    }
}

impl<T> Clone for Share<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Striped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Share<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stripe_counts_apart_and_sees_the_same() {
        let striped = Arc::new(Striped::new(7));
        let places: Vec<_> = (0..2 * count())
            .map(|_| {
                let striped = Arc::clone(&striped);
                let share = move || {
                    let share = striped.share();
                    assert_eq!((*share, **striped), (7, 7));
                    (of_thread(), Arc::as_ptr(&share.0) as usize)
                };
                thread::spawn(share).join().unwrap()
            })
            .collect();
        for (stripe, place) in &places {
            assert!(*stripe < count());
            for (other, elsewhere) in &places {
                assert_eq!(stripe == other, place == elsewhere);
                assert!(place == elsewhere || place.abs_diff(*elsewhere) >= 128);
            }
        }
        let stripes: std::collections::BTreeSet<_> = places.iter().map(|(stripe, _)| stripe).collect();
        assert_eq!(stripes.len(), count(), "all are used");
    }

    #[test]
    fn the_value_is_dropped_with_the_last_share() {
        let value = Arc::new(());
        let striped = Striped::new(Arc::clone(&value));
        let share = striped.share();
        drop(striped);
        assert_eq!(Arc::strong_count(&value), 2);
        drop(share);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
