//! The extractor.

use std::{error::Error, future::poll_fn, ops::Deref};

use axum::extract::{FromRequest, Request};
use bartizan_core::Rejection;
use serde::de::DeserializeOwned;
use validator::Validate;

use super::{Typed, take_valid};
use crate::{
    OtherMedia,
    check::{Announced, Plan},
    collect::{Collect, End},
    read::failed,
    refusal,
    settings::Settings,
};

/// A body that is a valid `T`: an axum extractor.
///
/// Behind a [`ValidateJsonLayer<T>`](crate::ValidateJsonLayer) it takes the value that the layer made, without a
/// second parse. Without one it does the layer's work itself, with the default limits, and refuses the same way.
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
    T: DeserializeOwned + Validate + Send + 'static,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Rejection> {
        if let Some(value) = take_valid(request.extensions_mut()) {
            return Ok(Self(value));
        }
        let settings = Settings::new(OtherMedia::Refuse);
        let announced = Announced::of(request.body());
        let (mut head, body) = request.into_parts();
        let coding = match settings.plan(&head, announced)? {
            Plan::Read(coding) => coding,
            Plan::Pass => return Err(refusal::body_missing()),
        };
        let most = settings.limits.max_body();
        let mut collect = Collect::new(body, most);
        match poll_fn(|cx| collect.poll(cx)).await {
            End::Whole => {}
            End::TooLarge => return Err(refusal::too_large(most)),
            End::Failed(error) => {
                let error: Box<dyn Error + Send + Sync> = error.into();
                return Err(failed(error.as_ref(), most));
            }
        }
        let bytes = collect.finish().bytes;
        settings.judge(&Typed::<T>::new(), &mut head, &bytes, coding)?;
        take_valid(&mut head.extensions).map(Self).ok_or_else(refusal::body_missing)
    }
}
