//! What was read of a body so far, and what is still to come.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::{
    body::{BoxError, GivenUp},
    waiters::note,
};

/// However small they are, more frames than this are not kept: each is a handle of its own.
const MOST_FRAMES: usize = 1024;

/// Whether a body can be sent from its beginning once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All that was read of it is kept.
    Whole,
    /// More was read than is kept.
    TooLarge,
    /// It failed.
    Failed,
}

/// The body, what is kept of it, and who may read it.
pub(super) struct Buffer<B> {
    /// Until it has ended or failed. Boxed, so that bodies that must not move can be shared too.
    source: Option<Pin<Box<B>>>,
    /// Set while the source runs: found set, it has panicked.
    polling: bool,
    /// Who waits for the source, which itself wakes only the one that polled it last.
    waiting: Option<Waker>,
    failed: bool,
    trailers: Option<HeaderMap>,
    frames: VecDeque<Bytes>,
    /// How many frames and bytes were dropped from the front of `frames`.
    dropped: Position,
    /// What `frames` and trailers amount to.
    kept: usize,
    /// The end of what was put into `frames` so far.
    end: Position,
    cap: usize,
    keeping: Keeping,
    readers: u32,
    /// The first reader that was not given up.
    oldest: u32,
    /// Whether those who lost the body, because it became too large for several, wait to be let go: would they fail at
    /// once, it would look like a failure of the upstream.
    holds_losers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    /// Everything from the first frame.
    All,
    /// What the one reader that is left has not read yet.
    Unread { too_large: bool },
}

/// How far a reader is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    frames: usize,
    bytes: u64,
    trailers: bool,
}

/// What a poll gives.
pub(super) type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

impl<B> Buffer<B> {
    pub(super) fn new(body: B, cap: usize) -> Self {
        Self {
            source: Some(Box::pin(body)),
            polling: false,
            waiting: None,
            failed: false,
            trailers: None,
            frames: VecDeque::new(),
            dropped: Position::default(),
            kept: 0,
            end: Position::default(),
            cap,
            keeping: Keeping::All,
            readers: 1,
            oldest: 0,
            holds_losers: false,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        match self.keeping {
            _ if self.failed || self.polling => Standing::Failed,
            Keeping::All | Keeping::Unread { too_large: false } => Standing::Whole,
            Keeping::Unread { too_large: true } => Standing::TooLarge,
        }
    }

    /// A reader that starts at the beginning; `None` when that is gone. With `alone` all others are given up, and the one
    /// of them that waits is to be woken.
    pub(super) fn read_again(&mut self, alone: bool) -> Option<(u32, Option<Waker>)> {
        if self.keeping != Keeping::All || self.standing() != Standing::Whole {
            return None;
        }
        let reader = self.readers;
        self.readers = reader.checked_add(1)?;
        if !alone {
            return Some((reader, None));
        }
        self.oldest = reader;
        Some((reader, self.waiting.take()))
    }

    /// Nobody will start at the beginning any more, and of those who read, `reader` is the one that counts.
    pub(super) fn settle(&mut self, reader: u32) {
        if self.keeping == Keeping::All {
            self.leave_to(reader, false);
        }
        self.holds_losers = false;
    }

    /// The reader that has the body for itself, because it became too large for several.
    pub(super) fn sole_reader(&self) -> Option<u32> {
        (self.keeping == Keeping::Unread { too_large: true }).then_some(self.oldest)
    }

    pub(super) fn holds_losers(&self) -> bool {
        self.holds_losers
    }

    /// Those who lost the body are told; says whether any of them waited for that.
    pub(super) fn let_losers_go(&mut self) -> bool {
        mem::take(&mut self.holds_losers)
    }

    fn leave_to(&mut self, reader: u32, too_large: bool) {
        self.holds_losers = too_large && self.readers.saturating_sub(self.oldest) > 1;
        self.keeping = Keeping::Unread { too_large };
        self.oldest = reader;
        self.readers = reader.saturating_add(1);
    }

    /// Whether `reader` is still meant to read.
    fn admits(&self, reader: u32) -> bool {
        (self.oldest..self.readers).contains(&reader)
    }

    /// Drops what the one reader that is left has read.
    fn forget_read(&mut self, at: Position) {
        while self.dropped.frames < at.frames {
            let Some(frame) = self.frames.pop_front() else { break };
            self.dropped.frames += 1;
            self.kept = self.kept.saturating_sub(frame.len());
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }
}

impl<B> Buffer<B>
where
    B: Body<Error: Into<BoxError>>,
{
    /// The next frame for `reader`. The source wakes `cx`; who lost the body is woken when it is let go.
    pub(super) fn poll(&mut self, reader: u32, at: &mut Position, cx: &mut Context<'_>) -> Polled {
        if !self.admits(reader) {
            if self.holds_losers {
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(GivenUp::attempt().into())));
        }
        if matches!(self.keeping, Keeping::Unread { .. }) {
            self.forget_read(*at);
        }
        // Never behind what was dropped: only the one reader that is left makes it drop.
        if let Some(frame) =
            at.frames.checked_sub(self.dropped.frames).and_then(|index| self.frames.get(index))
        {
            at.frames += 1;
            at.bytes += frame.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(frame.clone()))));
        }
        if self.failed || self.polling {
            self.failed = true;
            self.source = None;
            return Poll::Ready(Some(Err(GivenUp::source().into())));
        }
        let Some(source) = &mut self.source else {
            let trailers = if at.trailers { None } else { self.trailers.clone() };
            at.trailers = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        };
        self.polling = true;
        let polled = source.as_mut().poll_frame(cx);
        self.polling = false;
        let Poll::Ready(read) = polled else {
            note(&mut self.waiting, cx.waker());
            return Poll::Pending;
        };
        self.waiting = None;
        let frame = match read {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.failed = true;
                self.source = None;
                return Poll::Ready(Some(Err(error.into())));
            }
            None => {
                self.source = None;
                return Poll::Ready(None);
            }
        };
        match frame.into_data() {
            Ok(mut data) => {
                // Of `Bytes` this is a handle, not a copy.
                let data = data.copy_to_bytes(data.remaining());
                self.keep(reader, at, &data);
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => {
                    at.trailers = true;
                    self.source = None;
                    self.keep_trailers(reader, &trailers);
                    Poll::Ready(Some(Ok(Frame::trailers(trailers))))
                }
                // There are no other frames today. One that cannot be kept cannot be replayed.
                Err(_) => {
                    self.failed = true;
                    self.source = None;
                    Poll::Ready(Some(Err(GivenUp::source().into())))
                }
            },
        }
    }

    fn keep(&mut self, reader: u32, at: &mut Position, data: &Bytes) {
        at.frames += 1;
        at.bytes += data.len() as u64;
        self.end = *at;
        if self.keeping == Keeping::All {
            let announced = self.source.as_ref().map_or(0, |source| source.size_hint().lower());
            let announced = usize::try_from(announced).unwrap_or(usize::MAX);
            let fits = self.kept.saturating_add(data.len()).saturating_add(announced) <= self.cap;
            if fits && self.frames.len() < MOST_FRAMES {
                self.kept += data.len();
                self.frames.push_back(data.clone());
                return;
            }
            self.leave_to(reader, true);
        }
        // Handed on, and not kept: it counts as dropped.
        self.frames = VecDeque::new();
        self.dropped = *at;
        self.kept = 0;
    }

    fn keep_trailers(&mut self, reader: u32, trailers: &HeaderMap) {
        if self.keeping != Keeping::All {
            return;
        }
        let size: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if self.kept.saturating_add(size) <= self.cap {
            self.kept += size;
            self.trailers = Some(trailers.clone());
        } else {
            self.leave_to(reader, true);
        }
    }

    pub(super) fn is_end_stream(&self, reader: u32, at: Position) -> bool {
        if !self.admits(reader) || self.failed || self.polling || at.frames < self.end.frames {
            return false;
        }
        match &self.source {
            Some(source) => source.is_end_stream(),
            None => at.trailers || self.trailers.is_none(),
        }
    }

    pub(super) fn size_hint(&self, reader: u32, at: Position) -> SizeHint {
        if !self.admits(reader) || self.failed {
            return SizeHint::default();
        }
        let unread = self.end.bytes.saturating_sub(at.bytes);
        let rest = self.source.as_ref().map_or_else(|| SizeHint::with_exact(0), |source| source.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(unread)) {
            hint.set_upper(upper);
        }
        hint.set_lower(rest.lower().saturating_add(unread));
        hint
    }
}
