//! Every metric, event and fact of this crate, by name.

use bartizan_core::{EventFacts, Fact, Principal, RequestContext};

use crate::Failure;

/// How many decisions were made, by scheme, outcome and reason.
#[cfg(feature = "metrics")]
const DECISIONS: &str = "bartizan_auth_decisions_total";

/// How often the file of a key store was read anew because it had changed, or could not be read.
#[cfg(feature = "metrics")]
const KEY_FILE_RELOADS: &str = "bartizan_auth_key_file_reloads_total";

/// The facts of the wide event.
mod fact {
    pub(super) const SCHEME: &str = "auth.scheme";
    pub(super) const OUTCOME: &str = "auth.outcome";
    pub(super) const KEY_ID: &str = "auth.key_id";
    pub(super) const TOKEN_ID: &str = "auth.token_id";
    pub(super) const FAILURE: &str = "auth.failure";
    pub(super) const WOULD_REFUSE: &str = "auth.would_refuse";
}

/// Who decides: the label `scheme`.
pub(crate) mod scheme {
    pub(crate) const API_KEY: &str = "api_key";
    pub(crate) const JWT: &str = "jwt";
    /// No method, or more than one.
    pub(crate) const AUTH: &str = "auth";
    pub(crate) const REQUIRE: &str = "require";
    pub(crate) const AUTHORIZE: &str = "authorize";
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Accepted,
    /// Nothing was presented, and nothing is required.
    Anonymous,
    /// The path is open.
    Bypassed,
    Refused(Failure),
    /// It would have been, and this is a rehearsal.
    WouldRefuse(Failure),
}

impl Decision {
    fn outcome(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Anonymous => "anonymous",
            Self::Bypassed => "bypassed",
            Self::Refused(_) => "refused",
            Self::WouldRefuse(_) => "would_refuse",
        }
    }

    #[cfg(any(feature = "metrics", feature = "tracing"))]
    fn reason(self) -> &'static str {
        match self {
            Self::Refused(failure) | Self::WouldRefuse(failure) => failure.as_str(),
            _ => "none",
        }
    }
}

/// No rule covers a route that the service has, or that a request has shown: a fault of the configuration, told as
/// core tells such faults.
#[cfg(feature = "tracing")]
pub(crate) fn uncovered(route: &str) {
    tracing::warn!(target: "bartizan::auth", route, "no rule covers a route, and all its requests are refused");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn uncovered(route: &str) {
    use std::io::Write;
    // `eprintln!` would panic in the middle of a request where standard error is closed.
    let _ = writeln!(
        std::io::stderr(),
        "bartizan: authorize: no rule covers the route {route}, and all its requests are refused"
    );
}

/// A policy gave no decision. It is counted as the decision's reason.
#[cfg(feature = "tracing")]
pub(crate) fn policy_failed(error: &dyn std::fmt::Display) {
    tracing::error!(target: "bartizan::auth", %error, "the policy gave no decision");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn policy_failed(_: &dyn std::fmt::Display) {}

/// A store gave no answer. It is counted as the decision's reason.
#[cfg(feature = "tracing")]
pub(crate) fn store_failed(error: &dyn std::fmt::Display) {
    tracing::error!(target: "bartizan::auth", %error, "the key store gave no answer");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn store_failed(_: &dyn std::fmt::Display) {}

/// The keys of a file were replaced.
pub(crate) fn key_file_loaded(keys: usize) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "bartizan::auth", event = "sys_config_change", keys, "read the key file anew");
    #[cfg(not(feature = "tracing"))]
    let _ = keys;
    #[cfg(feature = "metrics")]
    metric::count_key_file_reload("loaded");
}

/// The keys of a file could not be read, and the last good ones stay. Told when the fault is new, counted always.
pub(crate) fn key_file_failed(error: &crate::FileKeysError, is_new: bool) {
    #[cfg(feature = "tracing")]
    if is_new {
        let source = std::error::Error::source(error).map(tracing::field::display);
        tracing::error!(
            target: "bartizan::auth", %error, source, "could not read the key file; the keys stay as they were"
        );
    }
    #[cfg(not(feature = "tracing"))]
    let _ = (error, is_new);
    #[cfg(feature = "metrics")]
    metric::count_key_file_reload("failed");
}

/// Counts and tells what one layer decides. Clones count together.
#[derive(Clone)]
pub(crate) struct Telemetry {
    scheme: &'static str,
    /// Whether the layer decides what a caller may do, and not who it is.
    is_about_rights: bool,
    #[cfg(feature = "metrics")]
    counters: std::sync::Arc<bartizan_core::PerRecorder<metric::Counters>>,
}

impl Telemetry {
    pub(crate) fn new(scheme: &'static str) -> Self {
        Self {
            scheme,
            is_about_rights: matches!(scheme, scheme::REQUIRE | scheme::AUTHORIZE),
            #[cfg(feature = "metrics")]
            counters: std::sync::Arc::default(),
        }
    }

    /// Counts in `recorder`, whatever recorder is in force.
    #[cfg(feature = "metrics")]
    pub(crate) fn pin(&mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) {
        self.counters = std::sync::Arc::new(bartizan_core::PerRecorder::pinned(recorder));
    }

    /// A decision, and the public part of the key that it is about.
    #[inline]
    pub(crate) fn decided(&self, context: Option<&RequestContext>, decision: Decision, key_id: Option<&str>) {
        self.count(decision);
        if let Some(context) = context
            && context.event().is_enabled()
        {
            self.record(context, decision, key_id);
        }
        self.tell(decision, || key_id);
    }

    /// A credential was accepted, and `caller`, whose it is, is the request's principal now.
    #[inline]
    pub(crate) fn accepted(&self, context: &RequestContext, caller: &Principal) {
        let decision = Decision::Accepted;
        self.count(decision);
        context.event().record_with(|facts| {
            self.record_credential(facts, decision, Fact::credential_id(caller));
        });
        self.tell(decision, || caller.credential_id());
    }

    #[cfg(feature = "metrics")]
    #[inline]
    fn count(&self, decision: Decision) {
        let new = |recorder: &dyn metrics::Recorder| metric::Counters::new(recorder, self.scheme);
        self.counters.with(new, |counters, recorder| counters.count(recorder, decision));
    }

    #[cfg(not(feature = "metrics"))]
    fn count(&self, _: Decision) {}

    /// What the credentials of the scheme are told apart by: the public part of a key, a token's `jti`.
    fn id_name(&self) -> &'static str {
        if self.scheme == scheme::JWT { fact::TOKEN_ID } else { fact::KEY_ID }
    }

    fn record(&self, context: &RequestContext, decision: Decision, key_id: Option<&str>) {
        let event = context.event();
        match decision {
            Decision::Refused(failure) => event.record(fact::FAILURE, failure.as_str()),
            Decision::WouldRefuse(failure) => event.record(fact::WOULD_REFUSE, failure.as_str()),
            _ => {}
        }
        if self.is_about_rights {
            return; // The authentication layer's scheme, key and outcome stand.
        }
        let id = key_id.map(|id| Fact::from(id.to_owned()));
        event.record_with(|facts| self.record_credential(facts, decision, id));
    }

    #[inline]
    fn record_credential(&self, facts: &mut EventFacts, decision: Decision, id: Option<Fact>) {
        facts.record(fact::SCHEME, self.scheme);
        facts.record(fact::OUTCOME, decision.outcome());
        if let Some(id) = id {
            facts.record(self.id_name(), id);
        }
    }

    #[cfg(feature = "tracing")]
    #[inline]
    fn tell<'a>(&self, decision: Decision, key_id: impl Fn() -> Option<&'a str>) {
        // Worked out within the macro: only where somebody listens.
        macro_rules! say {
            ($level:ident, $text:literal) => {
                tracing::$level!(
                    target: "bartizan::auth",
                    event = self.event(decision),
                    scheme = self.scheme,
                    outcome = decision.outcome(),
                    reason = decision.reason(),
                    key_id = key_id().filter(|_| self.scheme != scheme::JWT),
                    token_id = key_id().filter(|_| self.scheme == scheme::JWT),
                    $text
                )
            };
        }
        match decision {
            Decision::Refused(_) => say!(info, "refused"),
            Decision::WouldRefuse(_) => say!(info, "let pass in a dry run"),
            _ => say!(debug, "let pass"),
        }
    }

    /// The fixed name that OWASP's logging vocabulary has for what was decided, if it has one.
    #[cfg(feature = "tracing")]
    fn event(&self, decision: Decision) -> Option<&'static str> {
        match decision {
            Decision::Refused(Failure::WrongRoute) => Some("authz_fail"),
            Decision::Refused(_) | Decision::WouldRefuse(_) if self.is_about_rights => Some("authz_fail"),
            Decision::Refused(_) => Some("authn_fail"),
            Decision::Accepted if !self.is_about_rights => Some("authn_success"),
            _ => None,
        }
    }

    #[cfg(not(feature = "tracing"))]
    fn tell<'a>(&self, _: Decision, _: impl Fn() -> Option<&'a str>) {}
}

#[cfg(feature = "metrics")]
mod metric {
    use std::sync::OnceLock;

    use bartizan_core::Series;
    use metrics::{Counter, Recorder};

    use super::{DECISIONS, Decision, Failure, KEY_FILE_RELOADS};

    /// One place per decision: accepted, anonymous, bypassed, then the failures, twice.
    const PLACES: usize = 3 + 2 * Failure::COUNT;

    /// The counters of one layer in one recorder.
    pub(super) struct Counters {
        scheme: &'static str,
        /// Each resolved on its first use: most services see few of them.
        all: [OnceLock<Counter>; PLACES],
    }

    impl Counters {
        pub(super) fn new(recorder: &dyn Recorder, scheme: &'static str) -> Self {
            Series::new(recorder, module_path!()).describe_counter(
                DECISIONS,
                "Decisions over credentials and rights, by scheme, outcome and reason.",
            );
            Self { scheme, all: [const { OnceLock::new() }; PLACES] }
        }

        #[inline]
        pub(super) fn count(&self, recorder: &dyn Recorder, decision: Decision) {
            let place = match decision {
                Decision::Accepted => 0,
                Decision::Anonymous => 1,
                Decision::Bypassed => 2,
                Decision::Refused(failure) => 3 + failure as usize,
                Decision::WouldRefuse(failure) => 3 + Failure::COUNT + failure as usize,
            };
            self.all[place].get_or_init(|| resolve(recorder, self.scheme, decision)).increment(1);
        }
    }

    #[cold]
    fn resolve(recorder: &dyn Recorder, scheme: &'static str, decision: Decision) -> Counter {
        let labels = [("scheme", scheme), ("outcome", decision.outcome()), ("reason", decision.reason())];
        Series::new(recorder, module_path!()).counter(DECISIONS, &labels)
    }

    /// Rare enough to look the counter up each time.
    pub(super) fn count_key_file_reload(outcome: &'static str) {
        metrics::with_recorder(|recorder| {
            let series = Series::new(recorder, module_path!());
            let text = "Readings of a key file that had changed, or could not be read, by outcome.";
            series.describe_counter(KEY_FILE_RELOADS, text);
            series.counter(KEY_FILE_RELOADS, &[("outcome", outcome)]).increment(1);
        });
    }
}
