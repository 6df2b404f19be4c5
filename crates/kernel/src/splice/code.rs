// SPDX-License-Identifier: Apache-2.0
//! Instructions with forward jumps to places that are not written yet.

use package::HookPoint;

use super::distance;
use crate::insn::{BUFFER_LENGTH, Insn, When, Width};

/// Instructions in the making.
#[derive(Default)]
pub(crate) struct Code {
    pub(crate) insns: Vec<Insn>,
}

/// Forward jumps that wait for their target.
#[derive(Default)]
pub(crate) struct Label(Vec<usize>);

impl Label {
    /// Whether any jump leads there.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Code {
    /// Puts the length of a packet into r0, where its context is in a register that calls keep. What calls take goes.
    pub(crate) fn put_length(&mut self, context: u8, point: HookPoint, has_fragments: bool) {
        if point != HookPoint::Xdp {
            // `struct __sk_buff`: len at 0.
            self.push(Insn::load(Width::Word, 0, context, 0));
        } else if has_fragments {
            self.push(Insn::copy(1, context));
            self.push(Insn::call(BUFFER_LENGTH));
        } else {
            // `struct xdp_md`: data at 0, data_end at 4.
            self.push(Insn::load(Width::Word, 0, context, 4));
            self.push(Insn::load(Width::Word, 1, context, 0));
            self.push(Insn::subtract_register(0, 1));
        }
    }

    pub(crate) fn push(&mut self, insn: Insn) {
        self.insns.push(insn);
    }

    pub(crate) fn extend(&mut self, insns: impl IntoIterator<Item = Insn>) {
        self.insns.extend(insns);
    }

    pub(crate) fn jump(&mut self, to: &mut Label) {
        self.await_target(to, Insn::jump(0));
    }

    pub(crate) fn jump_if(&mut self, when: When, register: u8, imm: i32, to: &mut Label) {
        self.await_target(to, Insn::jump_if(when, register, imm, 0));
    }

    pub(crate) fn jump_if_above(&mut self, register: u8, other: u8, to: &mut Label) {
        self.await_target(to, Insn::jump_if_above(register, other, 0));
    }

    pub(crate) fn jump_if_null(&mut self, register: u8, to: &mut Label) {
        self.await_target(to, Insn::jump_if_null(register, 0));
    }

    /// Lets all jumps that waited lead here.
    pub(crate) fn place(&mut self, label: Label) {
        for at in label.0 {
            self.insns[at].offset = distance(self.insns.len() - at - 1);
        }
    }

    fn await_target(&mut self, to: &mut Label, insn: Insn) {
        to.0.push(self.insns.len());
        self.push(insn);
    }
}
