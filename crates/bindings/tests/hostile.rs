// SPDX-License-Identifier: Apache-2.0
//! What strangers wrote and named: none of it is code to tools for documentation.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use bindings::{Language, Source, generate};
use maps::{Endian, Interface};

fn generated(interface: &str, release: &str, language: Language) -> String {
    let interface: Interface = serde_json::from_str(interface).unwrap();
    let objects = [("adv.bpf.o".to_owned(), interface)];
    let source = Source { name: "adv", release, objects: &objects, endian: Endian::Little, go_package: None };
    generate(&source, language)
}

/// Fences, HTML, links and prompts, with and without what hides them, each where it would be alone on its line.
fn marks() -> String {
    let word = |letter: &str| letter.repeat(100);
    let all = [
        "```",
        "~~~ rust",
        ">>> __import__('os').abort()",
        "<script>",
        "[a](javascript:b)",
        "[a]: b",
        ".. testcode::",
        "+build ignore",
        "*\\",
        "/\\*",
        "\u{202e}\u{2066}\u{2028}    ",
        "`\u{200b}``",
    ];
    all.map(|mark| format!("{mark} {}\n    {mark}", word("A"))).join(&format!(" {} ", word("B")))
}

#[test]
fn nothing_that_strangers_wrote_is_code_to_a_tool_for_documentation() {
    let text = serde_json::to_string(&marks()).unwrap();
    let interface = r#"{"maps": [{"name": @, "kind": "hash", "max_entries": 1, "description": @,
      "key": {"kind": "integer", "bytes": 4, "description": @},
      "value": {"kind": "struct", "bytes": 8, "description": @, "fields": [
       {"name": @, "offset": 0, "type": {"kind": "integer", "bytes": 4, "unit": @, "description": @}},
       {"name": "kind", "offset": 4, "type": {"kind": "enum", "bytes": 1, "description": @, "names": [[@, 1]]}}]}}]}"#;
    let interface = interface.replace('@', &text);
    for language in Language::ALL {
        let nothing = generated(r#"{"maps": []}"#, "adv", language);
        // The name of the map in quotes is no documentation.
        let text = generated(&interface, &marks(), language);
        let text: Vec<&str> = text.lines().filter(|line| !line.contains("\"```")).collect();
        let text = text.join("\n");
        for mark in ["```", "~~", ">>>", "<script", "](javascript", "]: b", "// +build", "*/"] {
            // Ends of comments are those of the page itself, each with its beginning.
            let more = if mark == "*/" { text.matches("/*").count() } else { nothing.matches(mark).count() };
            assert_eq!(text.matches(mark).count(), more, "{language}: {mark}");
        }
        let hidden = |letter: char| letter != '\n' && letter != '\t' && letter.is_control();
        let moved = |letter: char| ('\u{200b}'..='\u{206f}').contains(&letter);
        assert!(!text.contains(|letter| hidden(letter) || moved(letter)), "{language}");
        for line in text.lines().map(str::trim_start) {
            let said = line.trim_start_matches(['/', '!', '*', '#', ':']);
            let comment = said.len() < line.len() && !line.starts_with("#[");
            assert!(!comment || !said.starts_with("    "), "{language}: a block of code: {line}");
            assert!(!line.starts_with(".. "), "{language}: a directive: {line}");
        }
    }
}
