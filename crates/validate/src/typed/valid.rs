//! The extractor.

use std::ops::Deref;

use axum::extract::{FromRequest, Request};
use bartizan_core::Rejection;
use serde::de::DeserializeOwned;

use super::{Rules, Typed, extract, take_valid};
use crate::{OtherMedia, refusal, settings::Settings};

/// A body that is a valid `T`: an axum extractor.
///
/// Behind a [`ValidateJsonLayer<T>`](crate::ValidateJsonLayer) it takes the value that the layer made, without a
/// second parse. Without one it does the layer's work itself, with the default limits, and refuses the same way.
///
/// [`ValidQuery`](crate::ValidQuery), [`ValidPath`](crate::ValidPath) and [`ValidForm`](crate::ValidForm) are its
/// siblings for what is no JSON. Rules of the `garde` crate: `Valid<Garde<T>>`.
///
/// ```
/// use bartizan_validate::Valid;
/// use serde::Deserialize;
/// use validator::Validate;
///
/// #[derive(Deserialize, Validate)]
/// struct Order {
///     #[validate(range(min = 1, max = 1000))]
///     quantity: u32,
/// }
///
/// async fn create(Valid(order): Valid<Order>) -> String {
///     format!("{} ordered", order.quantity)
/// }
/// # let _: axum::Router = axum::Router::new().route("/orders", axum::routing::post(create));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Valid<T>(pub T);

impl<T> Deref for Valid<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, S> FromRequest<S> for Valid<T>
where
    T: DeserializeOwned + Rules + Send + 'static,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Rejection> {
        if let Some(value) = take_valid(request.extensions_mut()) {
            return Ok(Self(value));
        }
        let settings = Settings::new(OtherMedia::Refuse);
        let (mut head, body) = request.into_parts();
        let read = extract::read(&settings, &head, body).await;
        let verdict = match read {
            Ok(Some((raw, coding))) => settings.judge(&Typed::<T>::new(), &mut head, &raw, coding).map(drop),
            Ok(None) => Err(refusal::body_missing()),
            Err(rejection) => Err(rejection),
        };
        // A value whose rules do not hold is there too, for who only reports.
        let value = take_valid(&mut head.extensions).map(Self);
        extract::settle(value, verdict, &head.extensions)
    }
}
