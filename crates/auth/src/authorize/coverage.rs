//! Which routes no rule covers, told once each.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bartizan_core::MatchedRoute;
use http::Method;

use crate::telemetry;

/// Reports a route that no rule covers.
pub(super) fn report(route: &str) {
    telemetry::uncovered(route);
}

/// The routes that were met without a rule. A bounded number of names is kept, and of those that are the caller's
/// word fewer, so that a scanner cannot use up the places of real routes.
#[derive(Debug, Default)]
pub(super) struct Met {
    known: Names<64>,
    claimed: Names<16>,
}

impl Met {
    /// Reports a route on first sight. A path for which there is no route at all is the caller's invention, and is
    /// counted only.
    #[cold]
    pub(super) fn note(&self, method: &Method, route: &MatchedRoute) {
        if route.is_other() {
            return;
        }
        if route.is_claimed() {
            self.claimed.note(|| format!("/{route}"));
        } else {
            self.known.note(|| format!("{} {route}", name_of(method)));
        }
    }
}

/// A method of one's own is the caller's word, too.
fn name_of(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    if known.contains(method) { method.as_str() } else { MatchedRoute::OTHER }
}

#[derive(Debug, Default)]
struct Names<const MAX: usize> {
    names: Mutex<HashSet<String>>,
    is_full: AtomicBool,
}

impl<const MAX: usize> Names<MAX> {
    fn note(&self, name: impl FnOnce() -> String) {
        if self.is_full.load(Ordering::Relaxed) {
            return;
        }
        let name = name();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MAX {
            self.is_full.store(true, Ordering::Relaxed);
            return;
        }
        if names.insert(name.clone()) {
            drop(names);
            report(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azn_01_the_routes_without_a_rule_that_are_named_are_bounded() {
        let met = Met::default();
        for index in 0..1_000 {
            met.note(&Method::GET, &MatchedRoute::template(format!("/r/{index}")));
            met.note(&Method::GET, &MatchedRoute::template("/again"));
        }
        assert_eq!(met.known.names.lock().unwrap().len(), 64);
        assert!(met.known.is_full.load(Ordering::Relaxed));
        assert!(met.claimed.names.lock().unwrap().is_empty());
    }
}
