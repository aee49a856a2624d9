//! The token of a client, asked for once for all its requests.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use bartizan_core::{Clock, Fault};
use bytes::Bytes;
use http::HeaderValue;
use tokio::runtime::Handle;

use super::{
    credentials,
    grant::{self, Grant, GrantError},
    plan::{Ask, Plan, times},
    telemetry::Telemetry,
};
use crate::{
    FetchWait,
    outbound::{Endpoint, Fetch, Flights, HttpService, Jitter},
};

/// The most bytes of an answer that are read.
const MAX_BYTES: usize = 64 * 1024;

/// The least time after which it makes sense to try again.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The token of a client, for all its requests: asked for when it is first needed, and replaced before it expires.
/// Made by [`ClientCredentials`](crate::ClientCredentials).
///
/// However many requests need it, one asks for all. A request that finds a good token does not wait, also while
/// the next one is asked for.
///
/// What waits is measured by tokio: it must be used on a runtime of tokio with timers enabled. Clones share the
/// token.
#[derive(Clone)]
pub struct ClientTokens(Arc<Shared>);

pub(super) struct Settings {
    pub(super) service: HttpService,
    pub(super) endpoint: Endpoint,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) form: Bytes,
    pub(super) wait: Duration,
    pub(super) timeout: Duration,
    pub(super) loopback_http: bool,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
}

struct Shared {
    settings: Settings,
    current: ArcSwapOption<Kept>,
    /// Held for the length of a decision.
    plan: Mutex<Plan>,
    flights: Flights,
    no_runtime: Fault,
}

struct Kept {
    token: Token,
    refresh_at: Instant,
    usable_until: Instant,
}

/// A token, as a request carries it.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: HeaderValue,
    /// Tells it from those before it.
    pub(super) serial: u64,
}

/// What somebody gets who wants a token.
pub(super) enum Taken {
    Ready(Token),
    /// Look again after this.
    Wait(FetchWait),
    Unavailable {
        retry_after: Duration,
    },
}

impl ClientTokens {
    pub(super) fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            current: ArcSwapOption::empty(),
            plan: Mutex::default(),
            flights: Flights::default(),
            no_runtime: Fault::new(
                "bearer",
                "tokens are wanted outside of a tokio runtime, and cannot be asked for",
                "send requests on a tokio runtime with timers enabled",
            ),
        }))
    }

    pub(super) fn allows_loopback_http(&self) -> bool {
        self.0.settings.loopback_http
    }

    /// A token, or what to do without.
    pub(super) fn take(&self) -> Taken {
        let now = self.0.now();
        if let Some(kept) = &*self.0.current.load()
            && now < kept.usable_until
        {
            if now >= kept.refresh_at {
                // Nobody waits for this one.
                drop(self.ask(Plan::ask, now, |_| false));
            }
            return Taken::Ready(kept.token.clone());
        }
        self.ask_for_one(now)
    }

    /// For a request that has seen no token.
    fn ask_for_one(&self, now: Instant) -> Taken {
        self.ask(Plan::ask, now, |_| true)
    }

    /// The token that is there, after a wait.
    pub(super) fn taken(&self) -> Taken {
        let now = self.0.now();
        match self.0.usable(now) {
            Some(token) => Taken::Ready(token),
            None => Taken::Unavailable { retry_after: self.0.plan().pause(now).max(SHORTEST_PAUSE) },
        }
    }

    /// Another token than the one that a server called invalid.
    pub(super) fn take_other_than(&self, serial: u64) -> Taken {
        let now = self.0.now();
        match self.0.usable(now) {
            Some(token) if token.serial != serial => Taken::Ready(token),
            _ => self.ask_for_other(serial, now),
        }
    }

    /// For a request that has seen this one alone.
    fn ask_for_other(&self, serial: u64, now: Instant) -> Taken {
        self.ask(Plan::ask_for_another, now, |token| token.serial != serial)
    }

    /// Asks for a token, unless one has come in between that will do.
    fn ask(
        &self,
        how: fn(&mut Plan, Instant) -> Ask,
        now: Instant,
        will_do: impl Fn(&Token) -> bool,
    ) -> Taken {
        let Ok(runtime) = Handle::try_current() else {
            self.0.no_runtime.report();
            return Taken::Unavailable { retry_after: SHORTEST_PAUSE };
        };
        // Made first: the token must not come in between.
        let Some(wait) = self.0.flights.wait(self.0.settings.wait) else {
            return Taken::Unavailable { retry_after: SHORTEST_PAUSE };
        };
        let asked = {
            let mut plan = self.0.plan();
            // A fetch leaves its token before it tells the plan: nobody asks again so soon, nor has to.
            if let Some(token) = self.0.usable(now).filter(will_do) {
                return Taken::Ready(token);
            }
            how(&mut plan, now)
        };
        match asked {
            Ask::Refuse(pause) => return Taken::Unavailable { retry_after: pause.max(SHORTEST_PAUSE) },
            Ask::Begin => {
                // A task of its own: the request that began it may go away, and others wait for it.
                drop(runtime.spawn(fetch(Flight(Arc::clone(&self.0)))));
            }
            Ask::Join => {}
        }
        Taken::Wait(wait)
    }
}

impl Shared {
    fn now(&self) -> Instant {
        self.settings.clock.now()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self, now: Instant) -> Option<Token> {
        self.current.load().as_ref().filter(|kept| now < kept.usable_until).map(|kept| kept.token.clone())
    }

    fn has_token(&self) -> bool {
        self.usable(self.now()).is_some()
    }

    /// A token that was asked for at `asked`.
    fn keep(&self, grant: Grant, asked: Instant) {
        let (refresh, usable) = times(grant.lifetime, Jitter::random());
        let serial = self.current.load().as_ref().map_or(0, |kept| kept.token.serial + 1);
        self.current.store(Some(Arc::new(Kept {
            token: Token { value: grant.value, serial },
            refresh_at: asked + refresh,
            usable_until: asked + usable,
        })));
    }
}

async fn fetch(flight: Flight) {
    let shared = &flight.0;
    let Settings { service, timeout, telemetry, .. } = &shared.settings;
    let asked = shared.now();
    let fetch = Fetch {
        request: credentials::request(&shared.settings),
        timeout: *timeout,
        max_bytes: MAX_BYTES,
        // A refusal says why.
        reads: |_| true,
    };
    let answered = service.fetch(fetch).await.map_err(GrantError::Fetch);
    match answered.and_then(|answer| grant::read(answer.status(), answer.body())) {
        Ok(grant) => {
            telemetry.granted(grant.lifetime);
            shared.keep(grant, asked);
            shared.plan().succeed(shared.now());
        }
        Err(error) => {
            telemetry.failed(&error, shared.has_token());
            shared.plan().fail(shared.now(), Jitter::random());
        }
    }
}

/// However the fetch ends, those who wait are told.
struct Flight(Arc<Shared>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.plan().abandon(self.0.now(), Jitter::random());
        self.0.flights.landed();
    }
}

impl fmt::Debug for ClientTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTokens")
            .field("endpoint", &self.0.settings.endpoint)
            .field("has_token", &self.0.has_token())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::ready,
        sync::atomic::{AtomicU64, Ordering},
    };

    use bartizan_core::ManualClock;
    use http::{Request, Response};
    use http_body_util::Full;

    use super::*;
    use crate::ClientCredentials;

    #[tokio::test]
    async fn aut_08_a_token_that_comes_between_two_looks_is_found() {
        let fetched = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&fetched);
        let endpoint = tower::service_fn(move |_: Request<Full<Bytes>>| {
            count.fetch_add(1, Ordering::SeqCst);
            let token = r#"{"access_token":"abc","token_type":"Bearer","expires_in":60}"#;
            ready(Ok::<_, Infallible>(Response::new(String::from(token))))
        });
        let clock = ManualClock::new();
        let credentials = ClientCredentials::new("https://id.example/token", "billing", "s3cret");
        let tokens = credentials.with_clock(Clock::from(clock.clone())).build_with(endpoint).unwrap();
        let Taken::Wait(wait) = tokens.take() else { panic!("there is none yet") };
        wait.await;
        let now = tokens.0.now();
        let refused = tokens.ask(Plan::ask, now, |_| false);
        assert!(matches!(refused, Taken::Unavailable { .. }), "nobody asks so soon");
        assert!(matches!(tokens.ask_for_one(now), Taken::Ready(_)));

        // The first one is called invalid while the next one comes.
        clock.advance(Duration::from_secs(2));
        let Taken::Wait(wait) = tokens.take_other_than(0) else { panic!("there is no other yet") };
        wait.await;
        for seconds in [0, 2, 30] {
            clock.advance(Duration::from_secs(seconds));
            let Taken::Ready(token) = tokens.ask_for_other(0, tokens.0.now()) else { panic!("it has come") };
            assert_eq!(token.serial, 1, "after {seconds} s more");
        }
        assert_eq!(fetched.load(Ordering::SeqCst), 2);
    }
}
