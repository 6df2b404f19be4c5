// SPDX-License-Identifier: Apache-2.0
//! The demo, and that it notices when a promise is not kept.

use std::process::Command;

#[test]
fn the_demo_succeeds_and_fails_without_any_one_of_its_promises() {
    // Its figures are made on a machine that runs nothing else.
    let demo = it::binary("l3af-demo").unwrap();
    let ran = Command::new(&demo).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    for (promise, words) in [
        ("splice", "connections came through a limit of"),
        ("verification", "the unsigned package was accepted"),
        ("limit", "connections came through a limit of"),
    ] {
        let ran = Command::new(&demo).args(["--without", promise]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(!ran.status.success() && said.contains(words), "without {promise}:\n{said}");
    }
}
