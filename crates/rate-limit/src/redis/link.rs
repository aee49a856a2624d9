//! The connection, and the breaker before it.
//!
//! ## Idle => Connecting
//! With the first request. It waits, within its own timeout.
//!
//! ## Connecting | Down => Idle
//! When the task that connects ends with its runtime. Whoever waits for it starts another.
//!
//! ## Connecting => Up | Down
//! Up once the server has made a decision, and in time, so that a replica, a server without memory, one that forbids
//! scripts, or one that is too slow to be of use, does not count.
//!
//! ## Up => Down
//! After some failures in a row. From then on a request finds out from one load that there is no Redis.
//!
//! ## Down => Up
//! One task connects again and again, ever more slowly, and anew each time: what hung may hang for ever, and the
//! master may be another one by now. No request takes part in that. A connection that did not last is no reason to
//! hurry.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bartizan_core::Fault;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::{
    failure::{Failure, RedisUnavailable},
    script::Call,
    target::{Connection, Target},
};
use crate::policy::LAYER;

/// So many failures in a row are no accident.
const FAILURES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The way to Redis, shared by all layers of a store.
pub(super) struct Link {
    target: Target,
    /// What the keys start with whose decisions show that the server works.
    probe: String,
    /// How long a request may wait.
    timeout: Duration,
    state: watch::Sender<State>,
    away: Fault,
}

#[derive(Clone)]
enum State {
    Idle,
    Connecting,
    Up(Arc<Line>),
    /// For this, as of the last try.
    Down(Failure),
}

/// One connection, since when it is there, and how often it has failed in a row.
struct Line {
    connection: Connection,
    since: Instant,
    failures: AtomicU32,
}

impl Link {
    pub(super) fn new(target: Target, prefix: &str, timeout: Duration) -> Self {
        Self {
            target,
            probe: format!("{prefix}:probe"),
            timeout,
            state: watch::Sender::new(State::Idle),
            away: Fault::new(
                LAYER,
                "the Redis of a rate limit does not answer, or not in time; requests go on as `FailureMode` says",
                "see that it runs, can be reached and takes writes; metrics count each such request",
            ),
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it is known that there is no Redis.
    pub(super) fn is_down(&self) -> bool {
        matches!(*self.state.borrow(), State::Down(_))
    }

    /// Waits until there is a connection, or none; no longer than it takes to find that out.
    pub(super) async fn settled(self: &Arc<Self>) -> Result<(), RedisUnavailable> {
        let failure = match time::timeout(self.target.patience(), self.line()).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(failure)) => match *self.state.borrow() {
                State::Down(cause) => cause,
                State::Idle | State::Connecting | State::Up(_) => failure,
            },
            Err(_) => Failure::Timeout,
        };
        Err(RedisUnavailable { failure, address: self.target.address().into() })
    }

    /// What a script answers before `deadline`.
    ///
    /// A caller that goes away before counts for nothing: whoever closes connections quickly must not be able to
    /// make it look as if Redis was away.
    pub(super) async fn call(self: &Arc<Self>, call: &Call, deadline: Instant) -> Result<Value, Failure> {
        let line = time::timeout_at(deadline, self.line()).await.map_err(|_| Failure::Timeout)??;
        let (failure, is_over) = match time::timeout_at(deadline, line.call(call)).await {
            Ok(Ok(answer)) => {
                line.worked();
                return Ok(answer);
            }
            Ok(Err(error)) => (Failure::Error, line.connection.is_over(&error)),
            Err(_) => (Failure::Timeout, false),
        };
        if line.failed() || is_over {
            self.give_up(&line, failure);
        }
        Err(failure)
    }

    async fn line(self: &Arc<Self>) -> Result<Arc<Line>, Failure> {
        // Again if the task that connects ends with its runtime; not ever again, as ours may be about to end too.
        for _ in 0..2 {
            // No guard of the state outlives its statement.
            match self.current() {
                Some(found) => return found,
                None => self.start(),
            }
            let mut changes = self.state.subscribe();
            let left = |state: &State| !matches!(state, State::Connecting);
            // The sender is ours, so there is one.
            drop(changes.wait_for(left).await);
        }
        self.current().unwrap_or(Err(Failure::Down))
    }

    fn current(&self) -> Option<Result<Arc<Line>, Failure>> {
        match &*self.state.borrow() {
            State::Up(line) => Some(Ok(Arc::clone(line))),
            State::Down(_) => Some(Err(Failure::Down)),
            State::Idle | State::Connecting => None,
        }
    }

    fn start(self: &Arc<Self>) {
        let starts = self.state.send_if_modified(|state| {
            let idle = matches!(state, State::Idle);
            if idle {
                *state = State::Connecting;
            }
            idle
        });
        if starts {
            tokio::spawn(connect(Unfinished(Arc::downgrade(self)), Duration::ZERO));
        }
    }

    /// This line has failed too often, if it is still the one in use.
    #[cold]
    fn give_up(self: &Arc<Self>, line: &Arc<Line>, failure: Failure) {
        let down = self.state.send_if_modified(|state| {
            let current = matches!(state, State::Up(current) if Arc::ptr_eq(current, line));
            if current {
                *state = State::Down(failure);
            }
            current
        });
        if down {
            self.away.report();
            let lasted = line.since.elapsed() >= LONGEST_PAUSE;
            let pause = if lasted { Duration::ZERO } else { LONGEST_PAUSE };
            tokio::spawn(connect(Unfinished(Arc::downgrade(self)), pause));
        }
    }

    /// Connects, and sees that the server decides: of a cluster one of its masters.
    async fn open(&self) -> Result<Connection, Failure> {
        let failure = |error: RedisError| if error.is_timeout() { Failure::Timeout } else { Failure::Error };
        let mut connection = self.target.connect().await.map_err(failure)?;
        let mut probe = 0;
        loop {
            // By its text, so that the server knows the script from then on.
            let decide = Call::probe(format!("{}:{probe}", self.probe)).by_text();
            match time::timeout(self.timeout, connection.send(&decide)).await {
                Ok(Ok(_)) => return Ok(connection),
                Ok(Err(_)) if probe == self.target.last_probe() => return Err(Failure::Down),
                Err(_) if probe == self.target.last_probe() => return Err(Failure::Timeout),
                Ok(Err(_)) | Err(_) => probe += 1,
            }
        }
    }
}

/// Connects until there is a connection, or nobody is left who wants one.
async fn connect(unfinished: Unfinished, first_pause: Duration) {
    let mut pause = FIRST_PAUSE;
    time::sleep(first_pause).await;
    while let Some(link) = unfinished.0.upgrade() {
        let opened = time::timeout(link.target.patience(), link.open()).await;
        match opened.unwrap_or(Err(Failure::Timeout)) {
            Ok(connection) => {
                let line = Line { connection, since: Instant::now(), failures: AtomicU32::new(0) };
                link.state.send_replace(State::Up(Arc::new(line)));
                break;
            }
            Err(failure) => link.state.send_replace(State::Down(failure)),
        };
        link.away.report();
        drop(link);
        time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}

/// A task that ends with its runtime, be it before it has begun, leaves it to the next request to start one.
struct Unfinished(Weak<Link>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(link) = self.0.upgrade() {
            link.state.send_if_modified(|state| {
                let unfinished = matches!(state, State::Connecting | State::Down(_));
                if unfinished {
                    *state = State::Idle;
                }
                unfinished
            });
        }
    }
}

impl Line {
    async fn call(&self, call: &Call) -> RedisResult<Value> {
        let mut connection = self.connection.clone();
        let command = call.by_name();
        match connection.send(&command).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                connection.send(&call.by_text()).await
            }
            // Servers and what is between close connections that were idle. A decision that was made after all, and
            // is made again, takes once too often, never too little.
            Err(error) if error.is_connection_dropped() && call.may_be_repeated() => {
                connection.send(&command).await
            }
            answer => answer,
        }
    }

    fn worked(&self) {
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Whether that was once too often.
    #[cold]
    fn failed(&self) -> bool {
        self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.state.borrow() {
            State::Idle => "idle",
            State::Connecting => "connecting",
            State::Up(_) => "up",
            State::Down(_) => "down",
        };
        f.debug_struct("Link")
            .field("target", &self.target.name())
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
