//! Core's own layers keep the contract that every layer keeps, alone and around one that refuses.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use bartizan_core::{
    ExtensionName, Face, NormalizeLayer, OptionalLayer, ProblemLayer, Reason, Rejection, ResponseBody,
    ResponseFuture,
};
use bartizan_testkit::{AxumLayer, Contract, ContractLayer, TonicLayer, contract};
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use tower_layer::{Layer, Stack};
use tower_service::Service;

#[test]
fn lay_01_lay_03_lay_04_the_problem_layer_keeps_the_contract() {
    contract(ProblemLayer::new).check();
}

#[test]
fn lay_01_lay_03_lay_04_the_normalize_layer_keeps_the_contract() {
    contract(NormalizeLayer::new).check();
}

#[test]
fn lay_01_lay_03_lay_04_an_optional_layer_keeps_the_contract_on_and_off() {
    contract(|| OptionalLayer::new(Some(NormalizeLayer::new()))).check();
    contract(|| OptionalLayer::new(None::<NormalizeLayer>)).check();
}

#[test]
fn err_10_err_11_grpc_02_a_refusal_for_each_reason_keeps_the_contract() {
    refusing(|| Refuse).check();
}

#[test]
fn a_refusal_keeps_the_contract_through_an_optional_layer() {
    refusing(|| OptionalLayer::new(Some(Refuse))).check();
}

#[test]
fn a_refusal_keeps_the_contract_through_the_normalize_layer() {
    refusing(|| Stack::new(Refuse, NormalizeLayer::new())).check();
}

#[test]
fn a_refusal_keeps_the_contract_in_the_style_of_the_service() {
    refusing(|| {
        let style = ProblemLayer::new().with_type_base("https://errors.example.com/").expect("a base");
        let style = style.with_member("service", "orders").expect("a member").with_xml(true);
        Stack::new(Refuse, style)
    })
    .check();
}

/// The contract of a layer that refuses as [`Refuse`] does.
fn refusing<L>(make: impl Fn() -> L + Send + Sync + 'static) -> Contract<L>
where
    L: ContractLayer + AxumLayer + TonicLayer,
{
    Reason::ALL.into_iter().fold(contract(make), |contract, reason| {
        contract.refuse(reason, move |request| {
            request.extensions_mut().insert(reason);
        })
    })
}

/// Refuses a request with the reason in its extensions.
#[derive(Clone, Copy, Debug)]
struct Refuse;

impl<S> Layer<S> for Refuse {
    type Service = Refusing<S>;

    fn layer(&self, inner: S) -> Refusing<S> {
        Refusing(inner)
    }
}

#[derive(Clone, Debug)]
struct Refusing<S>(S);

impl<S, B, R> Service<Request<B>> for Refusing<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match request.extensions().get::<Reason>() {
            Some(reason) => ResponseFuture::refuse(refusal(*reason), Face::of(&request)),
            None => ResponseFuture::forward(self.0.call(request)),
        }
    }
}

const LIMIT: ExtensionName = ExtensionName::new("limit_bytes");

/// A refusal with what goes with its reason.
fn refusal(reason: Reason) -> Rejection {
    let refusal = Rejection::new(reason).with_layer("refuse");
    match reason {
        Reason::Unauthenticated | Reason::MalformedCredentials => {
            refusal.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey realm=\"orders\""))
        }
        Reason::MethodNotAllowed => refusal.with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
        Reason::RateLimited => refusal.with_retry_after(Duration::from_millis(1)),
        Reason::ContentTooLarge => refusal.with_extension(LIMIT, 1_024),
        Reason::UnsupportedMediaType | Reason::VersionUnsupported => {
            refusal.with_header(header::ACCEPT, HeaderValue::from_static("application/json"))
        }
        Reason::UnsupportedContentEncoding => {
            refusal.with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
        }
        _ => refusal,
    }
}
