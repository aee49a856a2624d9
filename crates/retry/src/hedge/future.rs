//! The response future: the copies that run, and the wait for the next.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bartizan_core::ResponseBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::race::{Answer, Race};
use crate::{Policy, ReplayBody, RetryBody, budget::Paid};

pin_project! {
    /// Response future of [`Hedge`](crate::Hedge). Dropped, it gives up all copies.
    #[must_use = "futures do nothing unless polled"]
    pub struct HedgeFuture<S, F, B, R, E, P> {
        // Empty once it has an answer.
        #[pin]
        first: Option<F>,
        // Boxed: they are the exception.
        copies: Vec<Copy<F>>,
        next: Next<B>,
        #[pin]
        timer: Option<Sleep>,
        // An answer that loses against any that is better.
        last: Option<(Result<Response<R>, E>, u32)>,
        // Empty once the call is over.
        race: Option<(S, Race<B, P>)>,
    }
}

/// A copy that runs.
struct Copy<F> {
    future: Pin<Box<F>>,
    reader: u32,
    paid: Box<Paid>,
}

/// What is known of the next copy.
enum Next<B> {
    /// Sent when the timer says so, if one is set; when nothing else is there to be had, one is set.
    Later,
    /// There will be none.
    Never,
    /// It waits for the inner service to become ready.
    Now(ReplayBody<B>, Box<Paid>),
}

impl<B> Next<B> {
    /// The copy that is due, if there is one after all.
    fn of(due: Option<(ReplayBody<B>, Box<Paid>)>) -> Self {
        due.map_or(Self::Never, |(body, paid)| Self::Now(body, paid))
    }
}

impl<S, F, B, R, E, P> HedgeFuture<S, F, B, R, E, P> {
    pub(super) fn new(first: F, further: S, race: Race<B, P>) -> Self {
        Self {
            first: Some(first),
            copies: Vec::new(),
            next: Next::Later,
            timer: None,
            last: None,
            race: Some((further, race)),
        }
    }
}

impl<S, B, R, P> Future for HedgeFuture<S, S::Future, B, R, S::Error, P>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
    S::Error: std::error::Error + 'static,
    R: Body<Data: From<Bytes>>,
    P: Policy,
{
    type Output = Result<Response<RetryBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (service, race) = this.race.as_mut().expect("polled after completion");
        loop {
            // Has one of several the body for itself? Then the others are dropped before they fail for want of it. It may be
            // one whose answer has lost already.
            let were_several = race.were_several() || matches!(this.next, Next::Now(..));
            if were_several && let Some(reader) = race.sole_reader(cx.waker()) {
                if reader != 0 {
                    this.first.set(None);
                }
                this.copies.retain(|copy| copy.reader == reader);
                *this.next = Next::Never;
                race.dropped_losers();
            }
            // Who has an answer?
            let answered = match this.first.as_mut().as_pin_mut().map(|first| first.poll(cx)) {
                Some(Poll::Ready(result)) => {
                    this.first.set(None);
                    Some((result, 0, None))
                }
                _ => poll_copies(this.copies, cx),
            };
            if let Some((mut result, reader, mut paid)) = answered {
                match race.judge(&result, paid.as_deref_mut()) {
                    Answer::Wins(settle) => {
                        race.finish(&mut result, reader);
                        // With them go their bodies, and with the race what was kept of the request's.
                        this.copies.clear();
                        this.first.set(None);
                        *this.race = None;
                        return Poll::Ready(result.map(|response| {
                            response.map(|body| RetryBody::new(ResponseBody::forward(body), settle))
                        }));
                    }
                    Answer::Loses(wait) => {
                        *this.last = Some((result, reader));
                        match (wait, &this.next) {
                            (Some(Duration::ZERO), Next::Later) => {
                                this.timer.set(None);
                                *this.next = Next::of(race.next_body());
                            }
                            // Sooner than the delay, or later if the answer asks for that.
                            (Some(wait), Next::Later) => this.timer.set(Some(sleep(wait))),
                            (Some(_), _) => {}
                            (None, _) => *this.next = Next::Never,
                        }
                        continue;
                    }
                    Answer::Void => {
                        *this.last = this.last.take().or(Some((result, reader)));
                        *this.next = Next::Never;
                        continue;
                    }
                }
            }
            // Is there another copy to be sent?
            match this.next {
                Next::Now(..) => match service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        if let Next::Now(body, mut paid) = std::mem::replace(this.next, Next::Later) {
                            let reader = body.reader();
                            let future = Box::pin(service.call(race.next_request(body, &mut paid)));
                            this.copies.push(Copy { future, reader, paid });
                        }
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        // No better than a copy that fails at once.
                        *this.next = Next::Never;
                        *this.last = this.last.take().or(Some((Err(error), 0)));
                        continue;
                    }
                    Poll::Pending => {}
                },
                Next::Later => {
                    if this.timer.is_none() {
                        match race.delay() {
                            Some(delay) => this.timer.set(Some(sleep(delay))),
                            None => *this.next = Next::Never,
                        }
                    }
                    if let Some(timer) = this.timer.as_mut().as_pin_mut()
                        && timer.poll(cx).is_ready()
                    {
                        this.timer.set(None);
                        *this.next = Next::of(race.next_body());
                        continue;
                    }
                }
                Next::Never => {}
            }
            // Is there any answer still to come?
            let is_over = this.first.is_none() && this.copies.is_empty() && matches!(this.next, Next::Never);
            if is_over && let Some((mut result, reader)) = this.last.take() {
                race.finish(&mut result, reader);
                *this.race = None;
                return Poll::Ready(
                    result.map(|response| {
                        response.map(|body| RetryBody::new(ResponseBody::forward(body), None))
                    }),
                );
            }
            return Poll::Pending;
        }
    }
}

/// The answer to one of the copies, which is then gone.
fn poll_copies<F: Future>(
    copies: &mut Vec<Copy<F>>,
    cx: &mut Context<'_>,
) -> Option<(F::Output, u32, Option<Box<Paid>>)> {
    for index in 0..copies.len() {
        if let Poll::Ready(result) = copies[index].future.as_mut().poll(cx) {
            let Copy { reader, paid, .. } = copies.swap_remove(index);
            return Some((result, reader, Some(paid)));
        }
    }
    None
}

impl<S, F, B, R, E, P> fmt::Debug for HedgeFuture<S, F, B, R, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture").field("copies", &self.copies.len()).finish_non_exhaustive()
    }
}
