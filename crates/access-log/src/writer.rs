//! Writing batches of lines to a writer that may fail in every way.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use bartizan_core::{Clock, Fault};

use crate::{
    FieldSet,
    fields::{Ecs, Names, Otel},
    json::{JsonLine, key},
    layer::Settings,
    log::{Batch, Lost},
    members::Members,
    timestamp,
};

/// How long to wait for a non-blocking writer that would block.
const RETRY: Duration = Duration::from_millis(2);

/// The writer, and what it got of a line it did not take to its end.
pub(crate) struct Sink {
    writer: Box<dyn io::Write + Send>,
    clock: Clock,
    fields: FieldSet,
    members: Members,
    notice: Vec<u8>,
    /// Whether the last byte written was not a line feed.
    torn: bool,
    fault: Fault,
}

impl Sink {
    pub(crate) fn new(writer: Box<dyn io::Write + Send>, settings: &Settings) -> Self {
        Self {
            writer,
            clock: settings.clock.clone(),
            fields: settings.fields,
            members: settings.members.clone(),
            notice: Vec::new(),
            torn: false,
            fault: Fault::new(
                "access_log",
                "the writer fails: lines are lost, and counted",
                "look at what the log is written to: a full disk, a closed pipe",
            ),
        }
    }

    /// Writes a batch, then how many lines were dropped before it. Says what was lost.
    pub(crate) fn write(&mut self, batch: &Batch) -> Lost {
        let mut lost = Lost { lines: self.write_lines(&batch.bytes), ..Lost::default() };
        if batch.dropped > 0 {
            let mut notice = std::mem::take(&mut self.notice);
            notice.clear();
            self.write_notice(&mut notice, batch.dropped);
            if lost.lines > 0 || self.write_lines(&notice) > 0 {
                lost.notice = batch.dropped;
            }
            self.notice = notice;
        }
        if self.flush().is_err() {
            self.fault.report();
            // Of what it took, nobody knows what is left.
            let lines = count_lines(&batch.bytes);
            lost = Lost { lines, notice: batch.dropped, unflushed: Some(lines - lost.lines) };
        }
        lost
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            match guarded(|| self.writer.flush()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
                done => return done,
            }
        }
    }

    /// Writes whole lines; says how many did not arrive whole.
    fn write_lines(&mut self, bytes: &[u8]) -> u64 {
        // What follows a torn line must not become part of it.
        if self.torn && self.write_all(b"\n") == 1 {
            self.torn = false;
        }
        let written = if self.torn { 0 } else { self.write_all(bytes) };
        if written > 0 {
            self.torn = bytes[written - 1] != b'\n';
        }
        let whole = bytes[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        count_lines(&bytes[whole..])
    }

    /// Writes `bytes`; says how many were taken before the writer failed.
    fn write_all(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match guarded(|| self.writer.write(&bytes[written..])) {
                Ok(0) => {
                    self.fault.report();
                    break;
                }
                Ok(taken) => written += taken.min(bytes.len() - written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(_) => {
                    self.fault.report();
                    break;
                }
            }
        }
        written
    }

    fn write_notice(&self, notice: &mut Vec<u8>, dropped: u64) {
        match self.fields {
            FieldSet::Otel => self.write_notice_as::<Otel>(notice, dropped),
            FieldSet::Ecs => self.write_notice_as::<Ecs>(notice, dropped),
        }
    }

    fn write_notice_as<N: Names>(&self, notice: &mut Vec<u8>, dropped: u64) {
        let timestamp = |buffer: &mut Vec<u8>| timestamp::push(buffer, self.clock.since_1970());
        let mut line = JsonLine::begin(notice, N::TIMESTAMP, timestamp, N::WARN);
        line.constant("access log lines were dropped\"");
        line.constant(self.members.as_str());
        line.member(key!("access_log.dropped"), |value| value.unsigned(dropped));
        line.end();
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A writer that panics has failed like any other.
fn guarded<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
}
