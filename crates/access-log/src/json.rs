//! Writing one line of JSON that is always whole, always one line and never too long.

use wide::u8x16;

use crate::{
    digits::{self, three},
    members::MAX_MEMBERS,
    memo::Memo,
    padded::Short,
    redact::{REDACTED, is_secret},
};

/// The longest line, its line feed included.
pub(crate) const MAX_LINE: usize = 16 * 1024;

/// The most bytes of one text; more is cut.
const MAX_TEXT: usize = 1024;

/// `,"name":` at compile time: what stands before a value, `,"name":"` before one in quotes. The text is written in one
/// piece of known length.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
    ($name:literal: text) => {
        concat!(",\"", $name, "\":\"")
    };
    ($name:literal: $value:literal) => {
        concat!(",\"", $name, "\":\"", $value, "\"")
    };
}
pub(crate) use key;

const TRUNCATED: &[u8] = b",\"truncated\":true";
const CLOSE: &[u8] = b"}\n";

/// More than the members of a bounded size take, all together: they are always there, and nobody counts how much they take.
const BOUNDED: usize = 4096 + MAX_MEMBERS;

/// What all other members may fill.
const ROOM: usize = MAX_LINE - BOUNDED - TRUNCATED.len() - CLOSE.len();

/// A JSON object under construction, at the end of a buffer.
///
/// A member that does not fit is left out as a whole, so that the line is valid at every length: of those that may be long.
/// Those of a bounded size, together less than [`BOUNDED`], always fit.
pub(crate) struct JsonLine<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    truncated: bool,
}

/// The place of one value that is no text.
pub(crate) struct Value<'a>(&'a mut Vec<u8>);

impl<'a> JsonLine<'a> {
    /// Begins with the first member, whose `opening` is `{"name":"`, and whose text needs no escaping, up to a message.
    /// `further` is what stands between the two texts: the end of the first, members that are known as a whole, a key.
    #[inline(always)]
    pub(crate) fn begin(
        buffer: &'a mut Vec<u8>,
        opening: &'static str,
        write: impl FnOnce(&mut Vec<u8>),
        further: &'static str,
    ) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(opening.as_bytes());
        write(buffer);
        buffer.extend_from_slice(further.as_bytes());
        Self { buffer, start, truncated: false }
    }

    /// Members that will be part of lines.
    pub(crate) fn part(buffer: &'a mut Vec<u8>) -> Self {
        Self { start: buffer.len(), buffer, truncated: false }
    }

    /// Writes members that were written as a [part](Self::part), of a bounded size.
    #[inline(always)]
    pub(crate) fn members(&mut self, members: &[u8]) {
        self.buffer.extend_from_slice(members);
    }

    /// Writes the message and ends it: any text between two short ones that need no escaping, the second by `last`.
    // At the start of a line there is room for it.
    #[inline(always)]
    pub(crate) fn message(&mut self, first: Short, text: &str, last: impl FnOnce(&mut Vec<u8>)) {
        first.push_to(self.buffer);
        self.buffer.push(b' ');
        self.escape(text);
        last(self.buffer);
        self.buffer.push(b'"');
    }

    /// Writes a member of a bounded size that is no text; `key` is made by [`key!`].
    #[inline(always)]
    pub(crate) fn member(&mut self, key: &'static str, write: impl FnOnce(Value<'_>)) {
        self.buffer.extend_from_slice(key.as_bytes());
        write(Value(self.buffer));
    }

    /// Writes a member that is any text; `key` is made by [`key!`], as that of a text.
    #[inline(always)]
    pub(crate) fn text(&mut self, key: &'static str, text: &str) {
        let before = self.buffer.len();
        self.buffer.extend_from_slice(key.as_bytes());
        self.escape(text);
        self.buffer.push(b'"');
        self.fit(before);
    }

    /// The same of a text that needs no escaping and is short, for sure if `is_plain`.
    #[inline(always)]
    pub(crate) fn text_if(&mut self, is_plain: bool, key: &'static str, text: &str) {
        if is_plain {
            self.plain(key, text.as_bytes());
        } else {
            self.text(key, text);
        }
    }

    /// Writes a member of a bounded size whose text needs no escaping.
    #[inline(always)]
    pub(crate) fn plain(&mut self, key: &'static str, text: &[u8]) {
        self.plain_with(key, |buffer| buffer.extend_from_slice(text));
    }

    /// The same of a very short one.
    #[inline(always)]
    pub(crate) fn short(&mut self, key: &'static str, text: Short) {
        self.plain_with(key, |buffer| text.push_to(buffer));
    }

    /// The same of a text that is made in its place.
    #[inline(always)]
    pub(crate) fn plain_with(&mut self, key: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        self.buffer.extend_from_slice(key.as_bytes());
        write(self.buffer);
        self.buffer.push(b'"');
    }

    /// Writes members that are known as a whole; made by [`key!`], or by [`Members`](crate::members::Members).
    #[inline(always)]
    pub(crate) fn constant(&mut self, member: &str) {
        self.buffer.extend_from_slice(member.as_bytes());
    }

    /// Writes a member whose name stands in the program. `prefix` is asked for what is to stand in front of the name, and
    /// needs no escaping.
    #[inline(always)]
    pub(crate) fn fact(
        &mut self,
        memo: &mut Memo,
        prefix: impl FnOnce() -> &'static str,
        name: &'static str,
        write: impl FnOnce(&mut Self),
    ) {
        let before = self.buffer.len();
        match memo.find((name, "")) {
            // No name at all would be taken for a place where nothing is known.
            Some(known) if !name.is_empty() => known.push_to(self.buffer),
            // Not remembered, so that it is asked each time.
            _ if is_secret(name) => return self.secret(prefix(), name),
            _ => self.name_anew(memo, prefix(), name),
        }
        write(self);
        self.fit(before);
    }

    /// The same with a name that is not remembered.
    pub(crate) fn fact_anew(&mut self, prefix: &'static str, name: &str, write: impl FnOnce(&mut Self)) {
        if is_secret(name) {
            return self.secret(prefix, name);
        }
        let before = self.buffer.len();
        self.name(prefix, name);
        write(self);
        self.fit(before);
    }

    /// The same of one whose value stands there too.
    #[inline(always)]
    pub(crate) fn static_fact(
        &mut self,
        memo: &mut Memo,
        prefix: impl FnOnce() -> &'static str,
        name: &'static str,
        text: &'static str,
    ) {
        let before = self.buffer.len();
        match memo.find((name, text)) {
            // Nothing, that is, would be taken for a name alone.
            Some(known) if !text.is_empty() => known.push_to(self.buffer),
            _ => self.text_anew(memo, prefix(), name, text),
        }
        self.fit(before);
    }

    #[cold]
    #[inline(never)]
    fn name_anew(&mut self, memo: &mut Memo, prefix: &str, name: &'static str) {
        let before = self.buffer.len();
        self.name(prefix, name);
        memo.keep((name, ""), &self.buffer[before..]);
    }

    #[cold]
    #[inline(never)]
    fn text_anew(&mut self, memo: &mut Memo, prefix: &str, name: &'static str, text: &'static str) {
        let before = self.buffer.len();
        self.name(prefix, name);
        self.text_value(if is_secret(name) { REDACTED } else { text });
        if !text.is_empty() {
            memo.keep((name, text), &self.buffer[before..]);
        }
    }

    #[cold]
    #[inline(never)]
    fn secret(&mut self, prefix: &str, name: &str) {
        let before = self.buffer.len();
        self.name(prefix, name);
        self.plain_value(REDACTED);
        self.fit(before);
    }

    fn name(&mut self, prefix: &str, name: &str) {
        self.buffer.extend_from_slice(b",\"");
        self.buffer.extend_from_slice(prefix.as_bytes());
        self.escape(name);
        self.buffer.extend_from_slice(b"\":");
    }

    /// The value of a member, no text.
    #[inline]
    pub(crate) fn value(&mut self) -> Value<'_> {
        Value(self.buffer)
    }

    /// The value of a member: any text.
    #[inline]
    pub(crate) fn text_value(&mut self, text: &str) {
        self.buffer.push(b'"');
        self.escape(text);
        self.buffer.push(b'"');
    }

    /// The same of one that needs no escaping.
    #[inline]
    pub(crate) fn plain_value(&mut self, text: &str) {
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(text.as_bytes());
        self.buffer.push(b'"');
    }

    /// Takes back what was written from `before` on if it is too much.
    #[inline(always)]
    fn fit(&mut self, before: usize) {
        if self.buffer.len() - self.start > ROOM {
            self.buffer.truncate(before);
            self.truncated = true;
        }
    }

    pub(crate) fn end(self) {
        if self.truncated {
            self.buffer.extend_from_slice(TRUNCATED);
        }
        self.buffer.extend_from_slice(CLOSE);
    }

    /// Appends `text`, cut where it is too long, and escaped so that no reader of the log, a terminal included, takes any
    /// of it for a command: beside what JSON asks for, all control characters, line and paragraph separators, and marks
    /// that turn the direction of text.
    #[inline(never)]
    fn escape(&mut self, text: &str) {
        // Short texts are copied as they are looked at.
        let bytes = text.as_bytes();
        let is_done = match bytes.len() {
            16..=32 => self.push_halves::<16>(bytes),
            8..16 => self.push_halves::<8>(bytes),
            4..8 => self.push_halves::<4>(bytes),
            _ => false,
        };
        if !is_done {
            self.escape_any(text);
        }
    }

    /// Appends a plain text of `N` to 2 `N` bytes by its halves, which may overlap: to copy a number of bytes that the
    /// compiler knows takes no call. False, and nothing is done, if it is not plain, or if there is no room.
    #[inline(always)]
    fn push_halves<const N: usize>(&mut self, text: &[u8]) -> bool {
        let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) else {
            return false;
        };
        let before = self.buffer.len();
        if self.buffer.capacity() - before < 2 * N || !are_halves_plain(first, last) {
            return false;
        }
        self.buffer.extend_from_slice(first);
        self.buffer.truncate(before + text.len() - N);
        self.buffer.extend_from_slice(last);
        true
    }

    #[inline(never)]
    fn escape_any(&mut self, text: &str) {
        if text.len() <= MAX_TEXT && are_plain(text.as_bytes()) {
            return self.buffer.extend_from_slice(text.as_bytes());
        }
        let mut end = text.len();
        if end > MAX_TEXT {
            self.truncated = true;
            end = MAX_TEXT;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
        }
        escape_chars(self.buffer, &text[..end]);
    }
}

impl Value<'_> {
    #[inline]
    pub(crate) fn unsigned(self, number: u64) {
        digits::push(self.0, number);
    }

    /// A number; JSON has no infinity and no NaN, which are `null`.
    pub(crate) fn float(self, number: f64) {
        if number.is_finite() {
            // Debug is the shortest form that reads back the same, with an exponent where that is shorter.
            push_display(self.0, format_args!("{number:?}"));
        } else {
            self.0.extend_from_slice(b"null");
        }
    }

    pub(crate) fn bool(self, value: bool) {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A number of thousandths, as a number with three decimals.
    #[inline]
    pub(crate) fn thousandths(self, number: u64) {
        digits::push(self.0, number / 1000);
        let [a, b, c] = three(number);
        self.0.extend_from_slice(&[b'.', a, b, c]);
    }

    /// A number of three digits.
    #[inline]
    pub(crate) fn three(self, number: u16) {
        self.0.extend_from_slice(&three(number.into()));
    }
}

/// Appends what `arguments` show.
pub(crate) fn push_display(buffer: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a vector never fails.
    let _ = std::io::Write::write_fmt(buffer, arguments);
}

/// Whether a character stands for itself in a JSON string of plain ASCII.
#[inline]
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Whether all characters stand for themselves, as nearly always. Sixteen at a time; those at the end may overlap with
/// those before.
#[inline]
fn are_plain(text: &[u8]) -> bool {
    match text.last_chunk() {
        Some(last) => {
            let all = text.as_chunks().0.iter().fold(odd(last), |found, chunk| found | odd(chunk));
            all.to_bitmask() == 0
        }
        None => text.iter().all(|byte| is_plain(*byte)),
    }
}

/// The same of two halves of a text of at most 32 bytes.
#[inline(always)]
fn are_halves_plain<const N: usize>(first: &[u8; N], last: &[u8; N]) -> bool {
    let mut both = [b' '; 32];
    both[..N].copy_from_slice(first);
    both[N..2 * N].copy_from_slice(last);
    let [one, other] = both.as_chunks().0 else { return false };
    (odd(one) | odd(other)).to_bitmask() == 0
}

/// Ones in the places of those of sixteen characters that are not plain.
#[inline]
fn odd(text: &[u8; 16]) -> u8x16 {
    let bytes = u8x16::new(*text);
    // Counted from the first printable character, so that one comparison tells those before it and those beyond.
    let place = bytes + u8x16::splat(0_u8.wrapping_sub(b' '));
    let printable = place.min(u8x16::splat(b'~' - b' ')).simd_eq(place);
    !printable | bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'))
}

/// A text of any length as a JSON string, escaped as in a line.
pub(crate) fn quoted(text: &str) -> String {
    let mut buffer = vec![b'"'];
    escape_chars(&mut buffer, text);
    buffer.push(b'"');
    String::from_utf8(buffer).expect("an escaped text is a text")
}

fn escape_chars(buffer: &mut Vec<u8>, text: &str) {
    let mut utf8 = [0; 4];
    for char in text.chars() {
        match char {
            '"' | '\\' => buffer.extend_from_slice(&[b'\\', char as u8]),
            '\n' => buffer.extend_from_slice(b"\\n"),
            '\r' => buffer.extend_from_slice(b"\\r"),
            '\t' => buffer.extend_from_slice(b"\\t"),
            _ if is_dangerous(char) => push_display(buffer, format_args!("\\u{:04x}", u32::from(char))),
            _ => buffer.extend_from_slice(char.encode_utf8(&mut utf8).as_bytes()),
        }
    }
}

/// All of the basic plane, so that four hex digits tell them.
fn is_dangerous(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    fn line(write: impl FnOnce(&mut JsonLine<'_>)) -> String {
        let mut buffer = Vec::new();
        let mut line = JsonLine::begin(&mut buffer, "{\"start\":\"", |buffer| buffer.push(b'0'), "\"");
        write(&mut line);
        line.end();
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn cid_05_no_text_makes_a_second_line_or_a_control_character() {
        bolero::check!().with_type::<(String, String)>().for_each(|(key, text)| {
            // The texts of facts are static; a test may leak a few.
            let (name, value): (&'static str, &'static str) = (key.clone().leak(), text.clone().leak());
            let mut memo = Memo::default();
            let mut any = || line(|line| line.fact(&mut memo, || "", name, |line| line.text_value(text)));
            let [first, again] = [any(), any()];
            assert_eq!(again, first, "the same when its name is known");
            let mut fixed = || line(|line| line.static_fact(&mut memo, || "", name, value));
            assert_eq!([fixed(), fixed()], [&*first; 2], "the same when all of it is");
            let line = first;
            assert_eq!(line.matches('\n').count(), 1);
            let (one, rest) = line.split_once('\n').unwrap();
            assert_eq!(rest, "");
            assert!(!one.chars().any(is_dangerous), "{one:?}");
            let read: Json = serde_json::from_str(one).unwrap();
            if key.len() <= MAX_TEXT && text.len() <= MAX_TEXT {
                let mut expected = serde_json::json!({ "start": "0" });
                expected[key] = text.as_str().into();
                assert_eq!(read, expected);
            } else {
                assert_eq!(read["truncated"], true);
            }
        });
        let odd = "%0d%0a\r\n\u{1b}[31m\u{2028}\u{2029}\u{85}\u{7f}\u{202e}\"\\é";
        assert_eq!(
            line(|line| line.text(key!("a": text), odd)),
            "{\"start\":\"0\",\"a\":\"%0d%0a\\r\\n\\u001b[31m\\u2028\\u2029\\u0085\\u007f\\u202e\\\"\\\\é\"}\n"
        );
    }

    #[test]
    fn log_01_a_line_is_at_most_16_kib_and_says_when_something_is_missing() {
        let control = "\u{1}".repeat(MAX_TEXT);
        let full = line(|line| {
            line.member(key!("first"), |value| value.unsigned(1));
            for _ in 0..5 {
                line.text(key!("long": text), &control);
            }
            line.member(key!("last"), |value| value.bool(true));
        });
        assert!(full.len() <= 16_384 && full.ends_with('\n'), "{}", full.len());
        let read: Json = serde_json::from_str(&full).unwrap();
        assert_eq!(
            (&read["first"], &read["last"], &read["truncated"]),
            (&1.into(), &true.into(), &true.into())
        );

        let cut = line(|line| line.text(key!("é": text), &"é".repeat(MAX_TEXT)));
        let read: Json = serde_json::from_str(&cut).unwrap();
        assert_eq!((read["é"].as_str().unwrap().len(), &read["truncated"]), (MAX_TEXT, &true.into()));
    }

    #[test]
    fn characters_are_looked_at_together_as_each_of_them_is() {
        for byte in 0..=u8::MAX {
            for place in 0..40 {
                let mut text = [b'x'; 40];
                text[place] = byte;
                assert_eq!(are_plain(&text), is_plain(byte), "{byte} at {place}");
                assert_eq!(are_plain(&text[..=place]), is_plain(byte), "{byte} at the end of {place}");
            }
        }
        bolero::check!().for_each(|bytes: &[u8]| {
            assert_eq!(are_plain(bytes), bytes.iter().all(|byte| is_plain(*byte)));
        });
    }

    #[test]
    fn texts_of_every_length_are_written_as_each_of_their_characters_is() {
        for length in 1..=40 {
            for (place, byte) in (0..length).flat_map(|place| (0..0x80).map(move |byte| (place, byte))) {
                let text: String = (0..length)
                    .map(|at| char::from(if at == place { byte } else { b'0' + at as u8 }))
                    .collect();
                let mut expected = Vec::new();
                escape_chars(&mut expected, &text);
                for room in [0, 256] {
                    let mut buffer = Vec::with_capacity(room);
                    let mut line = JsonLine { buffer: &mut buffer, start: 0, truncated: false };
                    line.escape(&text);
                    assert_eq!(buffer, expected, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_json() {
        let numbers = [f64::NAN, f64::INFINITY, 0.5, -0.0, 1e300, 3.0];
        let written = numbers.map(|number| line(|line| line.member(key!("n"), |value| value.float(number))));
        let read = written.map(|line| serde_json::from_str::<Json>(&line).unwrap()["n"].as_f64());
        assert_eq!(read, [None, None, Some(0.5), Some(-0.0), Some(1e300), Some(3.0)]);
        for (micros, text) in [(0, "0.000"), (7, "0.007"), (1_234_567, "1234.567")] {
            assert_eq!(
                line(|line| line.member(key!("n"), |value| value.thousandths(micros))),
                format!("{{\"start\":\"0\",\"n\":{text}}}\n")
            );
        }
    }
}
