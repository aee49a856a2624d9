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

/// Holds when the layers pushed so far provide `Need`: a fact, a pair of needs, or `()`.
#[diagnostic::on_unimplemented(
    message = "this layer needs `{Need}`, and no layer pushed before it provides one",
    label = "`{Need}` is missing here",
    note = "push a layer that provides `{Need}` before this one: an authentication layer (not `optional`) for `Principal`, `ClientAddrLayer` for `ClientAddr`, `CorrelationIdLayer` for `CorrelationId`",
    note = "for a per-route stack, start with `outer.inside()`, or with `Stack::server_assuming::<…>()` where the outer stack is out of reach"
)]
pub trait Has<Need> {}

/// The facts after a layer that provides `Provided`: a fact, a pair, or `()`.
pub trait With<Provided> {
    /// What holds then.
    type Facts;
}

impl<C, T, A, P, D> Has<()> for Facts<C, T, A, P, D> {}
impl<T, A, P, D> Has<fact::CorrelationId> for Facts<Yes, T, A, P, D> {}
impl<C, A, P, D> Has<fact::Trace> for Facts<C, Yes, A, P, D> {}
impl<C, T, P, D> Has<fact::ClientAddr> for Facts<C, T, Yes, P, D> {}
impl<C, T, A, D> Has<fact::Principal> for Facts<C, T, A, Yes, D> {}
impl<C, T, A, P> Has<fact::Deadline> for Facts<C, T, A, P, Yes> {}

impl<C, T, A, P, D, First, Second> Has<(First, Second)> for Facts<C, T, A, P, D> where
    Self: Has<First> + Has<Second>
{
}

impl<C, T, A, P, D> With<()> for Facts<C, T, A, P, D> {
    type Facts = Self;
}

impl<C, T, A, P, D> With<fact::CorrelationId> for Facts<C, T, A, P, D> {
    type Facts = Facts<Yes, T, A, P, D>;
}

impl<C, T, A, P, D> With<fact::Trace> for Facts<C, T, A, P, D> {
    type Facts = Facts<C, Yes, A, P, D>;
}

impl<C, T, A, P, D> With<fact::ClientAddr> for Facts<C, T, A, P, D> {
    type Facts = Facts<C, T, Yes, P, D>;
}

impl<C, T, A, P, D> With<fact::Principal> for Facts<C, T, A, P, D> {
    type Facts = Facts<C, T, A, Yes, D>;
}

impl<C, T, A, P, D> With<fact::Deadline> for Facts<C, T, A, P, D> {
    type Facts = Facts<C, T, A, P, Yes>;
}

impl<C, T, A, P, D, First, Second> With<(First, Second)> for Facts<C, T, A, P, D>
where
    Self: With<First>,
    <Self as With<First>>::Facts: With<Second>,
{
    type Facts = <<Self as With<First>>::Facts as With<Second>>::Facts;
}
