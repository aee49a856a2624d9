//! What a request says outside of its body: texts, which a schema gives their types.

mod finding;
mod pairs;
mod schema;
mod shape;
mod template;

pub use self::schema::ParameterSchema;
pub(crate) use self::{
    finding::Findings,
    pairs::{Pairs, Plus, cookies, decode},
    shape::{Prefer, Shape, Sources, Types},
    template::Template,
};
#[cfg(feature = "openapi")]
pub(crate) use self::{
    pairs::BadPairs,
    schema::{NOT_DECODABLE, NOT_TEXT, REPEATED},
    shape::MAX_DEPTH,
    template::Segment,
};
