// SPDX-License-Identifier: Apache-2.0
//! Choosing a share of flows: the same side for every packet of a flow, in both directions.
//!
//! The key of a flow is made of its addresses, protocol and ports, each pair combined so that its order does not matter;
//! fragments have no ports, nor have protocols other than TCP, UDP and SCTP. Packets that are not IP, or cut off, are
//! one flow. The key is mixed by the finalizer of `SplitMix64` (Steele, Lea, Flood 2014), and its upper half decides.

use package::{HookPoint, Share};

use super::code::{Code, Label};
use super::frame::{Context, Frame};
use crate::insn::{FRAME, Insn, LOAD_BYTES, When, Width};

/// Ethertypes as they are read from a packet (IEEE 802; IANA).
pub(crate) const IPV4: i32 = network_order(0x0800);
pub(crate) const IPV6: i32 = network_order(0x86dd);
pub(crate) const VLAN: i32 = network_order(0x8100);
pub(crate) const SERVICE_VLAN: i32 = network_order(0x88a8);
/// More fragments, or an offset (RFC 791, section 3.1).
const FRAGMENT: i32 = network_order(0x3fff);
/// Protocols whose header begins with two ports (IANA).
const TCP: i32 = 6;
const UDP: i32 = 17;
const SCTP: i32 = 132;

/// Bytes of the headers.
const ETHERNET: i32 = 14;
const VLAN_TAG: i32 = 4;
const IPV4_HEADER: i32 = 20;
const IPV6_HEADER: i32 = 40;
/// Where copied ports lie behind a copied header, at TC.
const PORTS: i16 = 40;
/// Where it lies how far the header is behind the network header, at TC.
const OFFSET: i16 = 44;
/// Where the context is, and where the key grows.
const CONTEXT: u8 = 6;
const KEY: u8 = 8;

pub(crate) const fn network_order(number: u16) -> i32 {
    number.to_be() as i32
}

/// Jumps to `chosen` when the packet's flow is in the share. Uses all registers but the one that may hold the context.
pub(super) fn choose(code: &mut Code, point: HookPoint, frame: &Frame, share: Share, chosen: &mut Label) {
    let (context, key) = match frame.context {
        Context::Slot(at) => {
            code.push(Insn::load(Width::Double, CONTEXT, FRAME, at));
            (CONTEXT, KEY)
        }
        Context::Register(KEY) => (KEY, CONTEXT),
        Context::Register(register) => (register, KEY),
    };
    let xdp = point == HookPoint::Xdp;
    let mut chooser = Chooser { code, xdp, context, key, room: frame.room, decide: Label::default() };
    chooser.key();
    let Chooser { code, key, decide, .. } = chooser;
    code.place(decide);
    mix(code, key);
    code.push(Insn::put_32(1, i32::from(Share::WHOLE)));
    code.push(Insn::multiply_register(key, 1));
    code.push(Insn::shift_right(key, 32));
    code.jump_if(When::AtMost, key, i32::from(share.in_ten_thousand()) - 1, chosen);
}

/// Spreads the key over the lower 32 bits.
fn mix(code: &mut Code, key: u8) {
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
        code.push(Insn::copy(1, key));
        code.push(Insn::shift_right(1, shift));
        code.push(Insn::xor_register(key, 1));
        code.extend(Insn::put_64(1, factor));
        code.push(Insn::multiply_register(key, 1));
    }
    code.push(Insn::shift_right(key, 32));
}

/// Where a header can be read.
#[derive(Clone, Copy)]
struct Header {
    base: u8,
    at: i16,
}

impl Header {
    fn load(self, width: Width, dst: u8, field: i16) -> Insn {
        Insn::load(width, dst, self.base, self.at + field)
    }
}

struct Chooser<'a> {
    code: &'a mut Code,
    xdp: bool,
    context: u8,
    key: u8,
    /// Where copies of headers go in the stack, at TC.
    room: i16,
    /// Jumps to where the key is complete.
    decide: Label,
}

impl Chooser<'_> {
    /// Puts the key of the packet's flow into the key register. At XDP, r1 is the place in the packet and r2 its end.
    fn key(&mut self) {
        self.code.push(Insn::put_32(self.key, 0));
        if self.xdp {
            self.ethernet();
        } else {
            self.tags();
        }
        let (mut version_6, mut ports) = (Label::default(), Label::default());
        self.code.jump_if(When::Equal, 4, IPV6, &mut version_6);
        self.code.jump_if(When::NotEqual, 4, IPV4, &mut self.decide);
        self.version_4();
        self.code.jump(&mut ports);
        self.code.place(version_6);
        self.version_6();
        self.code.place(ports);
        self.ports();
    }

    /// Finds what follows the Ethernet header and up to two VLAN tags: its type into r4, its place into r1.
    fn ethernet(&mut self) {
        // `struct xdp_md`: data at 0, data_end at 4.
        self.code.push(Insn::load(Width::Word, 2, self.context, 4));
        self.code.push(Insn::load(Width::Word, 1, self.context, 0));
        self.check(ETHERNET);
        self.code.push(Insn::load(Width::Half, 4, 1, 12));
        let mut untagged = Label::default();
        for _ in 0..2 {
            let mut tagged = Label::default();
            self.code.jump_if(When::Equal, 4, VLAN, &mut tagged);
            self.code.jump_if(When::NotEqual, 4, SERVICE_VLAN, &mut untagged);
            self.code.place(tagged);
            self.code.push(Insn::add(1, VLAN_TAG));
            self.check(ETHERNET);
            self.code.push(Insn::load(Width::Half, 4, 1, 12));
        }
        self.code.place(untagged);
        self.code.push(Insn::add(1, ETHERNET));
    }

    /// Finds what follows up to two VLAN tags that the kernel left in a socket buffer: its type into r4, its offset into
    /// the stack.
    fn tags(&mut self) {
        // `struct __sk_buff`: protocol at 16.
        self.code.push(Insn::load(Width::Word, 4, self.context, 16));
        self.code.push(Insn::store_word(FRAME, self.room + OFFSET, 0));
        let mut untagged = Label::default();
        for at in [0, VLAN_TAG] {
            let mut tagged = Label::default();
            self.code.jump_if(When::Equal, 4, VLAN, &mut tagged);
            self.code.jump_if(When::NotEqual, 4, SERVICE_VLAN, &mut untagged);
            self.code.place(tagged);
            self.code.push(Insn::put_32(2, at));
            self.copy_bytes(self.room, VLAN_TAG);
            self.code.push(Insn::store_word(FRAME, self.room + OFFSET, at + VLAN_TAG));
            self.code.push(Insn::load(Width::Half, 4, FRAME, self.room + 2));
        }
        self.code.place(untagged);
    }

    /// Addresses of version 4 into the key, the protocol into r5, the length of the header into r4.
    fn version_4(&mut self) {
        let header = self.header(IPV4_HEADER);
        self.code.push(header.load(Width::Word, 3, 12));
        self.code.push(header.load(Width::Word, 4, 16));
        self.combine();
        self.code.push(header.load(Width::Half, 3, 6));
        self.code.jump_if(When::Any, 3, FRAGMENT, &mut self.decide);
        self.code.push(header.load(Width::Byte, 5, 9));
        self.code.push(header.load(Width::Byte, 4, 0));
        self.code.push(Insn::and_32(4, 0xf));
        self.code.push(Insn::shift_left(4, 2));
    }

    /// The same for version 6, whose extension headers are not followed.
    fn version_6(&mut self) {
        let header = self.header(IPV6_HEADER);
        for word in [0, 4, 8, 12] {
            self.code.push(header.load(Width::Word, 3, 8 + word));
            self.code.push(header.load(Width::Word, 4, 24 + word));
            self.combine();
        }
        self.code.push(header.load(Width::Byte, 5, 6));
        self.code.push(Insn::put_32(4, IPV6_HEADER));
    }

    /// Adds the ports of the protocol in r5, whose header is r4 bytes behind the place in the packet.
    fn ports(&mut self) {
        let mut has_ports = Label::default();
        self.code.push(Insn::add_register(self.key, 5));
        for protocol in [TCP, UDP] {
            self.code.jump_if(When::Equal, 5, protocol, &mut has_ports);
        }
        self.code.jump_if(When::NotEqual, 5, SCTP, &mut self.decide);
        self.code.place(has_ports);
        let header = if self.xdp {
            self.code.push(Insn::add_register(1, 4));
            self.check(4);
            Header { base: 1, at: 0 }
        } else {
            self.code.push(Insn::load(Width::Word, 2, FRAME, self.room + OFFSET));
            self.code.push(Insn::add_register(2, 4));
            let at = self.room + PORTS;
            self.copy_bytes(at, 4);
            Header { base: FRAME, at }
        };
        self.code.push(header.load(Width::Half, 3, 0));
        self.code.push(header.load(Width::Half, 4, 2));
        self.combine();
    }

    /// Makes a network header readable.
    fn header(&mut self, bytes: i32) -> Header {
        if self.xdp {
            self.check(bytes);
            Header { base: 1, at: 0 }
        } else {
            self.code.push(Insn::load(Width::Word, 2, FRAME, self.room + OFFSET));
            self.copy_bytes(self.room, bytes);
            Header { base: FRAME, at: self.room }
        }
    }

    /// Goes on only if so many bytes follow the place in the packet.
    fn check(&mut self, bytes: i32) {
        self.code.push(Insn::copy(3, 1));
        self.code.push(Insn::add(3, bytes));
        self.code.jump_if_above(3, 2, &mut self.decide);
    }

    /// Copies bytes from the offset in r2 behind the network header into the stack. They may be in several buffers.
    fn copy_bytes(&mut self, to: i16, bytes: i32) {
        const FROM_NETWORK_HEADER: i32 = 1;
        self.code.push(Insn::copy(1, self.context));
        self.code.push(Insn::copy(3, FRAME));
        self.code.push(Insn::add(3, i32::from(to)));
        self.code.push(Insn::put_32(4, bytes));
        self.code.push(Insn::put_32(5, FROM_NETWORK_HEADER));
        self.code.push(Insn::call(LOAD_BYTES));
        self.code.jump_if(When::NotEqual, 0, 0, &mut self.decide);
    }

    /// Adds the pair in r3 and r4 to the key: their sum and what differs, so that the order does not matter.
    fn combine(&mut self) {
        self.code.push(Insn::copy(0, 3));
        self.code.push(Insn::add_register(0, 4));
        self.code.push(Insn::xor_register(3, 4));
        self.code.push(Insn::shift_left(0, 31));
        self.code.push(Insn::xor_register(0, 3));
        // A factor between pairs, that words which change places change the key (FNV-1a, 64 bits).
        self.code.extend(Insn::put_64(4, 0x0000_0100_0000_01b3));
        self.code.push(Insn::multiply_register(self.key, 4));
        self.code.push(Insn::add_register(self.key, 0));
    }
}
