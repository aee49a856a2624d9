//! A parser that is fed, and says what it saw.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;

use super::{Boundary, Headers};

/// Reads a form piece by piece. It holds what it was fed and did not give away: the headers of one part, or as much as
/// may be a delimiter, and one piece.
#[derive(Debug)]
pub(crate) struct Parser {
    delimiter: Finder<'static>,
    buffer: BytesMut,
    state: State,
    most_headers: usize,
    /// There will be no more.
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    // ## Start => AfterDelimiter => (Headers => Data => AfterDelimiter)* => End
    /// Whether an empty line may still come.
    Start {
        blank: bool,
    },
    AfterDelimiter,
    Headers,
    Data,
    End,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing before more is fed.
    More,
    Part(Headers),
    Data(Bytes),
    PartEnd,
    /// The form is over, and so is what was fed.
    End,
}

/// Why what was fed is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It does not start with a delimiter, or something else than a line end follows one.
    Delimiter,
    Headers,
    HeadersTooLarge,
    Disposition,
    ExtendedName,
    Encoding,
    Truncated,
    /// Something follows the end.
    Trailing,
}

impl Parser {
    pub(crate) fn new(boundary: &Boundary, most_headers: usize) -> Self {
        let delimiter = format!("\r\n--{}", boundary.0);
        Self {
            delimiter: Finder::new(&delimiter).into_owned(),
            // The first delimiter stands at the start of a line too: this is the end of the line before.
            buffer: BytesMut::from("\r\n"),
            state: State::Start { blank: true },
            most_headers,
            ended: false,
        }
    }

    pub(crate) fn feed(&mut self, mut data: impl Buf) {
        while data.has_remaining() {
            let chunk = data.chunk();
            self.buffer.extend_from_slice(chunk);
            let taken = chunk.len();
            data.advance(taken);
        }
    }

    /// There will be no more.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn step(&mut self) -> Result<Step, Malformed> {
        loop {
            let length = self.delimiter.needle().len();
            match self.state {
                State::Start { blank } => {
                    let starts = |with: &[u8]| {
                        let seen = self.buffer.len().min(with.len());
                        self.buffer[..seen] == with[..seen]
                    };
                    // Some clients begin with an empty line.
                    let has_blank = blank && starts(b"\r\n\r\n");
                    if !has_blank && !starts(self.delimiter.needle()) {
                        return Err(Malformed::Delimiter);
                    }
                    if has_blank && self.buffer.len() >= 4 {
                        self.buffer.advance(2);
                        self.state = State::Start { blank: false };
                    } else if self.buffer.len() >= length {
                        self.buffer.advance(length);
                        self.state = State::AfterDelimiter;
                    } else {
                        return self.more();
                    }
                }
                State::AfterDelimiter => {
                    let Some(next) = self.buffer.get(..2) else { return self.more() };
                    self.state = match next {
                        b"\r\n" => State::Headers,
                        b"--" => State::End,
                        // A delimiter cannot be the start of something else (RFC 2046 section 5.1.1).
                        _ => return Err(Malformed::Delimiter),
                    };
                    self.buffer.advance(2);
                }
                State::Headers => {
                    // The line end of the delimiter is gone: without headers the empty line stands first.
                    let block = if self.buffer.starts_with(b"\r\n") {
                        Some((0, 2))
                    } else {
                        memchr::memmem::find(&self.buffer, b"\r\n\r\n").map(|at| (at, 4))
                    };
                    let size = block.map_or(self.buffer.len(), |(at, _)| at);
                    if size > self.most_headers {
                        return Err(Malformed::HeadersTooLarge);
                    }
                    let Some((at, end)) = block else { return self.more() };
                    let headers = Headers::parse(&self.buffer[..at])?;
                    self.buffer.advance(at + end);
                    self.state = State::Data;
                    return Ok(Step::Part(headers));
                }
                State::Data => {
                    return match self.delimiter.find(&self.buffer) {
                        Some(0) => {
                            self.buffer.advance(length);
                            self.state = State::AfterDelimiter;
                            Ok(Step::PartEnd)
                        }
                        Some(at) => Ok(Step::Data(self.buffer.split_to(at).freeze())),
                        // The last bytes may be the start of a delimiter.
                        None if self.buffer.len() >= length => {
                            let sure = self.buffer.len() + 1 - length;
                            Ok(Step::Data(self.buffer.split_to(sure).freeze()))
                        }
                        None => self.more(),
                    };
                }
                State::End => {
                    if !b"\r\n".starts_with(&self.buffer[..]) {
                        return Err(Malformed::Trailing);
                    }
                    return Ok(if self.ended { Step::End } else { Step::More });
                }
            }
        }
    }

    fn more(&self) -> Result<Step, Malformed> {
        if self.ended { Err(Malformed::Truncated) } else { Ok(Step::More) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Declared;

    fn parser() -> Parser {
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", "multipart/form-data; boundary=XX".parse().unwrap());
        let Declared::Form(boundary) = Declared::of(&headers) else { panic!() };
        Parser::new(&boundary, 256)
    }

    /// The parts by name, fed in pieces of `size`.
    fn parts(form: &[u8], size: usize) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
        let mut parser = parser();
        let mut pieces = form.chunks(size);
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        let mut open = false;
        loop {
            match parser.step()? {
                Step::More => match pieces.next() {
                    Some(piece) => parser.feed(piece),
                    None => parser.end(),
                },
                Step::Part(headers) => {
                    assert!(!open);
                    open = true;
                    parts.push((headers.disposition.name, Vec::new()));
                }
                Step::Data(data) => {
                    assert!(open && !data.is_empty());
                    parts.last_mut().unwrap().1.extend_from_slice(&data);
                }
                Step::PartEnd => {
                    assert!(open);
                    open = false;
                }
                Step::End => {
                    assert!(!open);
                    return Ok(parts);
                }
            }
        }
    }

    fn part(name: &str, data: &str) -> String {
        format!("--XX\r\nContent-Disposition: form-data; name={name}\r\n\r\n{data}\r\n")
    }

    #[test]
    fn upl_01_parts_are_found_however_the_form_is_cut() {
        let tricky = "\r\n--X\r\n--\r\r\n-XX--XX\r\n\r\n";
        let form = format!("{}{}{}--XX--\r\n", part("a", "1"), part("b", ""), part("c", tricky));
        let expected = [("a", "1"), ("b", ""), ("c", tricky)];
        for size in 1..form.len() {
            let parts = parts(form.as_bytes(), size).unwrap();
            let parts: Vec<_> =
                parts.iter().map(|(name, data)| (&**name, std::str::from_utf8(data).unwrap())).collect();
            assert_eq!(parts, expected, "{size}");
        }
        assert_eq!(parts(b"--XX--", 1), Ok(Vec::new()));
        assert_eq!(parts(b"\r\n--XX--", 1), Ok(Vec::new()));
    }

    #[test]
    fn upl_01_what_is_cut_short_is_told() {
        let form = format!("{}{}--XX--", part("a", "1"), part("b", "2"));
        for length in 0..form.len() {
            for size in [1, 7, 1000] {
                assert_eq!(parts(&form.as_bytes()[..length], size), Err(Malformed::Truncated), "{length}");
            }
        }
    }

    #[test]
    fn upl_01_nothing_stands_outside_of_parts() {
        for (form, expected) in [
            (format!("preamble\r\n{}--XX--", part("a", "1")), Malformed::Delimiter),
            (format!("\r\n\r\n{}--XX--", part("a", "1")), Malformed::Delimiter),
            (format!("{}--XX--\r\nepilogue", part("a", "1")), Malformed::Trailing),
            (format!("{}--XX--{}--XX--", part("a", "1"), part("b", "2")), Malformed::Trailing),
            (format!("{}--XX --", part("a", "1")), Malformed::Delimiter),
            (part("a", "1\r\n--XXY"), Malformed::Delimiter),
            ("--XX\r\n\r\nno headers\r\n--XX--".to_owned(), Malformed::Disposition),
            (part("a", "1").replace("\r\n", "\n"), Malformed::Delimiter),
        ] {
            for size in [1, 3, 1000] {
                assert_eq!(parts(form.as_bytes(), size), Err(expected), "{form:?} {size}");
            }
        }
    }

    #[test]
    fn upl_02_headers_are_capped_before_they_end() {
        let endless = format!("--XX\r\nX: {}", "x".repeat(300));
        for size in [1, 1000] {
            assert_eq!(parts(endless.as_bytes(), size), Err(Malformed::HeadersTooLarge));
        }
    }

    #[test]
    fn upl_01_any_bytes_are_read_without_a_panic_and_alike_however_they_are_cut() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let (size, bytes) =
                bytes.split_first().map_or((1, bytes), |(size, rest)| (usize::from(*size).max(1), rest));
            for form in [
                bytes.to_vec(),
                [b"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n", bytes, b"\r\n--XX--"].concat(),
            ] {
                assert_eq!(parts(&form, size), parts(&form, usize::MAX));
            }
        });
    }

    #[test]
    fn upl_01_what_is_written_is_what_is_read() {
        bolero::check!().for_each(|bytes: &[u8]| {
            if memchr::memmem::find(&[b"\r\n", bytes, b"\r\n"].concat(), b"\r\n--XX").is_none() {
                let form = [b"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n", bytes, b"\r\n--XX--"]
                    .concat();
                let size = bytes.len() % 13 + 1;
                assert_eq!(parts(&form, size), Ok(vec![("a".to_owned(), bytes.to_vec())]));
            }
        });
    }
}
