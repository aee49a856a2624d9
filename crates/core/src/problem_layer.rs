//! How refusals look for a whole service.

use std::{
    borrow::Cow,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    ExtensionName, Face, Reason, Rejection, RequestContext, ResponseBody, ServerLayer,
    catch::{catch, catch_or},
    phase,
    problem::{self, Format, Style},
    replace::{Carried, carried, replace},
};

/// How refusals look for the whole service: the outermost layer.
///
/// Every layer renders its refusal in a default form and leaves the [`Rejection`] in the response's extensions.
/// This layer finds it there and renders it again in the service's own style. A response in which a layer in between
/// put a body of its own, or a status that is no error, is left alone. It is also the last resort for a panic outside
/// of [`NormalizeLayer`](crate::NormalizeLayer).
///
/// Observers inside this layer count the bytes of the default form.
///
/// ```
/// use bartizan_core::{ProblemLayer, Reason, Rejection};
/// # use bartizan_core::ResponseBody;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = ProblemLayer::new().with_type_base("https://errors.example.com/")?.with_member("service", "orders")?;
/// let service = layer.layer(tower::service_fn(async |request: Request<String>| {
///     if request.uri().path() == "/orders" {
///         return Ok::<_, std::convert::Infallible>(Response::new(ResponseBody::forward(request.into_body())));
///     }
///     Ok(Rejection::new(Reason::RouteNotFound).answer(&request))
/// }));
///
/// let accepted = service.clone().oneshot(Request::get("/orders").body(String::new())?).await?;
/// assert_eq!(accepted.status(), 200);
/// let refused = service.oneshot(Request::get("/unknown").body(String::new())?).await?;
/// assert_eq!(refused.status(), 404);
/// # use http_body_util::BodyExt;
/// let problem = bartizan_core::Problem::from_slice(&refused.collect().await?.to_bytes())?;
/// assert_eq!(problem.problem_type(), "https://errors.example.com/not_found");
/// assert_eq!(problem.extensions["service"], "orders");
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ProblemLayer {
    settings: Arc<Settings>,
}

type Renderer = dyn Fn(&Rejection) -> Option<Response<Bytes>> + Send + Sync;

#[derive(Clone)]
struct Settings {
    style: Style,
    xml: bool,
    renderer: Option<Arc<Renderer>>,
    /// Whether any setting makes a refusal look other than its layer rendered it.
    restyles: bool,
}

/// A setting of [`ProblemLayer`] that can never work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemSettingsError {
    /// `type_base` is no absolute URI that ends in `/`, `#`, `:` or `=`, so that a code can follow.
    TypeBase(String),
    /// `member` is no name for an extension member: a letter, then letters, digits or `_`, three or more
    /// characters, and none that the standard or every refusal already uses.
    Member(&'static str),
    /// `domain` is empty, or longer than 253 characters.
    Domain(String),
}

impl fmt::Display for ProblemSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TypeBase(base) => {
                write!(f, "type_base: `{base}` is no absolute URI ending in `/`, `#`, `:` or `=`")
            }
            Self::Member(name) => write!(f, "member: `{name}` cannot be the name of an extension member"),
            Self::Domain(domain) => write!(f, "domain: `{domain}` is empty or longer than 253 characters"),
        }
    }
}

impl std::error::Error for ProblemSettingsError {}

impl ProblemLayer {
    /// The default style: no `type`, no extra members, the domain `bartizan`, JSON only.
    pub fn new() -> Self {
        Self {
            settings: Arc::new(Settings {
                style: Style::DEFAULT,
                xml: false,
                renderer: None,
                restyles: false,
            }),
        }
    }

    fn edit(&mut self) -> &mut Settings {
        let settings = Arc::make_mut(&mut self.settings);
        settings.restyles = true;
        settings
    }

    /// Gives each refusal a problem type: this URI followed by the refusal's code. Document the codes there.
    ///
    /// # Errors
    ///
    /// When `base` is not an absolute URI to which a code can be appended.
    pub fn with_type_base(mut self, base: impl Into<String>) -> Result<Self, ProblemSettingsError> {
        let base = base.into();
        let is_absolute = base.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                && !rest.is_empty()
                // A fragment has no place in `Uri`, and every place in a problem type.
                && (scheme == "urn" || scheme == "tag" || base.trim_end_matches('#').parse::<Uri>().is_ok())
        });
        let is_open = base.ends_with(['/', '#', ':', '=']);
        let is_text = base.bytes().all(|b| b.is_ascii_graphic());
        if !(is_absolute && is_open && is_text) {
            return Err(ProblemSettingsError::TypeBase(base));
        }
        self.edit().style.type_base = Some(base);
        Ok(self)
    }

    /// Adds a member to every problem, in place of an earlier one of that name; a refusal's own of that name wins.
    ///
    /// # Errors
    ///
    /// When `name` is not usable (RFC 9457 section 4).
    pub fn with_member(
        mut self,
        name: &'static str,
        value: impl Into<serde_json::Value>,
    ) -> Result<Self, ProblemSettingsError> {
        let name = ExtensionName::checked(name).ok_or(ProblemSettingsError::Member(name))?;
        let members = &mut self.edit().style.members;
        members.retain(|(known, _)| *known != name);
        members.push((name, value.into()));
        Ok(self)
    }

    /// The `domain` of gRPC's `ErrorInfo`: usually the name under which the service is registered. Default:
    /// `bartizan`.
    ///
    /// # Errors
    ///
    /// When `domain` is empty or longer than 253 characters.
    pub fn with_domain(mut self, domain: impl Into<Cow<'static, str>>) -> Result<Self, ProblemSettingsError> {
        let domain = domain.into();
        if domain.is_empty() || domain.len() > 253 {
            return Err(ProblemSettingsError::Domain(domain.into_owned()));
        }
        self.edit().style.domain = Some(domain);
        Ok(self)
    }

    /// Sends `application/problem+xml` to clients whose `Accept` strictly prefers it. Default: off.
    pub fn with_xml(mut self, xml: bool) -> Self {
        self.edit().xml = xml;
        self
    }

    /// Renders HTTP refusals with a function of the service's own. `None` from it means the usual problem.
    ///
    /// Status, the refusal's own headers, `Cache-Control`, `X-Content-Type-Options` and `Retry-After` stay as the
    /// refusal has them: the function decides on body, content type and further headers. It is not asked about
    /// gRPC refusals, and one that panics counts as `None`.
    pub fn with_renderer(
        mut self,
        renderer: impl Fn(&Rejection) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        self.edit().renderer = Some(Arc::new(renderer));
        self
    }
}

impl Default for ProblemLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ProblemLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProblemLayer")
            .field("style", &self.settings.style)
            .field("xml", &self.settings.xml)
            .field("renderer", &self.settings.renderer.is_some())
            .finish()
    }
}

impl ServerLayer for ProblemLayer {
    type Phase = phase::Problem;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "problem"
    }
}

impl<S> Layer<S> for ProblemLayer {
    type Service = ProblemService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ProblemService { inner, settings: Arc::clone(&self.settings) }
    }
}

/// The service of [`ProblemLayer`].
#[derive(Clone)]
pub struct ProblemService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S: fmt::Debug> fmt::Debug for ProblemService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProblemService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ProblemService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ProblemFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let context = RequestContext::of(&mut request);
        let xml = self.settings.xml && problem::prefers_xml(request.headers());
        let state = catch_or(
            || State::Running { future: self.inner.call(request) },
            |rejection| State::Panicked { rejection: Some(rejection) },
        );
        ProblemFuture { refuser: Refuser { context, settings: Arc::clone(&self.settings), xml }, state }
    }
}

pin_project! {
    /// Response future of [`ProblemService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ProblemFuture<F> {
        refuser: Refuser,
        #[pin]
        state: State<F>,
    }
}

impl<F> fmt::Debug for ProblemFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProblemFuture").finish_non_exhaustive()
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Running { #[pin] future: F },
        Panicked { rejection: Option<Rejection> },
    }
}

impl<F, B, E> Future for ProblemFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let refuser = &*this.refuser;
        let rejection = match this.state.as_mut().project() {
            StateProj::Running { future } => match catch(|| refuser.poll_restyled(future, cx)) {
                Ok(polled) => return polled,
                Err(rejection) => {
                    this.state.set(State::Panicked { rejection: None });
                    rejection
                }
            },
            StateProj::Panicked { rejection } => {
                rejection.take().unwrap_or_else(|| Rejection::new(Reason::Internal))
            }
        };
        Poll::Ready(Ok(refuser.answer(rejection)))
    }
}

/// Renders the refusals of one request in the service's style.
struct Refuser {
    context: RequestContext,
    settings: Arc<Settings>,
    xml: bool,
}

impl Refuser {
    #[inline(always)]
    fn poll_restyled<F, B, E>(
        &self,
        future: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<ResponseBody<B>>, E>>
    where
        F: Future<Output = Result<Response<B>, E>>,
        B: Body,
    {
        let (head, body) = ready!(future.poll(cx))?.into_parts();
        if head.extensions.get::<Rejection>().is_some() {
            return Poll::Ready(Ok(self.restyle(Response::from_parts(head, body))));
        }
        Poll::Ready(Ok(Response::from_parts(head, ResponseBody::forward(body))))
    }

    #[cold]
    fn answer<B>(&self, rejection: Rejection) -> Response<ResponseBody<B>> {
        self.render(rejection, HeaderMap::new()).map(ResponseBody::full)
    }

    /// Apart, so that what most responses need is small enough to be part of the caller.
    #[inline(never)]
    fn restyle<B: Body>(&self, response: Response<B>) -> Response<ResponseBody<B>> {
        match carried(&response, &self.context) {
            Some(Carried { rejection, is_stale }) if is_stale || self.settings.restyles => {
                replace(response, rejection, |rejection, headers| self.render(rejection, headers))
            }
            _ => response.map(ResponseBody::forward),
        }
    }

    fn render(&self, rejection: Rejection, headers: HeaderMap) -> Response<Option<Bytes>> {
        let face = self.context.face();
        let rejection = rejection.addressed_to(&face);
        let mut style = Cow::Borrowed(&self.settings.style);
        if self.xml {
            style.to_mut().format = Format::Xml;
        }
        let custom = match &self.settings.renderer {
            Some(renderer) if !face.protocol.is_grpc() => catch(|| renderer(&rejection)).ok().flatten(),
            _ => None,
        };
        match custom {
            Some(mut custom) => {
                NOT_THE_RENDERERS.iter().chain(rejection.headers().keys()).for_each(|name| {
                    custom.headers_mut().remove(name);
                });
                override_with(rejection.render(&face, &style, headers), custom, &face)
            }
            None => rejection.render(&face, &style, headers),
        }
    }
}

/// What a renderer of the service's own does not decide on.
const NOT_THE_RENDERERS: [HeaderName; 6] = [
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::RETRY_AFTER,
    header::TRANSFER_ENCODING,
    header::X_CONTENT_TYPE_OPTIONS,
];

/// The custom body and headers over those of the usual rendering.
fn override_with(
    mut response: Response<Option<Bytes>>,
    custom: Response<Bytes>,
    face: &Face,
) -> Response<Option<Bytes>> {
    let (parts, body) = custom.into_parts();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.extend(parts.headers);
    if face.head {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    *response.body_mut() = (!face.head).then_some(body);
    response
}
