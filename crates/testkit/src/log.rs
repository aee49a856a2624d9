//! What is told as `tracing` events, and to whom.

use std::{
    fmt, io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tracing::{Dispatch, dispatcher::DefaultGuard};
use tracing_subscriber::{fmt::MakeWriter, registry};

/// Two subscribers that hear nothing and live for ever.
///
/// While there is at most one subscriber, `tracing` decides for good whether a place in the code is of interest by
/// asking the thread that comes there first, and this may be the thread of another test, which has none. With more
/// than one it asks all of them.
static COMPANY: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [registry().into(), registry().into()]);

/// Makes `subscriber` the one of this thread until the guard is dropped.
///
/// It hears what this thread says whichever tests run beside it; `tracing::subscriber::set_default` alone may miss
/// events when another test was the first to say them.
#[must_use = "the subscriber hears nothing once the guard is dropped"]
pub fn listen(subscriber: impl Into<Dispatch>) -> DefaultGuard {
    LazyLock::force(&COMPANY);
    tracing::dispatcher::set_default(&subscriber.into())
}

/// A log that a test can read: a writer for `tracing_subscriber::fmt`.
///
/// Clones write to the same log.
#[derive(Clone, Default)]
pub struct TestLog(Arc<Mutex<String>>);

impl TestLog {
    /// Hears what this thread says at `level` and above, until the guard is dropped.
    #[must_use = "nothing is heard once the guard is dropped"]
    pub fn listen(&self, level: tracing::Level) -> DefaultGuard {
        let lines = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).without_time();
        listen(lines.with_writer(self.clone()).finish())
    }

    /// Adds `text` to what was written.
    pub fn push(&self, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }

    /// All that was written so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for TestLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestLog").finish_non_exhaustive()
    }
}

impl io::Write for TestLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for TestLog {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
