// SPDX-License-Identifier: Apache-2.0
//! What queueing disciplines and filters an interface has.

use std::io;

use super::netlink::dump;

/// The parent of ingress disciplines, and of the filters on either way (`linux/pkt_sched.h`).
const INGRESS: u32 = 0xffff_fff1;
const RECEIVED: u32 = 0xffff_fff2;
const SENT: u32 = 0xffff_fff3;
/// `RTM_NEWQDISC`, `RTM_GETQDISC`, `RTM_NEWTFILTER`, `RTM_GETTFILTER`.
const NEW_QDISC: u16 = 36;
const GET_QDISC: u16 = 38;
const NEW_FILTER: u16 = 44;
const GET_FILTER: u16 = 46;

/// Whether an interface has an ingress discipline, of whatever kind.
pub(super) fn has_ingress(index: u32) -> io::Result<bool> {
    let messages = dump(GET_QDISC, &traffic(index, 0))?;
    Ok(messages.iter().any(|message| {
        message.kind == NEW_QDISC && message.word(4) == Some(index) && message.word(12) == Some(INGRESS)
    }))
}

/// Whether anybody has a filter on an interface, on either way.
pub(super) fn has_filters(index: u32) -> io::Result<bool> {
    for parent in [RECEIVED, SENT] {
        if dump(GET_FILTER, &traffic(index, parent))?.iter().any(|message| message.kind == NEW_FILTER) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The words of `struct tcmsg` that ask for what is under a parent.
fn traffic(index: u32, parent: u32) -> [u32; 5] {
    [0, index, 0, parent, 0]
}

#[cfg(test)]
mod tests {
    use super::{has_filters, has_ingress};

    #[test]
    fn the_loopback_interface_has_no_ingress_discipline() {
        assert!(!has_ingress(1).unwrap());
        assert!(!has_filters(1).unwrap_or_default());
    }
}
