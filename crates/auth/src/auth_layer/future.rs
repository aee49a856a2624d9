//! The response future of [`AuthService`](crate::AuthService).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bartizan_core::{Face, Rejection, ResponseBody};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{ApiKeyFuture, challenge::Asks};

pin_project! {
    /// Response future of [`AuthService`](crate::AuthService): that of the method that decided, or of none.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct AuthFuture<Key, Token, F> {
        #[pin]
        state: State<Key, Token, F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<Key, Token, F> {
        Key { #[pin] inner: Key },
        Token { #[pin] inner: Token },
        Neither { #[pin] inner: ApiKeyFuture<F> },
    }
}

impl<Key, Token, F> AuthFuture<Key, Token, F> {
    pub(super) fn key(inner: Key) -> Self {
        Self { state: State::Key { inner } }
    }

    pub(super) fn token(inner: Token) -> Self {
        Self { state: State::Token { inner } }
    }

    pub(super) fn neither(inner: F, asks: Asks) -> Self {
        Self { state: State::Neither { inner: ApiKeyFuture::forward(inner, asks) } }
    }

    pub(super) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Neither { inner: ApiKeyFuture::refuse(rejection, face) } }
    }
}

impl<Key, Token, F, B, E> Future for AuthFuture<Key, Token, F>
where
    Key: Future<Output = Result<Response<ResponseBody<B>>, E>>,
    Token: Future<Output = Key::Output>,
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Key::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Key { inner } => inner.poll(cx),
            StateProj::Token { inner } => inner.poll(cx),
            StateProj::Neither { inner } => inner.poll(cx),
        }
    }
}
