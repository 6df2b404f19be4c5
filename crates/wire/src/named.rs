// SPDX-License-Identifier: Apache-2.0
//! What things are called that say nothing of themselves: by a statement that speaks of them, else by where they are.
//!
//! Whether a statement is to be believed is found out when what it names is verified under that name.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use package::{Digest, Named, PublisherName, plain_name, plain_version};
use serde_json::Value;

use crate::Reference;

/// Whose a thing is that nobody signed.
const NOBODY: &str = "unsigned";

/// What an image without a manifest is called, by where it is as documents spell that (`oci://` or `file:`), and by the statements
/// that came with it: as the first of them says that is about it and names a publisher who is known, for anybody may state anything. One
/// of which nobody does belongs to the path around it in its registry, and has its tag as its version.
pub fn named(
    place: &str,
    image: &Digest,
    statements: &[Vec<u8>],
    is_known: impl Fn(&PublisherName) -> bool,
) -> Named {
    let stated = statements.iter().filter_map(|statement| stated(statement, image));
    stated.into_iter().find(|named| is_known(&named.publisher)).unwrap_or_else(|| placed(place, image))
}

fn stated(statement: &[u8], image: &Digest) -> Option<Named> {
    let predicate = predicate(statement)?;
    let is_about_it = predicate.get("index")?.as_str()?.parse::<Digest>().ok()? == *image;
    let text = |key: &str| predicate.get(key).and_then(Value::as_str);
    let named = Named {
        publisher: text("publisher")?.parse().ok()?,
        name: text("package")?.parse().ok()?,
        version: text("version")?.parse().ok()?,
    };
    is_about_it.then_some(named)
}

/// What an image without a manifest is called by where it is alone.
pub fn placed(place: &str, image: &Digest) -> Named {
    let reference = Reference::in_uri(place).and_then(Result::ok);
    let (around, name, tag) = if let Some(Reference { repository, tag, .. }) = &reference {
        let (host, path) = (repository.host(), repository.path());
        let (around, name) = path.rsplit_once('/').unwrap_or((host, path));
        (around.to_owned(), name.to_owned(), tag.as_ref().map(ToString::to_string))
    } else {
        let name = Path::new(place).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        (NOBODY.to_owned(), name, None)
    };
    let version = match tag {
        Some(tag) => plain_version(&tag),
        None => plain_version(&format!("sha256-{}", &image.hex()[..12])),
    };
    Named {
        publisher: plain_name(&around).parse().expect("any text has a name"),
        name: plain_name(&name).parse().expect("any text has a name"),
        version,
    }
}

/// Whose a thing is that nobody signed.
pub(crate) fn nobody() -> PublisherName {
    NOBODY.parse().expect("it is a name")
}

/// What a statement (in-toto, in a DSSE envelope) says.
pub(crate) fn predicate(statement: &[u8]) -> Option<Value> {
    let envelope: Value = serde_json::from_slice(statement).ok()?;
    let payload = STANDARD.decode(envelope.get("payload")?.as_str()?).ok()?;
    let mut statement: Value = serde_json::from_slice(&payload).ok()?;
    Some(statement.get_mut("predicate")?.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(place: &str, statements: &[Vec<u8>]) -> String {
        let is_known = |publisher: &PublisherName| publisher.as_ref() != "stranger";
        let Named { publisher, name, version } = named(place, &Digest::of(b"image"), statements, is_known);
        format!("{publisher}/{name} {version}")
    }

    #[test]
    fn an_image_is_called_by_where_it_is() {
        assert_eq!(
            told("oci://quay.io/bpfman-bytecode/xdp-pass:v1.2.3", &[]),
            "bpfman-bytecode/xdp-pass 1.2.3"
        );
        assert_eq!(
            told("oci://localhost:5000/pass:latest", &[]).split(' ').next_back(),
            Some("0.0.0-latest")
        );
        let digest = Digest::of(b"image");
        assert!(told(&format!("oci://a.example/b/c@{digest}"), &[]).starts_with("b/c 0.0.0-sha256-"));
        assert!(told("file:/srv/pass.oci", &[]).starts_with("unsigned/pass 0.0.0-sha256-"));
    }

    #[test]
    fn a_statement_about_it_names_it_and_no_other_one_does() {
        let envelope = |publisher: &str, index: &Digest| {
            let statement = serde_json::json!({ "predicate": {
                "publisher": publisher, "package": "pass", "version": "2.0.0", "index": index.to_string(),
            } });
            serde_json::json!({ "payload": STANDARD.encode(statement.to_string()) }).to_string().into_bytes()
        };
        let (other, about) =
            (envelope("acme", &Digest::of(b"other")), envelope("acme", &Digest::of(b"image")));
        let strange = envelope("stranger", &Digest::of(b"image"));
        let all = [b"{".to_vec(), other.clone(), strange, about];
        assert_eq!(told("file:/srv/x.oci", &all), "acme/pass 2.0.0");
        assert!(told("file:/srv/x.oci", &[other]).starts_with("unsigned/x "));
    }
}
