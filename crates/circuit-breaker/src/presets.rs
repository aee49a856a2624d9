//! Policies that behave as the breakers of other libraries do.

use std::time::Duration;

use crate::{
    BreakerPolicy, HungProbes,
    policy::{Growth, OpenShare, Recovery, SlowCalls, Threshold, WindowSize},
};

impl BreakerPolicy {
    /// The defaults of [resilience4j]: of the last 100 calls, all of them there, 50 % or more failed or all took longer
    /// than a minute; open for 60 s; 10 probes.
    ///
    /// resilience4j waits for hung probes for ever unless told otherwise; here they
    /// [hang](Self::with_half_open_wait) after 60 s.
    ///
    /// [resilience4j]: https://resilience4j.readme.io/docs/circuitbreaker
    pub fn resilience4j() -> Self {
        Self {
            window: WindowSize::Calls(100),
            minimum_calls: 100,
            failure_rate: Some(Threshold { percent: 50.0, above: false }),
            slow: Some(SlowCalls {
                rate: Threshold { percent: 100.0, above: false },
                longer_than: Duration::from_secs(60),
            }),
            open_time: Duration::from_secs(60),
            recovery: Recovery::Probes { permits: 10, wait: None, hung: HungProbes::Reopen },
            ..Self::new()
        }
    }

    /// The defaults of [Polly] 8: of at least 100 calls within 30 s, 10 % or more failed; open for 5 s; one probe.
    ///
    /// As in Polly, a success never opens the breaker, even if it is the call that reaches the minimum, and the minimum
    /// may not be below 2.
    ///
    /// [Polly]: https://www.pollydocs.org/strategies/circuit-breaker
    pub fn polly() -> Self {
        Self {
            window: WindowSize::Time { bucket: Duration::from_secs(3), buckets: 10 },
            minimum_calls: 100,
            least_minimum: 2,
            failure_rate: Some(Threshold { percent: 10.0, above: false }),
            open_time: Duration::from_secs(5),
            recovery: Recovery::Probes { permits: 1, wait: None, hung: HungProbes::Reopen },
            opens_on_failures_only: true,
            ..Self::new()
        }
    }

    /// The defaults of [opossum]: of the calls that were started within 10 s, in 10 buckets, more than 50 % failed, even
    /// if that is a single one; open for 30 s; one probe.
    ///
    /// As in opossum, a success never opens the breaker; calls count when they start, those under way and those that were
    /// refused too; and the window outlives the changes of state, so that a breaker that has just closed opens again with
    /// the next failure if the old failures are still in it. Unlike there, what a call from before a change says does not
    /// count after it.
    ///
    /// [opossum]: https://nodeshift.dev/opossum/
    pub fn opossum() -> Self {
        Self {
            window: WindowSize::Time { bucket: Duration::from_secs(1), buckets: 10 },
            minimum_calls: 1,
            failure_rate: Some(Threshold { percent: 50.0, above: true }),
            open_time: Duration::from_secs(30),
            recovery: Recovery::Probes { permits: 1, wait: None, hung: HungProbes::Reopen },
            opens_on_failures_only: true,
            counts_fires: true,
            ..Self::new()
        }
    }

    /// Ejects hosts as [Envoy]'s outlier detection does: after 5 failures in a row; for 30 s times the number of times it
    /// was ejected, at most 300 s; back, and closed at once, with the next sweep, each 10 s, which also takes one from
    /// that number of a host that is not ejected; never more than 10 % of the hosts.
    ///
    /// As in Envoy, with fewer than 10 hosts none is ejected, unless
    /// [`with_open_share(10.0, true)`](Self::with_open_share) says that one may always be. The hosts are the keys that
    /// the layer has seen. A breaker on its own, outside of a layer, knows of no others and always opens.
    ///
    /// [Envoy]: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier
    pub fn envoy() -> Self {
        let interval = Duration::from_secs(10);
        Self {
            failure_rate: None,
            consecutive_failures: Some(5),
            open_time: Duration::from_secs(30),
            growth: Growth::Times { cap: Duration::from_secs(300), interval },
            recovery: Recovery::Sweep { interval },
            open_share: Some(OpenShare { percent: 10.0, at_least_one: false }),
            ..Self::new()
        }
    }
}
