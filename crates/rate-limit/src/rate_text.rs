//! A rate as people write it down.

use std::{fmt, str::FromStr, time::Duration};

use crate::{ConfigError, Rate};

/// The units, from the longest; the first name of each is the one that is printed.
const UNITS: [(&[&str], Duration); 5] = [
    (&["d", "day"], Duration::from_secs(86_400)),
    (&["h", "hour"], Duration::from_secs(3_600)),
    (&["min", "m", "minute"], Duration::from_secs(60)),
    (&["s", "sec", "second"], Duration::from_secs(1)),
    (&["ms"], Duration::from_millis(1)),
];

/// Reads `100/s`, `5000/h`, `30/10s`, `100/s burst 200`:
///
/// ```text
/// rate   = limit "/" [ count ] unit [ SP "burst" SP burst ]
/// unit   = "ms" | "s" | "sec" | "second" | "min" | "m" | "minute" | "h" | "hour" | "d" | "day"
/// limit, count, burst = decimal digits
/// ```
///
/// Several spaces count as one, those at either end and around `/` not at all. Without `burst` as many requests
/// may come at once as the limit says.
impl FromStr for Rate {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (limit, rest) = text.split_once('/').ok_or_else(unreadable)?;
        let mut words = rest.split_ascii_whitespace();
        let period = period(words.next().ok_or_else(unreadable)?)?;
        let rate = Self::new(number("limit", limit.trim_ascii())?, period)?;
        match (words.next(), words.next(), words.next()) {
            (None, ..) => Ok(rate),
            (Some("burst"), Some(burst), None) => rate.burst(number("burst", burst)?),
            _ => Err(unreadable()),
        }
    }
}

/// `s`, `10s`: a count, 1 where there is none, and a unit.
fn period(text: &str) -> Result<Duration, ConfigError> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = &text[..text.len() - unit.len()];
    let count = if count.is_empty() { 1 } else { number("period", count)? };
    let (_, length) = UNITS
        .iter()
        .find(|(names, _)| names.contains(&unit))
        .ok_or(ConfigError::new("period", "must be in `ms`, `s`, `min`, `h` or `d`"))?;
    length.checked_mul(count).ok_or(ConfigError::new("period", "must be at most 73 years"))
}

fn number(field: &'static str, digits: &str) -> Result<u32, ConfigError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ConfigError::new(field, "must be decimal digits"));
    }
    digits.parse().map_err(|_| ConfigError::new(field, format!("must be at most {}", u32::MAX)))
}

fn unreadable() -> ConfigError {
    ConfigError::new("rate", "must look like `100/s`, `30/10s` or `100/s burst 200`")
}

/// Writes the shortest text that reads back as the same rate. A period that no unit measures, which only
/// [`Rate::new`] can make, is written as `Duration` prints it, and does not read back.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.limit())?;
        let nanos = self.period().as_nanos();
        match UNITS.iter().find(|(_, length)| nanos.is_multiple_of(length.as_nanos())) {
            Some((names, length)) => {
                let count = nanos / length.as_nanos();
                if count > 1 {
                    write!(f, "{count}")?;
                }
                f.write_str(names[0])?;
            }
            None => write!(f, "{:?}", self.period())?,
        }
        if self.capacity() != self.limit() {
            write!(f, " burst {}", self.capacity())?;
        }
        Ok(())
    }
}

impl TryFrom<&str> for Rate {
    type Error = ConfigError;

    fn try_from(text: &str) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl TryFrom<String> for Rate {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}
