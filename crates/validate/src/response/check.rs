//! What a response's head decides, and what its body does.

use bartizan_core::{Face, Protocol, Rejection, RequestContext, ResponseBody, Violation};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;

use super::{ResponseMode, settings::Settings};
use crate::{
    CheckedBody, JsonSchema, OtherMedia,
    coding::Coding,
    collect::{Collect, Collected, End},
    media::Declared,
    refusal, telemetry, validate_json,
};

pub(super) type Answer<B> = Response<ResponseBody<CheckedBody<B>>>;

/// What is kept of the request until its response is there.
#[derive(Debug)]
pub(super) struct Asked {
    face: Face,
    context: Option<RequestContext>,
    head: bool,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            face: Face::of_call(request),
            context: telemetry::context(request.extensions()),
            head: *request.method() == Method::HEAD,
        }
    }

    /// Whether this is gRPC's answer to a gRPC call.
    fn is_answered_by<B>(&self, response: &Response<B>) -> bool {
        self.face.protocol().is_grpc() && Protocol::from_headers(response.headers()).is_grpc()
    }
}

/// A response whose body is being read.
#[derive(Debug)]
pub(super) struct Reading<B> {
    head: Response<()>,
    schema: JsonSchema,
    coding: Coding,
    pub(super) collect: Collect<B>,
}

/// What is wrong with a response.
#[derive(Debug)]
enum Break {
    /// It is not what its schema says.
    Contract(Vec<Violation>),
    /// It cannot be known what it is; why, as a code.
    Unchecked(&'static str),
}

/// What the head decides.
#[derive(Debug)]
pub(super) enum Begun<B: Body> {
    Over(Answer<B>),
    Reading(Reading<B>),
}

impl Settings {
    pub(super) fn begin<B: Body<Data: From<Bytes>, Error: Unpin> + Unpin>(
        &self,
        asked: &Asked,
        response: Response<B>,
    ) -> Begun<B> {
        let (schema, coding) = match self.plan(asked, &response) {
            Ok(Some((schema, coding))) => (schema.clone(), coding),
            Ok(None) => return Begun::Over(pass(response)),
            Err(broken) => {
                let (head, body) = response.into_parts();
                let head = Response::from_parts(head, ());
                return Begun::Over(self.settle(asked, head, &broken, || CheckedBody::untouched(body)));
            }
        };
        let (head, body) = response.into_parts();
        let collect = Collect::new(body, self.limits.max_body());
        Begun::Reading(Reading { head: Response::from_parts(head, ()), schema, coding, collect })
    }

    /// The schema to check, and the coding to undo first; `None` where nothing is to be checked.
    fn plan<B: Body>(
        &self,
        asked: &Asked,
        response: &Response<B>,
    ) -> Result<Option<(&JsonSchema, Coding)>, Break> {
        let Some(schema) = self.schemas.of(response.status()) else { return Ok(None) };
        if asked.head || !has_content(response.status()) || !self.is_sampled() {
            return Ok(None);
        }
        if self.media.declared(response.headers()) != Declared::Json {
            return match self.other {
                OtherMedia::Pass => Ok(None),
                // The answer to a gRPC call is no broken promise of JSON.
                OtherMedia::Refuse if asked.is_answered_by(response) => Ok(None),
                OtherMedia::Refuse => Err(Break::Unchecked("media_type")),
            };
        }
        if response.body().size_hint().lower() > self.limits.max_body() as u64 {
            return Err(Break::Unchecked("content_too_large"));
        }
        let coding = Coding::of(response.headers()).ok_or(Break::Unchecked("content_encoding"))?;
        Ok(Some((schema, coding)))
    }

    fn is_sampled(&self) -> bool {
        self.sample >= 1.0 || rand::random::<f64>() < self.sample
    }

    /// Judges a response whose body was read, or was not to be.
    pub(super) fn finish<B: Body<Data: From<Bytes>, Error: Unpin> + Unpin>(
        &self,
        asked: &Asked,
        reading: Reading<B>,
        end: End<B::Error>,
    ) -> Answer<B> {
        let Reading { head, schema, coding, collect } = reading;
        let Collected { bytes, trailers, body } = collect.finish();
        match end {
            End::Whole => {
                let verdict = self.judge(&schema, coding, &bytes);
                // The body goes on as it was sent, in its coding.
                let body = || CheckedBody::whole(bytes, trailers);
                match verdict {
                    Ok(()) => head.map(|()| ResponseBody::forward(body())),
                    Err(broken) => self.settle(asked, head, &broken, body),
                }
            }
            End::TooLarge => {
                let broken = Break::Unchecked("content_too_large");
                self.settle(asked, head, &broken, || CheckedBody::begun(bytes, body))
            }
            End::Failed(error) => {
                let broken = Break::Unchecked("incomplete");
                self.settle(asked, head, &broken, || CheckedBody::failed(bytes, error))
            }
        }
    }

    fn judge(&self, schema: &JsonSchema, coding: Coding, bytes: &Bytes) -> Result<(), Break> {
        let most = self.limits.max_body();
        let document = coding.decode(bytes, most).map_err(|_| Break::Unchecked("content_encoding"))?;
        validate_json(&document, schema, &self.limits).map(drop).map_err(Break::Contract)
    }

    /// Counts and tells what is wrong, and refuses, or lets pass where the layer only logs.
    fn settle<B: Body<Data: From<Bytes>, Error: Unpin> + Unpin>(
        &self,
        asked: &Asked,
        head: Response<()>,
        broken: &Break,
        body: impl FnOnce() -> CheckedBody<B>,
    ) -> Answer<B> {
        let log_only = self.mode == ResponseMode::Log;
        let codes: Vec<_> = match broken {
            Break::Contract(violations) => violations.iter().map(Violation::code).collect(),
            Break::Unchecked(code) => vec![*code],
        };
        let told = broken.tell(head.status());
        self.telemetry.response_failed(&codes, &told, asked.context.as_ref(), log_only);
        if log_only {
            return head.map(|()| ResponseBody::forward(body()));
        }
        // What is wrong with it is no caller's business: it goes to the log as the cause, and nowhere else.
        let rejection = Rejection::new(self.reason).with_layer(refusal::LAYER).with_cause(told);
        rejection.into_response(&asked.face)
    }
}

impl Break {
    /// For the log: the places of the first mistakes and their codes, never a value.
    fn tell(&self, status: StatusCode) -> String {
        const SHOWN: usize = 8;
        let status = status.as_u16();
        match self {
            Self::Unchecked(code) => format!("response {status} cannot be checked: {code}"),
            Self::Contract(violations) => {
                let place = |violation: &Violation| {
                    let pointer = violation.pointer().unwrap_or_default();
                    format!("{} {}", bartizan_core::excerpt(&pointer), violation.code())
                };
                let mut places: Vec<_> = violations.iter().take(SHOWN).map(place).collect();
                if violations.len() > SHOWN {
                    places.push("more".to_owned());
                }
                format!("response {status} breaks its schema: {}", places.join(", "))
            }
        }
    }
}

/// Whether a response of this status carries a whole representation (RFC 9110 sections 15.2, 15.3.5 to 15.3.7 and
/// 15.4.5).
fn has_content(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
        )
}

pub(super) fn pass<B: Body>(response: Response<B>) -> Answer<B> {
    response.map(|body| ResponseBody::forward(CheckedBody::untouched(body)))
}
