// SPDX-License-Identifier: Apache-2.0
//! Whether the kernel holds what was handed to it: the tag that it tells is compared with the digest computed here, and
//! read-only data must be frozen.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::path::Path;
use std::sync::OnceLock;

use libbpf_rs::{MapCore as _, Object as Loaded, Program};
use package::HookPoint;
use plan::{Code, CodeAlgorithm, CodeDigest};
use thiserror::Error;

use super::{Spelling, sys};
use crate::code::digest;
use crate::insn::Insn;

/// The kernel holds something else than what was handed to it.
#[derive(Debug, Error)]
enum Altered {
    /// Other instructions.
    #[error(
        "the kernel tells the tag {found} of what was loaded, but the instructions handed to it have the digest {expected}; \
         something on the way changed them, and the program is not used"
    )]
    Instructions { found: String, expected: CodeDigest },
    /// Data that can still be written.
    #[error(
        "its read-only map `{map}` is not frozen, so that others could write to it, and the program is not used"
    )]
    Writable { map: String },
    /// A kernel of a kind that nobody has seen.
    #[error(
        "the kernel tells the tag {found} of a program of two instructions, which is that of no known algorithm"
    )]
    Algorithm { found: String },
}

/// By what algorithm this kernel digests instructions. Asked once, by a program of two instructions.
fn algorithm() -> io::Result<CodeAlgorithm> {
    static KNOWN: OnceLock<CodeAlgorithm> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(*known);
    }
    let spelling = Spelling::of(HookPoint::Xdp);
    let insns = [Insn::put_32(0, spelling.pass), Insn::exit()];
    let program = sys::load_program(c"l3af_tag", (spelling.kind, spelling.load), 0, &insns)?;
    let found = tag(program.as_fd())?;
    let all = [CodeAlgorithm::Sha256, CodeAlgorithm::Sha1];
    let algorithm = all.into_iter().find(|known| digest(&insns, *known).tag() == found);
    let algorithm = algorithm.ok_or_else(|| io::Error::other(Altered::Algorithm { found }))?;
    Ok(*KNOWN.get_or_init(|| algorithm))
}

/// The tag that the kernel tells of a program, in hexadecimal digits.
pub(super) fn tag(program: BorrowedFd<'_>) -> io::Result<String> {
    Ok(sys::tag(program)?.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

/// The digest of instructions on this kernel.
pub(super) fn digest_here(insns: &[Insn]) -> io::Result<CodeDigest> {
    Ok(digest(insns, algorithm()?))
}

/// Makes sure that a program has these instructions, and returns their digest.
pub(super) fn attest(program: BorrowedFd<'_>, insns: &[Insn]) -> io::Result<CodeDigest> {
    let (found, expected) = (tag(program)?, digest_here(insns)?);
    if found == expected.tag() {
        return Ok(expected);
    }
    Err(io::Error::other(Altered::Instructions { found, expected }))
}

/// The same for a program that libbpf loaded, with its read-only data.
pub(super) fn attest_loaded(loaded: &Loaded, program: &Program<'_>) -> io::Result<CodeDigest> {
    let read = |insn: &libbpf_sys::bpf_insn| Insn {
        code: insn.code,
        dst: insn.dst_reg(),
        src: insn.src_reg(),
        offset: insn.off,
        imm: insn.imm,
    };
    let insns: Vec<Insn> = program.insns().iter().map(read).collect();
    for map in loaded.maps().filter(libbpf_rs::Map::autocreate) {
        let name = map.name().to_string_lossy().into_owned();
        if is_read_only(&name) && !is_frozen(map.as_fd())? {
            return Err(io::Error::other(Altered::Writable { map: name }));
        }
    }
    attest(program.as_fd(), &insns)
}

/// Whether a pinned program has the instructions that were recorded. Where none were, it is believed.
pub(super) fn is_recorded(pin: &Path, code: Option<&Code>) -> io::Result<bool> {
    let Some(code) = code else { return Ok(true) };
    Ok(pin.exists() && tag(sys::open_pin(pin)?.as_fd())? == code.digest.tag())
}

/// Whether a map, by its name, holds what nobody may change once it is loaded: constants, or the kernel's configuration.
pub(super) fn is_read_only(map: &str) -> bool {
    map.contains(".rodata") || map.ends_with(".kconfig")
}

/// Whether user space can no longer write to a map (`bpf_map_show_fdinfo` of `kernel/bpf/syscall.c`, Linux 5.2).
fn is_frozen(map: BorrowedFd<'_>) -> io::Result<bool> {
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd()))?;
    let frozen = told.lines().find_map(|line| line.strip_prefix("frozen:"));
    Ok(frozen.is_some_and(|frozen| frozen.trim() == "1"))
}
