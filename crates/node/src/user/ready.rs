// SPDX-License-Identifier: Apache-2.0
//! How a user program says that it is ready: `READY=1` to the socket that `NOTIFY_SOCKET` names, as programs say it to systemd
//! (`sd_notify(3)`).

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::lchown;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

/// The variable of its environment that names the socket.
pub(super) const VARIABLE: &str = "NOTIFY_SOCKET";

/// More than anybody says at once.
const LONGEST: usize = 4096;

/// How much is listened to before others have their turn.
const MOST_AT_ONCE: usize = 16;

fn says_ready(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
}

/// The socket of one program.
#[derive(Debug)]
pub(super) struct Listener(UnixDatagram);

impl Listener {
    /// Opens one in the folder of a program, for its user.
    pub(super) fn open(folder: &Path, user: u32) -> io::Result<Self> {
        let path = Self::path(folder);
        let socket = UnixDatagram::bind(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen at `{}`: {error}", path.display()))
        })?;
        lchown(&path, Some(user), Some(user))?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Where it is.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("notify")
    }

    /// Whether that is in what was said and not yet read.
    fn said_ready(&self) -> bool {
        let mut text = [0; LONGEST];
        let mut said = (0..MOST_AT_ONCE)
            .map_while(|_| self.0.recv(&mut text).ok().map(|length| says_ready(&text[..length])));
        said.any(|is_ready| is_ready)
    }
}

/// Waits until a process has ended. When its program says that it is ready, that is told, and nobody listens any more.
pub(super) fn attend(
    process: BorrowedFd<'_>,
    mut listener: Option<&Listener>,
    mut is_ready: impl FnMut(),
) -> io::Result<()> {
    loop {
        let socket = listener.map(|listener| PollFd::new(&listener.0, PollFlags::IN));
        let mut watched: Vec<PollFd<'_>> =
            [PollFd::new(&process, PollFlags::IN)].into_iter().chain(socket).collect();
        retry_on_intr(|| poll(&mut watched, None))?;
        let happened: Vec<bool> = watched.iter().map(|one| !one.revents().is_empty()).collect();
        if happened.get(1) == Some(&true) && listener.is_some_and(Listener::said_ready) {
            listener = None;
            is_ready();
        }
        if happened.first() == Some(&true) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::fd::AsFd as _;
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn ready_is_what_a_line_says_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let user = rustix::process::getuid().as_raw();
        let listener = Listener::open(folder.path(), user).unwrap();
        let socket = UnixDatagram::unbound().unwrap();
        let say = |text: &str| socket.send_to(text.as_bytes(), Listener::path(folder.path())).unwrap();
        say("STATUS=READY=1");
        say("READY=0");
        assert!(!listener.said_ready());
        say("MAINPID=1\nREADY=1\nSTATUS=here");
        assert!(listener.said_ready() && !listener.said_ready());
        let mut child = Command::new("true").spawn().unwrap();
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        say("READY=1");
        let heard = Cell::new(0);
        attend(process.as_fd(), Some(&listener), || heard.set(heard.get() + 1)).unwrap();
        assert_eq!(heard.get(), 1);
        child.wait().unwrap();
    }
}
