//! A ZIP archive, looked into as it passes: every entry is unpacked, and nothing of it is kept.

use std::{collections::BTreeMap, fmt};

use flate2::{Decompress, FlushDecompress, Status};

use super::{
    ArchiveLimits,
    entry::Content,
    record::{self, Central, Ends, Local, Method},
};
use crate::fault::ArchiveFault::{self, Entries, Malformed, Path, Ratio};

/// A ZIP archive, as it passes.
///
/// It must be what every reader sees alike: records follow each other without a gap, each entry stands in the central
/// directory once, with the same name, sizes and method, and nothing stands outside.
pub(crate) struct Zip {
    limits: ArchiveLimits,
    state: State,
    /// The record that is being read.
    record: Vec<u8>,
    /// Where in the archive the next byte stands.
    position: u64,
    /// By name.
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Of the archives in it.
    inner_entries: usize,
    listed: usize,
    /// Where the central directory begins and ends.
    directory: Option<(u64, u64)>,
    /// Where the end record of ZIP64 begins: what follows is an end too.
    end_64: Option<u64>,
    packed: u64,
    unpacked: u64,
}

/// An entry that was read, until the central directory speaks of it.
struct Entry {
    offset: u64,
    method: Method,
    sizes: (u64, u64),
    listed: bool,
}

enum State {
    // ## Local => Data => (Descriptor) => Local; Local => Central => End
    Local,
    Data(Box<Data>),
    Descriptor(Box<Data>),
    Central,
    Over,
}

/// The entry that is being unpacked.
struct Data {
    local: Local,
    offset: u64,
    inflate: Option<Decompress>,
    /// What is unpacked goes here first.
    piece: Vec<u8>,
    content: Content,
    packed: u64,
    unpacked: u64,
}

/// A piece of what is unpacked.
const PIECE: usize = 16 * 1024;
/// Unpacked bytes that the ratio does not count: a small file of zeros is no bomb.
const FREE: u64 = 1 << 20;
/// A descriptor, and the least that follows it.
const DESCRIPTOR: usize = 24;

impl Zip {
    pub(crate) fn new(limits: &ArchiveLimits) -> Self {
        Self {
            limits: *limits,
            state: State::Local,
            record: Vec::new(),
            position: 0,
            entries: BTreeMap::new(),
            inner_entries: 0,
            listed: 0,
            directory: None,
            end_64: None,
            packed: 0,
            unpacked: 0,
        }
    }

    pub(crate) fn see(&mut self, mut data: &[u8]) -> Result<(), ArchiveFault> {
        while !data.is_empty() {
            data = match std::mem::replace(&mut self.state, State::Over) {
                State::Local | State::Central => self.records(data)?,
                State::Data(entry) => self.unpack(entry, data)?,
                State::Descriptor(entry) => self.descriptor(entry, data)?,
                State::Over => return Err(Malformed),
            };
        }
        Ok(())
    }

    /// The names of the entries, if all of the archive was there.
    pub(crate) fn end(self) -> Result<Vec<Vec<u8>>, ArchiveFault> {
        match self.state {
            State::Over => Ok(self.entries.into_keys().collect()),
            _ => Err(Malformed),
        }
    }

    /// Moves bytes of `data` to the record until it has `length` of them. What is left of `data`.
    fn collect<'d>(&mut self, data: &'d [u8], length: usize) -> &'d [u8] {
        let missing = length.saturating_sub(self.record.len()).min(data.len());
        self.record.extend_from_slice(&data[..missing]);
        self.position += missing as u64;
        &data[missing..]
    }

    fn records<'d>(&mut self, mut data: &'d [u8]) -> Result<&'d [u8], ArchiveFault> {
        // The length is known better once more of the record is there.
        loop {
            let length = record::length(&self.record)?;
            if self.record.len() == length && length > 4 {
                break;
            }
            data = self.collect(data, length);
            if self.record.len() < length {
                self.state = self.between();
                return Ok(data);
            }
        }
        let bytes = std::mem::take(&mut self.record);
        let start = self.position - bytes.len() as u64;
        self.state = match record::Fields(&bytes).long(0) {
            record::LOCAL if self.directory.is_none() && self.end_64.is_none() => {
                State::Data(Box::new(self.begin(&bytes)?))
            }
            record::CENTRAL if self.end_64.is_none() => {
                self.list(&Central::parse(&bytes)?)?;
                let begin = self.directory.map_or(start, |(begin, _)| begin);
                self.directory = Some((begin, self.position));
                State::Central
            }
            record::END_64 if self.end_64.is_none() => {
                self.end_64 = Some(start);
                State::Central
            }
            record::LOCATOR_64 => State::Central,
            record::END => State::Over,
            _ => return Err(Malformed),
        };
        let (begin, end) = self.directory.unwrap_or((0, 0));
        let ends = Ends { begin, end, entries: self.listed as u64, end_64: self.end_64 };
        if !ends.agree_with(&bytes)
            || (matches!(self.state, State::Over) && self.listed != self.entries.len())
        {
            return Err(Malformed);
        }
        // An entry without data is over at once.
        if let State::Data(entry) = &self.state
            && entry.local.method == Method::Stored
            && entry.local.sizes.is_none_or(|(packed, _)| packed == 0)
        {
            let State::Data(entry) = std::mem::replace(&mut self.state, State::Over) else {
                return Err(Malformed);
            };
            self.close(*entry)?;
        }
        Ok(data)
    }

    fn between(&self) -> State {
        if self.directory.is_none() { State::Local } else { State::Central }
    }

    fn begin(&mut self, record: &[u8]) -> Result<Data, ArchiveFault> {
        let local = Local::parse(record)?;
        if self.entries.len() + self.inner_entries >= self.limits.entries {
            return Err(Entries);
        }
        if !record::is_safe_path(&local.name) || self.entries.contains_key(&local.name) {
            return Err(Path);
        }
        let inflate = (local.method == Method::Deflated).then(|| Decompress::new(false));
        let offset = self.position - record.len() as u64;
        let piece = vec![0; if inflate.is_some() { PIECE } else { 0 }];
        Ok(Data { local, offset, inflate, piece, content: Content::new(), packed: 0, unpacked: 0 })
    }

    fn unpack<'d>(&mut self, mut entry: Box<Data>, mut data: &'d [u8]) -> Result<&'d [u8], ArchiveFault> {
        // No more than what the header says belongs to the entry.
        let known = entry.local.sizes.map(|(packed, _)| packed - entry.packed);
        let most = known.and_then(|known| usize::try_from(known).ok()).unwrap_or(usize::MAX).min(data.len());
        let mut over = false;
        if let Some(inflate) = &mut entry.inflate {
            let piece = &mut entry.piece;
            let (mut left, before) = (&data[..most], data.len());
            loop {
                let (taken, given) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(left, piece, FlushDecompress::None).map_err(|_| Malformed)?;
                let taken = usize::try_from(inflate.total_in() - taken).map_err(|_| Malformed)?;
                let given = usize::try_from(inflate.total_out() - given).map_err(|_| Malformed)?;
                left = &left[taken..];
                self.packed += taken as u64;
                entry.packed += taken as u64;
                data = &data[taken..];
                self.count(&mut entry.unpacked, given as u64)?;
                entry.content.see(&piece[..given], &self.rest())?;
                over = status == Status::StreamEnd;
                // Room that was not filled means that there is nothing more in it.
                if over || (left.is_empty() && given < PIECE) || (taken == 0 && given == 0) {
                    break;
                }
            }
            self.position += (before - data.len()) as u64;
            if !over && !left.is_empty() {
                return Err(Malformed);
            }
        } else {
            let taken = &data[..most];
            self.packed += most as u64;
            entry.packed += most as u64;
            self.count(&mut entry.unpacked, most as u64)?;
            entry.content.see(taken, &self.rest())?;
            self.position += most as u64;
            data = &data[most..];
        }
        match entry.local.sizes {
            None if over => {
                self.state = State::Descriptor(entry);
            }
            Some((packed, _)) if entry.packed == packed => {
                if entry.inflate.is_some() && !over {
                    return Err(Malformed);
                }
                self.close(*entry)?;
            }
            // The packed data ends before the header says so.
            Some(_) if over => return Err(Malformed),
            _ => self.state = State::Data(entry),
        }
        Ok(data)
    }

    fn descriptor<'d>(&mut self, mut entry: Box<Data>, data: &'d [u8]) -> Result<&'d [u8], ArchiveFault> {
        let data = self.collect(data, DESCRIPTOR);
        if self.record.len() < DESCRIPTOR {
            self.state = State::Descriptor(entry);
            return Ok(data);
        }
        let length = record::descriptor(&self.record, entry.packed, entry.unpacked).ok_or(Malformed)?;
        entry.local.sizes = Some((entry.packed, entry.unpacked));
        // What was read beyond it is the start of the next record, of which no signature is longer than what is left.
        let next = self.record.split_off(length);
        self.record.clear();
        self.position -= next.len() as u64;
        self.close(*entry)?;
        self.see(&next)?;
        Ok(data)
    }

    fn close(&mut self, entry: Data) -> Result<(), ArchiveFault> {
        let Data { local, offset, content, packed, unpacked, .. } = entry;
        if local.sizes.is_some_and(|sizes| sizes != (packed, unpacked)) {
            return Err(Malformed);
        }
        if let Some(inner) = content.end(&self.rest())? {
            self.count(&mut 0, inner.unpacked)?;
            self.inner_entries += inner.entries.len() + inner.inner_entries;
            inner.end()?;
        }
        let entry = Entry { offset, method: local.method, sizes: (packed, unpacked), listed: false };
        self.entries.insert(local.name, entry);
        self.state = State::Local;
        Ok(())
    }

    fn list(&mut self, central: &Central<'_>) -> Result<(), ArchiveFault> {
        let entry = self.entries.get_mut(central.name).ok_or(Malformed)?;
        let method = match entry.method {
            Method::Stored => 0,
            Method::Deflated => 8,
        };
        let same = central.sizes == Some(entry.sizes)
            && central.method == method
            && u64::from(central.offset) == entry.offset
            && !entry.listed;
        if !same {
            return Err(Malformed);
        }
        entry.listed = true;
        self.listed += 1;
        Ok(())
    }

    fn count(&mut self, entry: &mut u64, unpacked: u64) -> Result<(), ArchiveFault> {
        *entry += unpacked;
        self.unpacked += unpacked;
        let ratio = self.packed.saturating_mul(self.limits.ratio).saturating_add(FREE);
        if self.unpacked > self.limits.unpacked.min(ratio) { Err(Ratio) } else { Ok(()) }
    }

    /// What an archive in the entry that is open may still hold.
    fn rest(&self) -> ArchiveLimits {
        ArchiveLimits {
            entries: self.limits.entries.saturating_sub(self.entries.len() + self.inner_entries + 1),
            unpacked: self.limits.unpacked.saturating_sub(self.unpacked),
            ..self.limits
        }
    }
}

impl fmt::Debug for Zip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zip")
            .field("entries", &self.entries.len())
            .field("unpacked", &self.unpacked)
            .finish_non_exhaustive()
    }
}
