//! Keys that must be asked for, remembered for a while.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_core::Clock;
use quick_cache::{
    DefaultHashBuilder, UnitWeighter,
    sync::{Cache, DefaultLifecycle, EntryAction, EntryResult, PlaceholderGuard},
};
use tokio::{
    sync::Semaphore,
    time::{self, timeout_at},
};

use crate::{AsyncKeyStore, ConfigError, Failure, StoredKey, error::Part, telemetry};

/// The keys of an [`AsyncKeyStore`], remembered for 30 seconds: as long as a revocation takes to be seen.
///
/// - The store is asked once at a time for each key, however many requests present it, and for at most 64 keys at
///   once that were never seen, and 64 whose time is over: those keep their turns until the store says that they are
///   gone. A request waits at most a second, for others who ask and for the store together, and one too many not at
///   all.
/// - Keys that do not exist are remembered too, apart from the good ones, so that inventing keys neither asks the
///   store twice, nor makes it forget, nor takes the turn of a key that is known.
/// - While the store does not answer, the keys that are remembered go on until their time is over; the rest gets
///   503, `UNAVAILABLE`. A failure is remembered for a second.
///
/// The wait is measured by tokio: the service must run on a runtime of tokio with timers enabled.
///
/// Memory is bounded by the two capacities. Clones share what is remembered, and the last one to go takes it along.
#[must_use = "keys do nothing until a layer asks for them"]
pub struct CachedKeys<A>(Arc<Inner<A>>);

struct Inner<A> {
    store: Arc<A>,
    settings: Settings,
    /// Also where the requests for one key meet: one of them asks, the others wait for it.
    found: Cache<String, Found>,
    missing: Cache<String, Missing>,
    /// Turns to ask for keys that were never seen, which anybody can invent.
    asking: Semaphore,
    /// The same for keys that were there when they were last asked for.
    renewing: Semaphore,
}

#[derive(Clone)]
struct Settings {
    ttl: Duration,
    negative_ttl: Duration,
    capacity: usize,
    negative_capacity: usize,
    timeout: Duration,
    clock: Clock,
}

#[derive(Clone)]
struct Found {
    key: Arc<StoredKey>,
    until: Instant,
}

/// What is known not to be there, or could not be found out.
#[derive(Clone, Copy)]
struct Missing {
    answer: Result<(), Failure>,
    until: Instant,
}

/// How long a failure of the store is remembered, so that everybody who waits does not ask in turn.
const FAILURE_TTL: Duration = Duration::from_secs(1);
/// How many keys of each kind the store is asked for at once.
const MAX_ASKING: usize = 64;

impl<A: AsyncKeyStore> CachedKeys<A> {
    /// How long a key is remembered, unless it is told otherwise.
    pub const DEFAULT_TTL: Duration = Duration::from_secs(30);

    /// The keys of `store`.
    pub fn new(store: A) -> Self {
        let settings = Settings {
            ttl: Self::DEFAULT_TTL,
            negative_ttl: Self::DEFAULT_TTL,
            capacity: 10_000,
            negative_capacity: 10_000,
            timeout: Duration::from_secs(1),
            clock: Clock::system(),
        };
        Self(Arc::new(Inner::new(Arc::new(store), settings)))
    }

    /// How long a key is remembered, from when it was asked for: the longest that a revocation takes to be seen.
    /// Default: 30 s.
    ///
    /// # Errors
    ///
    /// When it is zero or more than an hour.
    pub fn with_ttl(self, ttl: Duration) -> Result<Self, ConfigError> {
        check("ttl", ttl)?;
        Ok(self.change(|settings| settings.ttl = ttl))
    }

    /// How long it is remembered, from when it was asked, that there is no such key: the longest that a new one takes
    /// to be seen if it was tried too early. Default: 30 s.
    ///
    /// # Errors
    ///
    /// When it is zero or more than an hour.
    pub fn with_negative_ttl(self, ttl: Duration) -> Result<Self, ConfigError> {
        check("negative_ttl", ttl)?;
        Ok(self.change(|settings| settings.negative_ttl = ttl))
    }

    /// How many keys are remembered, and how many that do not exist. What is used least is forgotten first.
    /// Default: 10 000 of each.
    ///
    /// # Errors
    ///
    /// When one is zero or more than a million.
    pub fn with_capacity(self, keys: usize, missing: usize) -> Result<Self, ConfigError> {
        for (field, capacity) in [("capacity", keys), ("negative_capacity", missing)] {
            if !(1..=1_000_000).contains(&capacity) {
                return Err(ConfigError::new(Part::CachedKeys, field, "must be 1 to 1 000 000"));
            }
        }
        Ok(self.change(|settings| (settings.capacity, settings.negative_capacity) = (keys, missing)))
    }

    /// How long a request waits for the store. Default: 1 s.
    ///
    /// # Errors
    ///
    /// When it is zero or more than a minute.
    pub fn with_timeout(self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() || timeout > Duration::from_secs(60) {
            return Err(ConfigError::new(
                Part::CachedKeys,
                "timeout",
                "must be more than nothing and at most a minute",
            ));
        }
        Ok(self.change(|settings| settings.timeout = timeout))
    }

    /// The clock that says how long something is remembered. Default: the system's. A request's wait is measured
    /// by tokio.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.change(|settings| settings.clock = clock)
    }

    /// A clone made before keeps its own settings, and what it remembers.
    fn change<T>(self, change: impl FnOnce(&mut Settings) -> T) -> Self {
        let mut settings = self.0.settings.clone();
        change(&mut settings);
        Self(Arc::new(Inner::new(Arc::clone(&self.0.store), settings)))
    }

    /// What is known of a key without asking: the key, or that there is none.
    pub(crate) fn remembered(&self, id: &str) -> Option<Option<Arc<StoredKey>>> {
        let inner = &*self.0;
        let now = inner.settings.clock.now();
        if let Some(found) = inner.found.get(id)
            && now < found.until
        {
            return Some(Some(found.key));
        }
        match inner.missing.get(id) {
            Some(Missing { answer: Ok(()), until }) if now < until => Some(None),
            _ => None,
        }
    }

    /// The key, asked for if it is not known. Whoever asks first asks for all.
    pub(crate) async fn fetch(&self, id: &str) -> Result<Option<Arc<StoredKey>>, Failure> {
        self.0.fetch(id).await
    }
}

impl<A: AsyncKeyStore> Inner<A> {
    fn new(store: Arc<A>, settings: Settings) -> Self {
        Self {
            store,
            found: Cache::new(settings.capacity),
            missing: Cache::new(settings.negative_capacity),
            asking: Semaphore::new(MAX_ASKING),
            renewing: Semaphore::new(MAX_ASKING),
            settings,
        }
    }

    async fn fetch(&self, id: &str) -> Result<Option<Arc<StoredKey>>, Failure> {
        // One end for the whole wait. While somebody waits for another's answer, the store is asked for the same key.
        let end = time::Instant::now() + self.settings.timeout;
        let now = self.settings.clock.now();
        let entry = self.found.entry_async(id, |_, found| {
            if now < found.until {
                EntryAction::Retain(Arc::clone(&found.key))
            } else {
                EntryAction::ReplaceWithGuard
            }
        });
        let turn = match timeout_at(end, entry).await {
            Ok(EntryResult::Retained(key)) => return Ok(Some(key)),
            Ok(EntryResult::Replaced(guard, older)) => Turn::new(guard, Some(older)),
            Ok(EntryResult::Vacant(guard)) => Turn::new(guard, None),
            Ok(EntryResult::Removed(..) | EntryResult::Timeout) | Err(_) => {
                return Err(Failure::StoreUnavailable);
            }
        };
        if let Some(missing) = self.missing.get(id)
            && self.settings.clock.now() < missing.until
        {
            return missing.answer.map(|()| None);
        }
        let turns = if turn.older.is_some() { &self.renewing } else { &self.asking };
        let Ok(_permit) = turns.try_acquire() else { return Err(Failure::StoreUnavailable) };
        // From before the store looks: what changes while it answers is seen in time, too.
        let asked = self.settings.clock.now();
        let Some(key) = self.ask(id, end).await? else {
            self.note_missing(id, Ok(()), asked + self.settings.negative_ttl);
            turn.end(None);
            return Ok(None);
        };
        if let Some(older) = &turn.older {
            key.inherit(&older.key);
        }
        let key = Arc::new(key);
        let until = asked + self.settings.ttl;
        self.missing.remove(id);
        turn.end(Some(Found { key: Arc::clone(&key), until }));
        Ok(Some(key))
    }

    async fn ask(&self, id: &str, end: time::Instant) -> Result<Option<StoredKey>, Failure> {
        let asked = time::Instant::now();
        let fetched = match timeout_at(end, self.store.fetch(id)).await {
            // In the place of one that went away, and with too little time left to tell.
            Err(_) if asked.elapsed() < self.settings.timeout / 2 => return Err(Failure::StoreUnavailable),
            Err(_) => return Err(self.fail(id, &"it took too long")),
            Ok(Err(error)) => return Err(self.fail(id, &error)),
            Ok(Ok(fetched)) => fetched,
        };
        let Some(record) = fetched else { return Ok(None) };
        match StoredKey::new(record) {
            Ok(key) if key.id() == id => Ok(Some(key)),
            Ok(_) => Err(self.fail(id, &"it gave another key than the one it was asked for")),
            Err(error) => Err(self.fail(id, &error)),
        }
    }

    fn fail(&self, id: &str, error: &dyn fmt::Display) -> Failure {
        telemetry::store_failed(error);
        let until = self.settings.clock.now() + FAILURE_TTL;
        self.note_missing(id, Err(Failure::StoreUnavailable), until);
        Failure::StoreUnavailable
    }

    fn note_missing(&self, id: &str, answer: Result<(), Failure>, until: Instant) {
        self.missing.insert(id.to_owned(), Missing { answer, until });
    }
}

/// The turn to ask for a key: while it lives, nobody else asks for this one, and then the next one may.
///
/// A key that was known is put back when the turn ends without an answer, because the store failed or the request went
/// away. Its time is over, so it is not used; but it is renewed before keys that anybody can invent.
struct Turn<'a> {
    guard: Option<Guard<'a>>,
    older: Option<Found>,
}

type Guard<'a> =
    PlaceholderGuard<'a, String, Found, UnitWeighter, DefaultHashBuilder, DefaultLifecycle<String, Found>>;

impl<'a> Turn<'a> {
    fn new(guard: Guard<'a>, older: Option<Found>) -> Self {
        Self { guard: Some(guard), older }
    }

    /// The store answered: with a key, or that there is none.
    fn end(mut self, found: Option<Found>) {
        self.older = found;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let (Some(guard), Some(found)) = (self.guard.take(), self.older.take()) {
            // There is no place for it only where somebody put it there meanwhile.
            let _ = guard.insert(found);
        }
    }
}

impl<A> Clone for CachedKeys<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> fmt::Debug for CachedKeys<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedKeys")
            .field("found", &self.0.found.len())
            .field("missing", &self.0.missing.len())
            .field("ttl", &self.0.settings.ttl)
            .finish_non_exhaustive()
    }
}

fn check(field: &'static str, ttl: Duration) -> Result<(), ConfigError> {
    if ttl.is_zero() || ttl > Duration::from_secs(3600) {
        return Err(ConfigError::new(
            Part::CachedKeys,
            field,
            "must be more than nothing and at most an hour",
        ));
    }
    Ok(())
}
