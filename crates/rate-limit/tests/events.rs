//! What is said as `tracing` events.
#![cfg(feature = "tracing")]

mod support;

use std::convert::Infallible;

use bartizan_core::Principal;
use bartizan_rate_limit::{ConcurrencyLimitLayer, Global, PerPrincipal, RateLimitLayer};
use bartizan_testkit::TestLog;
use http::{Request, Response};
use support::{by, passes, rate, request};
use tower::{Layer, ServiceExt, service_fn};

/// What `work` says, each event with its fields.
fn said(work: impl Future<Output = ()>) -> Vec<String> {
    let log = TestLog::default();
    let _guard = log.listen(tracing::Level::INFO);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work);
    log.text().lines().map(str::to_owned).collect()
}

#[test]
fn log_06_a_refused_request_is_told_by_its_fixed_name() {
    let layer = RateLimitLayer::new(rate("2/min")).by(Global).with_name("all").unwrap();
    let said = said(async {
        assert_eq!(passes(&layer, 3, request).await, 2);
        assert_eq!(passes(&layer.clone().with_shadow(), 9, request).await, 9, "a rehearsal refuses nobody");
    });
    assert_eq!(said.len(), 1, "{said:#?}");
    for part in ["INFO bartizan::rate_limit: refused", "event=\"excess_rate_limit\"", "policy=\"all\""] {
        assert!(said[0].contains(part), "{said:?}");
    }
}

#[test]
fn log_06_so_is_one_too_many_at_once_unless_the_limit_is_not_the_callers() {
    let places = || ConcurrencyLimitLayer::new(1).unwrap();
    let inner =
        || service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::from("a"))));
    let (own, all) = (places().by(PerPrincipal).layer(inner()), places().by(Global).layer(inner()));
    let ada = || by(Principal::user("ada").build());
    let said = said(async {
        let _held = (own.clone().oneshot(ada()).await, all.clone().oneshot(ada()).await);
        assert_eq!(own.oneshot(ada()).await.unwrap().status(), 429);
        assert_eq!(all.oneshot(ada()).await.unwrap().status(), 503);
    });
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("event=\"excess_rate_limit\"") && said[0].contains("policy=\"concurrency\""));
}
