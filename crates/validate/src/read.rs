//! A request whose body is being read and then judged.

use std::{
    error::Error,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, Reason, Rejection};
use http::{Request, request::Parts};
use http_body::Body;
use http_body_util::LengthLimitError;

use crate::{
    RequestBody,
    check::{Announced, Check, Plan, Shared, Which},
    coding::Coding,
    collect::{Collect, Collected, End},
    refusal,
};

type BoxError = Box<dyn Error + Send + Sync>;

/// A request whose body is being read. What is in it is taken when the body is there; the head, which is large, not
/// before it goes on.
#[derive(Debug)]
pub(crate) struct Reading<B> {
    head: Option<Parts>,
    coding: Coding,
    which: Which,
    collect: Option<Collect<B>>,
}

/// What becomes of a request: it goes on, or is refused.
pub(crate) type Fate<B> = Result<Request<RequestBody<B>>, (Rejection, Face)>;

/// What is known from the head.
#[derive(Debug)]
pub(crate) enum Begun<B: Body> {
    Over(Fate<B>),
    Reading(Reading<B>),
}

impl<C: Check> Shared<C> {
    /// Decides what the head decides, without a look at the body.
    pub(crate) fn begin<B: Body + Unpin>(&self, request: Request<B>) -> Begun<B> {
        let announced = Announced::of(request.body());
        let (mut head, body) = request.into_parts();
        match self.check.plan(&self.settings, &mut head, announced) {
            Ok((Plan::Pass, _)) => Begun::Over(pass(Request::from_parts(head, body))),
            Ok((Plan::Read(coding), which)) => {
                let collect = Some(Collect::new(body, self.settings.limits.max_body()));
                Begun::Reading(Reading { head: Some(head), coding, which, collect })
            }
            Err(rejection) => Begun::Over(self.or_report(head, rejection, RequestBody::untouched(body))),
        }
    }

    /// Reads on, judges what was read when all of it is there, and calls with a request that passes.
    // A request is large: made in the call, it is not moved there.
    pub(crate) fn poll<B, F>(
        &self,
        reading: &mut Reading<B>,
        cx: &mut Context<'_>,
        call: impl FnOnce(Request<RequestBody<B>>) -> F,
    ) -> Poll<Result<F, (Rejection, Face)>>
    where
        B: Body<Error: Into<BoxError>> + Unpin,
    {
        let end = match &mut reading.collect {
            Some(collect) => Some(ready!(collect.poll(cx))),
            None => None,
        };
        let (Some(end), Some(collect), Some(head)) = (end, reading.collect.take(), &mut reading.head) else {
            return Poll::Ready(Err(polled_again()));
        };
        let Collected { bytes, trailers, body } = collect.finish();
        let (rejection, body) = match end {
            End::Whole => {
                match self.check.judge(&self.settings, reading.which, head, &bytes, reading.coding) {
                    Ok(checked) => (None, RequestBody::whole(checked, trailers)),
                    Err(rejection) => (Some(rejection), RequestBody::whole(bytes, trailers)),
                }
            }
            End::TooLarge => {
                let rejection = refusal::too_large(self.settings.limits.max_body());
                (Some(rejection), RequestBody::begun(bytes, body))
            }
            // A body that fails is no finding about the caller's document: who only reports hands the failure on.
            End::Failed(error) if self.settings.report_only => (None, RequestBody::failed(bytes, error)),
            End::Failed(error) => {
                let rejection = failed(error.into().as_ref(), self.settings.limits.max_body());
                (Some(rejection), RequestBody::whole(bytes, trailers))
            }
        };
        let Some(head) = reading.head.take() else { return Poll::Ready(Err(polled_again())) };
        Poll::Ready(match rejection {
            None => Ok(call(Request::from_parts(head, body))),
            Some(rejection) => self.or_report(head, rejection, body).map(call),
        })
    }

    /// Counts a refusal, and refuses, or lets pass where the layer only reports.
    #[cold]
    fn or_report<B: Body>(&self, head: Parts, rejection: Rejection, body: RequestBody<B>) -> Fate<B> {
        let report_only = self.settings.report_only;
        self.settings.telemetry.failed(&rejection, &head.extensions, report_only);
        if report_only {
            Ok(Request::from_parts(head, body))
        } else {
            Err((rejection, Face::of(&Request::from_parts(head, ()))))
        }
    }
}

/// After it was ready, which no caller may do. It still answers.
#[cold]
fn polled_again() -> (Rejection, Face) {
    (Rejection::new(Reason::Internal).with_layer(refusal::LAYER), Face::default())
}

fn pass<B: Body>(request: Request<B>) -> Fate<B> {
    Ok(request.map(RequestBody::untouched))
}

/// A body that ended with an error: too large for a layer further out, or not all there.
pub(crate) fn failed(error: &(dyn Error + 'static), most: usize) -> Rejection {
    let mut source = Some(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return refusal::too_large(most);
        }
        source = error.source();
    }
    refusal::unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full, Limited};

    use super::*;

    #[tokio::test]
    async fn val_02_a_limit_further_out_is_a_413_too() {
        let body = axum::body::Body::new(Limited::new(Full::new(Bytes::from_static(b"[1,2,3]")), 4));
        let error = body.collect().await.unwrap_err();
        assert_eq!(failed(&error, 9).reason(), Reason::ContentTooLarge);
        let error = std::io::Error::other("reset by peer");
        let rejection = failed(&error, 9);
        assert_eq!(rejection.reason(), Reason::MalformedRequest);
        assert_eq!(rejection.cause(), Some("reset by peer"));
        assert!(!rejection.detail().contains("reset"));
    }
}
