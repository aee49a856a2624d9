//! Keys that are fetched, as a layer sees them.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use bartizan_core::{Clock, Fault};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
};

use super::{
    attempt::{AttemptError, Fetched, Fetcher},
    builder::{Address, RemoteKeysBuilder},
    schedule::{Demand, Next, Schedule},
    telemetry::Telemetry,
    worker,
};
use crate::{
    Algorithms, FetchWait, KeyQuery, KeySet, KeySource, Lookup,
    outbound::{Flights, Jitter},
};

/// The keys of an issuer, fetched over the network and kept current.
///
/// ```
/// use bartizan_auth::{Algorithm, JwtLayer, RemoteKeys, TokenPolicy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "https-client")] {
/// let keys = RemoteKeys::discover("https://id.example", [Algorithm::Rs256, Algorithm::Es256]).build()?;
/// let policy = TokenPolicy::new("https://id.example", ["https://orders.example"])?;
/// let layer = JwtLayer::new(keys.clone(), policy);
/// # let _ = layer;
///
/// assert!(!keys.is_ready(), "nothing is fetched before the first request, `ready` or `run`");
/// # }
/// // Nothing is fetched without TLS, unless it is allowed for this machine.
/// # let client = tower::service_fn(async |_| Ok::<_, std::io::Error>(http::Response::new(String::new())));
/// let error = RemoteKeys::jwks("http://id.example/keys", Algorithm::Rs256).build_with(client).unwrap_err();
/// assert_eq!(error.field(), "jwks_url");
/// # Ok(()) }
/// ```
///
/// # When keys are fetched
///
/// - With the first request, by [`ready`](Self::ready), or by [`run`](Self::run); then again before they expire,
///   which `Cache-Control` says: 5 minutes at least, 24 hours at most, 10 minutes if it does not say. The task
///   ends with the last handle.
/// - For a key that is unknown: once for all who ask, and once in 30 seconds. Such a request waits at most [a
///   second](RemoteKeysBuilder::with_wait); within the 30 seconds every unknown key is refused at once, so that
///   inventing them costs the issuer nothing. A request whose key is known never waits.
///
/// # When that fails
///
/// No answer within 5 seconds, any status but 200 (a redirect, too), more than 512 KiB, no JSON, another
/// issuer's document, and a set without a usable key are failures: the last good keys stay, up to a [hard
/// limit](RemoteKeysBuilder::with_hard_limit) of 24 hours, which ends the tokens seen before, too. It is tried again after 30 seconds, a minute, two, up
/// to every five; without any keys after 1 second, up to every minute. Until the first keys are there, requests
/// with a token get 503 with `Retry-After`, and never 401.
///
/// A key that a good answer leaves out stops working at that moment, for tokens seen before, too. Keys that
/// cannot be used are left out one by one; a shared secret or a private key among them is reported, as it is
/// known to everybody.
///
/// What waits is measured by tokio: the service must run on a runtime of tokio with timers enabled. Clones share
/// the keys and the task; to look up a key that is there takes no lock.
#[derive(Clone)]
pub struct RemoteKeys(Arc<LastHandle>);

/// Ends the task when it is dropped. The task itself holds the rest alone.
struct LastHandle(Arc<Shared>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        self.0.worker.close();
        self.0.wake.notify_one();
    }
}

/// What was configured.
pub(super) struct Settings {
    pub(super) fetcher: Fetcher,
    pub(super) wait: Duration,
    pub(super) hard_limit: Duration,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
}

/// What requests and the task have in common.
pub(super) struct Shared {
    pub(super) settings: Settings,
    current: ArcSwapOption<Loaded>,
    generation: AtomicU64,
    /// Held for the length of a decision, by the task and by requests whose key is not there.
    schedule: Mutex<Schedule>,
    flights: Flights,
    /// Wakes the task: there is something to fetch, or nobody left to fetch it for.
    pub(super) wake: Notify,
    /// Whoever has the one permit is the task. Closed when the last handle is gone.
    pub(super) worker: Arc<Semaphore>,
    no_runtime: Fault,
}

struct Loaded {
    keys: KeySet,
    good_until: Instant,
}

impl RemoteKeys {
    /// The keys of the JWK set at this https address, as far as they are for one of these algorithms. A key without
    /// `alg` is bound to the one that fits it, if there is exactly one.
    pub fn jwks(url: impl Into<String>, algorithms: impl Into<Algorithms>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(Address::Keys(url.into()), algorithms.into())
    }

    /// The keys that the issuer itself names, in its document for OpenID Connect Discovery, or if it has none,
    /// in that of RFC 8414. The document must say `issuer` exactly as it is written here, and as tokens do.
    pub fn discover(issuer: impl Into<String>, algorithms: impl Into<Algorithms>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(Address::Issuer(issuer.into()), algorithms.into())
    }

    pub(super) fn new(settings: Settings) -> Self {
        let schedule = Schedule::new(settings.clock.now(), settings.hard_limit);
        Self(Arc::new(LastHandle(Arc::new(Shared {
            settings,
            current: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            schedule: Mutex::new(schedule),
            flights: Flights::default(),
            wake: Notify::new(),
            worker: Arc::new(Semaphore::new(1)),
            no_runtime: Fault::new(
                "jwt",
                "remote keys are used outside of a tokio runtime, and cannot be fetched",
                "serve on a tokio runtime with timers enabled",
            ),
        }))))
    }

    /// Whether there are keys that can be trusted.
    pub fn is_ready(&self) -> bool {
        self.shared().has_keys()
    }

    /// For a readiness probe: begins to fetch if that has not begun, waits for a fetch that is under way as long
    /// as a request would, and says whether there are keys.
    pub async fn ready(&self) -> bool {
        self.start();
        let shared = self.shared();
        if !shared.has_keys()
            && let Some(wait) = shared.demand()
        {
            wait.await;
        }
        shared.has_keys()
    }

    /// Keeps the keys current, until the last handle is dropped: spawn it to have the first keys before the first
    /// request. Without it, the first request spawns it. Only one runs at a time; another waits to take its place.
    pub fn run(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        worker::run(Arc::clone(self.shared()))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Spawns the task unless there is one.
    #[inline]
    fn start(&self) {
        if self.shared().worker.available_permits() > 0 {
            self.spawn();
        }
    }

    #[cold]
    fn spawn(&self) {
        let shared = self.shared();
        let Ok(runtime) = Handle::try_current() else {
            shared.no_runtime.report();
            return;
        };
        // Taken here, so that many first requests do not spawn many tasks.
        if let Ok(turn) = Arc::clone(&shared.worker).try_acquire_owned() {
            runtime.spawn(worker::work(Arc::clone(shared), turn));
        }
    }
}

impl Shared {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        self.settings.clock.now()
    }

    fn has_keys(&self) -> bool {
        self.current.load().as_ref().is_some_and(|loaded| self.now() < loaded.good_until)
    }

    /// A wait for keys that are not there, if it makes sense.
    fn demand(&self) -> Option<FetchWait> {
        // Made first: the fetch must not end in between.
        let wait = self.flights.wait(self.settings.wait)?;
        let demand = self.schedule().demand(self.now());
        match demand {
            Demand::Join => {}
            Demand::Begin => self.wake.notify_one(),
            Demand::Refuse => return None,
        }
        Some(wait)
    }

    /// What the task does next. Keys that are too old are given up here.
    pub(super) fn next(&self) -> Next {
        let mut schedule = self.schedule();
        let now = self.now();
        let next = schedule.next(now);
        match next {
            Next::GiveUp => {
                schedule.give_up(now);
                drop(schedule);
                self.replace(None);
                self.settings.telemetry.gave_up();
            }
            Next::Fetch => schedule.begin(),
            Next::Wait(_) => {}
        }
        next
    }

    /// The end of a fetch.
    pub(super) fn land(&self, outcome: Result<Fetched, AttemptError>) {
        let Settings { clock, telemetry, .. } = &self.settings;
        match outcome {
            Ok(Fetched { keys, fresh }) => {
                let good_until = self.schedule().succeed(clock.now(), fresh, Jitter::random());
                let loaded = Arc::new(Loaded { keys, good_until });
                let changed = self.replace(Some(&loaded));
                telemetry.loaded(&loaded.keys, changed, clock.wall());
            }
            Err(error) => {
                self.schedule().fail(clock.now(), Jitter::random());
                telemetry.failed(&error, self.has_keys());
            }
        }
    }

    /// After every fetch, however it ended.
    pub(super) fn landed(&self) {
        self.schedule().abandon(self.now(), Jitter::random());
        self.flights.landed();
    }

    /// Puts other keys in force, or none. Says whether they are others.
    fn replace(&self, loaded: Option<&Arc<Loaded>>) -> bool {
        let former = self.current.swap(loaded.cloned());
        let is_same = match (loaded, former) {
            (Some(loaded), Some(former)) => loaded.keys.is_same(&former.keys),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            // After the swap: a token verified in between counts as one of the former keys.
            self.generation.fetch_add(1, Ordering::Release);
        }
        !is_same
    }
}

impl KeySource for RemoteKeys {
    type Refresh = FetchWait;

    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup {
        let shared = self.shared();
        let now = shared.now();
        match &*shared.current.load() {
            Some(loaded) if now < loaded.good_until => loaded.keys.find(query),
            _ => Lookup::NotLoaded { retry_after: shared.schedule().retry_after(now) },
        }
    }

    fn generation(&self) -> u64 {
        self.start();
        self.shared().generation.load(Ordering::Acquire)
    }

    fn refresh(&self, query: &KeyQuery<'_>) -> Option<FetchWait> {
        let shared = self.shared();
        shared.demand().or_else(|| {
            // It may have come between the two looks, and then nobody asks so soon.
            let found = match self.lookup(query) {
                // One without a name was there before, and did not verify.
                Lookup::Found(key) => query.kid.is_none() || key.kid() == query.kid,
                _ => false,
            };
            found.then(|| shared.flights.wait(Duration::ZERO)).flatten()
        })
    }

    fn good_for(&self) -> Option<Duration> {
        let shared = self.shared();
        let left = |loaded: &Arc<Loaded>| loaded.good_until.saturating_duration_since(shared.now());
        Some(shared.current.load().as_ref().map_or(Duration::ZERO, left))
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared();
        f.debug_struct("RemoteKeys")
            .field("issuer", &shared.settings.telemetry.0.name())
            .field("keys", &shared.current.load().as_ref().map_or(0, |loaded| loaded.keys.len()))
            .field("is_ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}
