// SPDX-License-Identifier: Apache-2.0
//! PEM (RFC 7468) around the two structures that hold Ed25519 keys (RFC 8410).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `SubjectPublicKeyInfo` of an Ed25519 key, up to the 32 bytes of the key.
const PUBLIC: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// `OneAsymmetricKey`, version 1, of an Ed25519 key, up to the 32 bytes of the seed.
const PRIVATE: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What a PEM text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    PublicKey,
    PrivateKey,
}

impl Label {
    fn text(self) -> &'static str {
        match self {
            Self::PublicKey => "PUBLIC KEY",
            Self::PrivateKey => "PRIVATE KEY",
        }
    }

    fn prefix(self) -> &'static [u8] {
        match self {
            Self::PublicKey => PUBLIC,
            Self::PrivateKey => PRIVATE,
        }
    }
}

/// The 32 bytes of the key in a text; `None` when the text is anything else.
pub(crate) fn decode(label: Label, text: &str) -> Option<[u8; 32]> {
    let body = text.trim().strip_prefix(&format!("-----BEGIN {}-----", label.text()))?;
    let body = body.strip_suffix(&format!("-----END {}-----", label.text()))?;
    let compact: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(compact).ok()?;
    der.strip_prefix(label.prefix())?.try_into().ok()
}

/// The text that holds the 32 bytes of a key.
pub(crate) fn encode(label: Label, key: &[u8; 32]) -> String {
    let der = [label.prefix(), key].concat();
    // 48 bytes at most are one line of 64 letters.
    let (text, body) = (label.text(), STANDARD.encode(der));
    format!("-----BEGIN {text}-----\n{body}\n-----END {text}-----\n")
}
