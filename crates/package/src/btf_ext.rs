// SPDX-License-Identifier: Apache-2.0
//! What `.BTF.ext` says of instructions (`Documentation/bpf/btf.rst` of Linux): which source line they are from, and which of
//! them are adjusted to the running kernel.
//!
//! It only helps to tell where something is. What is damaged ends the reading, and is no error.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maps::Endian;

/// How many instructions something is read of, and how much of a line, in bytes. Records are small, and each may name a long text.
const MAX_RECORDS: usize = 1 << 16;
const MAX_TEXT: usize = 255;
/// The words of a record that say something.
const MAX_WORDS: usize = 4;

/// A line of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    /// The file, as the compiler was told it.
    pub file: Arc<str>,
    /// Its number, from 1.
    pub number: u32,
    /// What stands there; of a long line the beginning.
    pub text: Arc<str>,
}

/// By section: what is known of the instructions at an offset in bytes.
#[derive(Debug, Default)]
pub(crate) struct BtfExt {
    lines: BTreeMap<String, BTreeMap<u64, SourceLine>>,
    adjusted: BTreeMap<String, BTreeSet<u64>>,
}

/// The lines of nothing.
static NO_LINES: BTreeMap<u64, SourceLine> = BTreeMap::new();
static NOTHING: BTreeSet<u64> = BTreeSet::new();

impl BtfExt {
    /// Reads as much as there is.
    pub(crate) fn read(btf: &[u8], ext: &[u8], endian: Endian) -> Self {
        let words = |bytes| Words { bytes, endian };
        let mut found = Self::default();
        let Some(strings) = words(btf).strings() else { return found };
        let ext = words(ext);
        // Many lines name one file, and lines of made-up objects may all name one text.
        let mut known: BTreeMap<u32, Arc<str>> = BTreeMap::new();
        let mut text = |offset: u32| -> Arc<str> {
            Arc::clone(known.entry(offset).or_insert_with(|| text_at(strings, offset).into()))
        };
        // The header: magic, version and flags, its size, and pairs of place and size.
        for record in ext.table(4).into_iter().flat_map(|table| table.records(strings)) {
            let [at, file, line, place, ..] = record.words[..] else { continue };
            let line = SourceLine { file: text(file), number: place >> 10, text: text(line) };
            found.lines.entry(record.section).or_default().insert(at.into(), line);
        }
        for record in ext.table(6).into_iter().flat_map(|table| table.records(strings)) {
            let Some(at) = record.words.first() else { continue };
            found.adjusted.entry(record.section).or_default().insert((*at).into());
        }
        found
    }

    /// The lines of a section.
    pub(crate) fn lines(&self, section: &str) -> &BTreeMap<u64, SourceLine> {
        self.lines.get(section).unwrap_or(&NO_LINES)
    }

    /// The instructions of a section that are adjusted.
    pub(crate) fn adjusted(&self, section: &str) -> &BTreeSet<u64> {
        self.adjusted.get(section).unwrap_or(&NOTHING)
    }
}

#[derive(Clone, Copy)]
struct Words<'a> {
    bytes: &'a [u8],
    endian: Endian,
}

/// Something said of one instruction.
struct Record {
    section: String,
    words: Vec<u32>,
}

impl<'a> Words<'a> {
    fn word(self, index: usize) -> Option<u32> {
        let bytes = self.bytes.get(index * 4..)?.first_chunk()?;
        Some(match self.endian {
            Endian::Little => u32::from_le_bytes(*bytes),
            Endian::Big => u32::from_be_bytes(*bytes),
        })
    }

    fn after(self, bytes: u32) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(usize::try_from(bytes).ok()?..)?, ..self })
    }

    /// The strings of `.BTF`, whose header has their place and size behind those of the types.
    fn strings(self) -> Option<&'a [u8]> {
        let strings = self.after(self.word(1)?)?.after(self.word(4)?)?.bytes;
        strings.get(..usize::try_from(self.word(5)?).ok()?)
    }

    /// The table whose place and size stand at a word of the header.
    fn table(self, at: usize) -> Option<Self> {
        // Old headers end before the last table.
        if usize::try_from(self.word(1)?).ok()? < (at + 2) * 4 {
            return None;
        }
        let body = self.after(self.word(1)?)?.after(self.word(at)?)?;
        Some(Self { bytes: body.bytes.get(..usize::try_from(self.word(at + 1)?).ok()?)?, ..self })
    }

    /// The size of records; then for each section its name, how many there are, and those.
    fn records(self, strings: &[u8]) -> Vec<Record> {
        let mut found = Vec::new();
        let (Some(size), Some(mut rest)) = (self.word(0).filter(|size| *size >= 4), self.after(4)) else {
            return found;
        };
        while let (Some(name), Some(count), true) = (rest.word(0), rest.word(1), found.len() < MAX_RECORDS) {
            let Some(records) = rest.after(8) else { break };
            let Some(end) = size.checked_mul(count).and_then(|bytes| records.after(bytes)) else { break };
            let section = text_at(strings, name);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let own = records.bytes.len() - end.bytes.len();
            found.extend(records.bytes[..own].chunks_exact(size).take(MAX_RECORDS - found.len()).map(
                |bytes| {
                    let record = Words { bytes, ..self };
                    Record {
                        section: section.clone(),
                        words: (0..MAX_WORDS).map_while(|index| record.word(index)).collect(),
                    }
                },
            ));
            rest = end;
        }
        found
    }
}

fn text_at(strings: &[u8], offset: u32) -> String {
    let text = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..)).unwrap_or_default();
    let text = &text[..text.len().min(MAX_TEXT)];
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    String::from_utf8_lossy(&text[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section of BTF with these strings, and one of lines that all name the second of them.
    fn sections(strings: &[u8], lines: u32) -> (Vec<u8>, Vec<u8>) {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let length = u32::try_from(strings.len()).unwrap();
        let mut btf = words(&[0x0001_eb9f, 24, 0, 0, 0, length]);
        btf.extend(strings);
        let mut table = words(&[16, 1, lines]);
        table.extend((0..lines).flat_map(|at| words(&[at * 8, 1, 1, 7 << 10])));
        let mut ext = words(&[0x0001_eb9f, 24, 0, 0, 0, u32::try_from(table.len()).unwrap()]);
        ext.extend(table);
        (btf, ext)
    }

    #[test]
    fn lines_that_all_name_one_long_text_take_little_room() {
        let mut strings = b"\0".to_vec();
        strings.extend(vec![b'x'; 200_000]);
        strings.push(0);
        let (btf, ext) = sections(&strings, 100_000);
        let found = BtfExt::read(&btf, &ext, Endian::Little);
        let lines: Vec<&SourceLine> = found.lines.values().flat_map(BTreeMap::values).collect();
        assert_eq!(lines.len(), MAX_RECORDS);
        assert!(lines.iter().all(|line| line.number == 7 && line.text.len() == MAX_TEXT));
        assert!(lines.iter().all(|line| line.file.len() == MAX_TEXT));
    }
}
