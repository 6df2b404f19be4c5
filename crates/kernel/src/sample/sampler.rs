// SPDX-License-Identifier: Apache-2.0
//! The instructions of the sampler.
//!
//! The filter is tried in the kernel, so that a packet that nobody asked for costs some comparisons and is not copied. It errs on
//! the side of sending: what it cannot read at once (a header beyond the first buffer, extension headers of IPv6) goes to user space,
//! which reads the flow in full and decides.

use std::net::IpAddr;

use package::{FlowEnd, FlowFilter, HookPoint, Share};

use super::{SNAP_BYTES, note};
use crate::insn::{CLOCK, FRAME, Insn, MAP_LOOKUP, When, Width};
use crate::splice::code::{Code, Label};
use crate::splice::flow::{IPV4, IPV6, SERVICE_VLAN, VLAN, network_order};
use crate::splice::pass;

/// Helper number of `bpf_get_prandom_u32`.
const RANDOM: i32 = 7;
/// Helper number of `bpf_perf_event_output`; programs that call it have a licence that is compatible with the GPL.
const PERF_OUTPUT: i32 = 25;
/// `BPF_F_CURRENT_CPU`: into the buffer of this processor.
const THIS_CPU: u64 = 0xffff_ffff;
/// A window is so many bits of nanoseconds long, 134 ms, and a processor sends no more than that in one: less than its buffer
/// holds, so that a flood makes user space no work but counting.
const WINDOW_BITS: i32 = 27;
const MOST_IN_A_WINDOW: i32 = 256;

/// Where things are in the program: the context, the note, the place in the packet, and its end.
const CONTEXT: u8 = 6;
const NOTE: u8 = 7;
const PLACE: u8 = 1;
const END: u8 = 2;
const TYPE: u8 = 4;

/// Extension headers of IPv6 (RFC 8200, section 4), and that of fragments.
const EXTENSIONS: [i32; 5] = [0, 43, 44, 60, 135];

/// What a sampler does.
pub(crate) struct Sampler<'a> {
    pub(crate) point: HookPoint,
    /// Whether it meets packets in several buffers (`xdp.frags`).
    pub(crate) fragments: bool,
    /// Which packets are asked for.
    pub(crate) filter: &'a FlowFilter,
    /// Which share of them; none for all.
    pub(crate) share: Option<Share>,
    /// Descriptors of the notes, and of the buffers to user space.
    pub(crate) notes: i32,
    pub(crate) buffers: i32,
}

struct Writer<'a> {
    how: &'a Sampler<'a>,
    code: Code,
    /// Where a packet is sent, and where it is not.
    send: Label,
    leave: Label,
}

/// The instructions of a sampler.
pub(crate) fn sampler(how: &Sampler<'_>) -> Vec<Insn> {
    let mut writer = Writer { how, code: Code::default(), send: Label::default(), leave: Label::default() };
    let mut lost = Label::default();
    writer.begin(&mut lost);
    if !how.filter.takes_all() {
        writer.filter();
    }
    writer.choose();
    writer.limit();
    writer.send();
    let Writer { mut code, leave, .. } = writer;
    code.place(leave);
    code.push(Insn::load(Width::Word, 0, NOTE, note::RETURNED));
    code.push(Insn::exit());
    // A value that every processor has is always found; the verifier does not know that.
    code.place(lost);
    code.push(Insn::put_32(0, pass(how.point)));
    code.push(Insn::exit());
    code.insns
}

impl Writer<'_> {
    fn begin(&mut self, lost: &mut Label) {
        self.code.push(Insn::copy(CONTEXT, 1));
        self.code.push(Insn::store_word(FRAME, -4, 0));
        self.code.push(Insn::copy(2, FRAME));
        self.code.push(Insn::add(2, -4));
        self.code.extend(Insn::load_map(1, self.how.notes));
        self.code.push(Insn::call(MAP_LOOKUP));
        self.code.jump_if_null(0, lost);
        self.code.push(Insn::copy(NOTE, 0));
    }

    /// Goes on to sending where the packet may be asked for, else leaves.
    fn filter(&mut self) {
        // `struct xdp_md`: data at 0, data_end at 4; `struct __sk_buff`: data at 76, data_end at 80.
        let (data, end) = if self.how.point == HookPoint::Xdp { (0, 4) } else { (76, 80) };
        self.code.push(Insn::load(Width::Word, END, CONTEXT, end));
        self.code.push(Insn::load(Width::Word, PLACE, CONTEXT, data));
        self.ethernet();
        for (source, destination) in self.how.filter.ways() {
            let mut next = Label::default();
            if self.may_be(4, [source, destination]) {
                let mut other = Label::default();
                self.code.jump_if(When::NotEqual, TYPE, IPV4, &mut other);
                self.version_4([source, destination], &mut next);
                let send = &mut self.send;
                self.code.jump(send);
                self.code.place(other);
            }
            if self.may_be(6, [source, destination]) {
                self.code.jump_if(When::NotEqual, TYPE, IPV6, &mut next);
                self.version_6([source, destination], &mut next);
                let send = &mut self.send;
                self.code.jump(send);
            }
            self.code.place(next);
        }
        let leave = &mut self.leave;
        self.code.jump(leave);
    }

    /// Whether packets of a version of IP can be asked for.
    fn may_be(&self, version: u8, ends: [FlowEnd; 2]) -> bool {
        let is = |address: IpAddr| if address.is_ipv4() { version == 4 } else { version == 6 };
        let asked = self.how.filter.version.is_none_or(|asked| asked == version);
        asked && ends.iter().all(|end| end.network.is_none_or(|(address, _)| is(address)))
    }

    /// Finds what follows the Ethernet header and up to two VLAN tags: its type into r4, its place into r1.
    fn ethernet(&mut self) {
        const ETHERNET: i32 = 14;
        const TAG: i32 = 4;
        self.check(PLACE, ETHERNET);
        self.code.push(Insn::load(Width::Half, TYPE, PLACE, 12));
        let mut untagged = Label::default();
        for _ in 0..2 {
            let mut tagged = Label::default();
            self.code.jump_if(When::Equal, TYPE, VLAN, &mut tagged);
            self.code.jump_if(When::NotEqual, TYPE, SERVICE_VLAN, &mut untagged);
            self.code.place(tagged);
            self.code.push(Insn::add(PLACE, TAG));
            self.check(PLACE, ETHERNET);
            self.code.push(Insn::load(Width::Half, TYPE, PLACE, 12));
        }
        self.code.place(untagged);
        self.code.push(Insn::add(PLACE, ETHERNET));
    }

    /// Sends a packet that has fewer bytes than these in its first buffer: user space reads it.
    fn check(&mut self, place: u8, bytes: i32) {
        self.code.push(Insn::copy(5, place));
        self.code.push(Insn::add(5, bytes));
        self.code.jump_if_above(5, END, &mut self.send);
    }

    fn version_4(&mut self, ends: [FlowEnd; 2], next: &mut Label) {
        self.check(PLACE, 20);
        if let Some(protocol) = self.how.filter.protocol {
            self.code.push(Insn::load(Width::Byte, 3, PLACE, 9));
            self.code.jump_if(When::NotEqual, 3, protocol.into(), next);
        }
        for (end, at) in ends.iter().zip([12, 16]) {
            if let Some((IpAddr::V4(address), bits)) = end.network {
                self.compare(at, address.octets(), bits, next);
            }
        }
        if ends.iter().all(|end| end.port.is_none()) {
            return;
        }
        // A later fragment has no ports (RFC 791, section 3.1).
        self.code.push(Insn::load(Width::Half, 3, PLACE, 6));
        self.code.jump_if(When::Any, 3, network_order(0x1fff), next);
        self.code.push(Insn::load(Width::Byte, 5, PLACE, 0));
        self.code.push(Insn::and_32(5, 0xf));
        self.code.push(Insn::shift_left(5, 2));
        self.code.push(Insn::copy(3, PLACE));
        self.code.push(Insn::add_register(3, 5));
        self.ports(3, ends, next);
    }

    fn version_6(&mut self, ends: [FlowEnd; 2], next: &mut Label) {
        self.check(PLACE, 40);
        for (end, at) in ends.iter().zip([8_i16, 24]) {
            let Some((IpAddr::V6(address), bits)) = end.network else { continue };
            let words = address.octets();
            for (word, at) in words.chunks_exact(4).zip((at..).step_by(4)) {
                let before = u8::try_from(8 * (at - [8, 24][usize::from(at >= 24)])).unwrap_or(128);
                let word = *word.first_chunk().expect("an address is four words");
                self.compare(at, word, bits.saturating_sub(before).min(32), next);
            }
        }
        let has_ports = ends.iter().any(|end| end.port.is_some());
        if self.how.filter.protocol.is_none() && !has_ports {
            return;
        }
        self.code.push(Insn::load(Width::Byte, 3, PLACE, 6));
        for extension in EXTENSIONS {
            self.code.jump_if(When::Equal, 3, extension, &mut self.send);
        }
        if let Some(protocol) = self.how.filter.protocol {
            self.code.jump_if(When::NotEqual, 3, protocol.into(), next);
        }
        if has_ports {
            self.code.push(Insn::copy(3, PLACE));
            self.code.push(Insn::add(3, 40));
            self.ports(3, ends, next);
        }
    }

    /// Goes to the next way unless the first bits of four bytes at a place are these.
    fn compare(&mut self, at: i16, bytes: [u8; 4], bits: u8, next: &mut Label) {
        if bits == 0 {
            return;
        }
        let mask = u32::MAX << (32 - u32::from(bits));
        let wanted = u32::from_be_bytes(bytes) & mask;
        self.code.push(Insn::load(Width::Word, 3, PLACE, at));
        if bits < 32 {
            self.code.push(Insn::and_32(3, mask.to_be().cast_signed()));
        }
        self.code.jump_if(When::NotEqual, 3, wanted.to_be().cast_signed(), next);
    }

    fn ports(&mut self, place: u8, ends: [FlowEnd; 2], next: &mut Label) {
        self.check(place, 4);
        for (end, at) in ends.iter().zip([0, 2]) {
            if let Some(port) = end.port {
                self.code.push(Insn::load(Width::Half, 5, place, at));
                self.code.jump_if(When::NotEqual, 5, network_order(port), next);
            }
        }
    }

    /// Leaves the packets that are not in the share.
    fn choose(&mut self) {
        let send = std::mem::take(&mut self.send);
        self.code.place(send);
        let Some(share) = self.how.share else { return };
        self.code.push(Insn::call(RANDOM));
        self.code.push(Insn::put_32(1, i32::from(Share::WHOLE)));
        self.code.push(Insn::multiply_register(0, 1));
        self.code.push(Insn::shift_right(0, 32));
        self.code.jump_if(When::Above, 0, i32::from(share.in_ten_thousand()) - 1, &mut self.leave);
    }

    /// Counts in windows of time, and leaves what is too much.
    fn limit(&mut self) {
        let (mut same, mut few) = (Label::default(), Label::default());
        self.code.push(Insn::call(CLOCK));
        self.code.push(Insn::store(Width::Double, NOTE, note::TIME, 0));
        self.code.push(Insn::shift_right(0, WINDOW_BITS));
        self.code.push(Insn::load(Width::Double, 1, NOTE, note::WINDOW));
        self.code.push(Insn::xor_register(1, 0));
        self.code.jump_if_null(1, &mut same);
        self.code.push(Insn::store(Width::Double, NOTE, note::WINDOW, 0));
        self.code.push(Insn::put_32(1, 0));
        self.code.push(Insn::store(Width::Double, NOTE, note::COUNT, 1));
        self.code.place(same);
        self.code.push(Insn::load(Width::Double, 1, NOTE, note::COUNT));
        self.code.jump_if(When::AtMost, 1, MOST_IN_A_WINDOW - 1, &mut few);
        self.code.push(Insn::load(Width::Double, 1, NOTE, note::WITHHELD));
        self.code.push(Insn::add(1, 1));
        self.code.push(Insn::store(Width::Double, NOTE, note::WITHHELD, 1));
        let leave = &mut self.leave;
        self.code.jump(leave);
        self.code.place(few);
        self.code.push(Insn::add(1, 1));
        self.code.push(Insn::store(Width::Double, NOTE, note::COUNT, 1));
    }

    /// Sends the note and the beginning of the packet.
    fn send(&mut self) {
        let snap = i32::try_from(SNAP_BYTES).expect("it is a small number");
        self.code.put_length(CONTEXT, self.how.point, self.how.fragments);
        self.code.push(Insn::store(Width::Word, NOTE, note::LENGTH, 0));
        let mut short = Label::default();
        self.code.jump_if(When::AtMost, 0, snap, &mut short);
        self.code.push(Insn::put_32(0, snap));
        self.code.place(short);
        self.code.push(Insn::store(Width::Word, NOTE, note::CAPTURED, 0));
        // The flags have in their upper half how much of the packet goes behind the note (`BPF_F_CTXLEN_MASK`).
        self.code.push(Insn::copy_32(3, 0));
        self.code.push(Insn::shift_left(3, 32));
        self.code.extend(Insn::put_64(1, THIS_CPU));
        self.code.push(Insn::add_register(3, 1));
        self.code.push(Insn::copy(1, CONTEXT));
        self.code.extend(Insn::load_map(2, self.how.buffers));
        self.code.push(Insn::copy(4, NOTE));
        self.code.push(Insn::put_32(5, note::SENT_BYTES.into()));
        self.code.push(Insn::call(PERF_OUTPUT));
    }
}
