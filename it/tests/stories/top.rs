// SPDX-License-Identifier: Apache-2.0
//! `l3af top`: one sample for scripts, and the terminal, which is given back whatever happens.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use it::{binary, ping, run};

use crate::running;

/// Enters and leaves the other screen of a terminal (xterm, `DECSET 1049`).
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

#[test]
fn a_sample_tells_what_goes_through_each_member() {
    let (pair, node) = running();
    let sample = std::thread::scope(|scope| {
        let sample = scope.spawn(|| node.l3af(&["top", "--json", "--interval", "3"]));
        while !sample.is_finished() {
            ping(&pair, 5).unwrap();
        }
        sample.join().unwrap().unwrap()
    });
    let sample: serde_json::Value = serde_json::from_str(&sample).unwrap();
    assert_eq!(sample["status"]["generation"], 1, "{sample}");
    let chain = &sample["chains"][0];
    assert_eq!((&chain["hook"], &chain["members"][1]["name"]), (&"right0/xdp".into(), &"ratelimit".into()));
    for rate in [&chain["entered"], &chain["members"][0]["passed"], &chain["members"][1]["left"]["pass"]] {
        assert!(rate["packets"].as_f64().unwrap() > 0.0, "{sample}");
    }
    let table = node.l3af(&["top", "--once", "--interval", "1"]).unwrap();
    assert!(table.contains("converged  generation 1") && table.contains("PACKETS/S"), "{table}");
    let refused = node.cli(&["top"]).unwrap();
    assert!(refused.stderr.contains("hint: `l3af top --once` prints one sample"), "{}", refused.stderr);
}

#[test]
fn the_terminal_is_given_back_after_a_key_and_after_a_signal() {
    let (_pair, node) = running();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    for by_key in [true, false] {
        let (pid, log) = (file(&format!("pid{by_key}")), file(&format!("log{by_key}")));
        let (l3af, socket) = (binary("l3af").unwrap(), node.socket());
        let line = format!(
            "echo $$ > {pid}; stty cols 130 rows 20; TERM=xterm exec {} --socket {} top --interval 1",
            l3af.display(),
            socket.display()
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &line, &log])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let shown =
            || std::fs::read(&log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default();
        node.wait("chains are drawn", || shown().contains("ratelimit"));
        if by_key {
            script.stdin.as_mut().unwrap().write_all(b"q").unwrap();
        } else {
            let pid = std::fs::read_to_string(&pid).unwrap();
            run(&format!("kill -TERM {}", pid.trim())).unwrap();
        }
        let begin = Instant::now();
        let ended = loop {
            if let Some(ended) = script.try_wait().unwrap() {
                break ended;
            }
            assert!(begin.elapsed() < Duration::from_mins(1), "it does not end: {}", shown());
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(ended.success(), "{}", shown());
        let shown = shown();
        assert!(shown.contains(ENTER) && shown.rfind(LEAVE) > shown.rfind(ENTER), "{shown}");
    }
}
