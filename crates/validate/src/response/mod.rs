//! Responses that a JSON Schema describes: the service's own, or an upstream's.

mod check;
mod future;
mod layer;
mod service;
mod settings;
mod side;

pub use self::{
    future::ResponseSchemaFuture,
    layer::{ClientResponseSchemaLayer, ResponseSchemaLayer, ValidateResponseLayer},
    service::ValidateResponse,
    settings::ResponseMode,
    side::Side,
};
