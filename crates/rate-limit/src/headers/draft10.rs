//! `RateLimit` and `RateLimit-Policy` as of draft-ietf-httpapi-ratelimit-headers-10: Structured Fields (RFC 9651).
//!
//! All that depends on the version of the draft is here. Names are quoted strings of characters that need no
//! escape, as [`checked_name`](crate::config::checked_name) makes sure; numbers are within 32 bits or, for
//! seconds, within the 15 digits of an Integer.

use std::{fmt::Write, time::Duration};

use http::{HeaderName, HeaderValue};

use crate::{Rate, policy::Shared, store::Note};

pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The longest name, its quotes, and the parameters with their numbers.
const ITEM: usize = 66 + 3 + 10 + 3 + 20;

/// The item of a policy: `"name";q=100;w=60`.
///
/// The quota is what may come within the window. Of a bucket that is its burst, in the time in which it fills.
/// Windows are whole seconds: of what fills faster, it is what passes within one.
pub(crate) fn policy(name: &str, rate: Rate, sliding: bool) -> String {
    let second = Duration::from_secs(1);
    let fills_in = if sliding { rate.period() } else { Duration::from_nanos(rate.depth_nanos()) };
    let (quota, window) = if fills_in < second {
        let per_second = second.as_nanos() / rate.interval().as_nanos();
        (u32::try_from(per_second).unwrap_or(u32::MAX), second)
    } else {
        (rate.capacity(), fills_in)
    };
    format!("\"{name}\";q={quota};w={}", seconds(window).max(1))
}

/// The values of both fields, of one limit.
///
/// `latest` is when a refused caller may come again, whoever refused it. No later moment is told beside it: `Retry-After`
/// must not be earlier than `t` (RL-03).
pub(super) fn fields_of_one(
    shared: &Shared,
    note: &Note,
    latest: Option<Duration>,
) -> Option<[HeaderValue; 2]> {
    let mut text = Text { bytes: [0; ITEM], length: 0 };
    write_limit(&mut text, shared, note, latest);
    let limit = HeaderValue::from_bytes(&text.bytes[..text.length]).ok()?;
    Some([shared.limit(note).quota(note.quota).policy_value()?.clone(), limit])
}

/// The same of several.
pub(super) fn fields<'a>(
    shared: &Shared,
    notes: impl Iterator<Item = &'a Note>,
    latest: Option<Duration>,
) -> Option<[HeaderValue; 2]> {
    let (mut policies, mut limits) = (String::new(), String::new());
    for note in notes {
        if !policies.is_empty() {
            policies.push_str(", ");
            limits.push_str(", ");
        }
        policies.push_str(shared.limit(note).quota(note.quota).policy());
        write_limit(&mut limits, shared, note, latest);
    }
    if policies.is_empty() {
        return None;
    }
    Some([HeaderValue::try_from(policies).ok()?, HeaderValue::try_from(limits).ok()?])
}

/// `"name";r=49;t=1`. There is no `t` while nothing is used.
fn write_limit(text: &mut impl Write, shared: &Shared, note: &Note, latest: Option<Duration>) {
    let decision = shared.decision(note);
    let mut digits = itoa::Buffer::new();
    // There is room, and a `String` never fails.
    let mut write = |piece: &str| text.write_str(piece).unwrap_or_default();
    write("\"");
    write(shared.limit(note).name());
    write("\";r=");
    let remaining = decision.remaining();
    write(digits.format(remaining));
    if let Some(more) = decision.more_than(remaining)
        && latest.is_none_or(|latest| Duration::from_nanos(more) <= latest)
    {
        write(";t=");
        write(digits.format(more.div_ceil(1_000_000_000)));
    }
}

/// Whole seconds, rounded up: who waits so long is not too early.
pub(super) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// A short text that needs no allocation.
struct Text {
    bytes: [u8; ITEM],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rl_02_a_policy_is_a_string_with_quota_and_window() {
        for (rate, sliding, expected) in [
            ("100/min", false, "\"a\";q=100;w=60"),
            ("50/s burst 100", false, "\"a\";q=100;w=2"),
            ("50/s burst 5", false, "\"a\";q=50;w=1"),
            ("1000/s", false, "\"a\";q=1000;w=1"),
            ("10/100ms", false, "\"a\";q=100;w=1"),
            ("3/1500ms", false, "\"a\";q=3;w=2"),
            ("30/min", true, "\"a\";q=30;w=60"),
            ("30/500ms", true, "\"a\";q=60;w=1"),
        ] {
            assert_eq!(policy("a", rate.parse().unwrap(), sliding), expected, "{rate}");
        }
    }
}
