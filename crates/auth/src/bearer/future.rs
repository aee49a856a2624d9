//! The response future of [`BearerService`](crate::BearerService).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bartizan_core::{Face, GrpcCode, Reason, Rejection, ResponseBody, ResponseFuture};
use http::{Request, Response, StatusCode, header};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    ClientTokens,
    service::attach,
    tokens::{Taken, Token},
};
use crate::FetchWait;

pin_project! {
    /// Response future of [`BearerService`](crate::BearerService). While a token is asked for it holds the
    /// request and the readied inner service.
    #[must_use = "futures do nothing unless polled"]
    pub struct BearerFuture<S, B, ResBody>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, ResBody, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, ResBody, F> {
        // Waiting => Sending | Passing
        Waiting { #[pin] wait: FetchWait, held: Option<Box<Held<S, B>>> },
        // Sending => Renewing | Readying | done
        Sending { #[pin] inner: F, tokens: ClientTokens, serial: u64, spare: Option<Spare<S, B>> },
        // Renewing => Readying | done
        Renewing { #[pin] wait: FetchWait, kept: Option<Box<Kept<S, B, ResBody>>> },
        // Readying => Passing
        Readying { again: Option<Spare<S, B>> },
        Passing { #[pin] inner: ResponseFuture<F> },
    }
}

/// Boxed: few requests ever wait, and all would carry the room for it.
struct Held<S, B> {
    tokens: ClientTokens,
    service: S,
    request: Request<B>,
    spare: MakeSpare<S, B>,
}

/// Makes what is needed to send a request once more, if it can be.
pub(super) type MakeSpare<S, B> = fn(&S, &Request<B>) -> Option<Spare<S, B>>;

/// Boxed for the same reason.
struct Kept<S, B, ResBody> {
    tokens: ClientTokens,
    serial: u64,
    spare: Spare<S, B>,
    response: Response<ResBody>,
}

/// What is needed to send a request once more.
pub(super) struct Spare<S, B> {
    pub(super) service: S,
    pub(super) request: Request<B>,
}

impl<S, B> Spare<S, B> {
    fn with(mut self, token: Token) -> Self {
        attach(&mut self.request, token);
        self
    }
}

impl<S, B, ResBody> BearerFuture<S, B, ResBody>
where
    S: Service<Request<B>>,
{
    pub(super) fn pass(inner: S::Future) -> Self {
        Self { state: State::Passing { inner: ResponseFuture::forward(inner) } }
    }

    pub(super) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Passing { inner: ResponseFuture::refuse(rejection, face) } }
    }

    pub(super) fn send(
        service: &mut S,
        request: Request<B>,
        token: Token,
        tokens: ClientTokens,
        spare: Option<Spare<S, B>>,
    ) -> Self {
        Self { state: State::sending(service, request, token, tokens, spare) }
    }

    pub(super) fn wait(
        wait: FetchWait,
        tokens: ClientTokens,
        service: S,
        request: Request<B>,
        spare: MakeSpare<S, B>,
    ) -> Self {
        let held = Some(Box::new(Held { tokens, service, request, spare }));
        Self { state: State::Waiting { wait, held } }
    }
}

impl<S, B, ResBody> State<S, B, ResBody, S::Future>
where
    S: Service<Request<B>>,
{
    fn sending(
        service: &mut S,
        mut request: Request<B>,
        token: Token,
        tokens: ClientTokens,
        spare: Option<Spare<S, B>>,
    ) -> Self {
        let serial = token.serial;
        attach(&mut request, token);
        Self::Sending { inner: service.call(request), tokens, serial, spare }
    }

    /// A token has come, or the wait is over.
    fn after_wait(held: Held<S, B>) -> Self {
        let Held { tokens, mut service, request, spare } = held;
        match tokens.taken() {
            Taken::Ready(token) => {
                let spare = spare(&service, &request);
                Self::sending(&mut service, request, token, tokens, spare)
            }
            Taken::Unavailable { retry_after } => {
                let inner = ResponseFuture::refuse(unavailable(retry_after), Face::of_call(&request));
                Self::Passing { inner }
            }
            Taken::Wait(wait) => {
                Self::Waiting { wait, held: Some(Box::new(Held { tokens, service, request, spare })) }
            }
        }
    }
}

impl<S, B, ResBody> fmt::Debug for BearerFuture<S, B, ResBody>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Waiting { .. } => "waiting",
            State::Sending { .. } => "sending",
            State::Renewing { .. } => "renewing",
            State::Readying { .. } => "readying",
            State::Passing { .. } => "passing",
        };
        f.debug_struct("BearerFuture").field("state", &state).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Future for BearerFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProj::Passing { inner } => return inner.poll(cx),
                StateProj::Waiting { wait, held } => {
                    ready!(wait.poll(cx));
                    State::after_wait(*held.take().expect("it is taken once, when the wait is over"))
                }
                StateProj::Sending { inner, tokens, serial, spare } => {
                    let response = ready!(inner.poll(cx))?;
                    let serial = *serial;
                    if !is_invalid_token(&response) {
                        return Poll::Ready(Ok(response.map(ResponseBody::forward)));
                    }
                    // Also where this request cannot be sent once more: the next one has another token.
                    match (tokens.take_other_than(serial), spare.take()) {
                        (Taken::Ready(token), Some(spare)) => {
                            State::Readying { again: Some(spare.with(token)) }
                        }
                        (Taken::Wait(wait), Some(spare)) => {
                            let kept = Kept { tokens: tokens.clone(), serial, spare, response };
                            State::Renewing { wait, kept: Some(Box::new(kept)) }
                        }
                        _ => return Poll::Ready(Ok(response.map(ResponseBody::forward))),
                    }
                }
                StateProj::Renewing { wait, kept } => {
                    ready!(wait.poll(cx));
                    let Kept { tokens, serial, spare, response } =
                        *kept.take().expect("it is taken once, when the wait is over");
                    match tokens.taken() {
                        Taken::Ready(token) if token.serial != serial => {
                            State::Readying { again: Some(spare.with(token)) }
                        }
                        // None came: what the server said stands.
                        _ => return Poll::Ready(Ok(response.map(ResponseBody::forward))),
                    }
                }
                StateProj::Readying { again } => {
                    let Spare { service, .. } = again.as_mut().expect("it is taken once, when it is ready");
                    ready!(service.poll_ready(cx))?;
                    let Spare { mut service, request } = again.take().expect("it was there just now");
                    State::Passing { inner: ResponseFuture::forward(service.call(request)) }
                }
            };
            self.as_mut().project().state.set(next);
        }
    }
}

/// Whether the server says that the token is not good, and not merely that it does not suffice (RFC 6750 section
/// 3.1).
fn is_invalid_token<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    let is_refused = response.status() == StatusCode::UNAUTHORIZED
        || GrpcCode::from_headers(headers) == Some(GrpcCode::Unauthenticated);
    is_refused
        && headers.get_all(header::WWW_AUTHENTICATE).iter().any(|value| says_invalid_token(value.as_bytes()))
}

fn says_invalid_token(challenge: &[u8]) -> bool {
    let has = |text: &[u8]| challenge.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text));
    has(b"bearer ") && (has(b"error=\"invalid_token\"") || has(b"error=invalid_token"))
}

/// There is no token, and none to be had.
#[cold]
pub(super) fn unavailable(retry_after: Duration) -> Rejection {
    Rejection::new(Reason::DependencyUnavailable)
        .with_retry_after(retry_after)
        .with_layer("bearer")
        .with_cause("no_token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_08_only_an_invalid_token_is_replaced() {
        let response = |status: u16, grpc: Option<&str>, challenge: &str| {
            let builder = Response::builder().status(status).header("www-authenticate", challenge);
            let builder = match grpc {
                Some(code) => builder.header("grpc-status", code),
                None => builder,
            };
            builder.body(()).unwrap()
        };
        for (status, grpc, challenge, expected) in [
            (401, None, "Bearer realm=\"api\", error=\"invalid_token\"", true),
            (401, None, "bearer error=invalid_token", true),
            (401, None, "Basic realm=\"a\", Bearer error=\"invalid_token\"", true),
            (200, Some("16"), "Bearer realm=\"api\", error=\"invalid_token\"", true),
            (401, None, "Bearer realm=\"api\"", false),
            (401, None, "Basic realm=\"api\"", false),
            (401, None, "DPoP error=\"invalid_token\"", false),
            (403, None, "Bearer error=\"insufficient_scope\"", false),
            (403, None, "Bearer error=\"invalid_token\"", false),
            (200, None, "Bearer error=\"invalid_token\"", false),
            (200, Some("7"), "Bearer error=\"invalid_token\"", false),
        ] {
            assert_eq!(
                is_invalid_token(&response(status, grpc, challenge)),
                expected,
                "{status} {challenge}"
            );
        }
    }
}
