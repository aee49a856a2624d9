//! What the layers of a stack have established so far, as types.

use std::marker::PhantomData;

/// What a layer may need, and another provide.
pub mod fact {
    /// The request has an id.
    #[derive(Debug)]
    pub enum CorrelationId {}

    /// The request has a place in a trace.
    #[derive(Debug)]
    pub enum Trace {}

    /// The address of the client is known.
    #[derive(Debug)]
    pub enum ClientAddr {}

    /// The caller is authenticated: every request that passes has a principal.
    #[derive(Debug)]
    pub enum Principal {}

    /// The request has a deadline.
    #[derive(Debug)]
    pub enum Deadline {}
}

/// The fact holds.
#[derive(Debug)]
pub enum Yes {}

/// The fact does not hold.
#[derive(Debug)]
pub enum No {}

/// Yes or no for each fact.
#[derive(Debug)]
pub struct Facts<Correlation = No, Trace = No, Addr = No, Principal = No, Deadline = No>(
    PhantomData<(Correlation, Trace, Addr, Principal, Deadline)>,
);

/// Holds when the layers pushed so far, whose facts are `Known`, provide this need: a fact, a pair of needs, or
/// `()`.
///
/// The need is `Self` rather than a parameter of `Known`, so that the compiler has nothing to search while the
/// type of a pushed layer is not yet inferred.
#[diagnostic::on_unimplemented(
    message = "this layer needs `{Self}`, and no layer pushed before it provides one",
    label = "`{Self}` is missing here",
    note = "push a layer that provides `{Self}` before this one: an authentication layer (not `optional`) for `Principal`, `ClientAddrLayer` for `ClientAddr`, `CorrelationIdLayer` for `CorrelationId`",
    note = "for a per-route stack, start with `outer.inside()`, or with `Stack::server_assuming::<fact::…>()` where the outer stack is out of reach"
)]
pub trait KnownIn<Known> {}

/// What a layer provides, added to the facts of the layers before it: a fact, a pair, or `()`.
pub trait AddTo<Known> {
    /// What holds then.
    type Facts;
}

impl<Known> KnownIn<Known> for () {}
impl<T, A, P, D> KnownIn<Facts<Yes, T, A, P, D>> for fact::CorrelationId {}
impl<C, A, P, D> KnownIn<Facts<C, Yes, A, P, D>> for fact::Trace {}
impl<C, T, P, D> KnownIn<Facts<C, T, Yes, P, D>> for fact::ClientAddr {}
impl<C, T, A, D> KnownIn<Facts<C, T, A, Yes, D>> for fact::Principal {}
impl<C, T, A, P> KnownIn<Facts<C, T, A, P, Yes>> for fact::Deadline {}
impl<Known, First: KnownIn<Known>, Second: KnownIn<Known>> KnownIn<Known> for (First, Second) {}

impl<Known> AddTo<Known> for () {
    type Facts = Known;
}

impl<C, T, A, P, D> AddTo<Facts<C, T, A, P, D>> for fact::CorrelationId {
    type Facts = Facts<Yes, T, A, P, D>;
}

impl<C, T, A, P, D> AddTo<Facts<C, T, A, P, D>> for fact::Trace {
    type Facts = Facts<C, Yes, A, P, D>;
}

impl<C, T, A, P, D> AddTo<Facts<C, T, A, P, D>> for fact::ClientAddr {
    type Facts = Facts<C, T, Yes, P, D>;
}

impl<C, T, A, P, D> AddTo<Facts<C, T, A, P, D>> for fact::Principal {
    type Facts = Facts<C, T, A, Yes, D>;
}

impl<C, T, A, P, D> AddTo<Facts<C, T, A, P, D>> for fact::Deadline {
    type Facts = Facts<C, T, A, P, Yes>;
}

impl<Known, First: AddTo<Known>, Second: AddTo<First::Facts>> AddTo<Known> for (First, Second) {
    type Facts = Second::Facts;
}
