//! Archives, good and bad.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};

use super::{ArchiveLimits, Zip};
use crate::fault::ArchiveFault;

/// An archive in the making.
#[derive(Clone, Default)]
struct Maker {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a str,
    data: &'a [u8],
    deflated: bool,
    /// The sizes stand after the data.
    later: bool,
    flags: u16,
    mode: u32,
    /// Extra fields of the local header, and of the directory.
    extras: [&'a [u8]; 2],
}

fn entry<'a>(name: &'a str, data: &'a [u8]) -> Entry<'a> {
    Entry { name, data, deflated: true, later: false, flags: 0, mode: 0o100_644, extras: [b""; 2] }
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

impl Maker {
    fn with(mut self, entry: Entry<'_>) -> Self {
        let packed = if entry.deflated { deflate(entry.data) } else { entry.data.to_vec() };
        let sizes = [(packed.len() as u32).to_le_bytes(), (entry.data.len() as u32).to_le_bytes()].concat();
        let name = (entry.name.len() as u16).to_le_bytes();
        let flags = entry.flags | if entry.later { 8 } else { 0 };
        let method: u16 = if entry.deflated { 8 } else { 0 };
        let common = |sizes: &[u8], extra: &[u8]| {
            [
                &20_u16.to_le_bytes()[..],
                &flags.to_le_bytes(),
                &method.to_le_bytes(),
                &[0; 8],
                sizes,
                &name,
                &(extra.len() as u16).to_le_bytes(),
            ]
            .concat()
        };
        let offset = self.bytes.len() as u32;
        let [local, central] = entry.extras;
        let head = if entry.later { common(&[0; 8], local) } else { common(&sizes, local) };
        self.bytes.extend([&b"PK\x03\x04"[..], &head, entry.name.as_bytes(), local, &packed].concat());
        if entry.later {
            self.bytes.extend([&b"PK\x07\x08\0\0\0\0"[..], &sizes].concat());
        }
        self.directory.extend(
            [
                &b"PK\x01\x02\x14\x03"[..],
                &common(&sizes, central),
                &[0; 6],
                &(entry.mode << 16).to_le_bytes(),
                &offset.to_le_bytes(),
                entry.name.as_bytes(),
                central,
            ]
            .concat(),
        );
        self.count += 1;
        self
    }

    fn finish(self) -> Vec<u8> {
        self.finish_with(b"", 0)
    }

    fn finish_with(self, comment: &[u8], shift: u32) -> Vec<u8> {
        let Self { mut bytes, directory, count } = self;
        let begin = bytes.len() as u32 + shift;
        bytes.extend_from_slice(&directory);
        bytes.extend(
            [
                &b"PK\x05\x06\0\0\0\0"[..],
                &count.to_le_bytes(),
                &count.to_le_bytes(),
                &(directory.len() as u32).to_le_bytes(),
                &begin.to_le_bytes(),
                &(comment.len() as u16).to_le_bytes(),
                comment,
            ]
            .concat(),
        );
        bytes
    }
}

fn judge_with(limits: &ArchiveLimits, archive: &[u8], size: usize) -> Result<Vec<Vec<u8>>, ArchiveFault> {
    let mut zip = Box::new(Zip::new(limits));
    for piece in archive.chunks(size) {
        zip.see(piece)?;
    }
    zip.end()
}

#[track_caller]
fn assert_judged(archive: &[u8], expected: Result<usize, ArchiveFault>) {
    for size in [1, 7, 100, archive.len().max(1)] {
        let judged = judge_with(&ArchiveLimits::new(), archive, size).map(|names| names.len());
        assert_eq!(judged, expected, "in pieces of {size}");
    }
}

#[test]
fn upl_03_a_plain_archive_passes() {
    let long: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
    let maker = Maker::default()
        .with(Entry { deflated: false, ..entry("folder/", b"") })
        .with(entry("folder/a.txt", b"hello"))
        .with(Entry { later: true, ..entry("b.bin", &long) })
        .with(Entry { deflated: false, ..entry("c.bin", &long) })
        .with(entry("empty", b""));
    assert_judged(&maker.clone().finish(), Ok(5));
    assert_judged(&maker.finish_with(b"a comment", 0), Ok(5));
    assert_judged(&Maker::default().finish(), Ok(0));
}

#[test]
fn upl_03_an_entry_stays_in_its_folder() {
    for name in [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "\\a",
        "a\\..\\b",
        "C:\\a",
        "c:a",
        "a//b",
        "./a",
        "",
        "a\0b",
        "..",
        "a/..",
        "\\\\server\\a",
    ] {
        assert_judged(&Maker::default().with(entry(name, b"x")).finish(), Err(ArchiveFault::Path));
    }
    assert_judged(&Maker::default().with(entry("a..b/.c", b"x")).finish(), Ok(1));
    let twice = Maker::default().with(entry("a", b"x")).with(entry("a", b"y"));
    assert_judged(&twice.finish(), Err(ArchiveFault::Path));
}

#[test]
fn upl_03_links_and_devices_are_refused() {
    for mode in [0o120_777, 0o020_666, 0o060_666, 0o010_644, 0o140_644] {
        let archive = Maker::default().with(Entry { mode, ..entry("a", b"/etc/passwd") }).finish();
        assert_judged(&archive, Err(ArchiveFault::Special));
    }
}

fn extra(id: u16, field: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &(field.len() as u16).to_le_bytes(), field].concat()
}

#[test]
fn upl_03_an_entry_has_one_name_one_size_and_no_target() {
    use ArchiveFault::{Malformed, Special};

    let path = |of: &str, to: &str| {
        let mut crc = flate2::Crc::new();
        crc.update(of.as_bytes());
        extra(0x7075, &[&[1][..], &crc.sum().to_le_bytes(), to.as_bytes()].concat())
    };
    let unix = |mode: u16, length: u32, target: &[u8]| {
        let mode = mode.to_le_bytes();
        extra(0x756e, &[&[0; 4][..], &mode, &length.to_le_bytes(), &[0; 4], target].concat())
    };
    let times = extra(0x5455, &[3, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (field, expected) in [
        (path("a", "../../x"), Err(Malformed)),
        (path("b", "../../x"), Err(Malformed)),
        (path("a", "b"), Err(Malformed)),
        (extra(0x7075, &[1, 0]), Err(Malformed)),
        (path("a", "a"), Ok(1)),
        ([path("a", "a"), path("a", "../x")].concat(), Err(Malformed)),
        (unix(0o120_777, 0, b""), Err(Special)),
        (unix(0o100_644, 6, b"/etc/x"), Err(Special)),
        (unix(0, 0, b"/etc/x"), Err(Special)),
        (unix(0o100_644, 6, b""), Err(Special)),
        (extra(0x756e, &[0; 13]), Err(Malformed)),
        (unix(0o100_644, 0, b""), Ok(1)),
        (extra(0x000d, &[0; 12]), Ok(1)),
        (extra(0x000d, &[[0; 12].as_slice(), b"/etc/x"].concat()), Err(Special)),
        (extra(1, &[0; 16]), Ok(1)),
        ([extra(1, &[0; 16]), extra(1, &[0; 16])].concat(), Err(Malformed)),
        (times.clone(), Ok(1)),
        ([&times[..], &[0; 3]].concat(), Ok(1)),
        ([&times[..], b"x"].concat(), Err(Malformed)),
        (times[..8].to_vec(), Err(Malformed)),
        // Behind others.
        ([times, path("a", "../../x")].concat(), Err(Malformed)),
    ] {
        for extras in [[&field[..], b""], [b"", &field]] {
            let archive = Maker::default().with(Entry { extras, ..entry("a", b"x") }).finish();
            assert_judged(&archive, expected);
        }
    }
}

#[test]
fn upl_03_a_bomb_ends_at_its_limit() {
    let zeros = vec![0; 20 << 20];
    let bomb = Maker::default().with(entry("a", &zeros)).finish();
    assert!(bomb.len() < 64 << 10);
    assert_judged(&bomb, Err(ArchiveFault::Ratio));
    let limits = ArchiveLimits::new().with_max_ratio(100_000).unwrap();
    assert_eq!(judge_with(&limits, &bomb, 1000).map(|names| names.len()), Ok(1));
    let limits = limits.with_max_unpacked(19 << 20).unwrap();
    assert_eq!(judge_with(&limits, &bomb, 1000), Err(ArchiveFault::Ratio));

    // What is refused costs no more than what is allowed.
    let cost = allocation_counter::measure(|| {
        assert_eq!(judge_with(&ArchiveLimits::new(), &bomb, 1000), Err(ArchiveFault::Ratio));
    });
    assert!(cost.bytes_max < 256 << 10, "{cost:?}");

    let names: Vec<_> = (0..1001).map(|index| index.to_string()).collect();
    let many = names.iter().fold(Maker::default(), |maker, name| maker.with(entry(name, b"")));
    assert_judged(&many.finish(), Err(ArchiveFault::Entries));
}

#[test]
fn upl_03_archives_in_archives_are_counted_with_what_they_hold() {
    let inner = Maker::default().with(entry("a", &vec![0; 4 << 20])).finish();
    let outer =
        |inner: &[u8]| Maker::default().with(Entry { deflated: false, ..entry("inner.bin", inner) }).finish();
    assert_judged(&outer(&inner), Err(ArchiveFault::Nested));
    let one = ArchiveLimits::new().with_max_nesting(1).with_max_ratio(100_000).unwrap();
    assert_eq!(judge_with(&one, &outer(&inner), 100).map(|names| names.len()), Ok(1));
    assert_eq!(judge_with(&one, &outer(&outer(&inner)), 100), Err(ArchiveFault::Nested));
    let less = one.with_max_unpacked(3 << 20).unwrap();
    assert_eq!(judge_with(&less, &outer(&inner), 100), Err(ArchiveFault::Ratio));
    // What several hold is counted together.
    let small = Maker::default().with(entry("a", &vec![0; 1 << 20])).finish();
    let many = ["a.bin", "b.bin", "c.bin", "d.bin"];
    let several = many
        .iter()
        .fold(Maker::default(), |maker, name| maker.with(Entry { deflated: false, ..entry(name, &small) }));
    let several = several.finish();
    assert_eq!(judge_with(&less, &several, 100), Err(ArchiveFault::Ratio));
    assert_eq!(judge_with(&one, &several, 100).map(|names| names.len()), Ok(4));
    let few = one.with_max_entries(7).unwrap();
    assert_eq!(judge_with(&few, &several, 100), Err(ArchiveFault::Entries));
    // Cut short inside.
    assert_eq!(judge_with(&one, &outer(&inner[..inner.len() - 1]), 100), Err(ArchiveFault::Malformed));
    for head in
        [&b"\x1f\x8b\x08\0\0\0"[..], b"Rar!\x1a\x07\x00", b"7z\xbc\xaf\x27\x1c", b"\xfd7zXZ\0", b"BZh9"]
    {
        let packed = [head, &[1; 300]].concat();
        assert_judged(&outer(&packed), Err(ArchiveFault::Nested));
    }
}

#[test]
fn upl_03_what_cannot_be_looked_into_is_refused() {
    for flags in [1, 1 << 6, 1 << 13] {
        assert_judged(
            &Maker::default().with(Entry { flags, ..entry("a", b"x") }).finish(),
            Err(ArchiveFault::Opaque),
        );
    }
    let stored_later = Entry { deflated: false, later: true, ..entry("a", b"x") };
    assert_judged(&Maker::default().with(stored_later).finish(), Err(ArchiveFault::Opaque));
    let mut lzma = Maker::default().with(entry("a", b"x")).finish();
    lzma[8] = 14;
    assert_judged(&lzma, Err(ArchiveFault::Opaque));
}

#[test]
fn upl_03_an_archive_says_one_thing_about_an_entry() {
    let good = Maker::default().with(entry("a.txt", b"hello")).with(entry("b.txt", b"world"));
    let bytes = good.clone().finish();
    for length in 1..bytes.len() {
        assert_eq!(
            judge_with(&ArchiveLimits::new(), &bytes[..length], 16),
            Err(ArchiveFault::Malformed),
            "{length}"
        );
    }
    assert_judged(&[&bytes[..], b"x"].concat(), Err(ArchiveFault::Malformed));
    assert_judged(&[b"x", &bytes[..]].concat(), Err(ArchiveFault::Malformed));
    // The directory names another entry, begins elsewhere, or has one less.
    let at = bytes.windows(5).rposition(|window| window == b"a.txt").unwrap();
    let mut renamed = bytes.clone();
    renamed[at] = b'c';
    assert_judged(&renamed, Err(ArchiveFault::Malformed));
    assert_judged(&good.clone().finish_with(b"", 4), Err(ArchiveFault::Malformed));
    let mut fewer = good.clone();
    fewer.directory.truncate(fewer.directory.len() / 2);
    fewer.count = 1;
    assert_judged(&fewer.finish(), Err(ArchiveFault::Malformed));
    // A second end, which a reader that starts from the end finds first.
    let second = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    assert_judged(&good.finish_with(&second, 0), Err(ArchiveFault::Malformed));
    // The size is not what it says.
    let mut short = bytes;
    short[22] = 4;
    assert_judged(&short, Err(ArchiveFault::Malformed));
}

#[test]
fn upl_03_any_bytes_are_judged_without_a_panic_and_alike_however_they_are_cut() {
    let path = extra(0x7075, b"\x01\0\0\0\0a.txt");
    let good = Maker::default()
        .with(Entry { extras: [&path, &path], ..entry("a.txt", b"hello, hello, hello") })
        .with(Entry { later: true, ..entry("b", b"world") })
        .with(Entry { deflated: false, ..entry("c/", b"") })
        .finish();
    bolero::check!().for_each(|bytes: &[u8]| {
        // A good archive with some bytes of it changed gets further than bytes of chance.
        let mut archive = good.clone();
        for change in bytes.chunks_exact(3).take(8) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % archive.len();
            archive[at] = change[2];
        }
        for archive in [&archive[..], bytes] {
            let limits = ArchiveLimits::new().with_max_nesting(2);
            let whole = judge_with(&limits, archive, archive.len().max(1)).ok();
            assert_eq!(judge_with(&limits, archive, 5).ok(), whole);
        }
    });
}
