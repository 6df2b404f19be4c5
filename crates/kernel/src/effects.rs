// SPDX-License-Identifier: Apache-2.0
//! Whether a program changes packets: by what it calls and where it writes, not by what it claims.
//!
//! A verdict can be overruled, a change to the packet cannot be taken back, so a member in shadow or canary must make
//! none. Registers are followed through the program by what they may point to. Where paths meet, all that was possible
//! remains possible; of memory, only what the program itself keeps in its stack is told apart. So the answer errs on one
//! side: a program that is found harmless is.

use std::collections::BTreeMap;

use thiserror::Error;

use package::Object;

use crate::insn::{CALL, EXIT, FRAME, Insn, LOAD_64, SUBPROGRAM_ADDRESS, SUBPROGRAM_CALL, TAIL_CALL};

/// What a program does that cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Effect {
    /// It calls a helper that changes, sends or marks packets.
    #[error("it calls helper {helper} at instruction {at}, which changes packets")]
    Helper {
        /// The number of the helper (`enum bpf_func_id`).
        helper: i32,
        /// The index of the call.
        at: usize,
    },
    /// It calls a function of the kernel that is not a helper, and not one that only asks the network card.
    #[error("it calls a kernel function at instruction {at}, whose effects are not known")]
    KernelFunction {
        /// The index of the call.
        at: usize,
    },
    /// It goes on in another program.
    #[error("it makes a tail call of its own at instruction {at}; what that program does is not known")]
    TailCall {
        /// The index of the call.
        at: usize,
    },
    /// It writes to a packet, or to what the kernel keeps beside it.
    #[error("it writes to the packet or its context at instruction {at}")]
    Write {
        /// The index of the write.
        at: usize,
    },
}

/// The helpers that change, send or mark packets (`bpf_helper_changes_pkt_data` of `net/core/filter.c`, and those that
/// write to the socket buffer; numbers of `enum bpf_func_id`).
const CHANGING: [i32; 26] = [
    9,   // skb_store_bytes
    10,  // l3_csum_replace
    11,  // l4_csum_replace
    13,  // clone_redirect
    18,  // skb_vlan_push
    19,  // skb_vlan_pop
    21,  // skb_set_tunnel_key
    30,  // skb_set_tunnel_opt
    31,  // skb_change_proto
    32,  // skb_change_type
    38,  // skb_change_tail
    40,  // csum_update
    41,  // set_hash_invalid
    43,  // skb_change_head
    44,  // xdp_adjust_head
    48,  // set_hash
    50,  // skb_adjust_room
    54,  // xdp_adjust_meta
    65,  // xdp_adjust_tail
    73,  // lwt_push_encap
    97,  // skb_ecn_set_ce
    124, // sk_assign
    135, // csum_level
    143, // store_hdr_opt
    190, // xdp_store_bytes
    192, // skb_set_tstamp
];

/// What is known of the functions of the kernel that a program calls; its instructions have no more than their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Functions {
    /// Nothing.
    Unknown,
    /// They ask the network card about a packet (`bpf_xdp_metadata_rx_*`), and write to their second and third argument.
    AskTheCard,
}

impl Functions {
    /// Those that an object names.
    pub fn of(object: &Object) -> Self {
        if object.asks_the_card_only() { Self::AskTheCard } else { Self::Unknown }
    }
}

/// What a value may be, as a set of bits.
type May = u8;
const OTHER: May = 1;
const CONTEXT: May = 2;
const PACKET: May = 4;
/// Memory of some function's stack.
const STACK: May = 8;

/// The slot of a stack that is reached in another way than from the frame pointer: it may be any.
const ANYWHERE: i16 = i16::MAX;

/// The fields of a context that are packet pointers: `data`, `data_end` and `data_meta` of `struct xdp_md` and of
/// `struct __sk_buff`.
const XDP_POINTERS: [i16; 3] = [0, 4, 8];
const TC_POINTERS: [i16; 3] = [76, 80, 140];

/// Finds the first thing that a program does to packets which cannot be taken back; none when there is none.
pub fn effect(insns: &[Insn], is_xdp: bool, functions: Functions) -> Option<Effect> {
    let mut walk = Walk {
        insns,
        functions,
        pointers: if is_xdp { XDP_POINTERS } else { TC_POINTERS },
        states: vec![None; insns.len()],
        slots: BTreeMap::new(),
        returned: OTHER,
        pending: Vec::new(),
        effects: BTreeMap::new(),
    };
    let mut entry = [OTHER; 11];
    (entry[1], entry[usize::from(FRAME)]) = (CONTEXT, STACK);
    walk.reach(0, &entry);
    walk.run();
    walk.effects.into_values().next()
}

struct Walk<'a> {
    insns: &'a [Insn],
    functions: Functions,
    pointers: [i16; 3],
    /// What the registers may be before each instruction; none where it was never reached.
    states: Vec<Option<[May; 11]>>,
    /// What may be kept in each slot of a stack, by its distance from the frame pointer. Functions are not told apart.
    slots: BTreeMap<i16, May>,
    /// What a subprogram may return.
    returned: May,
    pending: Vec<usize>,
    effects: BTreeMap<usize, Effect>,
}

impl Walk<'_> {
    /// Walks until nothing new is learned. What is learned only grows, so this ends.
    fn run(&mut self) {
        loop {
            while let Some(at) = self.pending.pop() {
                self.step(at);
            }
            let known = (self.slots.clone(), self.returned);
            self.pending = (0..self.insns.len()).filter(|at| self.states[*at].is_some()).collect();
            while let Some(at) = self.pending.pop() {
                self.step(at);
            }
            if known == (self.slots.clone(), self.returned) {
                return;
            }
        }
    }

    /// Joins what the registers may be at an instruction.
    fn reach(&mut self, at: usize, registers: &[May; 11]) {
        let Some(state) = self.states.get_mut(at) else { return };
        let before = *state;
        let state = state.get_or_insert([0; 11]);
        for (have, more) in state.iter_mut().zip(registers) {
            *have |= more;
        }
        if before != Some(*state) {
            self.pending.push(at);
        }
    }

    fn step(&mut self, at: usize) {
        /// Instruction classes (RFC 9669, section 3.1).
        const LD: u8 = 0;
        const LDX: u8 = 1;
        const ST: u8 = 2;
        const STX: u8 = 3;
        const ALU: u8 = 4;
        const ALU_64: u8 = 7;
        let insn = self.insns[at];
        let Some(mut registers) = self.states[at] else { return };
        let (dst, src) = (usize::from(insn.dst).min(10), usize::from(insn.src).min(10));
        let mut next = at + 1;
        match insn.code & 7 {
            LD => {
                if insn.code == LOAD_64 {
                    next = at + 2;
                    self.enter_callback(at, insn);
                    registers[dst] = OTHER;
                } else {
                    // Classic loads of packet bytes.
                    registers[0] = OTHER;
                }
            }
            LDX => registers[dst] = self.load(insn, registers[src]),
            ST | STX => self.store(
                at,
                insn,
                registers[dst],
                if insn.code & 7 == STX { registers[src] } else { OTHER },
            ),
            ALU => registers[dst] = OTHER,
            ALU_64 => registers[dst] = compute(insn, registers[dst], registers[src]),
            _ => return self.branch(at, insn, registers),
        }
        self.reach(next, &registers);
    }

    fn load(&self, insn: Insn, base: May) -> May {
        let mut may = OTHER;
        if base & CONTEXT != 0 && self.pointers.contains(&insn.offset) {
            may |= PACKET;
        }
        if base & STACK != 0 {
            let slot = |slot| self.slots.get(slot).copied().unwrap_or_default();
            may |= if insn.src == FRAME {
                slot(&insn.offset) | slot(&ANYWHERE)
            } else {
                self.slots.values().fold(0, |all, one| all | one)
            };
        }
        may
    }

    fn store(&mut self, at: usize, insn: Insn, base: May, value: May) {
        if base & (PACKET | CONTEXT) != 0 {
            self.effects.entry(at).or_insert(Effect::Write { at });
        }
        if base & STACK != 0 {
            let slot = if insn.dst == FRAME { insn.offset } else { ANYWHERE };
            *self.slots.entry(slot).or_default() |= value;
        }
    }

    /// A callback may be called with the address of anything in a stack.
    fn enter_callback(&mut self, at: usize, insn: Insn) {
        if insn.src == SUBPROGRAM_ADDRESS
            && let Some(target) = insn.subprogram(at)
        {
            let mut entry = [OTHER | STACK; 11];
            entry[usize::from(FRAME)] = STACK;
            self.reach(target, &entry);
        }
    }

    fn branch(&mut self, at: usize, insn: Insn, mut registers: [May; 11]) {
        /// `ja` with a 16-bit and with a 32-bit distance.
        const JUMP: u8 = 0x05;
        const FAR_JUMP: u8 = 0x06;
        let target = |distance: i32| {
            isize::try_from(distance).ok().and_then(|distance| (at + 1).checked_add_signed(distance))
        };
        match insn.code {
            EXIT => self.returned |= registers[0],
            CALL => {
                self.call(at, insn, &mut registers);
                self.reach(at + 1, &registers);
            }
            code => {
                let distance = if code == FAR_JUMP { insn.imm } else { i32::from(insn.offset) };
                if let Some(target) = target(distance) {
                    self.reach(target, &registers);
                }
                if code != JUMP && code != FAR_JUMP {
                    self.reach(at + 1, &registers);
                }
            }
        }
    }

    fn call(&mut self, at: usize, insn: Insn, registers: &mut [May; 11]) {
        const HELPER: u8 = 0;
        let effect = match insn.src {
            SUBPROGRAM_CALL => {
                if let Some(target) = insn.subprogram(at) {
                    let mut entry = *registers;
                    entry[6..10].fill(OTHER);
                    self.reach(target, &entry);
                }
                None
            }
            HELPER if insn.imm == TAIL_CALL => Some(Effect::TailCall { at }),
            HELPER if CHANGING.contains(&insn.imm) => Some(Effect::Helper { helper: insn.imm, at }),
            HELPER => None,
            _ => self.kernel_function(at, *registers),
        };
        if let Some(effect) = effect {
            self.effects.insert(at, effect);
        }
        registers[0] = if insn.src == SUBPROGRAM_CALL { OTHER | self.returned } else { OTHER };
        registers[1..6].fill(OTHER);
    }

    fn kernel_function(&self, at: usize, registers: [May; 11]) -> Option<Effect> {
        match self.functions {
            Functions::Unknown => Some(Effect::KernelFunction { at }),
            Functions::AskTheCard if (registers[2] | registers[3]) & PACKET != 0 => {
                Some(Effect::Write { at })
            }
            Functions::AskTheCard => None,
        }
    }
}

/// What a 64-bit operation makes of its operands.
fn compute(insn: Insn, dst: May, src: May) -> May {
    const BY_REGISTER: u8 = 0x08;
    const MOVE: u8 = 0xb0;
    match (insn.code & 0xf0, insn.code & BY_REGISTER != 0) {
        (MOVE, true) => src,
        (MOVE, false) => OTHER,
        (_, true) => dst | src,
        (_, false) => dst,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::Width;

    /// `data` into r2, kept in the stack and found again in r3; then a store to the second register of the argument.
    fn stores_to(register: u8) -> Vec<Insn> {
        vec![
            Insn::load(Width::Word, 2, 1, 0),
            Insn::store(Width::Double, FRAME, -8, 2),
            Insn::store(Width::Double, FRAME, -16, 1),
            Insn::load(Width::Double, 3, FRAME, -8),
            Insn::copy(4, FRAME),
            Insn::add(4, -32),
            Insn::store(Width::Byte, register, 0, 5),
            Insn::put_32(0, 2),
            Insn::exit(),
        ]
    }

    #[test]
    fn a_write_to_the_packet_is_found_wherever_its_pointer_was_kept() {
        for register in [1, 2, 3] {
            assert_eq!(
                effect(&stores_to(register), true, Functions::Unknown),
                Some(Effect::Write { at: 6 }),
                "r{register}"
            );
        }
        assert_eq!(effect(&stores_to(4), true, Functions::Unknown), None);
    }

    #[test]
    fn a_subprogram_that_gets_the_packet_may_write_to_it() {
        let program = |argument| {
            vec![
                Insn::load(Width::Word, 2, 1, 76),
                Insn::copy(1, argument),
                Insn::call_subprogram(1),
                Insn::exit(),
                Insn::store(Width::Byte, 1, 0, 0),
                Insn::exit(),
            ]
        };
        assert_eq!(effect(&program(2), false, Functions::Unknown), Some(Effect::Write { at: 4 }));
        assert_eq!(effect(&program(FRAME), false, Functions::Unknown), None);
    }

    #[test]
    fn calls_tell_what_they_do() {
        let calls = |helper| effect(&[Insn::call(helper), Insn::exit()], true, Functions::Unknown);
        assert_eq!(calls(44), Some(Effect::Helper { helper: 44, at: 0 }));
        assert_eq!(calls(TAIL_CALL), Some(Effect::TailCall { at: 0 }));
        assert_eq!(calls(1), None);
        let function = [Insn { src: 2, ..Insn::call(4711) }, Insn::exit()];
        assert_eq!(effect(&function, true, Functions::Unknown), Some(Effect::KernelFunction { at: 0 }));
    }

    #[test]
    fn to_ask_the_card_changes_nothing_unless_the_answer_goes_into_the_packet() {
        let asks = |register, from| {
            let answer = if from == FRAME {
                Insn::copy(register, from)
            } else {
                Insn::load(Width::Word, register, from, 0)
            };
            let program = [answer, Insn { src: 2, ..Insn::call(4711) }, Insn::exit()];
            effect(&program, true, Functions::AskTheCard)
        };
        assert_eq!([asks(2, FRAME), asks(3, FRAME), asks(4, 1)], [None; 3]);
        assert_eq!([asks(2, 1), asks(3, 1)], [Some(Effect::Write { at: 1 }); 2]);
    }
}
