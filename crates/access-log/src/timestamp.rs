//! RFC 3339 timestamps in UTC with microseconds.

use std::{cell::Cell, time::Duration};

use jiff::Timestamp;

use crate::{digits::three, json::push_display};

/// `2026-01-01T00:00:00`
const TO_THE_SECOND: usize = 19;

/// The end of 29 December 9999: the last whole day that jiff knows in every time zone.
const LATEST: Duration = Duration::new(253_402_127_999, 999_999_999);

thread_local! {
    /// The last second that was written on this thread, and how: at a thousand lines per second, the calendar is
    /// asked once.
    static LAST: Cell<Option<(u64, [u8; TO_THE_SECOND])>> = const { Cell::new(None) };
}

/// Appends a time since 1970 began; one after the end of 9999 as the latest that can be told.
pub(crate) fn push(buffer: &mut Vec<u8>, since_epoch: Duration) {
    let since_epoch = since_epoch.min(LATEST);
    let second = since_epoch.as_secs();
    let last = LAST.try_with(Cell::get).ok().flatten();
    let text = match last {
        Some((known, text)) if known == second => text,
        _ => calendar(second),
    };
    let micros = u64::from(since_epoch.subsec_micros());
    let (upper, lower) = (micros / 1000, micros % 1000);
    buffer.extend_from_slice(&text);
    let ([a, b, c], [d, e, f]) = (three(upper), three(lower));
    buffer.extend_from_slice(&[b'.', a, b, c, d, e, f, b'Z']);
}

fn calendar(second: u64) -> [u8; TO_THE_SECOND] {
    let time = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
    let mut long = Vec::with_capacity(32);
    push_display(&mut long, format_args!("{}", time.unwrap_or(Timestamp::UNIX_EPOCH)));
    let mut text = *b"1970-01-01T00:00:00";
    if let Some(seconds) = long.first_chunk() {
        text = *seconds;
    }
    // While the thread is going away there is nothing to keep it in.
    let _ = LAST.try_with(|last| last.set(Some((second, text))));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(time: Duration) -> String {
        let mut buffer = Vec::new();
        push(&mut buffer, time);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn log_01_timestamps_are_rfc_3339_in_utc() {
        let at = Duration::from_micros;
        assert_eq!(written(at(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(written(at(1_767_225_600_000_007)), "2026-01-01T00:00:00.000007Z");
        assert_eq!(written(at(1_767_225_600_999_999)), "2026-01-01T00:00:00.999999Z");
        assert_eq!(written(at(1_709_208_000_120_000)), "2024-02-29T12:00:00.120000Z");
    }

    #[test]
    fn a_time_outside_the_calendar_is_the_nearest_inside() {
        assert_eq!(written(Duration::MAX), "9999-12-29T23:59:59.999999Z");
        assert_eq!(written(Duration::from_secs(1 << 40)), "9999-12-29T23:59:59.999999Z");
    }

    #[test]
    fn every_second_is_written_as_the_calendar_has_it() {
        bolero::check!().with_type::<(u32, u32)>().for_each(|(second, micros)| {
            let micros = i64::from(*second) * 1_000_000 + i64::from(*micros % 1_000_000);
            let time = Duration::from_micros(micros.unsigned_abs());
            let read: Timestamp = written(time).parse().unwrap();
            assert_eq!(read.as_microsecond(), micros);
        });
    }
}
