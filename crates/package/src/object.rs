// SPDX-License-Identifier: Apache-2.0
//! Reading an eBPF object: an ELF file of machine `EM_BPF` (RFC 9669 and the conventions of libbpf).

use maps::{Btf, BtfError, Endian, Kind, SectionSymbol};
use object::elf::{EM_BPF, FileHeader64};
use object::read::elf::{ElfFile, FileHeader};
use object::{Endianness, Object as _, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use thiserror::Error;

use crate::context::argument;
use crate::layout::describe;
use crate::map_interface::{MAX_VARIABLES, btf, declared, symbols};
use crate::{Layout, ProgramName};

/// What an object holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The functions that can be loaded as programs, by name.
    pub programs: Vec<ObjectProgram>,
    /// The maps that the author declared, by name. Those of global variables are not among them.
    pub maps: Vec<ObjectMap>,
    /// What lies where in them, and in the maps of global variables.
    pub layout: Layout,
    /// The bytes of its constants (`.rodata`), as they are when nobody gives them other values.
    pub constants: Vec<u8>,
    /// The licence that the kernel is told.
    pub license: Option<String>,
    /// Whether types are described.
    pub has_btf: bool,
    /// Whether information for debuggers is left in.
    pub has_dwarf: bool,
    /// How many tail calls are written in functions that are no programs themselves.
    pub tail_calls_in_functions: u32,
    /// What it names that is not its own: functions, variables and the configuration of the kernel.
    pub externs: Vec<String>,
    /// The byte order.
    pub endian: Endian,
}

/// A function that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectProgram {
    /// Its symbol.
    pub function: ProgramName,
    /// The ELF section it is in, which tells loaders what kind it is.
    pub section: String,
    /// How many instruction slots it has.
    pub instructions: u64,
    /// How many tail calls are written in it.
    pub tail_calls: u32,
    /// The name of the structure that it takes by pointer, where its types say that it takes just that and returns a
    /// number. A program can only take the place of a function of its own type.
    pub argument: Option<String>,
}

/// A map that the author declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectMap {
    /// Its name.
    pub name: String,
    /// Its kind, as `bpftool` spells it.
    pub kind: String,
    /// The size of a key in bytes.
    pub key_bytes: u32,
    /// The size of a value in bytes.
    pub value_bytes: u32,
    /// How many entries it has at most.
    pub max_entries: u32,
    /// Its flags (`BPF_F_*` of `linux/bpf.h`).
    pub flags: u32,
    /// Whether loaders are asked to pin it under its name.
    pub pinned_by_name: bool,
}

/// Bytes that are not an eBPF object.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ObjectError {
    /// The bytes are not ELF.
    #[error("it is not an ELF file: {reason}")]
    Elf {
        /// What is wrong.
        reason: String,
    },
    /// The ELF is for another machine.
    #[error("it is an ELF file for machine {machine}, not for BPF (247)")]
    Machine {
        /// The number of the machine.
        machine: u16,
    },
    /// There are more variables than any object has.
    #[error("a section of it has more than {MAX_VARIABLES} variables")]
    TooManyVariables,
    /// The types cannot be read.
    #[error(transparent)]
    Btf(#[from] BtfError),
}

pub(crate) type Elf<'a> = ElfFile<'a, FileHeader64<Endianness>>;

impl Object {
    /// Reads an object.
    ///
    /// # Errors
    /// When the bytes are not a 64-bit ELF for BPF, or are damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
        let elf = read_elf(bytes)?;
        let endian = endian_of(&elf);
        let btf = btf(&elf, endian)?;
        let maps = btf.as_ref().map(declared).unwrap_or_default();
        Ok(Self {
            programs: programs(&elf, btf.as_ref(), endian)?,
            layout: layout(&elf, btf.as_ref(), &maps)?,
            maps,
            constants: constants(&elf)?,
            license: license(&elf)?,
            has_btf: btf.is_some(),
            has_dwarf: elf
                .sections()
                .any(|section| section.name().is_ok_and(|name| name.starts_with(".debug_"))),
            tail_calls_in_functions: match elf.section_by_name(".text") {
                Some(section) => tail_calls(section.data().map_err(damaged)?, endian),
                None => 0,
            },
            externs: externs(&elf),
            endian,
        })
    }

    /// Whether its programs may throw exceptions (`bpf_throw`, Linux 6.7), which leave from anywhere.
    pub fn throws(&self) -> bool {
        self.externs.iter().any(|name| name == "bpf_throw")
    }

    /// Whether its programs ask a network card about packets (XDP metadata, Linux 6.3), which only those may that are loaded
    /// for one device.
    pub fn asks_the_card(&self) -> bool {
        self.externs.iter().any(|name| name.starts_with(ASKS_THE_CARD))
    }

    /// Whether they name nothing else of the kernel.
    pub fn asks_the_card_only(&self) -> bool {
        self.asks_the_card() && self.externs.iter().all(|name| name.starts_with(ASKS_THE_CARD))
    }

    /// The program with this function.
    pub fn program(&self, function: &ProgramName) -> Option<&ObjectProgram> {
        self.programs.iter().find(|program| program.function == *function)
    }
}

/// How the functions of the kernel begin that ask a network card about a packet (`net/core/xdp.c`).
const ASKS_THE_CARD: &str = "bpf_xdp_metadata_rx_";

/// Reads an ELF for BPF.
pub(crate) fn read_elf(bytes: &[u8]) -> Result<Elf<'_>, ObjectError> {
    let elf = Elf::parse(bytes).map_err(damaged)?;
    let machine = elf.elf_header().e_machine(elf.endian());
    if machine == EM_BPF { Ok(elf) } else { Err(ObjectError::Machine { machine }) }
}

pub(crate) fn endian_of(elf: &Elf<'_>) -> Endian {
    if elf.is_little_endian() { Endian::Little } else { Endian::Big }
}

pub(crate) fn damaged(error: object::Error) -> ObjectError {
    ObjectError::Elf { reason: error.to_string() }
}

fn programs(elf: &Elf<'_>, btf: Option<&Btf<'_>>, endian: Endian) -> Result<Vec<ObjectProgram>, ObjectError> {
    let mut programs = Vec::new();
    for symbol in elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_global()) {
        let Some(section) = symbol.section_index().and_then(|index| elf.section_by_index(index).ok()) else {
            continue;
        };
        let name = section.name().map_err(damaged)?;
        // Functions in `.text` are called by programs and are none themselves.
        if name == ".text" || !is_code(&section) {
            continue;
        }
        let Ok(Ok(function)) = symbol.name().map(str::parse::<ProgramName>) else { continue };
        let code = section.data_range(symbol.address(), symbol.size()).map_err(damaged)?.unwrap_or_default();
        let argument = btf.and_then(|btf| argument(btf, function.as_ref()));
        programs.push(ObjectProgram {
            argument: argument.map(str::to_owned),
            function,
            section: name.to_owned(),
            instructions: symbol.size() / 8,
            tail_calls: tail_calls(code, endian),
        });
    }
    programs.sort_by(|one, other| one.function.cmp(&other.function));
    Ok(programs)
}

/// Counts calls of the helper `bpf_tail_call` (RFC 9669, section 4.3.1).
fn tail_calls(code: &[u8], endian: Endian) -> u32 {
    const CALL: u8 = 0x85;
    const TAIL_CALL: u32 = 12;
    let calls = code.chunks_exact(8).filter(|insn| {
        let helper = [insn[4], insn[5], insn[6], insn[7]];
        let helper = match endian {
            Endian::Little => u32::from_le_bytes(helper),
            Endian::Big => u32::from_be_bytes(helper),
        };
        insn[..2] == [CALL, 0] && helper == TAIL_CALL
    });
    u32::try_from(calls.count()).unwrap_or(u32::MAX)
}

fn is_code<'a>(section: &impl ObjectSection<'a>) -> bool {
    section.kind() == SectionKind::Text
}

fn license(elf: &Elf<'_>) -> Result<Option<String>, ObjectError> {
    let Some(section) = elf.section_by_name("license") else { return Ok(None) };
    let bytes = section.data().map_err(damaged)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Ok(Some(String::from_utf8_lossy(&bytes[..end]).into_owned()))
}

/// The first symbol of every table is undefined and has no name.
fn externs(elf: &Elf<'_>) -> Vec<String> {
    let undefined = elf.symbols().filter(ObjectSymbol::is_undefined);
    let names = undefined.filter_map(|symbol| symbol.name().ok().map(str::to_owned));
    names.filter(|name| !name.is_empty()).collect()
}

/// What lies where in the maps that outlive an instance: declared ones, and those of variables.
fn layout(elf: &Elf<'_>, btf: Option<&Btf<'_>>, maps: &[ObjectMap]) -> Result<Layout, ObjectError> {
    let mut layout = Layout::default();
    let declared = |btf| Btf::section(btf, ".maps").iter().map(move |declared| (btf, declared.variable));
    for (btf, id) in btf.into_iter().flat_map(declared) {
        let Ok(at) = maps.binary_search_by(|map| map.name.as_str().cmp(btf.name(id))) else { continue };
        let found = &maps[at];
        let mut lines = vec![
            format!("type: {}", found.kind),
            format!("max_entries: {}", found.max_entries),
            format!("map_flags: {}", found.flags),
        ];
        lines.push(format!("key: {} bytes", found.key_bytes));
        lines.push(format!("value: {} bytes", found.value_bytes));
        for part in btf.members(id) {
            let Some(&Kind::Pointer { target }) = btf.resolve(part.target).kind else { continue };
            if part.name == "key" || part.name == "value" {
                describe(btf, target, part.name, 0, &mut lines);
            }
        }
        layout.0.insert(found.name.clone(), lines);
    }
    for section in elf.sections() {
        let name = section.name().map_err(damaged)?;
        if [".bss", ".data"].iter().any(|kind| name.starts_with(kind)) {
            layout.0.insert(name.to_owned(), variables(elf, btf, &section)?);
        }
    }
    Ok(layout)
}

/// The variables of a section, in their order.
fn variables<'a>(
    elf: &Elf<'a>,
    btf: Option<&Btf<'_>>,
    section: &impl ObjectSection<'a>,
) -> Result<Vec<String>, ObjectError> {
    let mut lines = vec![format!("{} bytes", section.size())];
    for SectionSymbol { offset, bytes, name } in symbols(elf, section)? {
        lines.push(format!("{name}: {bytes} bytes at {offset}"));
        if let Some((btf, id)) = btf.and_then(|btf| Some((btf, btf.variable(&name)?))) {
            let bits = u64::try_from(offset).unwrap_or(u64::MAX).saturating_mul(8);
            describe(btf, id, &name, bits, &mut lines);
        }
    }
    Ok(lines)
}

fn constants(elf: &Elf<'_>) -> Result<Vec<u8>, ObjectError> {
    let section = elf.section_by_name(".rodata");
    section.map_or(Ok(Vec::new()), |section| section.data().map(<[u8]>::to_vec).map_err(damaged))
}
