//! LAY-06: what can never work fails where it is set, and names the field.

use std::time::Duration;

use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, ConfigError, HungProbes};

use super::SECOND;

#[test]
fn lay_06_a_policy_that_can_never_work_is_refused() {
    let policy = BreakerPolicy::new;
    let zero = Duration::ZERO;
    let wrong: [(&str, Result<BreakerPolicy, ConfigError>); 27] = [
        ("count_window", policy().with_count_window(0)),
        ("count_window", policy().with_count_window(100_001)),
        ("time_window", policy().with_time_window(SECOND, 0)),
        ("time_window", policy().with_time_window(SECOND, 101)),
        ("time_window", policy().with_time_window(zero, 10)),
        ("time_window", policy().with_time_window(601 * SECOND, 10)),
        ("minimum_calls", policy().with_minimum_calls(0)),
        ("failure_rate", policy().with_failure_rate(0.0)),
        ("failure_rate", policy().with_failure_rate(-1.0)),
        ("failure_rate", policy().with_failure_rate(100.1)),
        ("failure_rate", policy().with_failure_rate(f64::NAN)),
        ("slow_calls", policy().with_slow_calls(0.0, SECOND)),
        ("slow_calls", policy().with_slow_calls(50.0, zero)),
        ("consecutive_failures", policy().with_consecutive_failures(0)),
        ("consecutive_failures", BreakerPolicy::consecutive(0)),
        ("open_time", policy().with_open_time(zero)),
        ("open_time", policy().with_open_time(Duration::from_secs(86_401))),
        ("open_growth", policy().with_open_growth(0.9, 60 * SECOND)),
        ("open_growth", policy().with_open_growth(f64::NAN, 60 * SECOND)),
        ("open_growth", policy().with_open_growth(2.0, 29 * SECOND)),
        ("probes", policy().with_probes(0)),
        ("half_open_wait", policy().with_half_open_wait(zero, HungProbes::Reopen)),
        ("ramp_up", policy().with_ramp_up([], SECOND)),
        ("ramp_up", policy().with_ramp_up([10, 10], SECOND)),
        ("ramp_up", policy().with_ramp_up([10, 100], SECOND)),
        ("ramp_up", policy().with_ramp_up([10], zero)),
        ("open_share", policy().with_open_share(0.0, true)),
    ];
    for (field, result) in wrong {
        assert_eq!(result.expect_err(field).field(), field);
    }
    let grown = policy().with_open_growth(2.0, 60 * SECOND).unwrap();
    assert_eq!(grown.with_open_time(61 * SECOND).unwrap_err().field(), "open_growth", "in either order");
}

#[test]
fn lay_06_a_layer_that_can_never_work_is_refused() {
    let layer = || CircuitBreakerLayer::new(BreakerPolicy::new());
    let field = |result: Result<CircuitBreakerLayer, ConfigError>| result.unwrap_err().field();
    assert_eq!(field(layer().with_name("")), "name");
    assert_eq!(field(layer().with_name("a b")), "name");
    assert_eq!(field(layer().with_name("x".repeat(65))), "name");
    assert_eq!(field(layer().with_max_breakers(0)), "max_breakers");
    assert_eq!(field(layer().with_retry_after(Duration::ZERO)), "retry_after");
    assert_eq!(field(layer().with_exempt_paths(["health"])), "exempt_paths");
    assert_eq!(layer().handle().subscribe(0).unwrap_err().field(), "capacity");
}
