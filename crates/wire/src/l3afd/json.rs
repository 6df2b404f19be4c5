// SPDX-License-Identifier: Apache-2.0
//! JSON as Go's `encoding/json` reads and writes it.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value};

/// What is a map of somebody else's keys, which keep their case.
const FREE: [&str; 5] = ["start_args", "stop_args", "status_args", "update_args", "config_args"];

/// Reads a payload, whatever the case of its keys.
///
/// # Errors
/// When it is no JSON, or something in it has another type.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let mut value: Value = serde_json::from_slice(bytes)?;
    lower(&mut value);
    serde_json::from_value(value)
}

fn lower(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(lower),
        Value::Object(object) => {
            let mut lowered = Map::new();
            for (key, mut value) in std::mem::take(object) {
                let key = key.to_lowercase();
                if !FREE.contains(&key.as_str()) {
                    lower(&mut value);
                }
                lowered.insert(key, value);
            }
            *object = lowered;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Writes JSON as `json.MarshalIndent` does, with this indent and no line end behind it.
pub fn write(value: &impl Serialize, indent: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let formatter = AsGo(PrettyFormatter::with_indent(indent.as_bytes()));
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer).expect("what is written has texts for keys");
    bytes
}

/// Go writes for HTML, too: what could end a script is escaped.
struct AsGo<'a>(PrettyFormatter<'a>);

impl Formatter for AsGo<'_> {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        for letter in text.chars() {
            match letter {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write!(writer, "\\u{:04x}", u32::from(letter))?,
                other => write!(writer, "{other}")?,
            }
        }
        Ok(())
    }

    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l3afd::{Entry, Program};

    #[test]
    fn keys_of_any_case_are_read_and_unknown_ones_passed_over() {
        let text = br#"[{"Host_Name":"h","IFACE":"eth0","extra":1,"bpf_programs":{"XDP_ingress":[{"Name":"a","start_args":{"Key":"V"},"seq_id":null}]}}]"#;
        let entries: Vec<Entry> = read(text).unwrap();
        let lists = entries[0].bpf_programs.as_ref().unwrap();
        let program = &lists.xdp_ingress.as_ref().unwrap()[0];
        assert_eq!((entries[0].host_name.as_str(), program.name.as_str(), program.seq_id), ("h", "a", 0));
        assert_eq!(program.start_args.as_ref().unwrap()["Key"], "V");
        assert_eq!(lists.tc_ingress, None);
        assert!(read::<Vec<Entry>>(br#"[{"iface":5}]"#).is_err());
        assert!(read::<Vec<Entry>>(b"null").is_err());
    }

    #[test]
    fn what_is_written_is_what_go_writes() {
        let program =
            Program { name: "a<b>&c\u{2028}".to_owned(), map_args: Some(Vec::new()), ..Program::default() };
        let text = String::from_utf8(write(&program, "  ")).unwrap();
        assert!(
            text.starts_with("{\n  \"id\": 0,\n  \"name\": \"a\\u003cb\\u003e\\u0026c\\u2028\",\n"),
            "{text}"
        );
        assert!(text.contains("\n  \"map_args\": [],\n  \"config_args\": null,\n"), "{text}");
        assert!(text.ends_with("\n  \"entry_function_name\": \"\"\n}"), "{text}");
    }
}
