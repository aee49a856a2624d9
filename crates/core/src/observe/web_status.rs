//! The status of a gRPC-Web response, which stands at the end of its body.
//!
//! gRPC-Web ([PROTOCOL-WEB.md]) sends its trailers as the last frame of the body, so that browsers see them: a flag
//! byte with the top bit set, four bytes of length, and the fields as in HTTP/1.1. The text form of the protocol
//! is the same in base64, padded wherever the server flushed.
//!
//! [PROTOCOL-WEB.md]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md

use std::{fmt, io::IoSlice};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Buf;

use crate::{GrpcCode, GrpcWebFormat};

/// Looks for the status of a gRPC-Web response in its body as that passes by, in whatever pieces it comes.
///
/// What is kept of it is no more than its trailers, and of those no more than 8 KiB.
///
/// ```
/// use bartizan_core::{GrpcCode, GrpcWebFormat, GrpcWebStatus};
///
/// let mut status = GrpcWebStatus::new(GrpcWebFormat::BinaryProto);
/// assert_eq!(status.read(&&b"\x80\0\0\0\x10grpc-"[..]), None);
/// assert_eq!(status.read(&&b"status: 5\r\n"[..]), Some(GrpcCode::NotFound));
/// ```
pub struct GrpcWebStatus {
    text: Option<Quads>,
    frames: Frames,
}

impl GrpcWebStatus {
    /// For a response of this format.
    pub fn new(format: GrpcWebFormat) -> Self {
        let is_text = matches!(format, GrpcWebFormat::Text | GrpcWebFormat::TextProto);
        Self { text: is_text.then(Quads::default), frames: Frames::default() }
    }

    /// Reads a piece without consuming it; the status, once the trailers are whole.
    pub fn read(&mut self, piece: &impl Buf) -> Option<GrpcCode> {
        /// What servers send is one slice, or a few.
        const MAX_SLICES: usize = 16;
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = piece.chunks_vectored(&mut slices);
        let mut seen = 0;
        for slice in &slices[..filled] {
            seen += slice.len();
            match &mut self.text {
                None => self.frames.read(slice),
                Some(quads) => quads.decode(slice, |bytes| self.frames.read(bytes)),
            }
        }
        if seen < piece.remaining() {
            self.frames.state = State::Lost;
        }
        match self.frames.state {
            State::Found(code) => Some(code),
            _ => None,
        }
    }
}

impl fmt::Debug for GrpcWebStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcWebStatus").field("is_text", &self.text.is_some()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Frames {
    state: State,
}

enum State {
    Prefix {
        bytes: [u8; 5],
        filled: usize,
    },
    Message {
        left: usize,
    },
    Trailers {
        left: usize,
        block: Vec<u8>,
    },
    Found(GrpcCode),
    /// Not gRPC-Web, or more than is read: the status stays unknown.
    Lost,
}

impl Default for State {
    fn default() -> Self {
        Self::Prefix { bytes: [0; 5], filled: 0 }
    }
}

impl Frames {
    /// The most bytes of trailers: what gRPC suggests for all metadata of a response.
    const MAX_TRAILERS: usize = 8 * 1024;
    const IS_TRAILERS: u8 = 0x80;
    const IS_COMPRESSED: u8 = 0x01;

    fn read(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            match &mut self.state {
                State::Prefix { bytes, filled } => {
                    let taken = take(&mut data, bytes.len() - *filled);
                    bytes[*filled..*filled + taken.len()].copy_from_slice(taken);
                    *filled += taken.len();
                    if *filled == bytes.len() {
                        self.state = Self::begin(*bytes);
                    }
                }
                State::Message { left } => {
                    *left -= take(&mut data, *left).len();
                    if *left == 0 {
                        self.state = State::default();
                    }
                }
                State::Trailers { left, block } => {
                    let taken = take(&mut data, *left);
                    block.extend_from_slice(taken);
                    *left -= taken.len();
                    if *left == 0 {
                        self.state = State::Found(status(block));
                    }
                }
                State::Found(_) | State::Lost => return,
            }
        }
    }

    fn begin([flags, length @ ..]: [u8; 5]) -> State {
        let left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        match flags {
            0 | Self::IS_COMPRESSED if left == 0 => State::default(),
            0 | Self::IS_COMPRESSED => State::Message { left },
            Self::IS_TRAILERS if left == 0 => State::Found(GrpcCode::Unknown),
            Self::IS_TRAILERS if left <= Self::MAX_TRAILERS => {
                State::Trailers { left, block: Vec::with_capacity(left) }
            }
            _ => State::Lost,
        }
    }
}

fn take<'d>(data: &mut &'d [u8], most: usize) -> &'d [u8] {
    let (taken, rest) = data.split_at(most.min(data.len()));
    *data = rest;
    taken
}

/// The status among the fields of a trailers frame.
fn status(block: &[u8]) -> GrpcCode {
    block
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            name.trim_ascii().eq_ignore_ascii_case(b"grpc-status").then(|| GrpcCode::from_bytes(value))
        })
        .next()
        .unwrap_or(GrpcCode::Unknown)
}

/// Decodes base64 that comes in pieces of any size, four characters at a time: padding may stand in the middle.
#[derive(Default)]
struct Quads {
    held: [u8; 4],
    filled: usize,
    broken: bool,
}

impl Quads {
    fn decode(&mut self, mut text: &[u8], mut emit: impl FnMut(&[u8])) {
        while !text.is_empty() && !self.broken {
            if self.filled > 0 || text.len() < self.held.len() {
                let taken = take(&mut text, self.held.len() - self.filled);
                self.held[self.filled..self.filled + taken.len()].copy_from_slice(taken);
                self.filled += taken.len();
                if self.filled == self.held.len() {
                    self.filled = 0;
                    let held = self.held;
                    self.run(&held, &mut emit);
                }
            } else {
                /// As much as is decoded at once.
                const RUN: usize = 1024;
                let whole = text.len().min(RUN) / 4 * 4;
                // To the end of the four characters that the first padding ends.
                let end =
                    text[..whole].iter().position(|byte| *byte == b'=').map_or(whole, |at| at / 4 * 4 + 4);
                let run = take(&mut text, end);
                self.run(run, &mut emit);
            }
        }
    }

    /// Decodes whole quads, of which only the last is padded.
    fn run(&mut self, quads: &[u8], emit: &mut impl FnMut(&[u8])) {
        let mut bytes = [0; 768];
        match STANDARD.decode_slice(quads, &mut bytes) {
            Ok(length) => emit(&bytes[..length]),
            Err(_) => self.broken = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[flags], &length[..], payload].concat()
    }

    fn read(format: GrpcWebFormat, pieces: &[&[u8]]) -> Option<GrpcCode> {
        let mut status = GrpcWebStatus::new(format);
        pieces.iter().fold(None, |found, piece| found.or(status.read(&Bytes::copy_from_slice(piece))))
    }

    fn text(frames: &[Vec<u8>]) -> String {
        frames.iter().map(|frame| STANDARD.encode(frame)).collect()
    }

    #[test]
    fn grpc_13_the_status_of_grpc_web_is_found_in_the_body() {
        let trailers = frame(0x80, b"grpc-message: no\r\nGRPC-Status:7 \r\n");
        let frames = [frame(0, b"\x80\0\0\0\x05hello"), frame(1, b""), trailers];
        let (binary, text) = (frames.concat(), text(&frames));
        for size in 1..=binary.len().max(text.len()) {
            let pieces: Vec<_> = binary.chunks(size).collect();
            assert_eq!(read(GrpcWebFormat::Binary, &pieces), Some(GrpcCode::PermissionDenied), "{size}");
            let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
            assert_eq!(read(GrpcWebFormat::TextProto, &pieces), Some(GrpcCode::PermissionDenied), "{size}");
        }
    }

    #[test]
    fn grpc_13_trailers_without_a_status_are_unknown_and_what_is_no_trailers_is_not_found() {
        for block in [b"".as_slice(), b"grpc-message: x\r\n", b"grpc-status\r\n", b"grpc-status: 99\r\n"] {
            assert_eq!(read(GrpcWebFormat::Binary, &[&frame(0x80, block)]), Some(GrpcCode::Unknown));
        }
        let huge = frame(0x80, &[b'x'; Frames::MAX_TRAILERS + 1]);
        for bad in [b"".as_slice(), b"<html>", &frame(0x81, b"grpc-status:0"), &huge, &frame(0, b"x")[..5]] {
            assert_eq!(read(GrpcWebFormat::Binary, &[bad]), None);
        }
        assert_eq!(read(GrpcWebFormat::Text, &[b"gAAA$AAPZ3JwYy1zdGF0dXM6MA=="]), None);
    }

    #[test]
    fn a_body_in_several_slices_is_read_too_and_one_in_too_many_is_given_up() {
        let trailers = frame(0x80, b"grpc-status:0\r\n");
        let (head, tail) = trailers.split_at(7);
        let mut status = GrpcWebStatus::new(GrpcWebFormat::Binary);
        assert_eq!(status.read(&Buf::chain(head, tail)), Some(GrpcCode::Ok));
        /// Shows its first byte alone.
        struct Stingy(Bytes);
        impl Buf for Stingy {
            fn remaining(&self) -> usize {
                self.0.remaining()
            }
            fn chunk(&self) -> &[u8] {
                &self.0[..1]
            }
            fn advance(&mut self, count: usize) {
                self.0.advance(count);
            }
        }
        let mut status = GrpcWebStatus::new(GrpcWebFormat::Binary);
        assert_eq!(status.read(&Stingy(trailers.into())), None);
    }

    #[test]
    fn any_bytes_in_any_pieces_are_read_alike_and_within_bounds() {
        bolero::check!().with_type::<(bool, Vec<Vec<u8>>)>().for_each(|(is_text, pieces)| {
            let format = if *is_text { GrpcWebFormat::Text } else { GrpcWebFormat::BinaryProto };
            let cut: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
            assert_eq!(read(format, &cut), read(format, &[&pieces.concat()]));
        });
    }
}
