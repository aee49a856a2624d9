//! The extractors for what is written as a form: the query, and bodies of forms.

use std::ops::Deref;

use axum::extract::{FromRequest, FromRequestParts, Request};
use bartizan_core::{Location, Rejection};
use http::{Method, request::Parts};
use serde::de::DeserializeOwned;

use super::{Rules, extract, rules, shape};
use crate::{JsonLimits, form, media::MediaTypes, refusal, settings::Settings};

/// A query that is a valid `T`: an axum extractor.
///
/// A name that comes several times fills a `Vec`; for any other type it is refused. Of an empty value, an `Option` of
/// a number is `None`. Bad percent-encoding and text that is not UTF-8 are a 400, a value that is not of its type or
/// breaks a rule is a 422 that names the parameter.
///
/// ```
/// use bartizan_validate::ValidQuery;
/// use serde::Deserialize;
/// use validator::Validate;
///
/// #[derive(Deserialize, Validate)]
/// struct Page {
///     #[validate(range(min = 1, max = 100))]
///     limit: u32,
/// }
///
/// async fn list(ValidQuery(page): ValidQuery<Page>) -> String {
///     format!("at most {}", page.limit)
/// }
/// # let _: axum::Router = axum::Router::new().route("/orders", axum::routing::get(list));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidQuery<T>(pub T);

/// A form that is a valid `T`: an axum extractor.
///
/// The body must be `application/x-www-form-urlencoded`, within the default [`JsonLimits`] as far as they have a
/// meaning for it; of GET and HEAD the form is the query. See [`ValidQuery`] for how values are read.
///
/// ```
/// use bartizan_validate::ValidForm;
/// use serde::Deserialize;
/// use validator::Validate;
///
/// #[derive(Deserialize, Validate)]
/// struct Contact {
///     #[validate(email)]
///     email: String,
/// }
///
/// async fn contact(ValidForm(contact): ValidForm<Contact>) -> String {
///     contact.email
/// }
/// # let _: axum::Router = axum::Router::new().route("/contact", axum::routing::post(contact));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidForm<T>(pub T);

impl<T> Deref for ValidQuery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Deref for ValidForm<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, S> FromRequestParts<S> for ValidQuery<T>
where
    T: DeserializeOwned + Rules,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Rejection> {
        of_query(head).map(Self)
    }
}

impl<T, S> FromRequest<S> for ValidForm<T>
where
    T: DeserializeOwned + Rules,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        let (head, body) = request.into_parts();
        if matches!(head.method, Method::GET | Method::HEAD) {
            return of_query(&head).map(Self);
        }
        // A form of no fields is an empty body.
        let settings = Settings { body_required: false, ..Settings::of(MediaTypes::form()) };
        let read = match extract::read(&settings, &head, body).await {
            Ok(Some((raw, coding))) => settings.decode(&raw, coding),
            Ok(None) => Ok(bytes::Bytes::new()),
            Err(rejection) => Err(rejection),
        };
        let (value, verdict) = match read {
            Ok(bytes) => parsed(&bytes, &settings.limits, Location::Body),
            Err(rejection) => (None, Err(rejection)),
        };
        extract::settle(value, verdict, &head.extensions).map(Self)
    }
}

fn of_query<T: DeserializeOwned + Rules>(head: &Parts) -> Result<T, Rejection> {
    let query = head.uri.query().unwrap_or_default();
    let (value, verdict) = parsed(query.as_bytes(), &JsonLimits::new(), Location::Query);
    extract::settle(value, verdict, &head.extensions)
}

/// The value, if the form is one of `T`, and whether it is valid.
fn parsed<T: DeserializeOwned + Rules>(
    form: &[u8],
    limits: &JsonLimits,
    location: Location,
) -> (Option<T>, Result<(), Rejection>) {
    if let Err(violation) = form::check(form, limits, location) {
        return (None, Err(refusal::malformed(violation)));
    }
    match serde_html_form::from_bytes::<T>(form) {
        Ok(value) => {
            let verdict = rules::judge(&value, location);
            (Some(value), verdict)
        }
        Err(error) => (None, Err(explain::<T>(form, location, &error))),
    }
}

/// Reads once more, noting where: only a refusal pays for it.
#[cold]
fn explain<T: DeserializeOwned>(
    form: &[u8],
    location: Location,
    error: &serde_html_form::de::Error,
) -> Rejection {
    let reader = serde_html_form::Deserializer::from_bytes(form);
    let path = match serde_path_to_error::deserialize::<_, T>(reader) {
        Err(located) => shape::segments(located.path()),
        Ok(_) => Vec::new(),
    };
    refusal::violates([shape::broken(path, &error.to_string(), location).at(location)])
}
