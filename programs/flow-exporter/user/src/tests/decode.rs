// SPDX-License-Identifier: Apache-2.0
//! A reader of IPFIX, written from RFC 7011 alone: it learns templates from messages, and takes nothing for granted. The stories use
//! it as well.

use std::collections::BTreeMap;

/// An element in a template: its enterprise, its number, its length.
pub(super) type Field = (u32, u16, u16);

/// A data record: its template, and the bytes of each element.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) template: u16,
    pub(super) values: BTreeMap<(u32, u16), Vec<u8>>,
}

impl Record {
    /// The number that an element is.
    pub(super) fn number(&self, enterprise: u32, id: u16) -> u64 {
        self.values[&(enterprise, id)].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// The text that an element is.
    pub(super) fn text(&self, enterprise: u32, id: u16) -> String {
        String::from_utf8(self.values[&(enterprise, id)].clone()).unwrap()
    }
}

/// What a collector knows of an exporter.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) templates: BTreeMap<u16, (u16, Vec<Field>)>,
    pub(super) records: Vec<Record>,
    /// How many records there were.
    pub(super) sequence: u32,
    pub(super) domain: u32,
}

/// Takes bytes off the front.
fn take<'a>(from: &mut &'a [u8], bytes: usize) -> &'a [u8] {
    let (taken, rest) = from.split_at_checked(bytes).expect("a length is not right");
    *from = rest;
    taken
}

fn number(from: &mut &[u8], bytes: usize) -> u32 {
    take(from, bytes).iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn short(from: &mut &[u8]) -> u16 {
    u16::try_from(number(from, 2)).unwrap()
}

impl Collector {
    /// Reads a message. Returns its sequence number.
    pub(super) fn read(&mut self, message: &[u8]) -> u32 {
        let mut rest = message;
        assert_eq!(short(&mut rest), 10, "the version");
        assert_eq!(usize::from(short(&mut rest)), message.len(), "the length");
        let _time = number(&mut rest, 4);
        let sequence = number(&mut rest, 4);
        self.domain = number(&mut rest, 4);
        while !rest.is_empty() {
            let (set, length) = (short(&mut rest), short(&mut rest));
            let mut body = take(&mut rest, usize::from(length) - 4);
            assert!(!body.is_empty(), "a set has one record at least");
            while !body.is_empty() {
                match set {
                    2 | 3 => self.learn(&mut body, set == 3),
                    256.. => self.record(set, &mut body),
                    _ => panic!("set {set}"),
                }
            }
        }
        sequence
    }

    fn learn(&mut self, body: &mut &[u8], is_options: bool) {
        let (id, count) = (short(body), short(body));
        assert!(id > 255);
        let scopes = if is_options { short(body) } else { 0 };
        assert!(!is_options || scopes > 0 && scopes <= count);
        let mut fields = Vec::new();
        for _ in 0..count {
            let (element, length) = (short(body), short(body));
            let enterprise = if element & 0x8000 == 0 { 0 } else { number(body, 4) };
            fields.push((enterprise, element & 0x7fff, length));
        }
        self.templates.insert(id, (scopes, fields));
    }

    fn record(&mut self, template: u16, body: &mut &[u8]) {
        let (_, fields) = self.templates.get(&template).expect("the template came before");
        let mut values = BTreeMap::new();
        for (enterprise, id, length) in fields {
            let bytes = match (*length, *length == 65535) {
                (_, true) => match number(body, 1) {
                    255 => usize::from(short(body)),
                    length => length.try_into().unwrap(),
                },
                (length, false) => length.into(),
            };
            let before = values.insert((*enterprise, *id), take(body, bytes).to_vec());
            assert!(before.is_none(), "an element comes once");
        }
        self.records.push(Record { template, values });
        self.sequence = self.sequence.wrapping_add(1);
    }
}
