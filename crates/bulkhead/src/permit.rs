//! A place that a request holds until its response has ended.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_core::{Ending, GrpcCode, Observer, Outcome, Reason, Rejection};
use http::response::Parts;

use crate::{
    layer::Core,
    limit::{Limit, Sample, sealed},
    rooms::{Learned, Place},
};

/// A place among the requests that are under way, given back when it is dropped: at the end of the body of the response,
/// or when the request is given up.
pub struct Permit<L: Limit = crate::Fixed> {
    /// `None` of a request that takes none.
    place: Option<Place<L>>,
    /// Where there is something to learn.
    lesson: Option<Lesson<L>>,
}

struct Lesson<L: sealed::Limit> {
    core: Arc<Core<L>>,
    began: Instant,
}

impl<L: Limit> Permit<L> {
    pub(crate) fn new(place: Place<L>, core: &Arc<Core<L>>) -> Self {
        let lesson = L::LEARNS.then(|| Lesson { core: Arc::clone(core), began: core.clock.now() });
        Self { place: Some(place), lesson }
    }

    /// Of a request that takes no place.
    pub(crate) fn exempt() -> Self {
        Self { place: None, lesson: None }
    }

    /// `sample` says what is to be learned of a request that took so long until now.
    fn learn(&mut self, is_answer: bool, sample: impl FnOnce(Duration) -> Option<Sample>) {
        let (Some(place), Some(Lesson { core, began })) = (&mut self.place, &self.lesson) else { return };
        let (began, now) = (*began, core.clock.now());
        let sample = sample(now.saturating_duration_since(began));
        let moved = place.learn(Learned { began, now, sample, is_answer });
        if let Some(limit) = moved {
            core.telemetry.moved(limit, place.is_common());
        }
    }
}

impl<L: Limit> Observer for Permit<L> {
    #[inline]
    fn wants_head(&self) -> bool {
        L::LEARNS
    }

    fn on_head(&mut self, head: &mut Parts) {
        // How fast something fails says nothing; that it did, its end will say.
        let has_failed = head.status.is_server_error() || head.extensions.get::<Rejection>().is_some();
        self.learn(true, |after| (!has_failed).then_some(Sample::Answered(after)));
    }

    #[inline]
    fn on_end(mut self, outcome: Outcome) {
        if !L::LEARNS {
            return;
        }
        if is_overload(&outcome) {
            self.learn(false, |_| Some(Sample::Overloaded));
        } else if outcome.ending == Ending::ClientAborted && outcome.status.is_none() {
            self.learn(false, |after| Some(Sample::GivenUp(after)));
        }
    }
}

/// Whether a request ended as it did because there was too much to do further in.
fn is_overload(outcome: &Outcome) -> bool {
    match &outcome.rejection {
        // What was never sent tells nothing of those further in.
        Some(rejection) if rejection.is_unsent() => false,
        Some(rejection) => matches!(rejection.reason(), Reason::Overloaded | Reason::DeadlineExceeded),
        None => match (outcome.grpc, outcome.status) {
            (Some(code), _) => matches!(code, GrpcCode::Unavailable | GrpcCode::DeadlineExceeded),
            (None, status) => status.is_some_and(|status| matches!(status.as_u16(), 503 | 504)),
        },
    }
}

impl<L: Limit> fmt::Debug for Permit<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("exempt", &self.place.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::mpsc,
        task::{Context, Waker},
    };

    use bartizan_core::{Protocol, ResponseBody, observe};
    use http::{Request, Response, StatusCode};

    use super::*;

    /// What an observer of this response thinks at its end.
    fn looks_like_overload(response: Response<String>) -> bool {
        struct Look(mpsc::Sender<bool>);
        impl Observer for Look {
            fn on_end(self, outcome: Outcome) {
                self.0.send(is_overload(&outcome)).unwrap();
            }
        }
        let (sender, seen) = mpsc::channel();
        let answer = std::future::ready(Ok::<_, ()>(response));
        let future = pin!(observe(answer, Protocol::Grpc, false, Look(sender)));
        drop(future.poll(&mut Context::from_waker(Waker::noop())));
        seen.try_recv().unwrap()
    }

    #[test]
    fn overload_is_what_a_busy_service_or_upstream_answers() {
        let status = |status| {
            let mut response = Response::new(String::new());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        };
        for (code, expected) in
            [(200, false), (500, false), (502, false), (503, true), (504, true), (429, false)]
        {
            assert_eq!(looks_like_overload(status(code)), expected, "{code}");
        }
        let grpc = |code: &'static str| {
            let response =
                Response::builder().header("content-type", "application/grpc").header("grpc-status", code);
            response.body(String::new()).unwrap()
        };
        for (code, expected) in [("0", false), ("14", true), ("4", true), ("8", false), ("13", false)] {
            assert_eq!(looks_like_overload(grpc(code)), expected, "{code}");
        }
        for (reason, expected) in [
            (Reason::Overloaded, true),
            (Reason::DeadlineExceeded, true),
            (Reason::CircuitOpen, false),
            (Reason::RequestTimeout, false),
            (Reason::DependencyUnavailable, false),
        ] {
            let response: Response<ResponseBody<String>> = Rejection::new(reason).answer(&Request::new(()));
            assert_eq!(looks_like_overload(response.map(|_| String::new())), expected, "{reason:?}");
        }
    }
}
