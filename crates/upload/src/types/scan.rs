//! Signs of a second type of file in a stream of bytes.

use memchr::memmem::Finder;

/// Looks for what makes a file of one type one of another too.
#[derive(Debug)]
pub(super) struct Scanner {
    finders: Vec<(Sign, Finder<'static>)>,
    /// The end of what was seen, in which a sign may have begun.
    tail: Vec<u8>,
    /// How much was seen before the tail.
    position: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// The end record of a ZIP archive, of which the start stands anywhere before: readers look for it from the end.
    ZipEnd,
    /// Code that runs where it stands.
    Code,
}

/// The end record of a ZIP archive without its comment.
const ZIP_END: usize = 22;

impl Scanner {
    pub(super) fn new() -> Self {
        let signs: [(Sign, &[u8]); 4] = [
            (Sign::ZipEnd, b"PK\x05\x06"),
            (Sign::Code, b"<?php"),
            (Sign::Code, b"<?PHP"),
            (Sign::Code, b"__HALT_COMPILER"),
        ];
        let finders = signs.into_iter().map(|(sign, bytes)| (sign, Finder::new(bytes).into_owned()));
        Self { finders: finders.collect(), tail: Vec::new(), position: 0 }
    }

    /// Whether there is a sign in what was seen up to the end of `data`.
    pub(super) fn sees(&mut self, data: &[u8]) -> bool {
        // A sign that begins in the tail ends within as many bytes after it.
        let joint = data.len().min(ZIP_END);
        let mut window = std::mem::take(&mut self.tail);
        let before = window.len();
        window.extend_from_slice(&data[..joint]);
        let found = self.is_in(&window, self.position) || self.is_in(data, self.position + before as u64);
        // The last bytes of both.
        let keep = ZIP_END - 1;
        if data.len() >= keep {
            window.clear();
            window.extend_from_slice(&data[data.len() - keep..]);
        } else {
            window.drain(..window.len().saturating_sub(keep));
        }
        self.position += (before + data.len() - window.len()) as u64;
        self.tail = window;
        found
    }

    fn is_in(&self, bytes: &[u8], position: u64) -> bool {
        self.finders.iter().any(|(sign, finder)| {
            finder.find_iter(bytes).any(|at| match sign {
                Sign::Code => true,
                Sign::ZipEnd => is_zip_end(&bytes[at..], position + at as u64),
            })
        })
    }
}

/// Whether this is an end record that a reader would believe: four bytes of chance are in one of four hundred files of
/// ten megabytes, all of it in none.
fn is_zip_end(bytes: &[u8], position: u64) -> bool {
    let Some(record) = bytes.get(..ZIP_END) else { return false };
    let short = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
    let long = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    let (disk, start, here, total, size) = (short(4), short(6), short(8), short(10), long(12));
    disk == 0 && start == 0 && here == total && total > 0 && size > 0 && u64::from(size) <= position
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(size: u32) -> Vec<u8> {
        let mut record = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
        record.extend_from_slice(&size.to_le_bytes());
        record.extend_from_slice(&[0; 6]);
        record
    }

    fn sees(bytes: &[u8], size: usize) -> bool {
        let mut scanner = Scanner::new();
        bytes.chunks(size).any(|piece| scanner.sees(piece))
    }

    #[test]
    fn upl_03_a_sign_is_seen_however_the_bytes_are_cut() {
        let padding = vec![b'x'; 100];
        let archive = [&padding[..], &end(60), b"comment"].concat();
        let code = [&padding[..], b"<?php evil();", &padding].concat();
        let phar = [&padding[..], b"__HALT_COMPILER();"].concat();
        for size in 1..130 {
            for bytes in [&archive, &code, &phar] {
                assert!(sees(bytes, size), "{size}");
            }
            assert!(!sees(&padding, size));
            // Not the end of an archive that could have begun before it.
            assert!(!sees(&[&padding[..], &end(1000)].concat(), size), "{size}");
            assert!(!sees(b"PK\x05\x06 of chance, and then much else that is no record", size));
        }
    }

    #[test]
    fn upl_03_any_bytes_are_judged_alike_however_they_are_cut() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let bytes = [bytes, &end(u32::try_from(bytes.len()).unwrap_or(0) / 2), bytes].concat();
            assert_eq!(sees(&bytes, 7), sees(&bytes, bytes.len()));
        });
    }
}
