// SPDX-License-Identifier: Apache-2.0
//! What strangers wrote and named: none of it is code to tools for documentation, and no two things of C have one name.
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

/// A structure whose fields are called as functions of it would be, and bounds at the ends of what numbers hold.
const NAMED: &str = r#"{"maps": [{"name": "file", "kind": "hash", "max_entries": 1,
 "key": {"kind": "integer", "bytes": 4},
 "value": {"kind": "struct", "bytes": 32, "fields": [
  {"name": "kind", "bit_offset": 0, "bits": 3, "type": {"kind": "enum", "bytes": 4, "names": [["ON", 1]]}},
  {"name": "check", "bit_offset": 3, "bits": 5, "type": {"kind": "integer", "bytes": 4, "max": 20}},
  {"name": "kind_put", "offset": 1, "type": {"kind": "enum", "bytes": 1, "names": [["OFF", 0]]}},
  {"name": "default", "offset": 2, "type": {"kind": "enum", "bytes": 1, "names": [["NONE", 0]]}},
  {"name": "big", "offset": 8, "type": {"kind": "integer", "bytes": 8, "signed": true, "max": "9000000000000000000"}},
  {"name": "wide", "offset": 16, "type": {"kind": "integer", "bytes": 16, "signed": true, "max": "10000000000000000000"}}]}}]}"#;

#[test]
fn no_function_of_c_is_called_as_a_type_or_another_function() {
    let text = generated(NAMED, "adv", Language::C);
    let own = text.lines().skip_while(|line| !line.contains("another byte order"));
    let defines = |line: &&str| {
        line.starts_with("typedef") || line.starts_with("static inline") && line.contains("_file_value")
    };
    let own: Vec<&str> = own.filter(|line| defines(line) && !line.contains("struct adv_file *of")).collect();
    insta::assert_snapshot!(own.join("\n"), @r###"
typedef uint32_t adv_file_value_kind_;
typedef uint8_t adv_file_value_kind_put_;
typedef uint8_t adv_file_value_default_;
static inline adv_file_value_kind_ adv_file_value_kind(const struct adv_file_value *of)
static inline void adv_file_value_kind_put(struct adv_file_value *of, adv_file_value_kind_ value)
static inline uint32_t adv_file_value_check_(const struct adv_file_value *of)
static inline void adv_file_value_check__put(struct adv_file_value *of, uint32_t value)
static inline const char *adv_file_value_check(const struct adv_file_value *value)
static inline struct adv_file_value adv_file_value_default(void)
typedef uint32_t adv_file_key_t;
typedef struct adv_file_value adv_file_value_t;
"###);
}

#[test]
fn bounds_of_c_read_the_field_they_are_of_and_compare_it_with_its_sign() {
    let text = generated(NAMED, "adv", Language::C);
    let checks: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("wrong = ")).collect();
    insta::assert_snapshot!(checks.join("\n"), @r###"
wrong = wrong ? wrong : value->big > 9000000000000000000LL ? "adv_file_value.big must be at most 9000000000000000000" : NULL;
wrong = wrong ? wrong : value->wide > (__int128)10000000000000000000ULL ? "adv_file_value.wide must be at most 10000000000000000000" : NULL;
wrong = wrong ? wrong : adv_file_value_check_(value) > 20LL ? "adv_file_value.check must be at most 20" : NULL;
wrong = wrong ? wrong : adv_file_value_check(&(*value));
"###);
}
