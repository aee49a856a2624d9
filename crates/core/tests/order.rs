//! The order of a stack, and what its types promise, checked by the compiler.

use bartizan_core::{
    AddTo, After, Client, ClientLayer, Facts, IntoLayer, KnownIn, No, NormalizeLayer, OptionalLayer,
    ProblemLayer, Server, ServerLayer, Yes, fact, phase,
};

fn after<Inner: After<Outer>, Outer>() {}
fn known<Need: KnownIn<Known>, Known>() {}
fn same<A: 'static, B: 'static>() {
    assert_eq!(std::any::TypeId::of::<A>(), std::any::TypeId::of::<B>());
}

/// Asks the compiler whether a bound holds: the inherent constant exists only where it does, and hides the trait's.
macro_rules! holds {
    ($type:ty: $($bound:tt)+) => {{
        #[allow(dead_code, reason = "hidden when the bound holds")]
        trait Otherwise {
            const HOLDS: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "not there when the bound does not hold")]
        impl<T: ?Sized + $($bound)+> Probe<T> {
            const HOLDS: bool = true;
        }
        <Probe<$type>>::HOLDS
    }};
}

macro_rules! in_order {
    ($module:path: $($phase:ident)*) => {{
        use $module::*;
        let names = [$(<$phase as phase::Phase>::NAME),*];
        // Row by row: may `Inner` stand directly inside `Outer`?
        let mut rows: Vec<Vec<bool>> = Vec::new();
        in_order!(@rows rows [$($phase)*] [$($phase)*]);
        for (inner, row) in rows.into_iter().enumerate() {
            for (outer, holds) in row.into_iter().enumerate() {
                assert_eq!(holds, inner >= outer, "{} inside {}", names[inner], names[outer]);
            }
        }
        names.to_vec()
    }};
    (@rows $rows:ident [] $all:tt) => {};
    (@rows $rows:ident [$inner:ident $($rest:ident)*] [$($outer:ident)*]) => {
        $rows.push(vec![$(holds!($inner: After<$outer>)),*]);
        in_order!(@rows $rows [$($rest)*] [$($outer)*]);
    };
}

#[test]
fn lay_08_server_phases_stand_in_the_order_of_the_design() {
    let names = in_order!(phase: Problem Correlation Trace Metrics AccessLog Normalize SecurityHeaders Cors Deadline
        Load Address AddressLimit Authentication PrincipalLimit PrincipalBulkhead Authorization Version Validation
        Idempotency Cache);
    assert_eq!(names.len(), 20);
    assert_eq!(names[..6], ["problem", "correlation", "trace", "metrics", "access_log", "normalize"]);
}

#[test]
fn lay_08_client_phases_stand_in_the_order_of_the_design() {
    let names = in_order!(phase::client: RpcSpan TotalDeadline Retry OutboundLimit Bulkhead Breaker Attempt
        Credentials);
    assert_eq!(names.len(), 8);
}

#[test]
fn lay_08_preflight_is_answered_before_authentication() {
    assert!(holds!(phase::Authentication: After<phase::Cors>));
    assert!(!holds!(phase::Cors: After<phase::Authentication>));
}

#[test]
fn every_phase_may_come_first_and_no_side_may_follow_the_other() {
    after::<phase::Start, phase::Start>();
    after::<phase::Cache, phase::Start>();
    after::<phase::client::Credentials, phase::Start>();
    assert!(!holds!(phase::Start: After<phase::Problem>));
    assert!(!holds!(phase::client::Credentials: After<phase::Problem>));
    assert!(!holds!(phase::Cache: After<phase::client::RpcSpan>));
}

#[test]
fn facts_hold_once_provided_and_not_before() {
    type Nothing = Facts;
    type Addr = <fact::ClientAddr as AddTo<Nothing>>::Facts;
    type Both = <(fact::Principal, fact::Deadline) as AddTo<Addr>>::Facts;
    known::<(), Nothing>();
    assert!(!holds!(fact::ClientAddr: KnownIn<Nothing>));
    assert!(holds!(fact::ClientAddr: KnownIn<Addr>));
    assert!(!holds!(fact::Principal: KnownIn<Addr>));
    known::<(fact::ClientAddr, (fact::Principal, fact::Deadline)), Both>();
    assert!(!holds!((fact::ClientAddr, fact::Trace): KnownIn<Both>));
    same::<Both, Facts<No, No, Yes, Yes, Yes>>();
    // Providing twice changes nothing, and so does providing nothing.
    same::<<fact::Principal as AddTo<Both>>::Facts, Both>();
    same::<<() as AddTo<Both>>::Facts, Both>();
    same::<<(fact::CorrelationId, fact::Trace) as AddTo<Nothing>>::Facts, Facts<Yes, Yes, No, No, No>>();
}

/// Provides a principal; a layer for both sides, for the test.
#[derive(Debug)]
struct Auth;

impl ServerLayer for Auth {
    type Phase = phase::Authentication;
    type Needs = fact::ClientAddr;
    type Provides = fact::Principal;
    fn name(&self) -> &'static str {
        "auth"
    }
}

impl ClientLayer for Auth {
    type Phase = phase::client::Credentials;
    type Needs = ();
    type Provides = ();
    fn name(&self) -> &'static str {
        "credentials"
    }
}

#[test]
fn an_optional_layer_keeps_phase_and_needs_and_provides_nothing() {
    type On = <Auth as IntoLayer<Server>>::Provides;
    type Maybe = Option<Auth>;
    same::<On, fact::Principal>();
    same::<<Maybe as IntoLayer<Server>>::Provides, ()>();
    same::<<Maybe as IntoLayer<Server>>::Needs, fact::ClientAddr>();
    same::<<Maybe as IntoLayer<Server>>::Phase, phase::Authentication>();
    same::<<Maybe as IntoLayer<Server>>::Layer, OptionalLayer<Auth>>();
    same::<<Maybe as IntoLayer<Client>>::Phase, phase::client::Credentials>();
    assert_eq!(IntoLayer::<Server>::name(&Some(Auth)), Some("auth"));
    assert_eq!(IntoLayer::<Client>::name(&Auth), Some("credentials"));
    assert_eq!(IntoLayer::<Server>::name(&None::<Auth>), None);
    assert!(!holds!(String: IntoLayer<Server>));
    assert!(!holds!(ProblemLayer: IntoLayer<Client>), "a layer of one side is not one of the other");
}

#[test]
fn the_layers_of_the_core_say_where_they_belong() {
    same::<<ProblemLayer as ServerLayer>::Phase, phase::Problem>();
    same::<<NormalizeLayer as ServerLayer>::Phase, phase::Normalize>();
    assert_eq!(
        (ServerLayer::name(&ProblemLayer::new()), ServerLayer::name(&NormalizeLayer::new())),
        ("problem", "normalize")
    );
}
