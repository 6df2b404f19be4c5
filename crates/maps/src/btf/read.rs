// SPDX-License-Identifier: Apache-2.0
//! From the bytes of a `.BTF` section to entries. Nothing is followed here, so that reading takes time for the bytes alone.

use super::{BtfError, Entry, Kind, MAX_NAME_BYTES, MAX_TYPES, Member, SectionVariable};
use crate::{Endian, Number};

/// Takes words off the front of bytes.
struct Reader<'a> {
    bytes: &'a [u8],
    strings: &'a [u8],
    endian: Endian,
}

/// Reads all types of a section.
pub(super) fn entries(section: &[u8], endian: Endian) -> Result<Vec<Entry<'_>>, BtfError> {
    const MAGIC: u32 = 0xeb9f;
    let mut header = Reader { bytes: section, strings: &[], endian };
    let first = header.word()?;
    let magic = match endian {
        Endian::Little => first & 0xffff,
        Endian::Big => first >> 16,
    };
    if magic != MAGIC {
        return Err(BtfError::Header);
    }
    let [header_bytes, types_at, types_bytes, strings_at, strings_bytes] = header.words()?;
    let body = usize::try_from(header_bytes).ok().and_then(|start| section.get(start..));
    let body = body.ok_or(BtfError::Truncated)?;
    let strings = range(body, strings_at, strings_bytes)?;
    let mut reader = Reader { bytes: range(body, types_at, types_bytes)?, strings, endian };
    let mut entries = Vec::new();
    while !reader.bytes.is_empty() {
        if entries.len() == MAX_TYPES {
            return Err(BtfError::TooMany);
        }
        entries.push(reader.entry()?);
    }
    Ok(entries)
}

fn range(bytes: &[u8], start: u32, length: u32) -> Result<&[u8], BtfError> {
    let start = usize::try_from(start).ok().ok_or(BtfError::Truncated)?;
    let length = usize::try_from(length).ok().ok_or(BtfError::Truncated)?;
    let end = start.checked_add(length).ok_or(BtfError::Truncated)?;
    bytes.get(start..end).ok_or(BtfError::Truncated)
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> Result<u32, BtfError> {
        let [word] = self.words()?;
        Ok(word)
    }

    fn words<const N: usize>(&mut self) -> Result<[u32; N], BtfError> {
        let mut words = [0; N];
        for word in &mut words {
            let (first, rest) = self.bytes.split_first_chunk::<4>().ok_or(BtfError::Truncated)?;
            self.bytes = rest;
            *word = match self.endian {
                Endian::Little => u32::from_le_bytes(*first),
                Endian::Big => u32::from_be_bytes(*first),
            };
        }
        Ok(words)
    }

    fn text(&self, offset: u32) -> Result<&'a str, BtfError> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.strings.get(offset..));
        let from = from.ok_or(BtfError::Truncated)?;
        let near = &from[..from.len().min(MAX_NAME_BYTES + 1)];
        let Some(end) = near.iter().position(|byte| *byte == 0) else {
            return Err(if near.len() > MAX_NAME_BYTES { BtfError::Name } else { BtfError::Truncated });
        };
        str::from_utf8(&near[..end]).ok().ok_or(BtfError::Name)
    }

    /// The numbers are those of `BTF_KIND_*`.
    fn entry(&mut self) -> Result<Entry<'a>, BtfError> {
        let [name, info, size_or_type] = self.words()?;
        let name = self.text(name)?;
        let (count, flag) = (info & 0xffff, info >> 31 == 1);
        let (bytes, target) = (size_or_type, size_or_type);
        let kind = match info >> 24 & 0x1f {
            1 => int(self.word()?, bytes),
            2 => Kind::Pointer { target },
            3 => {
                let [element, _, count] = self.words()?;
                Kind::Array { element, count }
            }
            4 => Kind::Struct { bytes, members: self.members(count, flag)? },
            5 => Kind::Union { bytes, members: self.members(count, flag)? },
            6 => Kind::Enum { bytes, signed: flag, values: self.values(count, flag)? },
            7 => Kind::Forward,
            8 => Kind::Typedef { target },
            9 | 11 => Kind::Qualified { target },
            10 => Kind::Const { target },
            // BTF_FUNC_EXTERN
            12 => Kind::Function { prototype: target, external: count == 2 },
            13 => Kind::Prototype { returns: target, parameters: self.parameters(count)? },
            14 => {
                self.word()?;
                Kind::Variable { target }
            }
            15 => Kind::Section { bytes, variables: self.variables(count)? },
            16 => Kind::Float { bytes },
            17 => {
                let component = self.word()?;
                Kind::DeclarationTag { target, component: (component != u32::MAX).then_some(component) }
            }
            18 => Kind::TypeTag { target },
            19 => Kind::Enum { bytes, signed: flag, values: self.wide_values(count, flag)? },
            kind => return Err(BtfError::Kind { kind }),
        };
        Ok(Entry { name, kind })
    }

    /// With the flag, the upper byte of an offset is the length of a bit field.
    fn members(&mut self, count: u32, flag: bool) -> Result<Vec<Member<'a>>, BtfError> {
        let read = self.several(count)?;
        let member = |[name, target, offset]: [u32; 3]| {
            let [low, middle, high, bits] = offset.to_le_bytes();
            let short = u32::from_le_bytes([low, middle, high, 0]);
            let (bit_offset, bits) = if flag { (short, bits) } else { (offset, 0) };
            Ok(Member { name: self.text(name)?, target, bit_offset, bits })
        };
        read.into_iter().map(member).collect()
    }

    fn values(&mut self, count: u32, signed: bool) -> Result<Vec<(&'a str, Number)>, BtfError> {
        let read = self.several(count)?;
        let value = |[name, value]: [u32; 2]| {
            let number = if signed { value.cast_signed().into() } else { value.into() };
            Ok((self.text(name)?, number))
        };
        read.into_iter().map(value).collect()
    }

    fn wide_values(&mut self, count: u32, signed: bool) -> Result<Vec<(&'a str, Number)>, BtfError> {
        let read = self.several(count)?;
        let value = |[name, low, high]: [u32; 3]| {
            let value = u64::from(high) << 32 | u64::from(low);
            let number = if signed { value.cast_signed().into() } else { value.into() };
            Ok((self.text(name)?, number))
        };
        read.into_iter().map(value).collect()
    }

    fn parameters(&mut self, count: u32) -> Result<Vec<(&'a str, u32)>, BtfError> {
        let read = self.several(count)?;
        let parameter = |[name, target]: [u32; 2]| Ok((self.text(name)?, target));
        read.into_iter().map(parameter).collect()
    }

    fn variables(&mut self, count: u32) -> Result<Vec<SectionVariable>, BtfError> {
        let read = self.several(count)?.into_iter();
        Ok(read.map(|[variable, offset, bytes]| SectionVariable { variable, offset, bytes }).collect())
    }

    /// Grows with what is there, never with what a count promises.
    fn several<const N: usize>(&mut self, count: u32) -> Result<Vec<[u32; N]>, BtfError> {
        (0..count).map(|_| self.words()).collect()
    }
}

/// `BTF_INT_ENCODING`, `BTF_INT_OFFSET` and `BTF_INT_BITS`.
fn int<'a>(word: u32, bytes: u32) -> Kind<'a> {
    let [bits, _, bit_offset, flags] = word.to_le_bytes();
    let [signed, character, boolean] = [1, 2, 4].map(|flag| flags & flag != 0);
    Kind::Int { bytes, bits, bit_offset, signed, boolean, character }
}
