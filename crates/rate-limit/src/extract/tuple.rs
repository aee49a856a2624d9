//! Several keys as one.

use bartizan_core::Fault;

use super::KeyExtractor;
use crate::{Key, RequestHead, phases::Latest};

macro_rules! tuple {
    (($($part:ident),*) $phase:ty, $needs:ty, [$($bound:tt)*] [$($latest:tt)*]) => {
        /// One bucket for each combination. A request has a key when it has all of them.
        #[expect(non_snake_case, reason = "a variable per type")]
        impl<$($part),*> KeyExtractor for ($($part,)*)
        where
            $($bound)*,
            $($latest)*
        {
            type Phase = $phase;
            type Needs = $needs;

            fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
                let ($($part,)*) = self;
                Some(Key::tuple([$($part.key(head)?),*]))
            }

            fn policy(&self) -> &'static str {
                "combined"
            }

            fn fault(&self) -> Option<Fault> {
                let ($($part,)*) = self;
                None$(.or_else(|| $part.fault()))*
            }

            fn patience(&self) -> u32 {
                let ($($part,)*) = self;
                0$(.max($part.patience()))*
            }

            fn failed_credential_charge(&self) -> u32 {
                let ($($part,)*) = self;
                0$(.max($part.failed_credential_charge()))*
            }

            fn is_of_caller(&self) -> bool {
                let ($($part,)*) = self;
                false$(|| $part.is_of_caller())*
            }

            fn refusal(&self) -> &'static str {
                "Too many requests of this kind. Try again later."
            }
        }
    };
}

type Later<A, B> = <A as Latest<B>>::Phase;

tuple!((A, B) Later<A::Phase, B::Phase>, (A::Needs, B::Needs),
    [A: KeyExtractor, B: KeyExtractor]
    [A::Phase: Latest<B::Phase>]);
tuple!((A, B, C) Later<Later<A::Phase, B::Phase>, C::Phase>, ((A::Needs, B::Needs), C::Needs),
    [A: KeyExtractor, B: KeyExtractor, C: KeyExtractor]
    [A::Phase: Latest<B::Phase>, Later<A::Phase, B::Phase>: Latest<C::Phase>]);
tuple!((A, B, C, D) Later<Later<A::Phase, B::Phase>, Later<C::Phase, D::Phase>>,
    ((A::Needs, B::Needs), (C::Needs, D::Needs)),
    [A: KeyExtractor, B: KeyExtractor, C: KeyExtractor, D: KeyExtractor]
    [A::Phase: Latest<B::Phase>, C::Phase: Latest<D::Phase>,
        Later<A::Phase, B::Phase>: Latest<Later<C::Phase, D::Phase>>]);
