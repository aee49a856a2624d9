//! Content codings of request bodies (RFC 9110 section 8.4).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// A coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    #[cfg(feature = "decompress")]
    Gzip,
    /// The zlib format, as the standard means it, not raw deflate.
    #[cfg(feature = "decompress")]
    Deflate,
    #[cfg(feature = "decompress")]
    Brotli,
}

/// Why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It is larger than the limit once decoded.
    #[cfg(feature = "decompress")]
    TooLarge,
    /// It is not of this coding, cut short, or followed by something else.
    #[cfg(feature = "decompress")]
    Malformed,
}

impl Coding {
    /// What a refusal says in `Accept-Encoding` (RFC 9110 section 12.5.3).
    pub(crate) const ACCEPTED: HeaderValue =
        HeaderValue::from_static(if cfg!(feature = "decompress") { "gzip, deflate, br" } else { "identity" });

    /// The one coding that the headers name; `None` for an unknown one, and for several on top of each other, which
    /// only multiply the work.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = lines.next() else { return Some(Self::Identity) };
        if lines.next().is_some() {
            return None;
        }
        let name = value.as_bytes().trim_ascii();
        Self::NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, coding)| *coding)
    }

    const NAMES: &'static [(&'static [u8], Self)] = &[
        (b"identity", Self::Identity),
        #[cfg(feature = "decompress")]
        (b"gzip", Self::Gzip),
        #[cfg(feature = "decompress")]
        (b"x-gzip", Self::Gzip),
        #[cfg(feature = "decompress")]
        (b"deflate", Self::Deflate),
        #[cfg(feature = "decompress")]
        (b"br", Self::Brotli),
    ];

    /// The decoded body, of at most `most` bytes; identity's is the body itself.
    #[cfg_attr(
        not(feature = "decompress"),
        expect(unused_variables, reason = "identity was counted while read")
    )]
    pub(crate) fn decode(self, bytes: &Bytes, most: usize) -> Result<Bytes, DecodeError> {
        match self {
            Self::Identity => Ok(bytes.clone()),
            #[cfg(feature = "decompress")]
            Self::Gzip => {
                let mut rest = &bytes[..];
                let decoded = inflate(flate2::bufread::MultiGzDecoder::new(&mut rest), most)?;
                nothing_after(decoded, rest)
            }
            #[cfg(feature = "decompress")]
            Self::Deflate => {
                let mut rest = &bytes[..];
                let decoded = inflate(flate2::bufread::ZlibDecoder::new(&mut rest), most)?;
                nothing_after(decoded, rest)
            }
            #[cfg(feature = "decompress")]
            Self::Brotli => unbrotli(bytes, most),
        }
    }
}

#[cfg(feature = "decompress")]
fn inflate(decoder: impl std::io::Read, most: usize) -> Result<Bytes, DecodeError> {
    use std::io::Read as _;

    let mut decoded = Vec::new();
    // One more than the limit tells "at the limit" from "beyond".
    decoder.take(most as u64 + 1).read_to_end(&mut decoded).map_err(|_| DecodeError::Malformed)?;
    if decoded.len() > most { Err(DecodeError::TooLarge) } else { Ok(decoded.into()) }
}

#[cfg(feature = "decompress")]
fn nothing_after(decoded: Bytes, rest: &[u8]) -> Result<Bytes, DecodeError> {
    if rest.is_empty() { Ok(decoded) } else { Err(DecodeError::Malformed) }
}

/// The strict decoder keeps to the window of RFC 7932, at most 16 MiB; the lenient one would reserve what the sender
/// asks for, up to 1 GiB. Driven by hand, since the reader does not tell what follows the end of the stream.
#[cfg(feature = "decompress")]
fn unbrotli(bytes: &[u8], most: usize) -> Result<Bytes, DecodeError> {
    use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let (mut left, mut at, mut total) = (bytes.len(), 0, 0);
    let (mut decoded, mut piece) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let (mut room, mut filled) = (piece.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut at,
            bytes,
            &mut room,
            &mut filled,
            &mut piece,
            &mut total,
            &mut state,
        );
        decoded.extend_from_slice(&piece[..filled]);
        if decoded.len() > most {
            return Err(DecodeError::TooLarge);
        }
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess if left == 0 => return Ok(decoded.into()),
            _ => return Err(DecodeError::Malformed),
        }
    }
}
