use std::{fmt, io, sync::Arc, time::Duration};

use bartizan_core::{Clock, NoteOwner, PathSet, ServerLayer, phase};
use tower_layer::Layer;

use crate::{
    AccessLog, FieldSet, LogGuard, LogHandle,
    hash::HashKey,
    json::MAX_LINE,
    log::Log,
    members::{MAX_MEMBERS, Members},
};

/// Writes one JSON line per request: see the [crate documentation](crate).
///
/// # Clone
///
/// Clones, the services that [`layer`](Layer::layer) makes and the handles share one buffer and one writer.
#[derive(Clone)]
#[must_use]
pub struct AccessLogLayer {
    shared: Arc<Shared>,
}

/// What all services of a layer share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) log: Arc<Log>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    pub(crate) fields: FieldSet,
    pub(crate) hash_key: Option<HashKey>,
    /// Of what is noted on callers, which the settings above decide.
    pub(crate) owner: NoteOwner,
    pub(crate) path: bool,
    pub(crate) redacts_texts: bool,
    pub(crate) exempt: PathSet,
    pub(crate) members: Members,
    pub(crate) buffer: usize,
}

impl Settings {
    /// Whether the path of a request matters.
    #[inline]
    pub(crate) fn reads_path(&self) -> bool {
        self.path || !self.exempt.is_empty()
    }
}

/// A setting that can never work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The buffer is smaller than [`AccessLogLayer::MIN_BUFFER`].
    BufferTooSmall,
    /// The key of the principals' hash is shorter than 16 bytes, and could be guessed.
    HashKeyTooShort,
    /// An exempt path has several spellings, or can never match.
    ExemptPath,
    /// The name of a constant member is not 1 to 64 ASCII letters, digits, `.`, `_`, `-`, `/` or `@`.
    MemberName,
    /// A constant member has the name of another member.
    MemberTaken,
    /// All constant members together take more than 1 KiB.
    MembersTooLong,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall => {
                write!(f, "`buffer` is less than {} bytes", AccessLogLayer::MIN_BUFFER)
            }
            Self::HashKeyTooShort => {
                write!(f, "`hashed_principal`: the key is shorter than {} bytes", HashKey::MIN)
            }
            Self::ExemptPath => write!(
                f,
                "`exempt_paths` must start with `/` and have one spelling: no empty, dot or escaped segments, `*` only at \
                 the end"
            ),
            Self::MemberName => {
                write!(
                    f,
                    "`member`: the name is not 1 to 64 ASCII letters, digits, `.`, `_`, `-`, `/` or `@`"
                )
            }
            Self::MemberTaken => write!(f, "`member`: another member of the line has this name"),
            Self::MembersTooLong => {
                write!(f, "`member`: all of them together take more than {MAX_MEMBERS} bytes")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl AccessLogLayer {
    /// The smallest buffer: four of the longest lines.
    pub const MIN_BUFFER: usize = 4 * MAX_LINE;

    /// The default buffer: 4 MiB, some ten thousand lines.
    pub const DEFAULT_BUFFER: usize = 4 * 1024 * 1024;

    /// Writes lines of JSON to `writer`: standard output, a file, anything.
    ///
    /// The writer is only ever used by one thread of its own, which starts with the first line. It may block; a
    /// request never waits for it.
    pub fn json(writer: impl io::Write + Send + 'static) -> Self {
        let settings = Settings {
            clock: Clock::system(),
            fields: FieldSet::default(),
            hash_key: None,
            owner: NoteOwner::new(),
            path: false,
            redacts_texts: false,
            exempt: PathSet::default(),
            members: Members::default(),
            buffer: Self::DEFAULT_BUFFER,
        };
        let log = Arc::new(Log::new(Box::new(writer)));
        Self { shared: Arc::new(Shared { settings, log }) }
    }

    /// Names the members of a line by another convention. Default: [`FieldSet::Otel`].
    pub fn with_fields(self, fields: FieldSet) -> Self {
        self.change(|settings| settings.fields = fields)
    }

    /// Writes `user.hash` instead of `user.id`: the first 16 bytes of HMAC-SHA-256 of the principal's subject
    /// under `key`, in hex. Lines of one caller still belong together, and say nothing about who it is to those
    /// who do not have the key. Default: the subject itself.
    ///
    /// # Errors
    ///
    /// When the key has fewer than 16 bytes.
    pub fn with_hashed_principal(self, key: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let key = key.as_ref();
        if key.len() < HashKey::MIN {
            return Err(ConfigError::HashKeyTooShort);
        }
        Ok(self.change(|settings| {
            settings.hash_key = Some(HashKey::new(key));
            settings.owner = NoteOwner::new();
        }))
    }

    /// Writes the raw path too, as `url.path`, never the query. Default: not, because paths hold what their
    /// callers put there, secrets included.
    pub fn with_path(self) -> Self {
        self.change(|settings| settings.path = true)
    }

    /// Writes `[redacted]` instead of what has the form of a JWT or of the number of a payment card, in the path, in
    /// the cause of a refusal and in each fact that was put together while the service ran. Default: not, since each of
    /// these texts must be looked through.
    ///
    /// A fact whose *name* is that of a secret, such as `session_token`, is redacted in any case.
    pub fn with_redacted_texts(self) -> Self {
        self.change(|settings| settings.redacts_texts = true)
    }

    /// Requests for these paths that went well have no line: health checks, scrapes. `/healthz`, or `/static/*` for all
    /// paths below `/static`. What was refused, failed or left by the client is logged all the same.
    ///
    /// Paths are compared as they were sent. Below a `/*`, paths that have several spellings are logged.
    ///
    /// # Errors
    ///
    /// When a path does not start with `/`, has several spellings itself, or a `*` elsewhere than at its end.
    pub fn with_exempt_paths<P: AsRef<str>>(
        self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let mut exempt = self.shared.settings.exempt.clone();
        exempt.add(paths).map_err(|_| ConfigError::ExemptPath)?;
        Ok(self.change(|settings| settings.exempt = exempt))
    }

    /// Writes this member on every line: `service.name`, the version, the region. For more members call it again.
    ///
    /// A fact of this name gets `fact.` before its own.
    ///
    /// # Errors
    ///
    /// When the name is not 1 to 64 ASCII letters, digits, `.`, `_`, `-`, `/` or `@`, when another member of the line has
    /// it in any [`FieldSet`], or when all members that were added take more than 1 KiB together.
    pub fn with_member(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Result<Self, ConfigError> {
        let mut members = self.shared.settings.members.clone();
        members.add(name.as_ref(), value.as_ref())?;
        Ok(self.change(|settings| settings.members = members))
    }

    /// Keeps at most this many bytes of lines that are not written yet. Default: 4 MiB.
    ///
    /// At three quarters, lines of requests that went well are dropped; when it is full, all are.
    ///
    /// # Errors
    ///
    /// When it is less than [`MIN_BUFFER`](Self::MIN_BUFFER).
    pub fn with_buffer(self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes < Self::MIN_BUFFER {
            return Err(ConfigError::BufferTooSmall);
        }
        Ok(self.change(|settings| settings.buffer = bytes))
    }

    /// Reads time from `clock`. Default: the system's.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.change(|settings| settings.clock = clock)
    }

    /// Waits for lines to be written, and tells how many were dropped.
    pub fn handle(&self) -> LogHandle {
        LogHandle::new(Arc::clone(&self.shared.log))
    }

    /// Flushes when it is dropped, waiting at most 5 s: keep it in `main`, until the server is done.
    pub fn guard(&self) -> LogGuard {
        LogGuard::new(self.handle(), Duration::from_secs(5))
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        change(&mut settings);
        Self { shared: Arc::new(Shared { settings, log: Arc::clone(&self.shared.log) }) }
    }
}

impl fmt::Debug for AccessLogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogLayer").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog::new(inner, Arc::clone(&self.shared))
    }
}

impl ServerLayer for AccessLogLayer {
    type Phase = phase::AccessLog;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "access_log"
    }
}
