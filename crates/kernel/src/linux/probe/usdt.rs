// SPDX-License-Identifier: Apache-2.0
//! Static probes of executables (USDT). libbpf reads their notes, tells the program's maps where arguments lie, and
//! attaches all places where a probe is compiled in by one link (Linux 6.6).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::query::LinkInfoIter;
use libbpf_rs::{Object as Loaded, Program, UsdtOpts};
use package::Attachment;
use plan::ProbeSpec;

use super::super::{maps, sys};
use super::load;

/// Attaches a program that was just loaded. libbpf hides its link inside another value, so that it is looked for: it is
/// the only one of a program that nobody else knows.
pub(super) fn attach(loaded: &Loaded, spec: &ProbeSpec) -> io::Result<Vec<OwnedFd>> {
    let Attachment::Usdt { path, provider, name, pid, cookie } = &spec.attach else {
        return Err(io::Error::other("it is no static probe of an executable"));
    };
    let mut programs = loaded.progs_mut();
    let program = programs.find(|program| program.name() == spec.function.as_ref());
    let program = program.ok_or_else(|| io::Error::other("the object lost its program while loading"))?;
    let pid = pid.map_or(Ok(-1), |pid| i32::try_from(pid.get())).map_err(io::Error::other)?;
    let options = UsdtOpts { cookie: *cookie, ..UsdtOpts::default() };
    let attached = program.attach_usdt_with_opts(pid, path.as_ref(), provider, name, options);
    let attached =
        attached.map_err(|error| sys::take_warning().map_or_else(|| maps::plain(error), io::Error::other))?;
    let id = Program::id_from_fd(load::program(loaded, spec)?.as_fd()).map_err(maps::plain)?;
    let links = LinkInfoIter::default().filter(|link| link.prog_id == id);
    let links = links.map(|link| sys::link_by_id(link.id)).collect::<io::Result<Vec<_>>>()?;
    // The link lives on by the descriptors just opened.
    drop(attached);
    match links.len() {
        1 => Ok(links),
        count => Err(io::Error::other(format!("it has {count} links, and can be pinned with one"))),
    }
}
