//! Handles of metrics, resolved once per recorder.

use std::{fmt, ptr, sync::OnceLock};

use metrics::Recorder;

use crate::RecorderChoice;

/// How many recorders are remembered: the one that drops everything until another is installed, the global one, and
/// two local ones. A process has no more.
const REMEMBERED: usize = 4;

/// Handles of metrics, `H`, resolved once for each recorder they are used with.
///
/// The recorder in force is the local one of the thread, else the global one, whenever that is installed. A layer
/// looks for its handles at each use, and so serves a recorder that was installed after the layer was built, and a
/// local one in a test; it costs a comparison of addresses, and no lock.
///
/// A local recorder that is made where a dropped one lay is taken for it: keep the recorders of a test alive, or
/// give a layer one of its own with its `with_recorder`.
///
/// ```
/// use bartizan_core::PerRecorder;
/// use metrics::{Counter, counter};
///
/// let orders: PerRecorder<Counter> = PerRecorder::default();
/// orders.with(|_| counter!("orders_total"), |orders, _| orders.increment(1));
/// ```
pub struct PerRecorder<H> {
    choice: RecorderChoice,
    known: [OnceLock<(Identity, H)>; REMEMBERED],
}

impl<H> PerRecorder<H> {
    /// Handles of the recorder that `choice` says.
    pub fn of(choice: &RecorderChoice) -> Self {
        Self { choice: choice.clone(), ..Self::default() }
    }

    /// Handles of `recorder` alone, whichever is in force.
    pub fn pinned(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self::of(&RecorderChoice::pinned(recorder))
    }

    /// The same choice of recorder, and no handles yet: for a layer that is changed after it was built.
    #[must_use]
    pub fn fork<T>(&self) -> PerRecorder<T> {
        PerRecorder::of(&self.choice)
    }

    /// Runs `run` with the handles of the recorder in force, which `resolve` makes at the first use.
    #[inline]
    pub fn with<T>(
        &self,
        resolve: impl FnOnce(&dyn Recorder) -> H,
        run: impl FnOnce(&H, &dyn Recorder) -> T,
    ) -> T {
        self.with_recorder(|recorder| match self.first(Identity::of(recorder)) {
            Some(handles) => run(handles, recorder),
            None => self.with_further(recorder, resolve, run),
        })
    }

    /// Where the handles of the recorder in force are kept, made by `resolve` at the first use: for what begins
    /// with one recorder and must end with it. `None` when too many others were met before.
    #[inline]
    pub fn place(&self, resolve: impl FnOnce(&dyn Recorder) -> H) -> Option<Place> {
        self.with_recorder(|recorder| match self.first(Identity::of(recorder)) {
            Some(_) => Some(Place(0)),
            None => self.find_or_resolve(recorder, resolve).ok().map(|(place, _)| place),
        })
    }

    /// The handles kept in `place`; `None` if it is a place of other handles.
    #[inline]
    pub fn at(&self, place: Place) -> Option<&H> {
        self.known[usize::from(place.0)].get().map(|(_, handles)| handles)
    }

    #[inline]
    fn with_recorder<T>(&self, run: impl FnOnce(&dyn Recorder) -> T) -> T {
        match &self.choice.pinned {
            Some(recorder) => run(&**recorder),
            None => metrics::with_recorder(run),
        }
    }

    /// The handles of the recorder that was met first, which most often is the only one.
    #[inline]
    fn first(&self, identity: Identity) -> Option<&H> {
        match self.known[0].get() {
            Some((of, handles)) if *of == identity => Some(handles),
            _ => None,
        }
    }

    #[cold]
    fn with_further<T>(
        &self,
        recorder: &dyn Recorder,
        resolve: impl FnOnce(&dyn Recorder) -> H,
        run: impl FnOnce(&H, &dyn Recorder) -> T,
    ) -> T {
        match self.find_or_resolve(recorder, resolve) {
            Ok((_, handles)) => run(handles, recorder),
            Err(handles) => run(&handles, recorder),
        }
    }

    /// The handles that are kept, or that there is no room to keep.
    #[cold]
    fn find_or_resolve(
        &self,
        recorder: &dyn Recorder,
        resolve: impl FnOnce(&dyn Recorder) -> H,
    ) -> Result<(Place, &H), H> {
        let identity = Identity::of(recorder);
        let places = || Place::ALL.into_iter().zip(&self.known);
        for (place, known) in places() {
            match known.get() {
                Some((of, handles)) if *of == identity => return Ok((place, handles)),
                Some(_) => {}
                None => break,
            }
        }
        let mut fresh = Some(resolve(recorder));
        for (place, known) in places() {
            // Another thread may have been faster, with this recorder or another.
            let (of, handles) =
                known.get_or_init(|| (identity, fresh.take().expect("kept in one place only")));
            if *of == identity {
                return Ok((place, handles));
            }
        }
        Err(fresh.expect("every place is another recorder's"))
    }
}

/// Where a [`PerRecorder`] keeps the handles of one recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u8);

impl Place {
    const ALL: [Self; REMEMBERED] = [Self(0), Self(1), Self(2), Self(3)];
}

impl<H> Default for PerRecorder<H> {
    fn default() -> Self {
        Self { choice: RecorderChoice::default(), known: [const { OnceLock::new() }; REMEMBERED] }
    }
}

impl<H> fmt::Debug for PerRecorder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRecorder").field("choice", &self.choice).finish_non_exhaustive()
    }
}

/// Tells one recorder from another: its address, and its size, as recorders without a size share addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(usize, usize);

impl Identity {
    #[inline]
    fn of(recorder: &dyn Recorder) -> Self {
        Self(ptr::from_ref(recorder).addr(), size_of_val(recorder))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Barrier, atomic::AtomicU64, atomic::Ordering::Relaxed},
        thread,
    };

    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit, with_local_recorder,
    };

    use super::*;

    /// Counts how often it was asked for a handle, and what was counted.
    #[derive(Clone, Default)]
    struct Tally {
        registered: Arc<AtomicU64>,
        counted: Arc<AtomicU64>,
    }

    impl Recorder for Tally {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            self.registered.fetch_add(1, Relaxed);
            Counter::from_arc(Arc::clone(&self.counted))
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    impl Tally {
        fn read(&self) -> (u64, u64) {
            (self.registered.load(Relaxed), self.counted.load(Relaxed))
        }
    }

    fn register(recorder: &dyn Recorder) -> Counter {
        const METADATA: Metadata<'static> = Metadata::new("", metrics::Level::INFO, None);
        recorder.register_counter(&Key::from_static_name("a"), &METADATA)
    }

    fn count(counters: &PerRecorder<Counter>) {
        counters.with(register, |counter, _| counter.increment(1));
    }

    #[test]
    fn handles_are_resolved_once_for_each_recorder() {
        let tallies: Vec<_> = (0..REMEMBERED).map(|_| Tally::default()).collect();
        let counters = PerRecorder::default();
        for _ in 0..10 {
            tallies.iter().for_each(|tally| with_local_recorder(tally, || count(&counters)));
        }
        assert!(tallies.iter().all(|tally| tally.read() == (1, 10)));
    }

    #[test]
    fn more_recorders_than_are_remembered_all_count() {
        let tallies: Vec<_> = (0..REMEMBERED + 2).map(|_| Tally::default()).collect();
        let counters = PerRecorder::default();
        for _ in 0..10 {
            tallies.iter().for_each(|tally| with_local_recorder(tally, || count(&counters)));
        }
        assert!(tallies.iter().all(|tally| tally.read().1 == 10));
    }

    #[test]
    fn a_recorder_installed_later_is_found_and_a_pinned_one_stays() {
        let (later, own) = (Tally::default(), Tally::default());
        let (counters, pinned) = (PerRecorder::default(), PerRecorder::pinned(own.clone()));
        let fork: PerRecorder<Counter> = pinned.fork();
        let count_all = || [&counters, &pinned, &fork].map(count);
        count_all();
        with_local_recorder(&later, count_all);
        assert_eq!((later.read(), own.read()), ((1, 1), (2, 4)));
    }

    #[test]
    fn what_began_with_a_recorder_can_end_with_it() {
        let tallies: Vec<_> = (0..=REMEMBERED).map(|_| Tally::default()).collect();
        let counters = PerRecorder::default();
        let places: Vec<_> =
            tallies.iter().map(|tally| with_local_recorder(tally, || counters.place(register))).collect();
        for place in &places[..REMEMBERED] {
            counters.at(place.expect("kept")).expect("filled").increment(1);
        }
        assert_eq!(places[REMEMBERED], None, "no room");
        assert!(tallies[..REMEMBERED].iter().all(|tally| tally.read() == (1, 1)));
    }

    #[test]
    fn threads_that_meet_at_the_first_use_lose_nothing() {
        let (tally, barrier) = (Tally::default(), Barrier::new(4));
        let counters = PerRecorder::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    with_local_recorder(&tally, || {
                        barrier.wait();
                        (0..100).for_each(|_| count(&counters));
                    });
                });
            }
        });
        assert_eq!(tally.read().1, 400);
    }
}
