//! Where a layer belongs in a stack, what it needs and what it provides: all of it types, checked by the compiler.

mod facts;
mod layer;
pub mod phase;

pub use self::{
    facts::{AddTo, Facts, KnownIn, No, Yes, fact},
    layer::{Client, ClientLayer, IntoLayer, Server, ServerLayer},
    phase::After,
};
