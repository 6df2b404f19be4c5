// SPDX-License-Identifier: Apache-2.0
//! What the verifier writes about a program, and what can be read from it.

use std::cell::Cell;

/// `BPF_LOG_STATS`: the verifier tells how much stack each function uses.
pub(super) const STATISTICS: u32 = 4;
/// Room for the verifier's log of a rejected program.
const LOG_BYTES: usize = 4 * 1024 * 1024;

thread_local! {
    /// The buffer for the verifier's log. To clear so much each time would take longer than the verifier does.
    static LOG: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Calls a function with a buffer for the log, and returns what was written to it.
pub(super) fn with<T, E>(work: impl FnOnce(&mut [u8]) -> Result<T, E>) -> Result<(T, String), E> {
    let mut log = take();
    let done = work(&mut log);
    let text = give_back(log);
    Ok((done?, text))
}

/// A buffer with an empty text in it, to be given back.
fn take() -> Vec<u8> {
    let mut log = LOG.take();
    log.resize(LOG_BYTES, 0);
    log[0] = 0;
    log
}

/// Gives the buffer back, and returns the text in it.
fn give_back(log: Vec<u8>) -> String {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..end]).into_owned();
    LOG.set(log);
    text
}

/// The stack that the main function uses, from a line like `stack depth 64+16`, behind which Linux 7.2 has ` max 80`; all of
/// it where nothing is said.
pub(super) fn stack_bytes(log: &str) -> u16 {
    const ALL: u16 = 512;
    let depths = log.lines().find_map(|line| line.strip_prefix("stack depth "));
    depths.and_then(|depths| depths.split(['+', ' ']).next()?.parse().ok()).unwrap_or(ALL)
}

/// The last line of a verifier log that says what is wrong.
pub(super) fn telling_line(log: &str) -> Option<String> {
    const REST: [&str; 4] = ["processed ", "verification time ", "stack depth ", "max_states"];
    let tells = |line: &&str| !line.trim().is_empty() && !REST.iter().any(|start| line.starts_with(start));
    log.lines().rfind(tells).map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{stack_bytes, telling_line};

    #[test]
    fn the_main_function_s_stack_is_the_first_number() {
        assert_eq!(stack_bytes("verification time 20 usec\nstack depth 64+16\nprocessed 9 insns"), 64);
        assert_eq!(stack_bytes("stack depth 0"), 0);
        assert_eq!(stack_bytes("stack depth 24 max 24\nprocessed 3 insns"), 24);
        assert_eq!(stack_bytes(""), 512);
    }

    #[test]
    fn statistics_are_not_what_a_rejection_is_about() {
        let log =
            "0: R1=ctx()\n1: (61) r0 = *(u32 *)(r2 +0)\nR2 !read_ok\nprocessed 2 insns (limit 1000000)\n\n";
        assert_eq!(telling_line(log).as_deref(), Some("R2 !read_ok"));
        assert_eq!(telling_line("processed 2 insns"), None);
    }
}
