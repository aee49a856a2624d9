//! The body that an attempt gets, and the handle that makes one for each.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{
    buffer::{Buffer, Position, Standing},
    waiters::Waiters,
};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A request body that can be sent again: what one attempt reads of it is kept for the next.
///
/// Nothing is read before an attempt reads it, and no byte is copied: attempts share what is kept. Data and trailers,
/// and what the body says of its size, are the same in each attempt. Once more than the cap was read, or a body that
/// announces more than that was begun, the attempt that read it has the body for itself, and nothing is kept any more.
/// A body that nobody has read yet can be sent again whatever its size.
///
/// A body without frames costs nothing. Any other is one shared buffer, however often it is sent. The body itself is
/// dropped when it has ended, and with the last handle and attempt.
///
/// ```
/// use bartizan_retry::ReplayBody;
/// use http_body_util::{BodyExt, Full};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let order = || Full::<bytes::Bytes>::from("an order");
/// let (first, mut replay) = ReplayBody::new(order(), 64 * 1024);
/// assert_eq!(first.collect().await.unwrap().to_bytes(), "an order");
/// let second = replay.body().expect("it is small");
/// assert_eq!(second.collect().await.unwrap().to_bytes(), "an order");
///
/// let (first, mut replay) = ReplayBody::new(order(), 4);
/// assert_eq!(first.collect().await.unwrap().to_bytes(), "an order");
/// assert!(replay.body().is_none(), "more than four bytes were read");
/// # }
/// ```
pub struct ReplayBody<B> {
    repr: Repr<B>,
}

enum Repr<B> {
    /// There are no frames.
    Empty(SizeHint),
    Shared {
        shared: Arc<Shared<B>>,
        reader: u32,
        at: Position,
    },
}

struct Shared<B> {
    buffer: Mutex<Buffer<B>>,
    /// Of those who read at the same time, where that may be.
    waiters: Option<Arc<Waiters>>,
}

impl<B> Shared<B> {
    fn buffer(&self) -> MutexGuard<'_, Buffer<B>> {
        // What a panic of the body leaves behind, the buffer knows.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body> ReplayBody<B> {
    /// The body of the first attempt, and what makes those of the others. At most `cap` bytes are kept, of at most
    /// 1024 frames.
    pub fn new(body: B, cap: usize) -> (Self, Replay<B>) {
        Self::with_waiters(body, cap, || None)
    }

    /// The same for attempts that run at the same time.
    pub(crate) fn concurrent(body: B, cap: usize) -> (Self, Replay<B>) {
        Self::with_waiters(body, cap, || Some(Arc::default()))
    }

    fn with_waiters(
        body: B,
        cap: usize,
        waiters: impl FnOnce() -> Option<Arc<Waiters>>,
    ) -> (Self, Replay<B>) {
        if body.is_end_stream() {
            let hint = body.size_hint();
            return (Self { repr: Repr::Empty(hint) }, Replay { repr: Handle::Empty(hint) });
        }
        let shared = Arc::new(Shared { buffer: Mutex::new(Buffer::new(body, cap)), waiters: waiters() });
        let replay = Replay { repr: Handle::Shared { shared: Arc::clone(&shared), latest: 0 } };
        (Self { repr: Repr::Shared { shared, reader: 0, at: Position::default() } }, replay)
    }
}

impl<B> ReplayBody<B> {
    /// Which of the attempts this is the body of.
    pub(crate) fn reader(&self) -> u32 {
        match &self.repr {
            Repr::Empty(_) => 0,
            Repr::Shared { reader, .. } => *reader,
        }
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body<Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Repr::Shared { shared, reader, at } = &mut self.get_mut().repr else { return Poll::Ready(None) };
        let Some(waiters) = &shared.waiters else { return shared.buffer().poll(*reader, at, cx) };
        // Before the poll, so that no wake is missed between the two.
        waiters.wait(*reader, cx.waker());
        let waker = Waker::from(Arc::clone(waiters));
        let (polled, holds_losers) = {
            let mut buffer = shared.buffer();
            (buffer.poll(*reader, at, &mut Context::from_waker(&waker)), buffer.holds_losers())
        };
        if holds_losers {
            waiters.wake_watcher();
        }
        if polled.is_ready() {
            waiters.served(*reader);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.repr {
            Repr::Empty(_) => true,
            Repr::Shared { shared, reader, at } => shared.buffer().is_end_stream(*reader, *at),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.repr {
            Repr::Empty(hint) => *hint,
            Repr::Shared { shared, reader, at } => shared.buffer().size_hint(*reader, *at),
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").finish_non_exhaustive()
    }
}

/// Makes the bodies of further attempts.
///
/// While it is there, the body is kept. With it goes what the last attempt has read.
pub struct Replay<B> {
    repr: Handle<B>,
}

enum Handle<B> {
    Empty(SizeHint),
    Shared { shared: Arc<Shared<B>>, latest: u32 },
}

impl<B> Replay<B> {
    /// The body once more, from its beginning; `None` when too much of it was read to be kept, or when it failed.
    ///
    /// The body of the attempt before is given up: it fails with [`GivenUp`] if someone still reads it, as the task of a
    /// connection may.
    pub fn body(&mut self) -> Option<ReplayBody<B>> {
        self.next(true)
    }

    /// The same for an attempt beside those that run.
    pub(crate) fn body_beside(&mut self) -> Option<ReplayBody<B>> {
        self.next(false)
    }

    fn next(&mut self, alone: bool) -> Option<ReplayBody<B>> {
        let repr = match &mut self.repr {
            Handle::Empty(hint) => Repr::Empty(*hint),
            Handle::Shared { shared, latest } => {
                let (reader, given_up) = shared.buffer().read_again(alone)?;
                given_up.into_iter().for_each(Waker::wake);
                *latest = reader;
                Repr::Shared { shared: Arc::clone(shared), reader: *latest, at: Position::default() }
            }
        };
        Some(ReplayBody { repr })
    }

    /// Whether [`body`](Self::body) has one to give.
    pub fn is_whole(&self) -> bool {
        self.standing() == Standing::Whole
    }

    pub(crate) fn standing(&self) -> Standing {
        match &self.repr {
            Handle::Empty(_) => Standing::Whole,
            Handle::Shared { shared, .. } => shared.buffer().standing(),
        }
    }

    /// Of attempts that run at the same time, the one whose body goes on alone, because it became too large for several.
    /// The others get nothing more, and are to be dropped: then [`let_losers_go`](Self::let_losers_go). While there is
    /// none, `waker` is woken when there is.
    pub(crate) fn sole_reader(&self, waker: &Waker) -> Option<u32> {
        let Handle::Shared { shared, .. } = &self.repr else { return None };
        if let Some(waiters) = &shared.waiters {
            // Before the look, so that no wake is missed between the two.
            waiters.watch(waker);
        }
        shared.buffer().sole_reader()
    }

    /// The bodies of attempts that lost fail from here on, for those who still read them, as the task of a connection may.
    pub(crate) fn let_losers_go(&self) {
        let Handle::Shared { shared, .. } = &self.repr else { return };
        let waited = shared.buffer().let_losers_go();
        if waited && let Some(waiters) = &shared.waiters {
            waiters.wake_by_ref();
        }
    }

    /// `reader` has won: its body is the one that is read to its end.
    pub(crate) fn settle(&mut self, reader: u32) {
        if let Handle::Shared { latest, .. } = &mut self.repr {
            *latest = reader;
        }
    }
}

impl<B> Drop for Replay<B> {
    fn drop(&mut self) {
        if let Handle::Shared { shared, latest } = &self.repr {
            // The only one is the one that nobody reads any more.
            if Arc::strong_count(shared) > 1 {
                shared.buffer().settle(*latest);
                // Those who lost wait for a frame that they will not get.
                if let Some(waiters) = &shared.waiters {
                    waiters.wake_by_ref();
                }
            }
        }
    }
}

impl<B> fmt::Debug for Replay<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("standing", &self.standing()).finish_non_exhaustive()
    }
}

/// Why a [`ReplayBody`] fails where the body itself does not: another attempt took its place, or the body failed in
/// an earlier one.
#[derive(Debug)]
pub struct GivenUp {
    reason: &'static str,
}

impl GivenUp {
    pub(super) fn attempt() -> Self {
        Self { reason: "this attempt to send the request was given up" }
    }

    pub(super) fn source() -> Self {
        Self { reason: "the request body failed in an earlier attempt" }
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl Error for GivenUp {}

#[cfg(test)]
mod tests {
    use bartizan_testkit::{Probe, TestBody};

    use super::*;

    fn poll<B>(probe: &Probe, body: &mut ReplayBody<B>) -> Poll<Option<Result<Bytes, BoxError>>>
    where
        B: Body<Error: Into<BoxError>>,
    {
        let polled = probe.poll(|cx| Pin::new(&mut *body).poll_frame(cx));
        polled.map(|frame| frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())))
    }

    fn data<B>(probe: &Probe, body: &mut ReplayBody<B>) -> Bytes
    where
        B: Body<Error: Into<BoxError>>,
    {
        match poll(probe, body) {
            Poll::Ready(Some(Ok(data))) => data,
            other => panic!("a frame is there, and not {other:?}"),
        }
    }

    #[test]
    fn rt_09_each_of_those_who_read_at_the_same_time_is_woken_and_gets_every_frame() {
        let (sender, body) = TestBody::channel();
        let (mut first, mut replay) = ReplayBody::concurrent(body, 100);
        let mut second = replay.body_beside().unwrap();
        let probes = [Probe::new(), Probe::new()];
        // The one that polled last is not the only one that waits.
        assert!(poll(&probes[0], &mut first).is_pending() && poll(&probes[1], &mut second).is_pending());
        sender.data("one");
        assert!(probes.iter().all(|probe| probe.wakes() == 1));
        assert_eq!(data(&probes[1], &mut second), "one");
        sender.data("two");
        assert_eq!(data(&probes[1], &mut second), "two");
        assert_eq!(
            (data(&probes[0], &mut first), data(&probes[0], &mut first)),
            ("one".into(), "two".into())
        );
        assert!(poll(&probes[0], &mut first).is_pending());
        // The one that waits may go, and the other is woken all the same.
        assert!(poll(&probes[1], &mut second).is_pending());
        drop(second);
        sender.data("three");
        assert_eq!(probes[0].wakes(), 1);
        assert_eq!(data(&probes[0], &mut first), "three");
    }

    #[test]
    fn rt_10_who_waits_for_a_body_that_is_given_up_is_woken_and_told() {
        let (sender, body) = TestBody::channel();
        let (mut first, mut replay) = ReplayBody::new(body, 100);
        let (connection, next) = (Probe::new(), Probe::new());
        sender.data("one");
        assert_eq!(data(&connection, &mut first), "one");
        assert!(poll(&connection, &mut first).is_pending());
        // The task of the connection still has it, although the attempt is over.
        let mut second = replay.body().unwrap();
        assert_eq!(connection.wakes(), 1, "the source will wake the next attempt alone");
        let told = poll(&connection, &mut first);
        assert!(matches!(&told, Poll::Ready(Some(Err(error))) if error.is::<GivenUp>()), "{told:?}");
        assert_eq!(data(&next, &mut second), "one");
        assert!(poll(&next, &mut second).is_pending());
        sender.data("two");
        assert_eq!((next.wakes(), connection.wakes()), (1, 0));
        assert_eq!(data(&next, &mut second), "two");
        // Who waits no more is not woken either.
        let third = replay.body().unwrap();
        assert_eq!((third.reader(), next.wakes()), (2, 0));
    }

    #[test]
    fn rt_10_who_lost_a_body_that_grew_too_large_fails_only_once_it_is_let_go() {
        let (sender, body) = TestBody::channel();
        let (mut first, mut replay) = ReplayBody::concurrent(body, 4);
        let mut second = replay.body_beside().unwrap();
        let (probes, race) = ([Probe::new(), Probe::new()], Probe::new());
        let sole_reader = |replay: &Replay<_>| race.poll(|cx| Poll::Ready(replay.sole_reader(cx.waker())));
        sender.data("123");
        assert_eq!(
            (data(&probes[0], &mut first), data(&probes[1], &mut second)),
            ("123".into(), "123".into())
        );
        assert!(poll(&probes[0], &mut first).is_pending());
        assert_eq!((sole_reader(&replay), race.wakes()), (Poll::Ready(None), 0));
        sender.data("45");
        assert_eq!(data(&probes[1], &mut second), "45");
        assert_eq!((race.wakes(), sole_reader(&replay)), (1, Poll::Ready(Some(1))));
        assert!(poll(&probes[0], &mut first).is_pending(), "it has lost, and waits for that to be seen");
        let wakes = probes[0].wakes();
        replay.let_losers_go();
        assert_eq!(probes[0].wakes(), wakes + 1);
        let told = poll(&probes[0], &mut first);
        assert!(matches!(&told, Poll::Ready(Some(Err(error))) if error.is::<GivenUp>()), "{told:?}");
        sender.data("6");
        assert_eq!(data(&probes[1], &mut second), "6");
    }

    #[test]
    fn rt_09_who_has_lost_is_woken_and_told_and_who_has_won_reads_on() {
        let (sender, body) = TestBody::channel();
        let (mut first, mut replay) = ReplayBody::concurrent(body, 100);
        let mut second = replay.body_beside().unwrap();
        let probes = [Probe::new(), Probe::new()];
        sender.data("one");
        assert_eq!(data(&probes[0], &mut first), "one");
        assert!(poll(&probes[0], &mut first).is_pending());
        replay.settle(second.reader());
        drop(replay);
        assert_eq!(probes[0].wakes(), 1);
        let told = poll(&probes[0], &mut first);
        assert!(matches!(&told, Poll::Ready(Some(Err(error))) if error.is::<GivenUp>()), "{told:?}");
        assert_eq!(data(&probes[1], &mut second), "one", "what it had not read yet was kept for it");
        sender.data("two");
        sender.finish();
        assert_eq!(data(&probes[1], &mut second), "two");
        assert!(matches!(poll(&probes[1], &mut second), Poll::Ready(None)));
    }
}
