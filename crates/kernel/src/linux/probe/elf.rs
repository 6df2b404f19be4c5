// SPDX-License-Identifier: Apache-2.0
//! Reading executables and libraries: where a function lies in its file, and which static probes there are.

use std::fs;
use std::io;

use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, SymbolKind};
use package::{AbsolutePath, EventName, SymbolName};

/// Where a function begins in its file, in bytes.
pub(super) fn offset_of(path: &AbsolutePath, symbol: &SymbolName) -> io::Result<u64> {
    let bytes = fs::read(path.as_ref())?;
    let file = object::File::parse(bytes.as_slice()).map_err(io::Error::other)?;
    let is_it = |found: &object::Symbol<'_, '_>| {
        let name = found.name().unwrap_or_default();
        // The names of some libraries carry a version, as in `malloc@@GLIBC_2.2.5`.
        let name = name.split('@').next().unwrap_or_default();
        name == symbol.as_ref() && found.kind() == SymbolKind::Text && found.is_definition()
    };
    let mut symbols = file.symbols().chain(file.dynamic_symbols());
    let address = symbols.find(is_it).map(|found| found.address());
    let address = address.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("`{path}` has no function `{symbol}`"))
    })?;
    let segment = file.segments().find(|segment| {
        (segment.address()..segment.address().saturating_add(segment.size())).contains(&address)
    });
    let segment =
        segment.ok_or_else(|| io::Error::other(format!("`{symbol}` is in no segment of `{path}`")))?;
    Ok(address - segment.address() + segment.file_range().0)
}

/// Whether a file has a static probe: a note of type 3 and owner `stapsdt`, which holds three addresses and then
/// provider, name and arguments as texts (`sys/sdt.h`).
pub(super) fn has_static_probe(
    path: &AbsolutePath,
    provider: &EventName,
    name: &EventName,
) -> io::Result<bool> {
    let bytes = fs::read(path.as_ref())?;
    let file = object::File::parse(bytes.as_slice()).map_err(io::Error::other)?;
    let Some(section) = file.section_by_name(".note.stapsdt") else { return Ok(false) };
    let notes = section.data().map_err(io::Error::other)?;
    let wanted = format!("{provider}\0{name}\0");
    // Texts are told apart from addresses by what ends them: both names with their ends, behind three addresses.
    Ok(notes.windows(wanted.len()).any(|window| window == wanted.as_bytes()))
}
