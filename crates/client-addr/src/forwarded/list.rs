//! The entries of one line, from the right.

/// The entries of a comma list, the last one first, without the blanks around them.
///
/// Reading from the right is what keeps a caller out: the nearest proxy wrote the end of the line, so its entry is
/// set off before anything a caller wrote is looked at, such as a quote that is never closed.
pub(super) fn from_right(line: &[u8]) -> FromRight<'_> {
    FromRight { rest: Some(line) }
}

#[derive(Debug)]
pub(super) struct FromRight<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for FromRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest.take()?;
        let mut quoted = false;
        for (at, byte) in line.iter().enumerate().rev() {
            match byte {
                b'"' if !(quoted && is_escaped(line, at)) => quoted = !quoted,
                b',' if !quoted => {
                    self.rest = Some(&line[..at]);
                    return Some(trim(&line[at + 1..]));
                }
                _ => {}
            }
        }
        Some(trim(line))
    }
}

/// Inside a quoted string, an odd number of backslashes before a quote makes it a part of the string.
fn is_escaped(line: &[u8], at: usize) -> bool {
    line[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Without optional white space, which is blanks and tabs only: RFC 9110 section 5.6.3.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<&str> {
        from_right(line.as_bytes()).map(|entry| std::str::from_utf8(entry).unwrap()).collect()
    }

    #[test]
    fn cli_02_entries_come_from_the_right_without_blanks() {
        assert_eq!(split(""), [""]);
        assert_eq!(split("a"), ["a"]);
        assert_eq!(split("a, b ,\tc "), ["c", "b", "a"]);
        assert_eq!(split(",,a"), ["a", "", ""]);
    }

    #[test]
    fn cli_03_a_comma_in_a_quoted_string_separates_nothing() {
        assert_eq!(split(r#"a="1,2", b"#), ["b", r#"a="1,2""#]);
        assert_eq!(split(r#"a="1\",2", b="\\""#), [r#"b="\\""#, r#"a="1\",2""#]);
    }

    #[test]
    fn cli_03_a_quote_that_a_caller_left_open_hides_no_later_entry() {
        for caller in ["for=\"", "for=\"\\", "\"\"\"", "for=10.0.0.1;x=\"", "\\\""] {
            let line = format!("{caller}, for=\"[2001:db8::1]\", for=192.0.2.7");
            assert_eq!(split(&line)[..2], ["for=192.0.2.7", "for=\"[2001:db8::1]\""], "{line}");
        }
    }

    #[test]
    fn cli_02_without_quotes_it_is_a_split_at_commas() {
        bolero::check!().for_each(|line: &[u8]| {
            let entries: Vec<_> = from_right(line).collect();
            if line.contains(&b'"') {
                let kept: usize = entries.iter().map(|entry| entry.len()).sum();
                assert!(kept <= line.len());
            } else {
                let split: Vec<_> = line.rsplit(|byte| *byte == b',').map(trim).collect();
                assert_eq!(entries, split);
            }
        });
    }
}
