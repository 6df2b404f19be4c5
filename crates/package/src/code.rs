// SPDX-License-Identifier: Apache-2.0
//! The instructions of an object (RFC 9669), as the compiler left them: with what they name, which source line they are from,
//! and which of them loaders adjust to the running kernel (CO-RE).
//!
//! Nothing is judged here, and nothing is believed: what points outside of the object is passed over.

use std::collections::{BTreeMap, BTreeSet};

use maps::Endian;
use object::read::elf::{ElfFile64, ElfSymbol64};
use object::{
    Endianness, Object as _, ObjectSection, ObjectSymbol, RelocationTarget, SectionKind, SymbolKind,
};

use crate::ObjectError;
use crate::btf_ext::{BtfExt, SourceLine};
use crate::object::{Elf, damaged, endian_of, read_elf};

/// Bytes of one slot.
const SLOT: u64 = 8;
/// What an instruction of two slots begins with: a constant of 64 bits is loaded.
const WIDE: u8 = 0x18;
/// More instructions no object has; symbols that are made up may lie upon each other.
const MAX_INSTRUCTIONS: usize = 1 << 20;

/// All functions of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Code {
    /// The functions, by section and place.
    pub functions: Vec<Function>,
    /// The maps whose declaration says what is in them: programs of a program array, maps in maps.
    pub filled: BTreeSet<String>,
    /// The files that the object says it was made of.
    pub files: BTreeSet<String>,
}

/// One function: a program, or what programs call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its symbol.
    pub name: String,
    /// The ELF section it is in; `.text` holds what others call.
    pub section: String,
    /// Its instructions, in their order.
    pub instructions: Vec<Instruction>,
    /// Where in the source they are from; by the slot from which on that is so.
    pub lines: BTreeMap<usize, SourceLine>,
    /// How many places of it loaders adjust to the types of the running kernel.
    pub adjusted: usize,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Its slot in the function; a constant of 64 bits takes two.
    pub slot: usize,
    /// What is done.
    pub opcode: u8,
    /// The register that is written, or that has the address to write to.
    pub destination: u8,
    /// The register that is read, or what kind of thing is named.
    pub source: u8,
    /// A distance.
    pub offset: i16,
    /// A number.
    pub immediate: i32,
    /// What it names: a map, a variable, a function.
    pub names: Option<Symbol>,
    /// Whether loaders adjust it to the types of the running kernel.
    pub is_adjusted: bool,
}

/// What an instruction names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// The symbol; empty for a place in a section.
    pub symbol: String,
    /// Its section; none where it is not in the object.
    pub section: Option<String>,
    /// Whether it may be missing.
    pub is_weak: bool,
}

impl Function {
    /// The source line of an instruction.
    pub fn line(&self, slot: usize) -> Option<&SourceLine> {
        self.lines.range(..=slot).next_back().map(|(_, line)| line)
    }
}

impl Instruction {
    /// The number of the helper function of the kernel that it calls.
    pub fn helper(&self) -> Option<u32> {
        let is_call = self.opcode == 0x85 && self.source == 0 && self.names.is_none();
        is_call.then(|| u32::try_from(self.immediate).ok()).flatten()
    }

    /// The map that it takes the address of.
    pub fn map(&self) -> Option<&str> {
        let named = self.names.as_ref().filter(|_| self.opcode == WIDE)?;
        (named.section.as_deref() == Some(".maps")).then_some(named.symbol.as_str())
    }

    /// The function of the kernel that it calls by name (a kfunc), and whether it may be missing.
    pub fn kernel_function(&self) -> Option<(&str, bool)> {
        let named = self.names.as_ref().filter(|_| self.opcode == 0x85)?;
        named.section.is_none().then_some((named.symbol.as_str(), named.is_weak))
    }
}

impl Code {
    /// Reads the instructions of an object.
    ///
    /// # Errors
    /// When the bytes are no object.
    pub fn read(bytes: &[u8]) -> Result<Self, ObjectError> {
        let elf = read_elf(bytes)?;
        let endian = endian_of(&elf);
        let ext = section(&elf, ".BTF")?.zip(section(&elf, ".BTF.ext")?);
        let ext = ext.map(|(btf, ext)| BtfExt::read(btf, ext, endian)).unwrap_or_default();
        let (mut functions, mut left) = (Vec::new(), MAX_INSTRUCTIONS);
        let mut symbols: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for symbol in elf.symbols() {
            let section = symbol.section_index().map_or(0, |index| index.0);
            symbols.entry(section).or_default().push(symbol);
        }
        for section in elf.sections().filter(|section| section.kind() == SectionKind::Text) {
            let own = symbols.remove(&section.index().0).unwrap_or_default();
            functions.extend(functions_of(&elf, &section, &own, (&ext, &mut left))?);
        }
        functions.sort_by(|one, other| (&one.section, &one.name).cmp(&(&other.section, &other.name)));
        let mut files: BTreeSet<String> = functions
            .iter()
            .flat_map(|function| &function.lines)
            .map(|(_, line)| line.file.to_string())
            .collect();
        files.extend(debug_files(&elf)?);
        Ok(Self { functions, filled: filled(&elf), files })
    }
}

fn section<'a>(elf: &Elf<'a>, name: &str) -> Result<Option<&'a [u8]>, ObjectError> {
    elf.section_by_name(name).map(|section| section.data().map_err(damaged)).transpose()
}

fn functions_of<'a>(
    elf: &Elf<'a>,
    section: &object::read::elf::ElfSection64<'a, '_, Endianness>,
    symbols: &[ElfSymbol64<'a, '_, Endianness>],
    (ext, left): (&BtfExt, &mut usize),
) -> Result<Vec<Function>, ObjectError> {
    let name = section.name().map_err(damaged)?;
    let code = section.data().map_err(damaged)?;
    let named: BTreeMap<u64, Symbol> = section
        .relocations()
        .filter_map(|(offset, relocation)| {
            let RelocationTarget::Symbol(index) = relocation.target() else { return None };
            Some((offset, named(elf, index)?))
        })
        .collect();
    let mut functions = Vec::new();
    for symbol in symbols {
        let Ok(function) = symbol.name() else { continue };
        let (start, bytes) = (symbol.address(), symbol.size());
        if symbol.kind() != SymbolKind::Text || bytes == 0 || function.is_empty() {
            continue;
        }
        let place = Place { section: name, start, end: start.saturating_add(bytes) };
        let range = usize::try_from(start).ok().zip(usize::try_from(place.end).ok());
        let Some(own) = range.and_then(|(start, end)| code.get(start..end)) else { continue };
        let Some(rest) = left.checked_sub(own.len() / 8) else { break };
        *left = rest;
        functions.push(Function {
            name: function.to_owned(),
            section: name.to_owned(),
            instructions: place.instructions(own, &named, ext, endian_of(elf)),
            lines: place.lines(ext),
            adjusted: ext.adjusted(name).range(start..place.end).count(),
        });
    }
    Ok(functions)
}

/// Where a function lies in its section, in bytes.
struct Place<'a> {
    section: &'a str,
    start: u64,
    end: u64,
}

impl Place<'_> {
    fn instructions(
        &self,
        own: &[u8],
        named: &BTreeMap<u64, Symbol>,
        ext: &BtfExt,
        endian: Endian,
    ) -> Vec<Instruction> {
        let adjusted = ext.adjusted(self.section);
        let mut instructions = Vec::new();
        let (mut slots, mut at) = (own.chunks_exact(8).enumerate(), self.start);
        while let Some((slot, bytes)) = slots.next() {
            let registers = match endian {
                Endian::Little => (bytes[1] & 15, bytes[1] >> 4),
                Endian::Big => (bytes[1] >> 4, bytes[1] & 15),
            };
            instructions.push(Instruction {
                slot,
                opcode: bytes[0],
                destination: registers.0,
                source: registers.1,
                offset: i16::from_ne_bytes(native([bytes[2], bytes[3]], endian)),
                immediate: i32::from_ne_bytes(native([bytes[4], bytes[5], bytes[6], bytes[7]], endian)),
                names: named.get(&at).cloned(),
                is_adjusted: adjusted.contains(&at),
            });
            at += SLOT;
            if bytes[0] == WIDE {
                slots.next();
                at += SLOT;
            }
        }
        instructions
    }

    fn lines(&self, ext: &BtfExt) -> BTreeMap<usize, SourceLine> {
        let own = ext.lines(self.section).range(self.start..self.end);
        own.filter_map(|(at, line)| Some((usize::try_from((at - self.start) / SLOT).ok()?, line.clone())))
            .collect()
    }
}

/// Bytes of an object in the order of this machine.
fn native<const N: usize>(mut bytes: [u8; N], endian: Endian) -> [u8; N] {
    let own = if cfg!(target_endian = "little") { Endian::Little } else { Endian::Big };
    if endian != own {
        bytes.reverse();
    }
    bytes
}

fn named(elf: &Elf<'_>, index: object::SymbolIndex) -> Option<Symbol> {
    let symbol = elf.symbol_by_index(index).ok()?;
    let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
    let section = section.and_then(|section| section.name().ok().map(str::to_owned));
    let symbol_name = if symbol.kind() == SymbolKind::Section { "" } else { symbol.name().ok()? };
    Some(Symbol { symbol: symbol_name.to_owned(), section, is_weak: symbol.is_weak() })
}

/// Declarations that name what is in the map have relocations where those names stand.
fn filled(elf: &ElfFile64<'_, Endianness>) -> BTreeSet<String> {
    let Some(section) = elf.section_by_name(".maps") else { return BTreeSet::new() };
    let places: BTreeSet<u64> = section.relocations().map(|(offset, _)| offset).collect();
    let inside = elf.symbols().filter(|symbol| symbol.section_index() == Some(section.index()));
    let filled = inside.filter(|symbol| {
        places.range(symbol.address()..symbol.address().saturating_add(symbol.size())).next().is_some()
    });
    filled.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect()
}

/// The names of files in what is left for debuggers, where they are whole paths, and in the table of symbols.
fn debug_files(elf: &Elf<'_>) -> Result<Vec<String>, ObjectError> {
    let mut files: Vec<String> = elf
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::File)
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        .collect();
    for name in [".debug_str", ".debug_line_str"] {
        let texts = section(elf, name)?.unwrap_or_default().split(|byte| *byte == 0);
        let paths = texts.filter(|text| text.starts_with(b"/"));
        files.extend(paths.map(|path| String::from_utf8_lossy(path).into_owned()));
    }
    files.retain(|file| !file.is_empty());
    Ok(files)
}
