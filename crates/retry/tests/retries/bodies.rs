//! RT-10: what is sent again is what was sent, whatever the body and whatever became of the attempt before.

use std::{
    convert::Infallible,
    io::ErrorKind,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bartizan_retry::{Attempts, Backoff, GivenUp, ReplayBody, RetryLayer};
use bartizan_testkit::{TestBody, TestError};
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use proptest::{collection::vec, option, prelude::*};

use crate::support::{Answer, Frames, MS, SECOND, Upstream, fail, post, response, status};

fn quick() -> RetryLayer {
    RetryLayer::new().with_backoff(Backoff::none())
}

type Polled = Poll<Option<Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>>>;

fn poll<B>(body: &mut ReplayBody<B>) -> Polled
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("x-checksum"), HeaderValue::from_static("abc"))])
}

/// One frame of a body, for comparison.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    Failed,
    GivenUp,
}

impl Piece {
    fn of(polled: Polled) -> Self {
        match polled {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Self::Data(data),
                Err(frame) => Self::Trailers(frame.into_trailers().unwrap()),
            },
            Poll::Ready(Some(Err(error))) if error.is::<GivenUp>() => Self::GivenUp,
            Poll::Ready(Some(Err(error))) => {
                assert_eq!(error.to_string(), "the source fails");
                Self::Failed
            }
            Poll::Ready(None) => Self::End,
            Poll::Pending => panic!("all frames are there"),
        }
    }
}

/// What an attempt does with its body.
#[derive(Clone, Debug)]
struct Reading {
    frames: usize,
    /// The task of its connection goes on with it when the next attempt has begun.
    lingers: bool,
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    vec((0..12_usize, any::<bool>()).prop_map(|(frames, lingers)| Reading { frames, lingers }), 1..5)
}

/// A body that announces its size, if it is told to, and may fail at its end.
struct Source {
    body: TestBody,
}

fn source(frames: &[Bytes], with_trailers: bool, fails: bool, announced: bool) -> (Source, Vec<Piece>) {
    let hint = if announced {
        SizeHint::with_exact(frames.iter().map(|frame| frame.len() as u64).sum())
    } else {
        SizeHint::new()
    };
    let (sender, body) = TestBody::channel_with_hint(hint);
    let mut pieces: Vec<_> = frames.iter().cloned().map(Piece::Data).collect();
    frames.iter().for_each(|frame| sender.data(frame.clone()));
    if fails {
        sender.fail(TestError::new("the source fails"));
        pieces.push(Piece::Failed);
    } else {
        if with_trailers {
            sender.trailers(trailers());
            pieces.push(Piece::Trailers(trailers()));
        }
        pieces.push(Piece::End);
    }
    sender.finish();
    (Source { body }, pieces)
}

proptest! {
    #[test]
    fn rt_10_every_attempt_sees_the_original_from_its_beginning(
        frames in vec(vec(any::<u8>(), 0..9), 0..10),
        with_trailers in any::<bool>(),
        fails in prop::bool::weighted(0.3),
        announced in any::<bool>(),
        cap in option::of(0..40_usize),
        readings in readings(),
    ) {
        let frames: Vec<_> = frames.into_iter().map(Bytes::from).collect();
        let total: usize = frames.iter().map(Bytes::len).sum();
        let cap = cap.unwrap_or(1_000);
        let (Source { body }, pieces) = source(&frames, with_trailers, fails, announced);
        // A trailer is a name of ten characters and a value of three.
        let size = |piece: &Piece| match piece {
            Piece::Data(data) => data.len(),
            Piece::Trailers(_) => 13,
            _ => 0,
        };
        let began_empty = body.is_end_stream();
        let (first, mut replay) = ReplayBody::new(body, cap);
        let mut attempt = Some(first);
        let mut lingering = Vec::new();
        // How much of the source was read by any attempt.
        let mut furthest = 0;
        for reading in readings {
            let Some(mut body) = attempt.take() else { break };
            let mut left = total;
            for (number, expected) in pieces.iter().take(reading.frames).enumerate() {
                let hint = body.size_hint();
                if announced && furthest < pieces.len() {
                    prop_assert_eq!(hint.exact(), Some(left as u64));
                }
                prop_assert!(hint.lower() <= left as u64);
                let piece = Piece::of(poll(&mut body));
                prop_assert_eq!(&piece, expected);
                left -= if let Piece::Data(data) = expected { data.len() } else { 0 };
                furthest = furthest.max(number + 1);
            }
            if furthest == pieces.len() && !fails && reading.frames >= pieces.len() {
                prop_assert!(body.is_end_stream());
            }
            let read: usize = pieces[..furthest].iter().map(size).sum();
            let has_failed = fails && furthest == pieces.len();
            // Of an announced body nothing is kept that is too large, as soon as it is begun.
            let began = pieces[..furthest].iter().any(|piece| matches!(piece, Piece::Data(_)));
            let too_large = read > cap || (announced && began && total > cap);
            let expected = began_empty || !(has_failed || too_large);
            prop_assert_eq!(replay.is_whole(), expected, "read {} of {} with a cap of {}", read, total, cap);
            let next = replay.body();
            prop_assert_eq!(next.is_some(), expected);
            if next.is_none() && !has_failed {
                // It is committed: the attempt that has it reads the rest.
                for expected in &pieces[reading.frames.min(pieces.len())..] {
                    prop_assert_eq!(&Piece::of(poll(&mut body)), expected);
                }
            }
            if reading.lingers && next.is_some() {
                lingering.push(body);
            }
            attempt = next;
            for old in &mut lingering {
                let piece = Piece::of(poll(old));
                prop_assert!(piece == Piece::GivenUp || began_empty, "{:?}", piece);
            }
        }
        // The last attempt goes on after nobody can start anew.
        if let Some(mut last) = attempt {
            drop(replay);
            for expected in &pieces {
                prop_assert_eq!(&Piece::of(poll(&mut last)), expected);
            }
            prop_assert_eq!(Piece::of(poll(&mut last)), if fails { Piece::GivenUp } else { Piece::End });
        }
    }
}

#[test]
fn rt_10_no_byte_is_copied() {
    let data = Bytes::from(vec![7; 1_000]);
    let (first, mut replay) = ReplayBody::new(Frames::new([Frame::data(data.clone())]), 4_096);
    for mut body in [first, replay.body().unwrap()] {
        // The first was given up when the second was made, so only the second reads.
        if let Piece::Data(read) = Piece::of(poll(&mut body)) {
            assert_eq!(read.as_ptr(), data.as_ptr());
        }
    }
    let mut third = replay.body().unwrap();
    assert!(matches!(Piece::of(poll(&mut third)), Piece::Data(read) if read.as_ptr() == data.as_ptr()));
}

/// Endless frames without a byte in them.
struct Nothing(Arc<AtomicUsize>);

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }
}

#[test]
fn rt_10_the_number_of_frames_is_bounded_too() {
    let polled = Arc::new(AtomicUsize::new(0));
    let (mut first, replay) = ReplayBody::new(Nothing(Arc::clone(&polled)), usize::MAX);
    for _ in 0..1_024 {
        assert!(matches!(Piece::of(poll(&mut first)), Piece::Data(_)));
    }
    assert!(replay.is_whole());
    assert!(matches!(Piece::of(poll(&mut first)), Piece::Data(_)));
    assert!(!replay.is_whole());
}

#[test]
fn rt_10_nothing_is_kept_once_nobody_can_start_anew() {
    struct Counted(Arc<AtomicUsize>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &[1; 100]
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let frames = (0..10).map(|_| Frame::data(Bytes::from_owner(Counted(Arc::clone(&dropped)))));
    let (mut body, replay) = ReplayBody::new(Frames::new(frames), 4_096);
    (0..4).for_each(|_| drop(poll(&mut body)));
    assert_eq!(dropped.load(Ordering::Relaxed), 0, "four are kept");
    drop(replay);
    drop(poll(&mut body));
    assert_eq!(dropped.load(Ordering::Relaxed), 5, "and are gone with the one that was read");
    while !matches!(Piece::of(poll(&mut body)), Piece::End) {}
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
}

#[test]
fn rt_10_a_body_that_panics_is_not_sent_again() {
    let (sender, body) = TestBody::channel();
    sender.data("one");
    sender.panic();
    let (mut first, mut replay) = ReplayBody::new(body, 1_000);
    assert!(matches!(Piece::of(poll(&mut first)), Piece::Data(_)));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut first).is_ready()));
    assert!(panicked.is_err());
    assert!(replay.body().is_none());
    assert_eq!(Piece::of(poll(&mut first)), Piece::GivenUp);
}

#[test]
fn rt_10_data_in_pieces_is_joined_and_its_error_passes() {
    struct Chained(Option<bytes::buf::Chain<Bytes, Bytes>>);
    impl Body for Chained {
        type Data = bytes::buf::Chain<Bytes, Bytes>;
        type Error = TestError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, TestError>>> {
            Poll::Ready(Some(self.0.take().map(Frame::data).ok_or(TestError::new("the source fails"))))
        }
    }
    let (mut first, mut replay) =
        ReplayBody::new(Chained(Some(Bytes::from("one ").chain(Bytes::from("two")))), 100);
    assert_eq!(Piece::of(poll(&mut first)), Piece::Data("one two".into()));
    let mut second = replay.body().unwrap();
    assert_eq!(Piece::of(poll(&mut second)), Piece::Data("one two".into()));
    assert_eq!(Piece::of(poll(&mut second)), Piece::Failed);
}

fn put<B>(body: B) -> Request<B> {
    Request::put("http://supplier.example/").body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn rt_10_data_and_trailers_are_sent_again() {
    let upstream = Upstream::new([status(503), fail(ErrorKind::ConnectionReset)]);
    let body =
        Frames::new([Frame::data("one ".into()), Frame::data("two".into()), Frame::trailers(trailers())]);
    upstream.send(&quick(), put(body)).await.unwrap();
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.body == "one two" && seen.trailers == Some(trailers())));
}

#[tokio::test(start_paused = true)]
async fn rt_10_a_body_over_the_cap_is_sent_once_and_one_that_nobody_read_again() {
    let large = || Frames::new((0..70).map(|_| Frame::data(Bytes::from(vec![1; 1_024]))));
    let upstream = Upstream::new([status(503)]);
    let response = upstream.send(&quick(), put(large())).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.called()), (503, 1));
    assert_eq!(upstream.seen()[0].body.len(), 70 * 1_024, "and whole");
    let upstream = Upstream::new([status(503)]);
    upstream.send(&quick().with_replay_cap(70 * 1_024), put(large())).await.unwrap();
    assert_eq!(upstream.seen().iter().map(|seen| seen.body.len()).collect::<Vec<_>>(), [70 * 1_024; 2]);

    let upstream = Upstream::new([Answer::RespondEarly(response_503())]);
    let response = upstream.send(&quick(), put(large())).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.called()), (200, 2));
    assert_eq!(upstream.seen()[0].body.len(), 70 * 1_024);
}

fn response_503() -> http::Response<TestBody> {
    response(503, &[], TestBody::empty())
}

#[tokio::test(start_paused = true)]
async fn rt_10_a_body_that_fails_ends_the_call() {
    let (sender, body) = TestBody::channel();
    sender.data("one");
    sender.fail(TestError::new("the source fails"));
    let upstream = Upstream::new([]);
    let error = upstream.send(&quick(), put(body)).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), upstream.called()), ("the source fails", 1));
}

#[tokio::test(start_paused = true)]
async fn rt_10_a_body_that_is_still_coming_is_sent_on_by_the_next_attempt() {
    let (sender, body) = TestBody::channel();
    sender.data("one ");
    let upstream = Upstream::new([Answer::RespondEarly(response_503())]);
    let sent = tokio::spawn({
        let upstream = upstream.clone();
        async move { upstream.send(&quick(), put(body)).await.unwrap() }
    });
    tokio::time::sleep(MS).await;
    assert_eq!(upstream.called(), 2);
    sender.data("two");
    sender.finish();
    let response = sent.await.unwrap();
    assert_eq!(response.extensions().get::<Attempts>().unwrap().get(), 2);
    assert_eq!(upstream.seen()[0].body, "one two");
}

#[tokio::test(start_paused = true)]
async fn rt_10_a_response_that_is_retried_is_read_to_a_near_end_and_no_further() {
    let layer = RetryLayer::new().with_backoff(Backoff::equal_jitter(SECOND, SECOND).unwrap());
    for (frames, read_to_end) in [(16, true), (18, false)] {
        let (sender, body) = TestBody::channel();
        (0..frames).for_each(|_| sender.data(vec![1; 1_000]));
        sender.finish();
        let upstream = Upstream::new([Answer::Respond(response(503, &[], body))]);
        upstream.send(&layer, post_with_key()).await.unwrap();
        assert_eq!(upstream.called(), 2);
        assert!(sender.is_dropped());
        assert_eq!(sender.taken(), if read_to_end { 16 } else { 17 });
    }
    // One that announces more is not begun, and one that does not come is not waited for.
    let (sender, body) = TestBody::channel_with_hint(SizeHint::with_exact(20_000));
    sender.data("some");
    let upstream = Upstream::new([Answer::Respond(response(503, &[], body))]);
    upstream.send(&layer, post_with_key()).await.unwrap();
    assert_eq!((sender.taken(), sender.is_dropped()), (0, true));
    let (sender, body) = TestBody::channel();
    sender.data("some");
    let upstream = Upstream::new([Answer::Respond(response(503, &[], body))]);
    upstream.send(&layer, post_with_key()).await.unwrap();
    assert_eq!((sender.taken(), sender.is_dropped()), (1, true));
}

fn post_with_key() -> Request<http_body_util::Full<Bytes>> {
    let mut request = post("order");
    request.headers_mut().insert("idempotency-key", HeaderValue::from_static("\"k\""));
    request
}

#[tokio::test(start_paused = true)]
async fn rt_10_the_last_response_is_not_touched() {
    let (sender, body) = TestBody::channel();
    (0..40).for_each(|_| sender.data(vec![1; 1_000]));
    sender.finish();
    let upstream = Upstream::new([status(503), status(503), Answer::Respond(response(503, &[], body))]);
    let response = upstream.send(&quick(), put(TestBody::empty())).await.unwrap();
    assert_eq!(response.body().len(), 40_000);
}

#[tokio::test(start_paused = true)]
async fn lay_01_a_call_that_is_given_up_leaves_nothing_behind() {
    // In each of its states: an attempt, and a wait.
    for (answer, wait) in [(Answer::Never, SECOND), (status(503), SECOND)] {
        let (sender, body) = TestBody::channel();
        sender.data("one");
        let backoff = Backoff::equal_jitter(60 * SECOND, 60 * SECOND).unwrap();
        let upstream = Upstream::new([answer]);
        let layer = RetryLayer::new().with_backoff(backoff);
        let sent = tokio::time::timeout(wait, async {
            sender.finish();
            upstream.send(&layer, put(body)).await
        });
        assert!(sent.await.is_err());
        assert!(sender.is_dropped());
        tokio::time::sleep(600 * SECOND).await;
        assert_eq!(upstream.called(), 1, "nor is it tried again");
    }
}

#[tokio::test]
async fn rt_10_an_empty_body_stays_one() {
    let (first, mut replay) = ReplayBody::new(TestBody::empty(), 0);
    for body in [first, replay.body().unwrap(), replay.body().unwrap()] {
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(body.collect().await.unwrap().to_bytes().is_empty());
    }
}
