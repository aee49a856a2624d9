//! The head of a request, kept so that it can be sent again.

use std::{any::Any, cell::Cell, fmt, ops::Deref, str::FromStr};

use bartizan_core::{Protocol, RequestContext};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// The head of a call's request, as the first attempt sent it.
///
/// Keeping it allocates nothing where the thread has kept others before, the request has no extensions but its
/// [`RequestContext`], and its header values are static or shared, as those are that were received. One that was made of
/// a string is shared from here on, for one allocation. (Copies of the header map and the URI would be five.)
#[derive(Clone)]
pub struct RequestHead {
    method: Method,
    version: Version,
    protocol: Protocol,
    target: Target,
    text: String,
    fields: Vec<(HeaderName, HeaderValue)>,
    extensions: Kept,
}

/// Where scheme and authority end in the text; a part that is not there ends where it begins.
#[derive(Clone, Copy)]
struct Target {
    scheme: usize,
    authority: usize,
}

#[derive(Clone)]
enum Kept {
    Nothing,
    Context(RequestContext),
    All(Extensions),
}

/// Marks a request, as an extension, as one that may be sent twice: the author knows that doing it again changes
/// nothing. For requests whose method does not say so, and for gRPC calls.
///
/// ```
/// use bartizan_retry::Idempotent;
/// use http::Request;
///
/// let request = Request::post("/orders/17/recalculate").extension(Idempotent).body(());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotent;

/// The field of draft-ietf-httpapi-idempotency-key-header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl RequestHead {
    /// Of no request yet.
    fn empty() -> Self {
        Self {
            method: Method::GET,
            version: Version::default(),
            protocol: Protocol::default(),
            target: Target { scheme: 0, authority: 0 },
            text: String::new(),
            fields: Vec::new(),
            extensions: Kept::Nothing,
        }
    }

    #[inline(always)]
    fn fill<B>(&mut self, request: &Request<B>) {
        let uri = request.uri();
        self.text.push_str(uri.scheme_str().unwrap_or_default());
        self.target.scheme = self.text.len();
        self.text.push_str(uri.authority().map_or("", |authority| authority.as_str()));
        self.target.authority = self.text.len();
        self.text.push_str(uri.path_and_query().map_or("", |path| path.as_str()));
        keep_fields(request.headers(), &mut self.fields);
        self.method = request.method().clone();
        self.version = request.version();
        self.protocol = Protocol::of(request);
        let extensions = request.extensions();
        self.extensions = match (extensions.len(), RequestContext::get(extensions)) {
            (0, _) => Kept::Nothing,
            (1, Some(context)) => Kept::Context(context.clone()),
            _ => Kept::All(extensions.clone()),
        };
    }

    fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        let mut value = Some(value);
        // It takes the place of the first, and there is no other.
        self.fields
            .retain_mut(|(known, old)| *known != name || value.take().map(|value| *old = value).is_some());
        self.fields.extend(value.map(|value| (name, value)));
    }

    /// The same request, with `body`.
    pub(crate) fn request<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.version_mut() = self.version;
        *request.uri_mut() = self.uri();
        let headers = request.headers_mut();
        // A map once held them all, and so one does again.
        let _ = headers.try_reserve(self.fields.len());
        for (name, value) in &self.fields {
            let _ = headers.try_append(name, value.clone());
        }
        match &self.extensions {
            Kept::Nothing => {}
            Kept::Context(context) => {
                request.extensions_mut().insert(context.clone());
            }
            Kept::All(extensions) => *request.extensions_mut() = extensions.clone(),
        }
        request
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// What the request is to: made of the parts that were kept.
    pub fn uri(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        let (scheme, authority, path) = self.parts();
        parts.scheme = part(scheme);
        parts.authority = part(authority);
        parts.path_and_query = part(path);
        // Parts of a URI are a URI.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// The path, without the query; empty where there is none.
    pub fn path(&self) -> &str {
        let (.., path) = self.parts();
        path.split_once('?').map_or(path, |(path, _)| path)
    }

    fn parts(&self) -> (&str, &str, &str) {
        let Target { scheme, authority } = self.target;
        (&self.text[..scheme], &self.text[scheme..authority], &self.text[authority..])
    }

    /// The protocol that the request speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The first value of a header.
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.headers().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// All headers.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.fields.iter().map(|(name, value)| (name, value))
    }

    /// An extension.
    pub fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        match &self.extensions {
            Kept::Nothing => None,
            Kept::Context(context) => (context as &dyn Any).downcast_ref(),
            Kept::All(extensions) => extensions.get(),
        }
    }

    /// The request's own context.
    #[inline]
    pub(crate) fn context(&self) -> Option<&RequestContext> {
        match &self.extensions {
            Kept::Nothing => None,
            Kept::Context(context) => Some(context),
            Kept::All(extensions) => RequestContext::get(extensions),
        }
    }

    /// Whether the request may be sent twice although the first may have been processed: its method says so (RFC 9110
    /// section 9.2.2, and QUERY), it carries an `Idempotency-Key`, or it is marked as [`Idempotent`].
    pub fn is_idempotent(&self) -> bool {
        is_idempotent(&self.method)
            || self.extension::<Idempotent>().is_some()
            || self.header(&IDEMPOTENCY_KEY).is_some()
    }
}

pub(crate) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    ) || method.as_str() == "QUERY"
}

/// Keeps all headers. Apart from the rest, where the loop has the registers for itself.
#[inline(never)]
fn keep_fields(headers: &HeaderMap, fields: &mut Vec<(HeaderName, HeaderValue)>) {
    fields.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
}

/// A part of a URI, if it is there.
fn part<T: FromStr>(text: &str) -> Option<T> {
    if text.is_empty() { None } else { text.parse().ok() }
}

impl fmt::Debug for RequestHead {
    /// Neither query nor headers, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// The head that a call keeps, in memory that the thread's calls leave to each other.
pub(crate) struct KeptHead(Option<Box<Spare>>);

impl KeptHead {
    /// Keeps the head of `request`.
    #[inline(always)]
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let mut spare = Spare::take();
        spare.head.fill(request);
        Self(Some(spare))
    }

    /// Keeps this header too, instead of any other of that name.
    pub(crate) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        if let Some(spare) = &mut self.0 {
            spare.head.insert(name, value);
        }
    }
}

impl Clone for KeptHead {
    fn clone(&self) -> Self {
        let mut spare = Spare::take();
        spare.head.clone_from(self);
        Self(Some(spare))
    }
}

impl Deref for KeptHead {
    type Target = RequestHead;

    #[inline]
    fn deref(&self) -> &RequestHead {
        &self.0.as_ref().expect("it is there until it is dropped").head
    }
}

impl Drop for KeptHead {
    #[inline]
    fn drop(&mut self) {
        if let Some(spare) = self.0.take() {
            spare.give_back();
        }
    }
}

/// Memory for a head, empty while no call has it.
struct Spare {
    head: RequestHead,
    /// What the thread has besides, and how many these are.
    others: Option<Box<Self>>,
    depth: usize,
}

thread_local! {
    static SPARE: Cell<Option<Box<Spare>>> = const { Cell::new(None) };
}

impl Spare {
    /// More calls that one thread has ended than will soon be made anew.
    const MOST: usize = 64;
    /// An unusually large head is not kept for its memory.
    const MOST_TEXT: usize = 2_048;
    const MOST_FIELDS: usize = 64;

    #[inline]
    fn take() -> Box<Self> {
        let taken = SPARE.try_with(|first| {
            let mut spare = first.take()?;
            first.set(spare.others.take());
            Some(spare)
        });
        taken
            .ok()
            .flatten()
            .unwrap_or_else(|| Box::new(Self { head: RequestHead::empty(), others: None, depth: 0 }))
    }

    #[inline]
    fn give_back(mut self: Box<Self>) {
        let head = &mut self.head;
        if head.text.capacity() > Self::MOST_TEXT || head.fields.capacity() > Self::MOST_FIELDS {
            return;
        }
        head.method = Method::GET;
        head.text.clear();
        head.fields.clear();
        head.extensions = Kept::Nothing;
        // A thread that ends has nothing to keep.
        let _ = SPARE.try_with(|first| {
            let others = first.take();
            self.depth = others.as_ref().map_or(0, |others| others.depth + 1);
            if self.depth < Self::MOST {
                self.others = others;
                first.set(Some(self));
            } else {
                first.set(others);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Foreign(u8);

    #[test]
    fn rt_01_what_is_sent_again_is_what_was_sent() {
        for uri in [
            "/",
            "/a?b=c",
            "*",
            "a.example:443",
            "http://a.example",
            "http://a.example/",
            "HTTPS://u@A.example:1/b?c",
            "x-own://h/p?q",
            "/?x",
        ] {
            let mut request = Request::builder()
                .method("PROPFIND")
                .uri(uri)
                .version(Version::HTTP_2)
                .header("x-a", "1")
                .header("x-b", "2")
                .header("x-a", "3")
                .extension(Foreign(7))
                .body(())
                .unwrap();
            let mut secret = HeaderValue::from_static("Bearer s3cret");
            secret.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, secret);
            let context = RequestContext::of(&mut request);
            for _ in 0..3 {
                let kept = KeptHead::of(&request);
                let again = kept.request(());
                assert_eq!(again.uri(), request.uri(), "{uri}");
                assert_eq!((again.method(), again.version()), (request.method(), request.version()));
                assert_eq!(again.headers(), request.headers());
                assert!(again.headers()[header::AUTHORIZATION].is_sensitive());
                assert_eq!(again.extensions().get(), Some(&Foreign(7)));
                assert_eq!(kept.extension(), Some(&Foreign(7)));
                assert!(RequestContext::get(again.extensions()).is_some());
                assert!(!format!("{:?}", *kept).contains("s3cret"));
            }
            drop(context);
        }
    }

    #[test]
    fn what_is_kept_instead_takes_the_place_of_all_that_had_the_name() {
        let mut request =
            Request::builder().header("x-a", "1").header("x-b", "2").header("x-a", "3").body(()).unwrap();
        let mut kept = KeptHead::of(&request);
        for (name, value) in [("x-a", "4"), ("x-c", "5")] {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            kept.insert(name.clone(), value.clone());
            request.headers_mut().insert(name, value);
        }
        assert_eq!(kept.request(()).headers(), request.headers());
    }

    #[test]
    fn the_protocol_is_that_of_the_request() {
        for (content_type, expected) in [("application/grpc", Protocol::Grpc), ("text/plain", Protocol::Http)]
        {
            let request =
                Request::post("/a.B/C").header(header::CONTENT_TYPE, content_type).body(()).unwrap();
            assert_eq!(KeptHead::of(&request).protocol(), expected);
            assert_eq!(Protocol::of(&request), expected);
        }
        assert_eq!(KeptHead::of(&Request::new(())).protocol(), Protocol::of(&Request::new(())));
    }

    #[test]
    fn a_context_alone_is_kept_too() {
        let mut request = Request::new(());
        assert!(KeptHead::of(&request).request(()).extensions().is_empty());
        RequestContext::of(&mut request);
        let kept = KeptHead::of(&request);
        assert!(kept.extension::<RequestContext>().is_some());
        assert!(kept.extension::<Foreign>().is_none());
        assert!(RequestContext::get(kept.request(()).extensions()).is_some());
    }

    #[test]
    fn rt_01_method_key_or_mark_say_that_it_may_be_sent_twice() {
        let is_idempotent =
            |builder: http::request::Builder| KeptHead::of(&builder.body(()).unwrap()).is_idempotent();
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"] {
            assert!(is_idempotent(Request::builder().method(method)), "{method}");
        }
        for method in ["POST", "PATCH", "CONNECT", "LOCK", "query"] {
            assert!(!is_idempotent(Request::builder().method(method)), "{method}");
            assert!(is_idempotent(Request::builder().method(method).header("idempotency-key", "\"k\"")));
            assert!(is_idempotent(Request::builder().method(method).extension(Idempotent)));
        }
    }
}
