// SPDX-License-Identifier: Apache-2.0
//! From text to layers.

use std::str::FromStr;

use crate::{BadPacket, Kind, Layer, MAX_BYTES, Packet, Pattern, Problem, bytes, field, options};

/// A text that is read from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Whether `..` may stand for what is not said.
    takes_open: bool,
    /// How many bytes there are so far.
    bytes: usize,
}

impl FromStr for Packet {
    type Err = BadPacket;

    fn from_str(text: &str) -> Result<Self, BadPacket> {
        Reader { text, at: 0, takes_open: false, bytes: 0 }.pattern().map(|pattern| pattern.packet)
    }
}

impl FromStr for Pattern {
    type Err = BadPacket;

    fn from_str(text: &str) -> Result<Self, BadPacket> {
        Reader { text, at: 0, takes_open: true, bytes: 0 }.pattern()
    }
}

impl<'a> Reader<'a> {
    fn pattern(mut self) -> Result<Pattern, BadPacket> {
        let mut pattern = Pattern::default();
        loop {
            self.skip_space();
            if self.takes_open && self.take("..") {
                pattern.is_open_behind = true;
                return self.end("the end behind `..`").map(|()| pattern);
            }
            if self.rest().starts_with("cut") {
                pattern.packet.cut = Some(self.cut()?);
                return self.end("the end behind `cut`").map(|()| pattern);
            }
            let begin = self.at;
            let (layer, is_open) = self.layer()?;
            self.bytes += layer.kind.head_bytes() + layer.end().len();
            if self.bytes > MAX_BYTES {
                return Err(self.fault(begin, Problem::TooLong { most: MAX_BYTES }));
            }
            pattern.packet.layers.push(layer);
            pattern.open.push(is_open);
            self.skip_space();
            if self.rest().is_empty() {
                return Ok(pattern);
            }
            if !self.take("/") {
                return Err(self.unexpected("`/` and a layer, or the end"));
            }
        }
    }

    fn end(&mut self, expected: &'static str) -> Result<(), BadPacket> {
        self.skip_space();
        if self.rest().is_empty() { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn cut(&mut self) -> Result<usize, BadPacket> {
        self.take("cut");
        self.expect("(", "`(` and how many bytes are left")?;
        let (begin, text) = (self.at, self.until(&[')']));
        let bytes = field::number(text.trim()).and_then(|bytes| usize::try_from(bytes).ok());
        let problem = || Problem::Value {
            field: "cut",
            given: text.trim().to_owned(),
            expected: "how many bytes are left".to_owned(),
        };
        let bytes = bytes.ok_or_else(|| self.fault(begin, problem()))?;
        self.expect(")", "`)`")?;
        Ok(bytes)
    }

    fn layer(&mut self) -> Result<(Layer, bool), BadPacket> {
        if self.rest().starts_with("0x") || self.rest().starts_with('"') {
            return Ok((Layer::of_bytes(Kind::Payload, &self.bytes()?), false));
        }
        let (begin, name) = (self.at, self.word());
        if name.is_empty() {
            return Err(self.unexpected("a layer, such as `ipv4`"));
        }
        let known = || Kind::ALL.map(Kind::name).to_vec();
        let no_layer = || Problem::NoLayer { given: name.to_owned(), known: known() };
        let kind = Kind::named(name).ok_or_else(|| self.fault(begin, no_layer()))?;
        let (mut layer, mut is_open) = (Layer::new(kind), false);
        self.skip_space();
        if !self.take("(") {
            return Ok((layer, is_open));
        }
        loop {
            self.skip_space();
            if self.take(")") {
                return Ok((layer, is_open));
            }
            if self.takes_open && self.take("..") {
                is_open = true;
            } else if kind.is_bytes() {
                let bytes = self.bytes()?;
                layer.tail.get_or_insert_default().extend(bytes);
            } else {
                self.field(&mut layer)?;
            }
            self.skip_space();
            if !self.take(",") && !self.rest().starts_with(')') {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }

    fn field(&mut self, layer: &mut Layer) -> Result<(), BadPacket> {
        let kind = layer.kind;
        let (begin, name) = (self.at, self.word());
        self.skip_space();
        // What a tag or a network is for is its number.
        let (name, begin) = match (kind, self.take("=")) {
            (_, true) => (name, begin),
            (Kind::Vlan | Kind::Vxlan, false) => {
                self.at = begin;
                (if kind == Kind::Vlan { "id" } else { "vni" }, begin)
            }
            (_, false) => return Err(self.unexpected("a field, `=` and what it is")),
        };
        self.skip_space();
        if let Some(tail) = kind.tail().filter(|tail| tail.name == name) {
            if layer.tail.is_some() {
                return Err(self.fault(begin, Problem::Twice { field: tail.name }));
            }
            layer.tail = Some(if kind == Kind::Tcp { self.options()? } else { self.bytes()? });
            return Ok(());
        }
        let known = || {
            let tail = kind.tail().map(|tail| tail.name);
            kind.fields().iter().map(|field| field.name).chain(tail).collect()
        };
        let no_field = || Problem::NoField { layer: kind.name(), given: name.to_owned(), known: known() };
        let place = kind.fields().iter().position(|field| field.name == name);
        let place = place.ok_or_else(|| self.fault(begin, no_field()))?;
        let is = &kind.fields()[place];
        if layer.said[place].is_some() {
            return Err(self.fault(begin, Problem::Twice { field: is.name }));
        }
        let (begin, text) = (self.at, self.until(&[',', ')']).trim_end());
        let bad =
            || Problem::Value { field: is.name, given: text.to_owned(), expected: is.form.expected(is.bits) };
        layer.said[place] = Some(is.form.read(text, is.bits).ok_or_else(|| self.fault(begin, bad()))?);
        Ok(())
    }

    fn options(&mut self) -> Result<Vec<u8>, BadPacket> {
        let (begin, text) = (self.at, self.until(&[',', ')']).trim_end());
        let bad = || Problem::Value {
            field: "options",
            given: text.to_owned(),
            expected: options::EXPECTED.to_owned(),
        };
        // The length of a header has room for no more (RFC 9293, 3.1).
        let read = options::read(text).filter(|options| options.len() <= 40);
        read.ok_or_else(|| self.fault(begin, bad()))
    }

    /// Bytes, perhaps so many times.
    fn bytes(&mut self) -> Result<Vec<u8>, BadPacket> {
        let begin = self.at;
        let once = if self.take("\"") { self.quoted()? } else { self.digits()? };
        let here = self.at;
        self.skip_space();
        if !self.take("*") {
            self.at = here;
            return Ok(once);
        }
        self.skip_space();
        let (at, text) = (self.at, self.word());
        let times = field::number(text).and_then(|times| usize::try_from(times).ok());
        let Some(times) = times else {
            self.at = at;
            return Err(self.unexpected("how many times"));
        };
        if once.len().saturating_mul(times) > MAX_BYTES {
            return Err(self.fault(begin, Problem::TooLong { most: MAX_BYTES }));
        }
        Ok(once.repeat(times))
    }

    fn digits(&mut self) -> Result<Vec<u8>, BadPacket> {
        let begin = self.at;
        let word = self.word();
        let bytes = word.strip_prefix("0x").and_then(bytes::of_digits);
        bytes.ok_or_else(|| {
            self.at = begin;
            self.unexpected("bytes: `0x` and two digits for each, or text in quotes")
        })
    }

    fn quoted(&mut self) -> Result<Vec<u8>, BadPacket> {
        let mut bytes = Vec::new();
        loop {
            let Some(letter) = self.rest().chars().next() else { return Err(self.unexpected("`\"`")) };
            self.at += letter.len_utf8();
            match letter {
                '"' => return Ok(bytes),
                '\\' => bytes.push(self.escaped()?),
                letter => bytes.extend(letter.to_string().bytes()),
            }
        }
    }

    fn escaped(&mut self) -> Result<u8, BadPacket> {
        let stands = self.rest().chars().next().and_then(bytes::unspelled);
        let byte =
            stands.ok_or_else(|| self.unexpected("one of `\"`, `\\`, `n`, `r`, `t`, `0` behind `\\`"))?;
        self.at += 1;
        Ok(byte)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, sign: &str) -> bool {
        let is_there = self.rest().starts_with(sign);
        self.at += if is_there { sign.len() } else { 0 };
        is_there
    }

    fn expect(&mut self, sign: &str, expected: &'static str) -> Result<(), BadPacket> {
        self.skip_space();
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end =
            rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn until(&mut self, signs: &[char]) -> &'a str {
        let rest = self.rest();
        let end = rest.find(signs).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn unexpected(&self, expected: &'static str) -> BadPacket {
        let found =
            self.rest().split_whitespace().next().map(|word| word.chars().take(20).collect::<String>());
        let found = found.map_or_else(|| "the end".to_owned(), |word| format!("`{word}`"));
        self.fault(self.at, Problem::Unexpected { expected, found })
    }

    fn fault(&self, at: usize, problem: Problem) -> BadPacket {
        let column = self.text.get(..at).unwrap_or(self.text).chars().count() + 1;
        BadPacket { column, problem }
    }
}
