// SPDX-License-Identifier: Apache-2.0
//! Questions to the kernel's networking over netlink (rtnetlink(7), `linux/rtnetlink.h`, `linux/genetlink.h`): dumps and their
//! attributes.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket,
    socket_with,
};

/// The header of a message.
const HEADER_BYTES: usize = 16;

/// The fixed part of a message of generic netlink (`struct genlmsghdr`).
pub(super) const GENERIC_BYTES: usize = 4;

/// One message of an answer.
pub(super) struct Message {
    /// What it is, such as `RTM_NEWLINK`.
    pub(super) kind: u16,
    body: Vec<u8>,
}

impl Message {
    /// The number at an offset behind the header.
    pub(super) fn word(&self, at: usize) -> Option<u32> {
        word(&self.body, at)
    }

    /// The attributes behind a fixed part of so many bytes.
    pub(super) fn attributes(&self, fixed: usize) -> Vec<(u16, &[u8])> {
        attributes(self.body.get(fixed..).unwrap_or_default())
    }
}

/// The number at an offset.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes)
}

/// Takes attributes apart, each with its kind. What is cut off is left out.
pub(super) fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    const ATTRIBUTE_BYTES: usize = 4;
    // The two highest bits say how an attribute is written, not what it is.
    const KIND: u16 = 0x3fff;
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk::<ATTRIBUTE_BYTES>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(value) = bytes.get(ATTRIBUTE_BYTES..length) else { break };
        found.push((u16::from_ne_bytes([header[2], header[3]]) & KIND, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Asks a family of generic netlink for all that a command tells (`linux/genetlink.h`); nothing where the kernel has no such
/// family.
pub(super) fn dump_generic(family: &str, command: u8) -> io::Result<Vec<Message>> {
    const CONTROL: u16 = 16;
    const GET_FAMILY: u8 = 3;
    const FAMILY_ID: u16 = 1;
    const FAMILY_NAME: u16 = 2;
    let ask = |kind, command| dump_by(Some(GENERIC), kind, &[u32::from_ne_bytes([command, 1, 0, 0])]);
    let families = ask(CONTROL, GET_FAMILY)?;
    let number = families.iter().find_map(|message| {
        let found = message.attributes(GENERIC_BYTES);
        let value = |wanted| found.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
        value(FAMILY_NAME).filter(|name| name.strip_suffix(&[0]) == Some(family.as_bytes()))?;
        value(FAMILY_ID)?.first_chunk::<2>().map(|bytes| u16::from_ne_bytes(*bytes))
    });
    number.map_or(Ok(Vec::new()), |number| ask(number, command))
}

/// A socket that hears of changes in groups of rtnetlink (`RTMGRP_LINK` and its like in `linux/rtnetlink.h`).
pub(super) fn listen(groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// Reads all that a socket heard. Returns whether that was anything; what was lost counts as well.
pub(super) fn hear(socket: &OwnedFd) -> io::Result<bool> {
    let mut is_something = false;
    let mut buffer = [0; 64];
    loop {
        // What does not fit is cut off: that it came is enough.
        match recv(socket, &mut buffer, RecvFlags::empty()) {
            Ok(_) | Err(Errno::NOBUFS) => is_something = true,
            Err(Errno::WOULDBLOCK) => return Ok(is_something),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Asks rtnetlink for all of a kind, with these words behind the header.
pub(super) fn dump(kind: u16, words: &[u32]) -> io::Result<Vec<Message>> {
    dump_by(None, kind, words)
}

/// Asks, and reads until the kernel says that it is done.
fn dump_by(protocol: Option<Protocol>, kind: u16, words: &[u32]) -> io::Result<Vec<Message>> {
    const REQUEST_DUMP: u16 = 0x301;
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, protocol)?;
    let length = u32::try_from(HEADER_BYTES + size_of_val(words)).map_err(io::Error::other)?;
    let mut request = Vec::new();
    request.extend(length.to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    for word in words {
        request.extend(word.to_ne_bytes());
    }
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut messages = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (received, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        for message in split(&buffer[..received]) {
            match message.kind {
                DONE => return Ok(messages),
                ERROR => {
                    let number = message.word(0).unwrap_or_default().cast_signed();
                    return Err(io::Error::from_raw_os_error(number.wrapping_neg()));
                }
                _ => messages.push(message),
            }
        }
    }
}

/// Takes a datagram apart. What is cut off is left out.
fn split(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let (Some(length), Some(kind)) = (word(bytes, 0), bytes.get(4..6)) {
        let length = length as usize;
        let Some(body) = bytes.get(HEADER_BYTES..length) else { break };
        messages.push(Message { kind: u16::from_ne_bytes([kind[0], kind[1]]), body: body.to_vec() });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::{attributes, split};

    #[test]
    fn what_is_cut_off_is_left_out() {
        let mut message = 20_u32.to_ne_bytes().to_vec();
        message.extend([36, 0]);
        message.extend([0; 14]);
        assert_eq!(split(&message).len(), 1);
        for end in 0..20 {
            assert!(split(&message[..end]).is_empty());
        }
        assert!(split(&[0; 64]).is_empty());
    }

    #[test]
    fn attributes_are_padded_and_may_be_cut_off() {
        let bytes = [5, 0, 3, 0, 7, 0, 0, 0, 8, 0, 4, 0x80, 1, 2, 3, 4];
        assert_eq!(attributes(&bytes), [(3, &[7][..]), (4, &[1, 2, 3, 4])]);
        assert_eq!(attributes(&bytes[..15]), [(3, &[7][..])]);
        assert!(attributes(&[0; 8]).is_empty());
    }
}
