//! Compressed bodies: counted as they are sent and as they are meant.

use std::io::Write;

use crate::support::{Answer, send, send_to};
use bartizan_testkit::TestBody;
use bartizan_validate::JsonLayer;
use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};
use http::{Request, header};

const TEXT: &str = "{\"a\":[1,2,3],\"b\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Brotli that is not compressed (RFC 7932 section 9.2): a window of 16 bits, one uncompressed block, the end.
fn brotli(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() - 1).unwrap();
    assert!(length < 1 << 16);
    // WBITS 16: `0`; ISLAST `0`; MNIBBLES 4: `00`; MLEN - 1: 16 bits; ISUNCOMPRESSED `1`; padding.
    let header = length << 4 | 1 << 20;
    let mut out = header.to_le_bytes()[..3].to_vec();
    out.extend_from_slice(bytes);
    out.push(3); // ISLAST, ISLASTEMPTY
    out
}

fn request(coding: &str, bytes: Vec<u8>) -> Request<TestBody> {
    let request = Request::post("/").header("content-type", "application/json");
    request.header("content-encoding", coding).body(TestBody::full(bytes)).unwrap()
}

#[tokio::test]
async fn val_01_known_codings_are_undone_and_no_longer_named() {
    for (coding, bytes) in [
        ("gzip", gzip(TEXT.as_bytes())),
        ("X-GZIP", gzip(TEXT.as_bytes())),
        ("deflate", zlib(TEXT.as_bytes())),
        ("br", brotli(TEXT.as_bytes())),
        ("identity", TEXT.into()),
    ] {
        let answer = send_to(&JsonLayer::new(), request(coding, bytes), |head| {
            if head.headers.get(header::CONTENT_ENCODING).is_none_or(|coding| coding != "identity") {
                assert!(!head.headers.contains_key(header::CONTENT_ENCODING));
                assert_eq!(head.headers[header::CONTENT_LENGTH], TEXT.len().to_string());
            }
        })
        .await;
        assert_eq!((answer.status(), answer.seen.unwrap()), (200, TEXT.into()), "{coding}");
    }
}

#[tokio::test]
async fn val_02_the_decompressed_size_counts() {
    let bomb = gzip(&vec![b' '; 100 * 1024 * 1024]);
    assert!(bomb.len() < 200 * 1024);
    for (coding, bytes) in [("gzip", bomb), ("deflate", zlib(&vec![b'['; 2 * 1024 * 1024]))] {
        let answer = send(&JsonLayer::new(), request(coding, bytes)).await;
        assert_eq!(answer.status(), 413, "{coding}");
    }
}

#[test]
fn val_02_a_zip_bomb_costs_a_bounded_amount_of_memory() {
    let bomb = gzip(&vec![b' '; 100 * 1024 * 1024]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let info = allocation_counter::measure(|| {
        assert_eq!(runtime.block_on(send(&JsonLayer::new(), request("gzip", bomb))).status(), 413);
    });
    assert!(info.bytes_max < 4 * 1024 * 1024, "{info:?}");
}

#[tokio::test]
async fn val_02_a_brotli_window_beyond_the_standard_is_refused() {
    // A window of 30 bits, which would be reserved before the first byte.
    let large = [0b0001_0001, 0b0001_1110, 0x03];
    let answer = send(&JsonLayer::new(), request("br", large.to_vec())).await;
    assert!(malformed(&answer), "{answer:?}");
}

fn malformed(answer: &Answer) -> bool {
    answer.status() == 400 && answer.errors() == ["# content_encoding"]
}

#[tokio::test]
async fn val_01_what_is_not_of_its_coding_is_a_400() {
    for (coding, good) in
        [("gzip", gzip(TEXT.as_bytes())), ("deflate", zlib(TEXT.as_bytes())), ("br", brotli(TEXT.as_bytes()))]
    {
        let cut = good[..good.len() - 1].to_vec();
        let followed = [&good[..], b"{}"].concat();
        for bytes in [cut, followed, TEXT.into()] {
            let answer = send(&JsonLayer::new(), request(coding, bytes)).await;
            assert!(malformed(&answer), "{coding}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn val_01_report_only_hands_on_what_it_could_not_decode() {
    let layer = JsonLayer::new().with_report_only();
    let answer = send_to(&layer, request("gzip", b"no".to_vec()), |head| {
        assert_eq!(head.headers[header::CONTENT_ENCODING], "gzip");
    })
    .await;
    assert_eq!(answer.seen.unwrap(), "no");
}

#[test]
fn val_02_no_compressed_bytes_make_a_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bolero::check!().with_type::<(u8, Vec<u8>)>().for_each(|(coding, bytes)| {
        let coding = ["gzip", "deflate", "br"][usize::from(*coding) % 3];
        runtime.block_on(send(&JsonLayer::new(), request(coding, bytes.clone())));
    });
}
