//! What a layer says of itself to a stack.

use super::phase::Phase;
use crate::OptionalLayer;

/// A layer of a server's stack: where it belongs, what it needs and what it provides.
///
/// The types may depend on the layer's own parameters: a limiter by address belongs before authentication, one
/// by principal after it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer for the server side of a bartizan stack",
    label = "not a `ServerLayer`",
    note = "push any other tower layer with `push_foreign`, `push_foreign_at::<phase::…, _>` or `push_fallible`"
)]
pub trait ServerLayer {
    /// Where in the stack the layer belongs.
    type Phase: Phase;
    /// What layers before it must have provided: a [`fact`](crate::fact), a pair of needs, or `()`.
    type Needs;
    /// What layers after it may rely on: likewise.
    type Provides;

    /// The name, as in the layer's metrics: `rate_limit`.
    fn name(&self) -> &'static str;
}

/// A layer of an outgoing stack. The same, with the phases of [`phase::client`](crate::phase::client).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer for the client side of a bartizan stack",
    label = "not a `ClientLayer`",
    note = "push any other tower layer with `push_foreign`, `push_foreign_at::<phase::…, _>` or `push_fallible`"
)]
pub trait ClientLayer {
    /// Where in the stack the layer belongs.
    type Phase: Phase;
    /// What layers before it must have provided.
    type Needs;
    /// What layers after it may rely on.
    type Provides;

    /// The name, as in the layer's metrics.
    fn name(&self) -> &'static str;
}

/// The side of a stack that receives requests.
#[derive(Debug)]
pub enum Server {}

/// The side of a stack that sends requests.
#[derive(Debug)]
pub enum Client {}

/// What `Stack::push` takes: a layer for this side, or an `Option` of one.
///
/// `None` keeps the phase and the needs of the layer it stands for, so that a stack does not depend on its
/// configuration; for the same reason an optional layer provides nothing.
pub trait IntoLayer<Side> {
    /// The tower layer.
    type Layer;
    /// Where in the stack it belongs.
    type Phase: Phase;
    /// What layers before it must have provided.
    type Needs;
    /// What layers after it may rely on.
    type Provides;

    /// The name, for a description of the stack; `None` for an option that is off.
    fn name(&self) -> Option<&'static str>;

    /// The tower layer.
    fn into_layer(self) -> Self::Layer;
}

macro_rules! into_layer {
    ($side:ident, $trait:ident) => {
        impl<L: $trait> IntoLayer<$side> for L {
            type Layer = L;
            type Phase = L::Phase;
            type Needs = L::Needs;
            type Provides = L::Provides;

            fn name(&self) -> Option<&'static str> {
                Some($trait::name(self))
            }

            fn into_layer(self) -> L {
                self
            }
        }

        impl<L: $trait> IntoLayer<$side> for Option<L> {
            type Layer = OptionalLayer<L>;
            type Phase = L::Phase;
            type Needs = L::Needs;
            type Provides = ();

            fn name(&self) -> Option<&'static str> {
                self.as_ref().map($trait::name)
            }

            fn into_layer(self) -> OptionalLayer<L> {
                OptionalLayer::new(self)
            }
        }
    };
}

into_layer!(Server, ServerLayer);
into_layer!(Client, ClientLayer);
