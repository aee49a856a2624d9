//! Keys in a file that is read again when it changes.

use std::{
    error::Error,
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use crate::{
    ConfigError, FoundKey, KeyStore, StaticKeys,
    error::Part,
    key::{RawRecord, sha256},
    static_keys, telemetry,
};

/// Keys in a JSON file: a list of [`KeyRecord`](crate::KeyRecord)s.
///
/// The [`FileWatch`] that comes with it reads the file again every 5 seconds and swaps the whole set when its content
/// has changed: no request sees half of it, and none waits. A file that cannot be read, or holds a fault, leaves the
/// last good set in place; it is reported once, and counted each time. Write a new file beside the old one and
/// rename it, so that nobody reads half of it.
///
/// ```no_run
/// use bartizan_auth::{ApiKeyLayer, FileKeys};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let (keys, watch) = FileKeys::open("/etc/orders/keys.json")?;
/// tokio::spawn(watch.run()); // ends when the last handle to the keys is dropped
/// let layer = ApiKeyLayer::new(keys);
/// # let _ = layer;
/// # Ok(()) }
/// ```
///
/// Clones share one set. To look a key up costs what it costs in [`StaticKeys`].
#[derive(Clone)]
pub struct FileKeys(Arc<Inner>);

struct Inner {
    keys: StaticKeys,
    path: PathBuf,
    /// Held while the file is read: one reads at a time.
    last: Mutex<Last>,
    /// Apart from the lock, so that nobody who asks waits for a disk.
    is_current: AtomicBool,
}

/// What was read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Last {
    /// The digest of the content, if there was any.
    content: Option<[u8; 32]>,
    failed: bool,
}

/// Far beyond what a list of keys needs: some 50 000.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

impl FileKeys {
    /// Reads the file, blocking, and gives the keys and the task that keeps them current.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is larger than 16 MiB, or holds anything but a list of good records.
    pub fn open(path: impl AsRef<Path>) -> Result<(Self, FileWatch), FileKeysError> {
        let inner = Inner {
            keys: StaticKeys::new([]).map_err(FileKeysError::Record)?,
            path: path.as_ref().to_owned(),
            last: Mutex::default(),
            is_current: AtomicBool::new(false),
        };
        let keys = Self(Arc::new(inner));
        keys.reload()?;
        let watch = FileWatch { keys: Arc::downgrade(&keys.0), interval: FileWatch::DEFAULT_INTERVAL };
        Ok((keys, watch))
    }

    /// Reads the file now, blocking, and says whether the keys were replaced. The [`FileWatch`] does it by itself.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); the keys are then what they were.
    pub fn reload(&self) -> Result<bool, FileKeysError> {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *last;
        let read = self.0.read(&mut last);
        self.0.is_current.store(read.is_ok(), Ordering::Relaxed);
        match &read {
            Ok(true) => telemetry::key_file_loaded(self.len()),
            Ok(false) => {}
            Err(error) => telemetry::key_file_failed(error, *last != before),
        }
        read
    }

    /// Whether the keys are those of the file, as it was when it was last looked at. Does not wait, also while the file
    /// is read.
    pub fn is_current(&self) -> bool {
        self.0.is_current.load(Ordering::Relaxed)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.keys.is_empty()
    }

    /// When the key with this public part was last accepted, to the minute.
    pub fn last_used(&self, id: &str) -> Option<SystemTime> {
        self.0.keys.last_used(id)
    }
}

impl Inner {
    fn read(&self, last: &mut Last) -> Result<bool, FileKeysError> {
        let content =
            read_bounded(&self.path).inspect_err(|_| *last = Last { content: None, failed: true })?;
        let digest = Some(sha256(&content));
        if last.content == digest && !last.failed {
            return Ok(false);
        }
        // Until it has proved to be good.
        *last = Last { content: digest, failed: true };
        let raw: Vec<RawRecord> = serde_json::from_slice(&content)
            .map_err(|error| FileKeysError::Syntax { line: error.line(), column: error.column() })?;
        static_keys::records(raw)
            .and_then(|records| self.keys.replace(records))
            .map_err(FileKeysError::Record)?;
        last.failed = false;
        Ok(true)
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, FileKeysError> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut content));
    read.map_err(FileKeysError::Read)?;
    if content.len() as u64 > MAX_BYTES { Err(FileKeysError::TooLarge) } else { Ok(content) }
}

impl KeyStore for FileKeys {
    type Found<'a> = FoundKey;

    fn lookup(&self, id: &str) -> Option<FoundKey> {
        self.0.keys.lookup(id)
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys").field("path", &self.0.path).field("len", &self.len()).finish()
    }
}

/// Keeps [`FileKeys`] current while it [runs](Self::run).
#[derive(Debug)]
#[must_use = "the file is not read again unless the watch runs"]
pub struct FileWatch {
    keys: Weak<Inner>,
    interval: Duration,
}

impl FileWatch {
    /// How often the file is read, unless it is told otherwise.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

    /// How often the file is read: the longest that a revocation takes to be seen. Default: 5 s.
    ///
    /// # Errors
    ///
    /// When it is less than 100 ms, or more than an hour.
    pub fn with_interval(mut self, interval: Duration) -> Result<Self, ConfigError> {
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&interval) {
            return Err(ConfigError::new(Part::FileKeys, "interval", "must be 100 ms to one hour"));
        }
        self.interval = interval;
        Ok(self)
    }

    /// Reads the file again and again, on a thread for blocking work, until the last handle to the keys is dropped.
    /// Spawn it on the runtime.
    pub async fn run(self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await; // The first comes at once, and `open` has just read the file.
        loop {
            ticks.tick().await;
            let Some(inner) = self.keys.upgrade() else { return };
            // What fails is reported where it fails, and the next look may succeed.
            let looked = spawn_blocking(move || FileKeys(inner).reload().is_ok()).await;
            if looked.is_err_and(|error| error.is_cancelled()) {
                return; // The runtime ends.
            }
        }
    }
}

/// Why a file gave no keys. Never repeats what is in it: it may be a secret in the wrong place.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileKeysError {
    /// The file cannot be read.
    Read(io::Error),
    /// The file is larger than 16 MiB.
    TooLarge,
    /// The file is not a list of records in JSON.
    Syntax {
        /// Where it ceases to be one, from 1.
        line: usize,
        /// The same within the line.
        column: usize,
    },
    /// A record can never work.
    Record(ConfigError),
}

impl fmt::Display for FileKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => f.write_str("the key file cannot be read"),
            Self::TooLarge => f.write_str("the key file is larger than 16 MiB"),
            Self::Syntax { line, column } => {
                write!(f, "the key file is not a list of key records at line {line}, column {column}")
            }
            Self::Record(_) => f.write_str("the key file holds a record that can never work"),
        }
    }
}

impl Error for FileKeysError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Record(error) => Some(error),
            Self::TooLarge | Self::Syntax { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc, thread};

    use super::*;

    #[test]
    fn key_03_nobody_who_asks_for_keys_waits_while_the_file_is_read() {
        let path = std::env::temp_dir().join(format!("bartizan-keys-{}-read", std::process::id()));
        fs::write(&path, "[]").unwrap();
        let (keys, _watch) = FileKeys::open(&path).unwrap();
        let other = keys.clone();
        let reading = keys.0.last.lock().unwrap();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let _ = tell.send((other.is_current(), other.len(), other.lookup("orders_a").is_none()));
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok((true, 0, true)));
        drop(reading);
        fs::remove_file(path).unwrap();
    }
}
