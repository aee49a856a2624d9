//! The usual keys.

use bartizan_core::{
    Fault, fact,
    key::{Global, PerPrincipal, PerRoute, PerTenant},
    phase,
};
use http::HeaderName;

use super::KeyExtractor;
use crate::{Key, RequestHead};

const LAYER: &str = "rate_limit";

/// A path or two may be open to all; a service without authentication has none but such.
const PATIENCE: u32 = 16;

/// One bucket per client address: before authentication, so that a flood costs no verification.
///
/// Native IPv6 addresses count by the network of one customer, as [`ClientAddr::key`] says. A request whose
/// credential proves bad further in costs 10 more. Needs a layer that sets the client's address. Policy name:
/// `per-address`.
///
/// [`ClientAddr::key`]: bartizan_core::ClientAddr::key
#[derive(Clone, Copy, Debug, Default)]
pub struct PerClientAddr;

impl KeyExtractor for PerClientAddr {
    type Phase = phase::AddressLimit;
    type Needs = fact::ClientAddr;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        head.context()?.client_addr().map(Key::client_addr)
    }

    fn policy(&self) -> &'static str {
        "per-address"
    }

    fn fault(&self) -> Option<Fault> {
        Some(Fault::new(
            LAYER,
            "a limit by client address got a request without one",
            "put `ClientAddrLayer` outside of this layer, and serve with connect info",
        ))
    }

    fn failed_credential_charge(&self) -> u32 {
        10
    }
}

/// One bucket per authenticated caller, whatever credential it uses. Needs a layer that authenticates. Policy name:
/// `per-principal`.
impl KeyExtractor for PerPrincipal {
    type Phase = phase::PrincipalLimit;
    type Needs = fact::Principal;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        head.principal().map(Key::principal)
    }

    fn policy(&self) -> &'static str {
        "per-principal"
    }

    fn fault(&self) -> Option<Fault> {
        Some(Fault::new(
            LAYER,
            "a limit by principal got no request with one",
            "put an authentication layer (not optional) outside of this layer",
        ))
    }

    fn patience(&self) -> u32 {
        PATIENCE
    }
}

/// One bucket per customer: all callers of one [tenant](bartizan_core::Principal::tenant) together. A caller without a
/// tenant has no key. Needs a layer that authenticates. Policy name: `per-tenant`.
impl KeyExtractor for PerTenant {
    type Phase = phase::PrincipalLimit;
    type Needs = fact::Principal;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        head.principal()?.tenant().map(Key::text)
    }

    fn policy(&self) -> &'static str {
        "per-tenant"
    }

    fn fault(&self) -> Option<Fault> {
        Some(Fault::new(
            LAYER,
            "a limit by tenant got no request with one",
            "authenticate outside of this layer, with credentials that name a tenant",
        ))
    }

    fn patience(&self) -> u32 {
        PATIENCE
    }

    fn refusal(&self) -> &'static str {
        "Too many requests for this tenant. Try again later."
    }
}

/// One bucket per credential, by its [public id](bartizan_core::Principal::credential_id): two keys of one owner
/// count apart.
///
/// A credential without an id has no key. Needs a layer that authenticates. Policy name: `per-credential`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerCredential;

impl KeyExtractor for PerCredential {
    type Phase = phase::PrincipalLimit;
    type Needs = fact::Principal;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        Key::credential(head.principal()?)
    }

    fn policy(&self) -> &'static str {
        "per-credential"
    }

    fn fault(&self) -> Option<Fault> {
        Some(Fault::new(
            LAYER,
            "a limit by credential got no request with one",
            "authenticate outside of this layer, with credentials that have an id",
        ))
    }

    fn patience(&self) -> u32 {
        PATIENCE
    }

    fn refusal(&self) -> &'static str {
        "Too many requests with this credential. Try again later."
    }
}

/// One bucket per value of a header. A request that lacks it, or has it twice, has no key.
///
/// Callers choose what they send: good beside a limit by address or principal, or in a tuple with one. Policy
/// name: `per-header`.
#[derive(Clone, Debug)]
pub struct PerHeader(pub HeaderName);

impl KeyExtractor for PerHeader {
    type Phase = phase::Load;
    type Needs = ();

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        let mut values = head.headers().get_all(&self.0).iter();
        let value = values.next()?;
        values.next().is_none().then(|| Key::bytes(value.as_bytes()))
    }

    fn policy(&self) -> &'static str {
        "per-header"
    }
}

/// One bucket per route, all callers together; in a tuple, per route of a caller. Policy name: `per-route`.
impl KeyExtractor for PerRoute {
    type Phase = phase::Load;
    type Needs = ();

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        Some(Key::text(head.route()))
    }

    fn policy(&self) -> &'static str {
        "per-route"
    }

    fn is_of_caller(&self) -> bool {
        false
    }

    fn refusal(&self) -> &'static str {
        "Too many requests for this route, from all callers together. Try again later."
    }
}

/// One bucket per method, all callers together; in a tuple, per method of a caller. Policy name: `per-method`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerMethod;

impl KeyExtractor for PerMethod {
    type Phase = phase::Load;
    type Needs = ();

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        Some(Key::text(head.method().as_str()))
    }

    fn policy(&self) -> &'static str {
        "per-method"
    }

    fn is_of_caller(&self) -> bool {
        false
    }

    fn refusal(&self) -> &'static str {
        "Too many requests of this method, from all callers together. Try again later."
    }
}

/// One bucket for all requests together. One caller can use it up for all others: use it to protect what is behind, beside
/// a limit per caller. Policy name: `global`.
impl KeyExtractor for Global {
    type Phase = phase::Load;
    type Needs = ();

    #[inline]
    fn key<'a>(&self, _: &RequestHead<'a>) -> Option<Key<'a>> {
        Some(Key::number(0))
    }

    fn policy(&self) -> &'static str {
        "global"
    }

    fn is_of_caller(&self) -> bool {
        false
    }

    fn refusal(&self) -> &'static str {
        "Too many requests from all callers together. Try again later."
    }
}
