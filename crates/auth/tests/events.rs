//! What is said as `tracing` events, and how often.
#![cfg(feature = "tracing")]

mod support;

use std::io;

use bartizan_auth::{
    AccessPolicy, ApiKey, ApiKeyLayer, AsyncPolicy, AuthorizeLayer, FileKeys, PolicyDecision, PolicyQuery,
    Require, RequireLayer, StaticKeys,
};
use bartizan_core::{MatchedRoute, Principal, RequestContext};
use bartizan_testkit::TestLog;
use http::Request;
use serde_json::Value;

use self::support::{get, grpc, send, with_key};

/// What `work` says, each event with its fields.
fn said(work: impl Future<Output = ()>) -> Vec<String> {
    let log = TestLog::default();
    let _guard = log.listen(tracing::Level::DEBUG);
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work);
    log.text().lines().filter(|line| line.contains("bartizan::auth")).map(str::to_owned).collect()
}

fn by(request: Request<String>) -> Request<String> {
    let mut request = request;
    RequestContext::of(&mut request).set_principal(Principal::user("alice").build());
    request
}

#[test]
fn log_06_decisions_have_the_fixed_names() {
    let key = ApiKey::generate("orders").unwrap();
    let layer = ApiKeyLayer::new(StaticKeys::new([key.record("billing").with_routes(["/a"])]).unwrap());
    let good = ApiKey::generate("orders").unwrap();
    let open = ApiKeyLayer::new(StaticKeys::new([good.record("billing")]).unwrap());
    let said = said(async {
        send(&open, with_key(&good)).await;
        send(&layer, Request::default()).await;
        send(&layer, with_key(&key)).await;
        send(&RequireLayer::role("admin"), by(Request::default())).await;
        send(&RequireLayer::role("admin").with_dry_run(), by(Request::default())).await;
    });
    let expected = [
        "event=\"authn_success\"",
        "event=\"authn_fail\"",
        "event=\"authz_fail\"",
        "event=\"authz_fail\"",
        "event=\"authz_fail\"",
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (line, event) in said.iter().zip(expected) {
        assert!(line.contains(event), "{line}");
    }
    assert!(said[4].contains("would_refuse"));
}

#[test]
fn azn_01_a_route_without_a_rule_is_reported_once_and_a_listed_one_at_start() {
    let said = said(async {
        let table =
            AuthorizeLayer::table().public("GET", "/health").covering([("GET", "/listed")]).build().unwrap();
        let template = |template: &str| {
            let mut request = get("/x").body(String::new()).unwrap();
            request.extensions_mut().insert(MatchedRoute::template(template));
            request
        };
        for _ in 0..3 {
            send(&table, template("/first")).await;
            send(&table.clone(), template("/second")).await;
            send(&table, grpc(&[])).await;
            send(&table, get("/raw/path").body(String::new()).unwrap()).await;
        }
    });
    let reports: Vec<_> = said.iter().filter(|line| line.contains("no rule covers")).collect();
    assert_eq!(reports.len(), 4, "{reports:#?}");
    for (report, route) in
        reports.iter().zip(["GET /listed", "GET /first", "GET /second", "/pkg.Orders/Create"])
    {
        assert!(report.contains(&format!("route=\"{route}\"")) && report.contains("WARN"), "{report}");
    }
    assert!(!said.concat().contains("/raw/path"), "a caller's path is nobody's route");
}

struct Broken;

impl AsyncPolicy for Broken {
    type Error = io::Error;

    async fn decide(&self, _: &PolicyQuery) -> io::Result<PolicyDecision> {
        Err(io::Error::other("the engine is on fire"))
    }
}

#[test]
fn log_06_why_a_policy_gave_no_decision_is_told_to_logs() {
    let layer = AuthorizeLayer::require(Require::authenticated()).with_policy(AccessPolicy::new(Broken));
    let said = said(async {
        send(&layer, by(Request::default())).await;
    });
    assert!(said[0].contains("ERROR") && said[0].contains("the engine is on fire"), "{said:?}");
    assert!(said[1].contains("policy_unavailable"), "{said:?}");
}

#[test]
fn log_06_a_bad_key_file_is_reported_once() {
    let path = std::env::temp_dir().join(format!("bartizan-events-{}", std::process::id()));
    let write = |value: &Value| std::fs::write(&path, value.to_string()).unwrap();
    let said = said(async {
        write(&serde_json::json!([]));
        let (keys, _watch) = FileKeys::open(&path).unwrap();
        for bad in [serde_json::json!({}), serde_json::json!([{"id": "a"}])] {
            write(&bad);
            for _ in 0..3 {
                keys.reload().unwrap_err();
            }
        }
    });
    std::fs::remove_file(&path).unwrap();
    let errors = said.iter().filter(|line| line.contains("ERROR")).count();
    assert_eq!((said.len(), errors), (3, 2), "{said:#?}");
    assert!(said[0].contains("sys_config_change"));
}
