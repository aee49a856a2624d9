//! The extractor for the parameters of the path.

use std::{borrow::Cow, ops::Deref};

use axum::extract::{
    FromRequestParts, Path,
    path::{ErrorKind, FailedToDeserializePathParams},
    rejection::PathRejection,
};
use bartizan_core::{Location, Reason, Rejection, Violation};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::{Broken, Rules, extract, rules, shape};
use crate::refusal;

/// Path parameters that are a valid `T`: an axum extractor.
///
/// A value that is not of its type or breaks a rule is a 422 that names the parameter. A `T` that does not fit the
/// route is the program's mistake, and a 500.
///
/// ```
/// use bartizan_validate::ValidPath;
/// use serde::Deserialize;
/// use validator::Validate;
///
/// #[derive(Deserialize, Validate)]
/// struct Key {
///     #[validate(range(min = 1))]
///     order: u64,
/// }
///
/// async fn show(ValidPath(key): ValidPath<Key>) -> String {
///     format!("order {}", key.order)
/// }
/// # let _: axum::Router = axum::Router::new().route("/orders/{order}", axum::routing::get(show));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidPath<T>(pub T);

impl<T> Deref for ValidPath<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, S> FromRequestParts<S> for ValidPath<T>
where
    T: DeserializeOwned + Rules + Send,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let (value, verdict) = match Path::<T>::from_request_parts(head, state).await {
            Ok(Path(value)) => {
                let verdict = rules::judge(&value, Location::Path);
                (Some(Self(value)), verdict)
            }
            Err(PathRejection::FailedToDeserializePathParams(error)) => (None, Err(explain(&error))),
            Err(other) => (None, Err(bug(other.to_string()))),
        };
        extract::settle(value, verdict, &head.extensions)
    }
}

/// Why the parameters are not of the type; the caller's value stays out of it.
#[cold]
fn explain(error: &FailedToDeserializePathParams) -> Rejection {
    let typed = |name: String, expected: &str| {
        Broken::new([Cow::Owned(name)], "type", Cow::Owned(format!("must be {expected}")))
    };
    let broken = match error.kind() {
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => typed(key.clone(), expected_type),
        ErrorKind::ParseErrorAtIndex { index, expected_type, .. } => typed(index.to_string(), expected_type),
        ErrorKind::ParseError { expected_type, .. } => typed(String::new(), expected_type),
        ErrorKind::InvalidUtf8InPathParam { key } => {
            let name = key.clone();
            return refusal::malformed(Violation::in_parameter(
                Location::Path,
                name,
                "encoding",
                "is not UTF-8 once percent-decoded",
            ));
        }
        ErrorKind::DeserializeError { key, message, .. } => {
            shape::broken(vec![Cow::Owned(key.clone())], message, Location::Path)
        }
        // A field that the route has no parameter for is the program's mistake, whatever the caller sends.
        ErrorKind::Message(message) if shape::missing(message).is_none() => {
            shape::broken(Vec::new(), message, Location::Path)
        }
        other => return bug(other.to_string()),
    };
    refusal::violates([broken.at(Location::Path)])
}

fn bug(cause: String) -> Rejection {
    Rejection::new(Reason::Internal).with_layer(refusal::LAYER).with_cause(cause)
}
