// SPDX-License-Identifier: Apache-2.0
//! BPF instructions as values: the few kinds that a splice reads and writes.
//!
//! The encoding is that of RFC 9669, section 3: opcode, registers, offset, immediate, in eight bytes.

/// One eight-byte instruction slot. A 64-bit immediate load takes two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    /// The opcode.
    pub code: u8,
    /// The destination register.
    pub dst: u8,
    /// The source register, or a pseudo source that says what the immediate means.
    pub src: u8,
    /// The signed offset of jumps and memory accesses.
    pub offset: i16,
    /// The immediate operand.
    pub imm: i32,
}

/// Sizes of memory accesses (RFC 9669, section 5).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Width {
    Byte,
    Half,
    Word,
    Double,
}

impl Width {
    /// The size modifier of the opcode.
    const fn bits(self) -> u8 {
        match self {
            Self::Byte => 0x10,
            Self::Half => 0x08,
            Self::Word => 0x00,
            Self::Double => 0x18,
        }
    }
}

/// The comparison of a 32-bit conditional jump (RFC 9669, section 4.3).
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Equal,
    NotEqual,
    AtMost,
    Above,
    /// Any bit of the operand is set.
    Any,
}

pub(crate) const EXIT: u8 = 0x95;
pub(crate) const CALL: u8 = 0x85;
pub(crate) const JUMP: u8 = 0x05;
pub(crate) const LONG_JUMP: u8 = 0x06;
pub(crate) const INDIRECT_JUMP: u8 = 0x0d;
pub(crate) const LOAD_64: u8 = 0x18;
/// `BPF_PSEUDO_MAP_FD`: the immediate of a 64-bit load is a map descriptor.
pub(crate) const MAP_FD: u8 = 1;
/// `BPF_PSEUDO_MAP_VALUE`: the immediate of a 64-bit load is a map descriptor, that of its second half an offset.
pub(crate) const MAP_VALUE: u8 = 2;
/// `BPF_PSEUDO_CALL`: the immediate of a call is the distance to a subprogram.
pub(crate) const SUBPROGRAM_CALL: u8 = 1;
/// `BPF_PSEUDO_FUNC`: the immediate of a 64-bit load is the distance to a subprogram.
pub(crate) const SUBPROGRAM_ADDRESS: u8 = 4;
/// Helper number of `bpf_map_lookup_elem`.
pub(crate) const MAP_LOOKUP: i32 = 1;
/// Helper number of `bpf_ktime_get_ns`.
pub(crate) const CLOCK: i32 = 5;
/// Helper number of `bpf_tail_call`.
pub(crate) const TAIL_CALL: i32 = 12;
/// Helper number of `bpf_skb_load_bytes_relative`.
pub(crate) const LOAD_BYTES: i32 = 68;
/// Helper number of `bpf_xdp_get_buff_len` (Linux 5.18).
pub(crate) const BUFFER_LENGTH: i32 = 188;
/// The frame pointer.
pub(crate) const FRAME: u8 = 10;

impl Insn {
    /// Reads the kernel's form: little-endian fields, the destination in the low half of the second byte.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [code, registers, o0, o1, i0, i1, i2, i3] = bytes;
        Self {
            code,
            dst: registers & 0xf,
            src: registers >> 4,
            offset: i16::from_le_bytes([o0, o1]),
            imm: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }

    /// Writes the kernel's form.
    pub fn to_bytes(self) -> [u8; 8] {
        let [o0, o1] = self.offset.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.code, self.src << 4 | self.dst, o0, o1, i0, i1, i2, i3]
    }

    const fn new(code: u8, dst: u8, src: u8, offset: i16, imm: i32) -> Self {
        Self { code, dst, src, offset, imm }
    }

    /// `dst = src`, 64 bits.
    pub(crate) const fn copy(dst: u8, src: u8) -> Self {
        Self::new(0xbf, dst, src, 0, 0)
    }

    /// `dst = src`, low 32 bits, the high half cleared.
    pub(crate) const fn copy_32(dst: u8, src: u8) -> Self {
        Self::new(0xbc, dst, src, 0, 0)
    }

    /// `dst = imm`, low 32 bits, the high half cleared.
    pub(crate) const fn put_32(dst: u8, imm: i32) -> Self {
        Self::new(0xb4, dst, 0, 0, imm)
    }

    /// `dst += imm`, 64 bits.
    pub(crate) const fn add(dst: u8, imm: i32) -> Self {
        Self::new(0x07, dst, 0, 0, imm)
    }

    /// `dst += imm`, 32 bits.
    pub(crate) const fn add_32(dst: u8, imm: i32) -> Self {
        Self::new(0x04, dst, 0, 0, imm)
    }

    /// `dst += src`, 64 bits.
    pub(crate) const fn add_register(dst: u8, src: u8) -> Self {
        Self::new(0x0f, dst, src, 0, 0)
    }

    /// `dst *= src`, 64 bits.
    pub(crate) const fn multiply_register(dst: u8, src: u8) -> Self {
        Self::new(0x2f, dst, src, 0, 0)
    }

    /// `dst ^= src`, 64 bits.
    pub(crate) const fn xor_register(dst: u8, src: u8) -> Self {
        Self::new(0xaf, dst, src, 0, 0)
    }

    /// `dst <<= imm`, 64 bits.
    pub(crate) const fn shift_left(dst: u8, imm: i32) -> Self {
        Self::new(0x67, dst, 0, 0, imm)
    }

    /// `dst >>= imm`, 64 bits.
    pub(crate) const fn shift_right(dst: u8, imm: i32) -> Self {
        Self::new(0x77, dst, 0, 0, imm)
    }

    /// `dst -= src`, 64 bits.
    pub(crate) const fn subtract_register(dst: u8, src: u8) -> Self {
        Self::new(0x1f, dst, src, 0, 0)
    }

    /// `dst >>= src`, 32 bits.
    pub(crate) const fn shift_right_32(dst: u8, src: u8) -> Self {
        Self::new(0x7c, dst, src, 0, 0)
    }

    /// `dst &= imm`, 32 bits.
    pub(crate) const fn and_32(dst: u8, imm: i32) -> Self {
        Self::new(0x54, dst, 0, 0, imm)
    }

    /// `dst <<= src`.
    pub(crate) const fn shift_left_register(dst: u8, src: u8) -> Self {
        Self::new(0x6f, dst, src, 0, 0)
    }

    /// `dst &= src`.
    pub(crate) const fn and_register(dst: u8, src: u8) -> Self {
        Self::new(0x5f, dst, src, 0, 0)
    }

    /// `dst = *(base + offset)`.
    pub(crate) const fn load(width: Width, dst: u8, base: u8, offset: i16) -> Self {
        Self::new(0x61 | width.bits(), dst, base, offset, 0)
    }

    /// `*(base + offset) = src`.
    pub(crate) const fn store(width: Width, base: u8, offset: i16, src: u8) -> Self {
        Self::new(0x63 | width.bits(), base, src, offset, 0)
    }

    /// `*(base + offset) = imm`, a word.
    pub(crate) const fn store_word(base: u8, offset: i16, imm: i32) -> Self {
        Self::new(0x62, base, 0, offset, imm)
    }

    /// `dst = map`, in two slots.
    pub(crate) const fn load_map(dst: u8, descriptor: i32) -> [Self; 2] {
        [Self::new(LOAD_64, dst, MAP_FD, 0, descriptor), Self::new(0, 0, 0, 0, 0)]
    }

    /// `dst = address in the first value of a map`, in two slots.
    pub(crate) const fn load_map_value(dst: u8, descriptor: i32, offset: i32) -> [Self; 2] {
        [Self::new(LOAD_64, dst, MAP_VALUE, 0, descriptor), Self::new(0, 0, 0, 0, offset)]
    }

    /// `dst = number`, 64 bits in two slots.
    pub(crate) const fn put_64(dst: u8, number: u64) -> [Self; 2] {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
        let (low, high) = (number as i32, (number >> 32) as i32);
        [Self::new(LOAD_64, dst, 0, 0, low), Self::new(0, 0, 0, 0, high)]
    }

    /// A call of the subprogram that begins `distance` instructions behind the next one.
    pub(crate) const fn call_subprogram(distance: i32) -> Self {
        Self::new(CALL, 0, SUBPROGRAM_CALL, 0, distance)
    }

    /// A call of a helper.
    pub(crate) const fn call(helper: i32) -> Self {
        Self::new(CALL, 0, 0, 0, helper)
    }

    /// The end of a function.
    pub(crate) const fn exit() -> Self {
        Self::new(EXIT, 0, 0, 0, 0)
    }

    /// Jumps over `offset` instructions.
    pub(crate) const fn jump(offset: i16) -> Self {
        Self::new(JUMP, 0, 0, offset, 0)
    }

    /// Jumps over `offset` instructions when the low half of `dst`, unsigned, compares so with `imm`.
    pub(crate) const fn jump_if(when: When, dst: u8, imm: i32, offset: i16) -> Self {
        let code = match when {
            When::Equal => 0x16,
            When::NotEqual => 0x56,
            When::AtMost => 0xb6,
            When::Above => 0x26,
            When::Any => 0x46,
        };
        Self::new(code, dst, 0, offset, imm)
    }

    /// Jumps over `offset` instructions when `dst`, 64 bits unsigned, is greater than `src`.
    pub(crate) const fn jump_if_above(dst: u8, src: u8, offset: i16) -> Self {
        Self::new(0x2d, dst, src, offset, 0)
    }

    /// Jumps over `offset` instructions when the pointer in `dst` is null. The verifier learns from 64 bits only.
    pub(crate) const fn jump_if_null(dst: u8, offset: i16) -> Self {
        Self::new(0x15, dst, 0, offset, 0)
    }

    /// The index of the subprogram that this instruction at `index` calls or takes the address of.
    pub(crate) fn subprogram(self, index: usize) -> Option<usize> {
        let calls = self.code == CALL && self.src == SUBPROGRAM_CALL;
        let takes_address = self.code == LOAD_64 && self.src == SUBPROGRAM_ADDRESS;
        if !calls && !takes_address {
            return None;
        }
        (index + 1).checked_add_signed(isize::try_from(self.imm).ok()?)
    }

    /// The index of the instruction that this one at `index` may jump to.
    pub(crate) fn target(self, index: usize) -> Option<usize> {
        const JUMPS: u8 = 5;
        const JUMPS_32: u8 = 6;
        let class = self.code & 7;
        if (class != JUMPS && class != JUMPS_32) || self.code & 0xf0 == CALL & 0xf0 || self.code == EXIT {
            return None;
        }
        // The long jump (`gotol`, instruction set 4) has its distance in the immediate.
        let is_long = self.code == LONG_JUMP;
        let distance = if is_long { isize::try_from(self.imm).ok()? } else { isize::from(self.offset) };
        (index + 1).checked_add_signed(distance)
    }

    /// The number that it puts into r0, if that is all it does.
    pub(crate) fn verdict(self) -> Option<i32> {
        const PUT_64: u8 = 0xb7;
        const PUT_32: u8 = 0xb4;
        let puts = matches!(self.code, PUT_64 | PUT_32) && self.dst == 0;
        puts.then_some(self.imm)
    }

    /// Whether it leaves nothing in r1 to r5: calls, and the classic loads of packet bytes, which are calls inside.
    pub(crate) fn calls(self) -> bool {
        const LOAD_CLASS: u8 = 0;
        const CLASSIC: u8 = 0x20;
        const CLASSIC_INDIRECT: u8 = 0x40;
        let mode = self.code & 0xe0;
        self.code == CALL || (self.code & 7 == LOAD_CLASS && (mode == CLASSIC || mode == CLASSIC_INDIRECT))
    }

    /// Whether the register may be written. An atomic operation may fetch into its source.
    pub(crate) fn writes(self, register: u8) -> bool {
        const STX_CLASS: u8 = 3;
        const ATOMIC: u8 = 0xc0;
        match self.code & 7 {
            0 | 1 | 4 | 7 => self.dst == register,
            STX_CLASS => self.code & 0xe0 == ATOMIC && (self.src == register || register == 0),
            _ => false,
        }
    }

    /// Whether the register is read or written.
    pub(crate) fn touches(self, register: u8) -> bool {
        self.dst == register || self.src == register
    }
}
