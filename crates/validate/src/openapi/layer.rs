//! The layer that demands what a description says.

use bartizan_core::{MatchedRoute, Protocol, Reason, Rejection, RequestContext};
use bytes::Bytes;
use http::{HeaderValue, header, request::Parts};

use super::{OpenApi, Unlisted, api::Path, body::Declared, operation::Operation};
use crate::{
    OtherMedia, ValidateLayer,
    check::{Announced, Check, Plan, Which},
    checked::Checked,
    coding::Coding,
    refusal,
    settings::Settings,
};

/// Refuses requests that are not what a description in OpenAPI says: every operation of a service, in one layer.
///
/// What the description says of bodies wins over [`with_other_media`](ValidateLayer::with_other_media),
/// [`with_media_type`](ValidateLayer::with_media_type) and
/// [`with_optional_body`](ValidateLayer::with_optional_body).
///
/// See the [crate's documentation](crate#openapi) for an example and for the behaviour.
pub type OpenApiLayer = ValidateLayer<ByOpenApi>;

/// The request is what a description says.
#[derive(Clone, Debug)]
pub struct ByOpenApi(OpenApi);

impl OpenApiLayer {
    /// Default limits, and what the description demands.
    pub fn new(api: OpenApi) -> Self {
        Self::of(ByOpenApi(api))
    }
}

/// What a request asks for.
struct Asked<'a, 'p> {
    path: &'a Path,
    operation: &'a Operation,
    captures: Vec<&'p str>,
}

impl Check for ByOpenApi {
    fn plan(
        &self,
        settings: &Settings,
        head: &mut Parts,
        announced: Announced,
    ) -> Result<(Plan, Which), Rejection> {
        let uri = head.uri.clone();
        let Some(asked) = self.find(uri.path(), head)? else { return Ok((Plan::Pass, Which::default())) };
        asked.note(head);
        let context = RequestContext::get(&head.extensions);
        let principal = context.and_then(RequestContext::principal);
        asked.operation.security.check(principal, &head.extensions)?;
        let plan = plan_body(settings, asked.operation, head, announced)?;
        let api = &self.0.0;
        asked.operation.check(&uri, &head.headers, &asked.captures, &settings.limits, api.strict_query)?;
        Ok(plan)
    }

    fn judge(
        &self,
        settings: &Settings,
        which: Which,
        head: &mut Parts,
        raw: &Bytes,
        coding: Coding,
    ) -> Result<Bytes, Rejection> {
        let api = &self.0.0;
        let Some(content) = api.contents.get(which.0) else { return Ok(raw.clone()) };
        if raw.is_empty() {
            return if content.required { Err(refusal::body_missing()) } else { Ok(Bytes::new()) };
        }
        let bytes = settings.decode(raw, coding)?;
        let bytes = match content.judge(&bytes, &settings.limits, api.read_only)? {
            None => {
                if content.is_json() {
                    Checked::note(&bytes, &settings.limits, &mut head.extensions);
                }
                Settings::decoded(head, coding, bytes.len());
                bytes
            }
            Some(rest) => {
                Settings::decoded(head, coding, rest.len());
                head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(rest.len()));
                rest.into()
            }
        };
        Ok(bytes)
    }

    fn body(&self, _: &str, _: &mut Parts) -> Result<(), Rejection> {
        Ok(())
    }

    const OTHER_MEDIA: OtherMedia = OtherMedia::Pass;
}

impl ByOpenApi {
    fn find<'a, 'p>(&'a self, path: &'p str, head: &Parts) -> Result<Option<Asked<'a, 'p>>, Rejection> {
        let api = &self.0.0;
        let refuse = |rejection: Rejection| match api.unlisted {
            Unlisted::Pass => Ok(None),
            Unlisted::Refuse => Err(rejection.with_layer(refusal::LAYER)),
        };
        let Some((at, captures)) = api.routes.find(path) else {
            if is_grpc_method(path, head) {
                return Ok(None);
            }
            return refuse(Rejection::new(Reason::RouteNotFound));
        };
        let path = &api.paths[at];
        let Some(operation) = path.operation(&head.method) else {
            let rejection = Rejection::new(Reason::MethodNotAllowed);
            return refuse(rejection.with_header(header::ALLOW, path.allow.clone()));
        };
        Ok(Some(Asked { path, operation: &api.operations[operation], captures }))
    }
}

/// Whether a request is a call of a gRPC method, which no description in OpenAPI has: `POST /package.Service/Method`.
/// Its type alone says nothing, since every caller can write that.
#[cold]
fn is_grpc_method(path: &str, head: &Parts) -> bool {
    let is_full_name = path
        .strip_prefix('/')
        .and_then(|name| name.split_once('/'))
        .is_some_and(|(service, method)| !service.is_empty() && !method.is_empty() && !method.contains('/'));
    is_full_name && Protocol::of_parts(&head.method, &head.headers).is_grpc()
}

impl Asked<'_, '_> {
    /// Tells logs and metrics the route, where no router did, and the operation.
    fn note(&self, head: &mut Parts) {
        let route = || MatchedRoute::template(self.path.template.clone());
        let routed = MatchedRoute::in_extensions(&head.extensions).is_some();
        match RequestContext::get(&head.extensions) {
            Some(context) => {
                let event = context.event();
                if event.is_enabled()
                    && let Some(id) = &self.operation.id
                {
                    event.record("openapi.operation", id.clone());
                }
                if !routed {
                    context.set_route(route());
                }
            }
            None if routed => {}
            None => {
                head.extensions.insert(route());
            }
        }
    }
}

/// Everything that the head says of the body, in the order of VAL-01.
fn plan_body(
    settings: &Settings,
    operation: &Operation,
    head: &Parts,
    announced: Announced,
) -> Result<(Plan, Which), Rejection> {
    let unread = (Plan::Pass, Which::default());
    let Some(body) = &operation.body else { return Ok(unread) };
    if announced.empty {
        return if body.required { Err(refusal::body_missing()) } else { Ok(unread) };
    }
    let declared = body.declared(&head.headers);
    if declared == Declared::Opaque {
        return Ok(unread);
    }
    settings.fits(announced)?;
    let Declared::Content(content) = declared else {
        return Err(refusal::media_type(&head.method, body.accept.clone()));
    };
    let coding = Coding::of(&head.headers).ok_or_else(refusal::coding)?;
    Ok((Plan::Read(coding), Which(content)))
}
