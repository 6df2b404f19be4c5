// SPDX-License-Identifier: Apache-2.0
//! The digest of instructions, exactly as the kernel computes it (`bpf_prog_calc_tag` of `kernel/bpf/core.c`).

use package::Digest;
use plan::{CodeAlgorithm, CodeDigest};
use sha1::{Digest as _, Sha1};

use crate::insn::{Insn, LOAD_64, MAP_FD, MAP_VALUE};

/// The digest of instructions as they are handed to the kernel.
pub(crate) fn digest(insns: &[Insn], algorithm: CodeAlgorithm) -> CodeDigest {
    let bytes = normalized(insns);
    let text = match algorithm {
        CodeAlgorithm::Sha1 => {
            format!(
                "sha1:{}",
                Sha1::digest(&bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
            )
        }
        CodeAlgorithm::Sha256 => Digest::of(&bytes).to_string(),
    };
    text.parse().expect("it was just written so")
}

/// The numbers of maps are others in each process: both halves of a load that names a map count as zero.
pub(crate) fn normalized(insns: &[Insn]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(insns.len() * 8);
    let mut names_a_map = false;
    for insn in insns {
        let is_second_half = names_a_map && (insn.code, insn.dst, insn.src, insn.offset) == (0, 0, 0, 0);
        names_a_map = !names_a_map && insn.code == LOAD_64 && matches!(insn.src, MAP_FD | MAP_VALUE);
        let imm = if names_a_map || is_second_half { 0 } else { insn.imm };
        bytes.extend(Insn { imm, ..*insn }.to_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [CodeAlgorithm; 2] = [CodeAlgorithm::Sha1, CodeAlgorithm::Sha256];

    fn load(src: u8, imm: i32, second: i32) -> [Insn; 2] {
        let first = Insn { code: LOAD_64, dst: 1, src, offset: 0, imm };
        [first, Insn { code: 0, dst: 0, src: 0, offset: 0, imm: second }]
    }

    #[test]
    fn a_program_that_passes_has_the_digests_that_kernels_tell() {
        // `r0 = 2; exit`. Linux 6.1 tells the tag 3b185187f1855c4c, Linux 6.18 614b434cd8324ecc.
        let passes = [Insn { code: 0xb7, dst: 0, src: 0, offset: 0, imm: 2 }, Insn::exit()];
        insta::assert_snapshot!(digest(&passes, CodeAlgorithm::Sha1), @"sha1:3b185187f1855c4ceadea8346f1ace25beed2aa8");
        insta::assert_snapshot!(digest(&passes, CodeAlgorithm::Sha256), @"sha256:614b434cd8324ecc7c75ff9332b723a2eec8478e23cca7735bf316f765d42a61");
    }

    proptest! {
        #[test]
        fn the_numbers_of_maps_do_not_count_and_all_else_does(one: i32, other: i32, third: i32, src in 0..8_u8) {
            let names_a_map = matches!(src, MAP_FD | MAP_VALUE);
            for algorithm in BOTH {
                let of = |imm, second| digest(&load(src, imm, second), algorithm);
                prop_assert_eq!(of(one, third) == of(other, third), names_a_map || one == other);
                prop_assert_eq!(of(third, one) == of(third, other), names_a_map || one == other);
            }
        }
    }

    #[test]
    fn the_second_half_of_a_load_begins_no_other() {
        let twice = |imm| [load(MAP_FD, imm, imm), load(MAP_FD, imm, imm)].concat();
        assert_eq!(digest(&twice(3), BOTH[1]), digest(&twice(4), BOTH[1]));
        // What follows is no second half, so its number counts.
        let odd = |imm| [load(MAP_FD, 3, 0)[0], Insn { imm, ..Insn::put_32(1, 0) }];
        assert_ne!(digest(&odd(3), BOTH[0]), digest(&odd(4), BOTH[0]));
    }
}
