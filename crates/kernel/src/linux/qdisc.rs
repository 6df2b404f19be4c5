// SPDX-License-Identifier: Apache-2.0
//! What queueing disciplines and filters an interface has, asked over netlink (rtnetlink(7), `linux/rtnetlink.h`).

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};

/// The parent of ingress disciplines, and of the filters on either way (`linux/pkt_sched.h`).
const INGRESS: u32 = 0xffff_fff1;
const RECEIVED: u32 = 0xffff_fff2;
const SENT: u32 = 0xffff_fff3;
/// `RTM_NEWQDISC`, `RTM_GETQDISC`, `RTM_NEWTFILTER`, `RTM_GETTFILTER`.
const NEW_QDISC: u16 = 36;
const GET_QDISC: u16 = 38;
const NEW_FILTER: u16 = 44;
const GET_FILTER: u16 = 46;
/// The headers of a message and of what it says of traffic control.
const HEADER_BYTES: usize = 16;
const TRAFFIC_BYTES: usize = 20;

/// Whether an interface has an ingress discipline, of whatever kind.
pub(super) fn has_ingress(index: u32) -> io::Result<bool> {
    let messages = dump(GET_QDISC, index, 0)?;
    Ok(messages.iter().any(|message| {
        message.kind == NEW_QDISC && message.word(4) == Some(index) && message.word(12) == Some(INGRESS)
    }))
}

/// Whether anybody has a filter on an interface, on either way.
pub(super) fn has_filters(index: u32) -> io::Result<bool> {
    for parent in [RECEIVED, SENT] {
        if dump(GET_FILTER, index, parent)?.iter().any(|message| message.kind == NEW_FILTER) {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Message {
    kind: u16,
    body: Vec<u8>,
}

impl Message {
    fn word(&self, at: usize) -> Option<u32> {
        word(&self.body, at)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes)
}

/// Asks for all of a kind, and reads until the kernel says that it is done.
fn dump(kind: u16, index: u32, parent: u32) -> io::Result<Vec<Message>> {
    const REQUEST_DUMP: u16 = 0x301;
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let length = u32::try_from(HEADER_BYTES + TRAFFIC_BYTES).map_err(io::Error::other)?;
    let mut request = Vec::new();
    request.extend(length.to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    for field in [0, index, 0, parent, 0] {
        request.extend(field.to_ne_bytes());
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
    use super::{has_filters, has_ingress, split};

    #[test]
    fn the_loopback_interface_has_no_ingress_discipline() {
        assert!(!has_ingress(1).unwrap());
        assert!(!has_filters(1).unwrap_or_default());
    }

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
}
