//! One file, as it passes.

use super::{FileType, file_type::Body, scan::Scanner};
use crate::{
    ArchiveLimits,
    archive::Zip,
    fault::{ArchiveFault, FileFault},
};

/// The bytes that must be there before a file is handed on: readers look for the start of a PDF within as many.
pub(crate) const HEAD: usize = 1024;

/// Looks at a file as it passes.
#[derive(Debug)]
pub(crate) struct Inspector(Kind);

#[derive(Debug)]
enum Kind {
    Single(Scanner),
    Text(Text),
    /// With the entries that it must have.
    Zip(Box<Zip>, &'static [&'static str]),
}

impl Inspector {
    /// Judges the first bytes of a file that should be of type `kind`: 1024 of them, or all there are.
    pub(crate) fn begin(kind: FileType, head: &[u8], limits: &ArchiveLimits) -> Result<Self, FileFault> {
        if head.is_empty() || !kind.starts(head) {
            return Err(FileFault::Content);
        }
        Ok(Self(match kind.body {
            Body::Single if is_also_markup_or_pdf(kind, head) => return Err(FileFault::Polyglot),
            Body::Single => Kind::Single(Scanner::new()),
            Body::Text if is_markup(head) || is_other_than_text(head) => return Err(FileFault::Content),
            Body::Text => Kind::Text(Text::default()),
            Body::Zip(entries) => Kind::Zip(Box::new(Zip::new(limits)), entries),
        }))
    }

    pub(crate) fn see(&mut self, data: &[u8]) -> Result<(), FileFault> {
        match &mut self.0 {
            Kind::Single(scanner) => {
                if scanner.sees(data) {
                    Err(FileFault::Polyglot)
                } else {
                    Ok(())
                }
            }
            Kind::Text(text) => text.see(data),
            Kind::Zip(zip, _) => zip.see(data).map_err(FileFault::Archive),
        }
    }

    pub(crate) fn end(self) -> Result<(), FileFault> {
        match self.0 {
            Kind::Single(_) => Ok(()),
            Kind::Text(text) => text.end(),
            Kind::Zip(zip, entries) => {
                let found = zip.end().map_err(FileFault::Archive)?;
                let has = |name: &str| found.iter().any(|entry| entry == name.as_bytes());
                let has_macros = found.iter().any(|entry| entry.ends_with(b"vbaProject.bin"));
                if entries.is_empty() || (entries.iter().all(|name| has(name)) && !has_macros) {
                    Ok(())
                } else {
                    Err(FileFault::Archive(ArchiveFault::Document))
                }
            }
        }
    }
}

/// What a browser or a reader would take for another type.
fn is_also_markup_or_pdf(kind: FileType, head: &[u8]) -> bool {
    let is_pdf = kind != FileType::PDF && memchr::memmem::find(head, b"%PDF-").is_some();
    let lower = head.to_ascii_lowercase();
    let has = |tag: &&[u8]| memchr::memmem::find(&lower, tag).is_some();
    let tags: [&[u8]; 6] = [b"<script", b"<html", b"<svg", b"<!doctype html", b"<iframe", b"<?php"];
    is_pdf || tags.iter().any(has)
}

/// Text that is a page, a picture or a script.
fn is_markup(head: &[u8]) -> bool {
    let lower = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().to_ascii_lowercase();
    let starts: [&[u8]; 4] = [b"<?", b"<!", b"#!", b"<svg"];
    starts.iter().any(|start| lower.starts_with(start))
        || infer::text::is_html(&lower)
        || infer::text::is_xml(&lower)
}

/// What begins with so few printable characters that a text may begin with them too: a bank's BM, a column ID3. None of
/// them is text further on, where the bytes tell.
const BRIEF: [&str; 25] = [
    "ape", "bc", "bmp", "bz2", "cab", "cpio", "crx", "dcm", "dsf", "dwg", "exe", "flac", "gif", "lz", "m4a",
    "midi", "mov", "mp3", "ogg", "pdf", "ps", "psd", "sqlite", "swf", "webp",
];

/// What is of another type, by more than some few printable characters.
fn is_other_than_text(head: &[u8]) -> bool {
    let starts: [&[u8]; 3] = [b"%!PS", b"GIF87a", b"GIF89a"];
    infer::get(head).is_some_and(|kind| !BRIEF.contains(&kind.extension()))
        || starts.iter().any(|start| head.starts_with(start))
        || memchr::memmem::find(head, b"%PDF-").is_some()
}

/// UTF-8 without control characters, in pieces.
#[derive(Debug, Default)]
struct Text {
    /// The start of a character that was cut.
    rest: Vec<u8>,
}

impl Text {
    fn see(&mut self, data: &[u8]) -> Result<(), FileFault> {
        let is_control = |byte: &u8| (*byte < b' ' && !b"\t\n\r\x0c".contains(byte)) || *byte == 0x7f;
        if data.iter().any(is_control) {
            return Err(FileFault::Content);
        }
        let mut bytes = std::mem::take(&mut self.rest);
        let joined;
        let text = if bytes.is_empty() {
            data
        } else {
            bytes.extend_from_slice(data);
            joined = bytes;
            &joined[..]
        };
        match std::str::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.rest = text[error.valid_up_to()..].to_vec();
                Ok(())
            }
            Err(_) => Err(FileFault::Content),
        }
    }

    fn end(self) -> Result<(), FileFault> {
        if self.rest.is_empty() { Ok(()) } else { Err(FileFault::Content) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(kind: FileType, bytes: &[u8], size: usize) -> Result<(), FileFault> {
        let head = &bytes[..bytes.len().min(HEAD)];
        let mut inspector = Inspector::begin(kind, head, &ArchiveLimits::new())?;
        for piece in bytes.chunks(size) {
            inspector.see(piece)?;
        }
        inspector.end()
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn upl_03_the_first_bytes_are_those_of_the_type() {
        for (kind, bytes) in [
            (FileType::PNG, PNG),
            (FileType::JPEG, b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
            (FileType::GIF, b"GIF89a\x01\0\x01\0"),
            (FileType::WEBP, b"RIFF\x10\0\0\0WEBPVP8 "),
            (FileType::PDF, b"%PDF-1.7\n%\xe2\xe3"),
            (FileType::MP4, b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"),
            (FileType::MP3, b"ID3\x03\0\0\0\0"),
            (FileType::TEXT, "hé, <b>\n".as_bytes()),
            (FileType::CSV, b"a,b\r\n1,2\r\n"),
            (FileType::JSON, b"{\"a\":1}"),
        ] {
            assert_eq!(judge(kind, bytes, 3), Ok(()), "{kind:?}");
            for other in [FileType::PNG, FileType::JPEG, FileType::GIF, FileType::PDF, FileType::ZIP] {
                assert_eq!(judge(other, bytes, 1024).is_ok(), other == kind, "{bytes:?} as {other:?}");
            }
            assert_eq!(judge(kind, b"", 1), Err(FileFault::Content), "nothing is no {kind:?}");
        }
    }

    #[test]
    fn upl_03_what_is_of_two_types_is_refused() {
        let with = |more: &[u8]| [PNG, &[0; 64], more].concat();
        let mut archive = b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x2e\0\0\0".to_vec();
        archive.extend_from_slice(&[0; 6]);
        for bytes in [
            with(b"<script>alert(1)</script>"),
            with(b"<SVG onload=x>"),
            with(b"%PDF-1.7"),
            with(b"<?php system($_GET[1]);"),
            with(&archive),
            [&with(&[b'x'; 4096])[..], b"<?php"].concat(),
        ] {
            assert_eq!(judge(FileType::PNG, &bytes, 100), Err(FileFault::Polyglot));
        }
        assert_eq!(judge(FileType::PNG, &with(&[b'<'; 4096]), 100), Ok(()));
    }

    #[test]
    fn upl_03_text_may_begin_with_the_letters_of_a_magic() {
        for start in [
            "BM",
            "MZ",
            "ID3",
            "CWS",
            "FWS",
            "BC",
            "BZh",
            "GIF",
            "8BPS",
            "OggS",
            "fLaC",
            "MThd",
            "SQLite",
            "MSCF",
            "LZIP",
            "DSD ",
            "MAC ",
            "M4A ",
            "AC1015",
            "070701",
            "%!",
            "see %PDF",
            "the moov box",
        ] {
            for kind in [FileType::TEXT, FileType::CSV] {
                let text = format!("{start},name,amount\r\n1,a,2\r\n3,b,4\r\n");
                assert_eq!(judge(kind, text.as_bytes(), 1000), Ok(()), "{text}");
            }
            // What is of that type is no text further on.
            let bytes = [start.as_bytes(), b"\0\x01\x02\xff"].concat();
            assert_eq!(judge(FileType::TEXT, &bytes, 1000), Err(FileFault::Content), "{start}");
        }
    }

    #[test]
    fn upl_03_text_is_text_and_no_program() {
        for bytes in [
            &b"<svg xmlns='http://www.w3.org/2000/svg'>"[..],
            b"\xef\xbb\xbf  <!DOCTYPE html>",
            b"<html >",
            b"<?xml version='1.0'?>",
            b"#!/bin/sh",
            b"a\0b",
            b"a\x1b[31m",
            b"\xff\xfeh\0",
            b"caf\xe9",
            b"cut \xc3",
            PNG,
            b"%PDF-1.7",
            b"BM,%PDF-1.7",
            b"%!PS-Adobe-3.0",
            b"GIF89a",
            b"{\\rtf1",
            b"!<arch>\n",
            b"PK\x03\x04",
        ] {
            for size in [1, 1000] {
                assert_eq!(judge(FileType::TEXT, bytes, size), Err(FileFault::Content), "{bytes:?}");
            }
        }
    }
}
