// SPDX-License-Identifier: Apache-2.0
//! The URI of a key on a token (RFC 7512): which token, which key, by which module, and where the PIN is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// Which key on which token. What is `None` may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TokenUri {
    /// The label of the token.
    pub(crate) token: Option<String>,
    /// Its manufacturer.
    pub(crate) manufacturer: Option<String>,
    /// Its model.
    pub(crate) model: Option<String>,
    /// Its serial number.
    pub(crate) serial: Option<String>,
    /// The label of the key.
    pub(crate) object: Option<String>,
    /// The id of the key.
    pub(crate) id: Option<Vec<u8>>,
    /// The library that knows the token.
    pub(crate) module: PathBuf,
    /// The file with the PIN.
    pub(crate) pin_source: Option<PathBuf>,
}

/// A URI names no key on a token. Values are left out: a PIN may be among them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BadTokenUri {
    /// RFC 7512, section 2.5: who does not know an attribute must not act as if it matched.
    #[error(
        "`{name}` is not known here; `token`, `manufacturer`, `model`, `serial`, `object`, `id`, and \
             `module-path`, `pin-source` behind the `?`, are"
    )]
    Unknown {
        /// Its name.
        name: String,
    },
    /// RFC 7512, section 2.3.
    #[error("`{name}` is there twice")]
    Twice {
        /// Its name.
        name: String,
    },
    /// A part has no value, or one that is not spelt as the RFC says.
    #[error("`{name}` is not `name=value`, with `%` and two hexadecimal digits for other than plain letters")]
    Syntax {
        /// Its name.
        name: String,
    },
    /// It could be any key.
    #[error("it names no key: give `object` or `id`, as `pkcs11-tool --list-objects` shows them")]
    NoKey,
    /// Nobody says which library to load.
    #[error("it names no library: give `?module-path=/path/to/module.so`, as the maker of the token says")]
    NoModule,
    /// Everybody on a machine sees the arguments of everybody's programs.
    #[error(
        "a PIN does not belong on a command line; put it into a file and name that by `pin-source`, or \
             leave it out and be asked"
    )]
    PinValue,
    /// It would be run.
    #[error("`pin-source` must be the path of a file or a `file:` URI; nothing is run to get a PIN")]
    PinCommand,
    /// It is another kind of object.
    #[error("`type` must be `private`: keys that sign are")]
    Type,
}

impl FromStr for TokenUri {
    type Err = BadTokenUri;

    /// Reads what stands behind `pkcs11:`.
    fn from_str(text: &str) -> Result<Self, BadTokenUri> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        let attributes = path.split(';').map(|part| (part, true));
        for (part, in_path) in attributes.chain(query.split('&').map(|part| (part, false))) {
            if part.is_empty() {
                continue;
            }
            let (name, value) = part.split_once('=').ok_or_else(nameless)?;
            if seen.contains(&name) {
                return Err(BadTokenUri::Twice { name: plain(name) });
            }
            seen.push(name);
            let value = decode(value).ok_or_else(|| syntax(name))?;
            if in_path { uri.identify(name, value)? } else { uri.reach(name, value)? }
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(BadTokenUri::NoKey);
        }
        if uri.module.as_os_str().is_empty() {
            return Err(BadTokenUri::NoModule);
        }
        Ok(uri)
    }
}

impl TokenUri {
    /// An attribute of the path: which token and which key.
    fn identify(&mut self, name: &str, value: Vec<u8>) -> Result<(), BadTokenUri> {
        let field = match name {
            "token" => &mut self.token,
            "manufacturer" => &mut self.manufacturer,
            "model" => &mut self.model,
            "serial" => &mut self.serial,
            "object" => &mut self.object,
            "id" => {
                self.id = Some(value);
                return Ok(());
            }
            "type" if value == b"private" => return Ok(()),
            "type" => return Err(BadTokenUri::Type),
            _ => return Err(BadTokenUri::Unknown { name: plain(name) }),
        };
        *field = Some(text(name, value)?);
        Ok(())
    }

    /// An attribute of the query: how to get at them.
    fn reach(&mut self, name: &str, value: Vec<u8>) -> Result<(), BadTokenUri> {
        match name {
            "module-path" => self.module = text(name, value)?.into(),
            "pin-source" => {
                let source = text(name, value)?;
                let source =
                    source.strip_prefix("file://").or(source.strip_prefix("file:")).unwrap_or(&source);
                if source.is_empty() || source.starts_with('|') {
                    return Err(BadTokenUri::PinCommand);
                }
                self.pin_source = Some(source.into());
            }
            "pin-value" => return Err(BadTokenUri::PinValue),
            _ => return Err(BadTokenUri::Unknown { name: plain(name) }),
        }
        Ok(())
    }
}

/// The token and the key; how to get at them is left out.
impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("serial", &self.serial),
            ("object", &self.object),
        ];
        let texts = named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.as_bytes())));
        let parts = texts.chain(self.id.iter().map(|id| ("id", id.as_slice())));
        let parts: Vec<String> = parts.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        write!(f, "pkcs11:{}", parts.join(";"))
    }
}

fn nameless() -> BadTokenUri {
    BadTokenUri::Syntax { name: "an attribute".to_owned() }
}

fn syntax(name: &str) -> BadTokenUri {
    BadTokenUri::Syntax { name: plain(name) }
}

/// A name as it may be shown: who mistypes an attribute may have put anything there.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter)).take(32).collect()
}

fn text(name: &str, value: Vec<u8>) -> Result<String, BadTokenUri> {
    String::from_utf8(value).or(Err(syntax(name)))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = behind.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = behind;
    }
    Some(bytes)
}

fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            text + &char::from(*byte).to_string()
        }
        other => text + &format!("%{other:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<TokenUri>().unwrap_err().to_string()
    }

    #[test]
    fn what_tools_print_is_read() {
        let printed = "model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=1f;token=my%20token;id=%01%Ff;\
                       object=release;type=private?module-path=/usr/lib/x.so&pin-source=file:/etc/pin";
        let read: TokenUri = printed.parse().unwrap();
        assert_eq!((read.id.clone(), read.token.as_deref()), (Some(vec![1, 0xff]), Some("my token")));
        assert_eq!(read.pin_source, Some("/etc/pin".into()));
        insta::assert_snapshot!(read, @"pkcs11:token=my%20token;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;serial=1f;object=release;id=%01%FF");
    }

    #[test]
    fn uris_that_name_no_key_are_refused() {
        insta::assert_snapshot!(refused("token=t?module-path=/m"), @"it names no key: give `object` or `id`, as `pkcs11-tool --list-objects` shows them");
        insta::assert_snapshot!(refused("object=o"), @"it names no library: give `?module-path=/path/to/module.so`, as the maker of the token says");
        insta::assert_snapshot!(refused("object=o;object=p?module-path=/m"), @"`object` is there twice");
        insta::assert_snapshot!(refused("object=%4?module-path=/m"), @"`object` is not `name=value`, with `%` and two hexadecimal digits for other than plain letters");
        insta::assert_snapshot!(refused("object=%+4?module-path=/m"), @"`object` is not `name=value`, with `%` and two hexadecimal digits for other than plain letters");
        insta::assert_snapshot!(refused("object?module-path=/m"), @"`an attribute` is not `name=value`, with `%` and two hexadecimal digits for other than plain letters");
        insta::assert_snapshot!(refused("slot-id=3;object=o?module-path=/m"), @"`slot-id` is not known here; `token`, `manufacturer`, `model`, `serial`, `object`, `id`, and `module-path`, `pin-source` behind the `?`, are");
        insta::assert_snapshot!(refused("object=o;type=cert?module-path=/m"), @"`type` must be `private`: keys that sign are");
        insta::assert_snapshot!(refused("object=o?module-path=/m&pin-value=271828"), @"a PIN does not belong on a command line; put it into a file and name that by `pin-source`, or leave it out and be asked");
        insta::assert_snapshot!(refused("object=o?module-path=/m&pin-source=|cat%20pin"), @"`pin-source` must be the path of a file or a `file:` URI; nothing is run to get a PIN");
    }

    proptest::proptest! {
        #[test]
        fn values_read_as_they_are_written(object: String, id: Vec<u8>) {
            let uri = TokenUri { object: Some(object), id: Some(id), module: "/m".into(), ..TokenUri::default() };
            let written = format!("{uri}?module-path=/m");
            proptest::prop_assert_eq!(written["pkcs11:".len()..].parse(), Ok(uri));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            drop(text.parse::<TokenUri>());
            drop(format!("object={text}?module-path={text}").parse::<TokenUri>());
        }
    }
}
