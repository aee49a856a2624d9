//! What a rate may be, and how it is written.

use std::time::Duration;

use bartizan_rate_limit::{ConfigError, Limiter, PerClientAddr, Rate, RateLimitLayer};

#[test]
fn a_rate_means_what_it_says() {
    for (rate, limit, period, interval) in [
        (Rate::per_second(50), 50, 1_000, 20),
        (Rate::per_minute(60), 60, 60_000, 1_000),
        (Rate::per_hour(3_600), 3_600, 3_600_000, 1_000),
        (Rate::new(30, Duration::from_secs(60)), 30, 60_000, 2_000),
    ] {
        let rate = rate.unwrap();
        assert_eq!((rate.limit(), rate.capacity()), (limit, limit));
        assert_eq!(rate.period(), Duration::from_millis(period));
        assert_eq!(rate.interval(), Duration::from_millis(interval));
    }
}

#[test]
fn lay_06_what_can_never_work_is_refused_with_the_name_of_the_field() {
    fn field<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> &'static str {
        let error = result.unwrap_err();
        assert!(error.to_string().contains(&format!("`{}`", error.field())), "{error}");
        error.field()
    }
    let second = Duration::from_secs(1);
    let rate = Rate::per_second(1).unwrap();
    assert_eq!(field(Rate::per_second(0)), "limit");
    assert_eq!(field(Rate::per_second(1_000_000_001)), "limit", "less than a nanosecond between two");
    assert_eq!(field(Rate::new(1, Duration::ZERO)), "period");
    assert_eq!(field(Rate::new(1, Duration::MAX)), "period");
    assert_eq!(field(Rate::new(1, 86_400 * 365 * 74 * second)), "period");
    assert_eq!(field(rate.burst(0)), "burst");
    assert_eq!(field(rate.burst(u32::MAX)), "burst", "136 years to fill");
    assert_eq!(field(Limiter::new(rate).with_max_keys(0)), "max_keys");
    let layer = || RateLimitLayer::new(rate).by(PerClientAddr);
    assert_eq!(field(layer().with_max_keys(0)), "max_keys");
    assert_eq!(field(layer().with_max_keys(usize::MAX)), "max_keys");
    assert_eq!(field(layer().with_name("")), "name");
    assert_eq!(field(layer().with_name("a b")), "name");
    assert_eq!(field(layer().with_name("quote\"")), "name");
    assert_eq!(field(layer().with_name("x".repeat(65))), "name");
    assert!(layer().with_name("Per-tenant_1.x").is_ok());
}

#[test]
fn a_rate_is_read_from_text() {
    let new = |limit, millis| Rate::new(limit, Duration::from_millis(millis)).unwrap();
    for (text, rate) in [
        ("100/s", new(100, 1_000)),
        ("100/sec", new(100, 1_000)),
        ("100/second", new(100, 1_000)),
        ("5/250ms", new(5, 250)),
        ("60/m", new(60, 60_000)),
        ("60/min", new(60, 60_000)),
        ("60/minute", new(60, 60_000)),
        ("5000/h", new(5_000, 3_600_000)),
        ("5000/hour", new(5_000, 3_600_000)),
        ("5000/d", new(5_000, 86_400_000)),
        ("5000/day", new(5_000, 86_400_000)),
        ("30/10s", new(30, 10_000)),
        ("100/s burst 200", new(100, 1_000).burst(200).unwrap()),
        ("  100 / s   burst  200 ", new(100, 1_000).burst(200).unwrap()),
    ] {
        assert_eq!(text.parse::<Rate>().unwrap(), rate, "{text}");
        assert_eq!(Rate::try_from(text).unwrap(), rate, "{text}");
        assert_eq!(Rate::try_from(rate.to_string()).unwrap(), rate, "{text}");
    }
}

#[test]
fn a_text_that_is_no_rate_is_refused_with_the_part_that_is_wrong() {
    for (text, field) in [
        ("", "rate"),
        ("100", "rate"),
        ("100/", "rate"),
        ("100/s burst", "rate"),
        ("100/s 200", "rate"),
        ("100/s burst 200 more", "rate"),
        ("100/s Burst 200", "rate"),
        ("/s", "limit"),
        ("-1/s", "limit"),
        ("+1/s", "limit"),
        ("1.5/s", "limit"),
        ("0/s", "limit"),
        ("4294967296/s", "limit"),
        ("100/fortnight", "period"),
        ("100/S", "period"),
        ("100/0s", "period"),
        ("100/1.5s", "period"),
        ("100/4294967296s", "period"),
        ("1/4294967295d", "period"),
        ("100/s burst 0", "burst"),
        ("100/s burst x", "burst"),
        ("100/s burst -1", "burst"),
        ("1/d burst 4294967295", "burst"),
    ] {
        assert_eq!(text.parse::<Rate>().map_err(|error| error.field()), Err(field), "{text:?}");
    }
}

#[test]
fn a_rate_is_written_in_the_longest_unit_that_fits() {
    for (limit, millis, text) in [
        (100, 1_000, "100/s"),
        (100, 1_500, "100/1500ms"),
        (100, 120_000, "100/2min"),
        (100, 86_400_000, "100/d"),
        (100, 90_000_000, "100/25h"),
    ] {
        assert_eq!(Rate::new(limit, Duration::from_millis(millis)).unwrap().to_string(), text);
    }
    assert_eq!(Rate::per_second(1).unwrap().burst(5).unwrap().to_string(), "1/s burst 5");
    assert_eq!(Rate::new(1, Duration::from_nanos(1_500)).unwrap().to_string(), "1/1.5µs");
}

#[test]
fn no_text_makes_the_parser_panic() {
    bolero::check!().for_each(|input: &[u8]| {
        if let Ok(text) = str::from_utf8(input)
            && let Ok(rate) = text.parse::<Rate>()
        {
            assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
    });
}

#[cfg(feature = "serde")]
#[test]
fn a_rate_in_a_configuration_is_its_text() {
    let rate: Rate = serde_json::from_str("\"50/s burst 100\"").unwrap();
    assert_eq!(serde_json::to_string(&rate).unwrap(), "\"50/s burst 100\"");
    let error = serde_json::from_str::<Rate>("\"0/s\"").unwrap_err();
    assert!(error.to_string().contains("`limit` must be at least 1"), "{error}");
}
