//! The extractor.

use std::ops::Deref;

use axum::extract::{FromRequest, OptionalFromRequest, Request};
use bartizan_core::Rejection;
use serde::de::DeserializeOwned;

use super::{Rules, Typed, extract, take_valid};
use crate::{OtherMedia, refusal, settings::Settings};

/// A body that is a valid `T`: an axum extractor.
///
/// Behind a [`ValidateJsonLayer<T>`](crate::ValidateJsonLayer) it takes the value that the layer made, without a
/// second parse. Without one it does the layer's work itself, with the default limits, and refuses the same way.
///
/// `Option<Valid<T>>` is `None` for a request without a body, as a layer
/// [`with_optional_body`](crate::ValidateLayer::with_optional_body) lets it pass.
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

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        read(Settings::new(OtherMedia::Refuse), request).await?.ok_or_else(refusal::body_missing)
    }
}

/// `None` where there is no body. One that is there is valid.
impl<T, S> OptionalFromRequest<S> for Valid<T>
where
    T: DeserializeOwned + Rules + Send + 'static,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Rejection> {
        read(Settings { body_required: false, ..Settings::new(OtherMedia::Refuse) }, request).await
    }
}

/// The value that a layer made, or the body's; `None` where there is no body, and the settings demand none.
async fn read<T>(settings: Settings, mut request: Request) -> Result<Option<Valid<T>>, Rejection>
where
    T: DeserializeOwned + Rules + Send + 'static,
{
    if let Some(value) = take_valid(request.extensions_mut()) {
        return Ok(Some(Valid(value)));
    }
    let (mut head, body) = request.into_parts();
    let verdict = match extract::read(&settings, &head, body).await {
        Ok(None) if !settings.body_required => return Ok(None),
        Ok(Some((raw, _))) if raw.is_empty() && !settings.body_required => return Ok(None),
        Ok(None) => Err(refusal::body_missing()),
        Ok(Some((raw, coding))) => settings.judge(&Typed::<T>::new(), &mut head, &raw, coding).map(drop),
        Err(rejection) => Err(rejection),
    };
    // A value whose rules do not hold is there too, for who only reports.
    let value = take_valid(&mut head.extensions).map(Valid);
    extract::settle(value, verdict, &head.extensions).map(Some)
}
