//! From the requests to the writer's thread, through a bounded buffer.

use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bartizan_core::Fault;
use parking_lot::{Condvar, Mutex};

use crate::{FlushError, layer::Settings, severity::Severity, telemetry, writer::Sink};

/// How long the thread lets lines gather after it has written some. Meanwhile a request need not wake it.
const GATHER: Duration = Duration::from_millis(5);

/// Enough lines to write at once, gathering or not.
const ENOUGH: usize = 64 * 1024;

/// The side of the requests and handles. The last one gone ends the thread, once it has written what there is.
pub(crate) struct Log {
    channel: Arc<Channel>,
}

/// What requests and thread share.
pub(crate) struct Channel {
    queue: Mutex<Queue>,
    /// For the thread: there is something to do.
    work: Condvar,
    /// For who flushes: a batch is done.
    done: Condvar,
    dropped: AtomicU64,
    no_thread: Fault,
}

struct Queue {
    thread: Thread,
    /// Lines that nobody has taken yet.
    bytes: Vec<u8>,
    lines: u64,
    /// The size of the batch that is being written.
    writing: usize,
    /// Lines (notices, flushes) ever taken in, and those that were written or lost since.
    pushed: u64,
    settled: u64,
    /// Lines given to the writer since its last good flush; `None` when that was the last of all.
    unflushed: Option<u64>,
    /// Whether it is to be flushed, lines or not.
    flush_due: bool,
    /// Dropped lines that the log itself does not tell of yet, and whether a notice of them is due at once.
    untold: u64,
    notice_due: bool,
    /// Whether a thread that will take the writer is on its way.
    starting: bool,
    flushing: usize,
    closed: bool,
}

/// What the thread is doing.
enum Thread {
    /// There is none yet, and the writer waits for it.
    Unborn(Box<dyn io::Write + Send>),
    /// It will look at the queue before it rests.
    Busy,
    /// It rests for a moment, and need be woken only for a lot.
    Gathers,
    /// It rests until it is woken.
    Sleeps,
}

/// Lines to be written.
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// Lines that were dropped before.
    pub(crate) dropped: u64,
    /// How many lines, notices and flushes are settled with it.
    settles: u64,
}

impl Log {
    pub(crate) fn new(writer: Box<dyn io::Write + Send>) -> Self {
        let queue = Queue {
            thread: Thread::Unborn(writer),
            bytes: Vec::new(),
            lines: 0,
            writing: 0,
            pushed: 0,
            settled: 0,
            unflushed: None,
            flush_due: false,
            untold: 0,
            notice_due: false,
            starting: false,
            flushing: 0,
            closed: false,
        };
        let channel = Channel {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            done: Condvar::new(),
            dropped: AtomicU64::new(0),
            no_thread: Fault::new(
                "access_log",
                "the writer's thread cannot be started: lines are kept, then dropped",
                "raise the limit of threads",
            ),
        };
        Self { channel: Arc::new(channel) }
    }

    /// Takes a line in, or drops it; never waits for the writer.
    #[inline]
    pub(crate) fn push(&self, line: &[u8], severity: Severity, settings: &Settings) {
        let channel = &*self.channel;
        let mut queue = channel.queue.lock();
        let room = if severity == Severity::Info { settings.buffer / 4 * 3 } else { settings.buffer };
        if queue.bytes.len() + queue.writing + line.len() > room {
            queue.drop_line();
            drop(queue);
            channel.count_dropped(1);
            return;
        }
        queue.bytes.extend_from_slice(line);
        queue.lines += 1;
        queue.pushed += 1;
        match queue.thread {
            Thread::Busy => {}
            Thread::Gathers if queue.bytes.len() < ENOUGH => {}
            Thread::Gathers | Thread::Sleeps => {
                queue.thread = Thread::Busy;
                drop(queue);
                channel.work.notify_one();
            }
            Thread::Unborn(_) if queue.starting => {}
            Thread::Unborn(_) => {
                queue.starting = true;
                drop(queue);
                self.start(settings);
            }
        }
    }

    #[cold]
    fn start(&self, settings: &Settings) {
        let channel = Arc::clone(&self.channel);
        let settings = settings.clone();
        let thread = thread::Builder::new().name("bartizan-access-log".to_owned());
        // The thread takes the writer itself, so that one that could not be started has not taken it along.
        if thread.spawn(move || channel.run(&settings)).is_err() {
            // The next line tries again.
            self.channel.queue.lock().starting = false;
            self.channel.no_thread.report();
        }
    }

    /// Waits until what there is has been written and the writer flushed.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let channel = &*self.channel;
        let mut queue = channel.queue.lock();
        queue.flush_again();
        let target = queue.pushed;
        queue.flushing += 1;
        if queue.thread.rests() {
            queue.thread = Thread::Busy;
            channel.work.notify_one();
        }
        channel.done.wait_while_for(&mut queue, |queue| queue.settled < target, timeout);
        queue.flushing -= 1;
        let pending = target.saturating_sub(queue.settled);
        match queue.unflushed {
            None if pending == 0 => Ok(()),
            lost => Err(FlushError::new(pending, lost)),
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.channel.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.channel.queue.lock().closed = true;
        self.channel.work.notify_one();
    }
}

impl Queue {
    /// A writer that could not be flushed is asked once more: it may have kept what it had, and the disk may have room now.
    fn flush_again(&mut self) {
        if self.unflushed.is_some() && !self.flush_due {
            self.flush_due = true;
            self.pushed += 1;
        }
    }

    fn drop_line(&mut self) {
        self.untold += 1;
        if !self.notice_due {
            self.notice_due = true;
            self.pushed += 1;
        }
    }
}

impl Thread {
    fn rests(&self) -> bool {
        matches!(self, Self::Gathers | Self::Sleeps)
    }
}

impl Channel {
    /// The thread.
    fn run(&self, settings: &Settings) {
        let Some(writer) = self.take_writer() else { return };
        let mut sink = Sink::new(writer, settings);
        let mut batch = Batch { bytes: Vec::new(), dropped: 0, settles: 0 };
        while self.next(&mut batch) {
            let lost = sink.write(&batch);
            self.settle(&mut batch, lost);
        }
    }

    /// The writer, for the first thread that asks.
    fn take_writer(&self) -> Option<Box<dyn io::Write + Send>> {
        let mut queue = self.queue.lock();
        match mem::replace(&mut queue.thread, Thread::Busy) {
            Thread::Unborn(writer) => Some(writer),
            other => {
                queue.thread = other;
                None
            }
        }
    }

    /// Waits for lines and takes them; false when there are none and will be none.
    fn next(&self, batch: &mut Batch) -> bool {
        let mut queue = self.queue.lock();
        while queue.bytes.is_empty() && !queue.notice_due && !queue.flush_due {
            if queue.closed {
                return false;
            }
            queue.thread = Thread::Sleeps;
            self.work.wait(&mut queue);
        }
        queue.thread = Thread::Busy;
        mem::swap(&mut queue.bytes, &mut batch.bytes);
        batch.settles = mem::take(&mut queue.lines)
            + u64::from(mem::take(&mut queue.notice_due))
            + u64::from(mem::take(&mut queue.flush_due));
        batch.dropped = mem::take(&mut queue.untold);
        queue.writing = batch.bytes.len();
        true
    }

    /// The batch is done with, and `lost` of its lines are gone; then lines may gather for a moment.
    fn settle(&self, batch: &mut Batch, lost: Lost) {
        self.count_dropped(lost.lines);
        // A burst's memory is given back.
        batch.bytes.clear();
        batch.bytes.shrink_to(2 * ENOUGH);
        let mut queue = self.queue.lock();
        queue.writing = 0;
        queue.settled += batch.settles;
        queue.unflushed = lost.unflushed.map(|lines| queue.unflushed.unwrap_or(0) + lines);
        // Told with the next lines, not at once: a writer that fails would be asked for ever.
        queue.untold += lost.lines + lost.notice;
        self.done.notify_all();
        if !queue.closed && queue.flushing == 0 && queue.bytes.len() < ENOUGH {
            queue.thread = Thread::Gathers;
            self.work.wait_for(&mut queue, GATHER);
            queue.thread = Thread::Busy;
        }
    }

    fn count_dropped(&self, lines: u64) {
        if lines > 0 {
            self.dropped.fetch_add(lines, Ordering::Relaxed);
            telemetry::dropped(lines);
        }
    }
}

/// What a batch lost because the writer failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Lines of requests.
    pub(crate) lines: u64,
    /// What the notice of dropped lines would have told.
    pub(crate) notice: u64,
    /// Lines of requests that the writer took, and then could not be flushed. They are among the `lines`.
    pub(crate) unflushed: Option<u64>,
}
