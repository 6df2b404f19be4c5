// SPDX-License-Identifier: Apache-2.0
//! What holds of any bytes: the promises of everything that reads what strangers wrote.
//!
//! Each function panics where a promise is broken. `fuzz/` runs them on bytes that a fuzzer makes up, the tests here on
//! some random ones.

mod l3afd;
mod signed;

use std::io::Write as _;
use std::str;

use ::packet::{Packet, Pattern};
use flate2::Compression;
use flate2::write::GzEncoder;
use kernel::{Counters, Functions, Insn, Sampled, Splice, Spliced, Way, effect, splice as spliced, ways};
use maps::{Btf, Comparison, Endian, Interface};
use package::{
    BlobError, Blobs, Digest, Enforcement, Format, HookPoint, Image, Limits, Manifest, Object, Package,
    ProceedSet, Share, read_layer,
};
use trust::{Authenticode, Certificate, Chain, Draft, Envelope, PrivateKey, Quorum, Root, canonical_json};
use wire::Document;

pub use l3afd::{artifact, payload, settings};
pub use signed::{glob, key, policy, releases, statement};

/// Whatever the bytes are taken for, all promises hold.
pub fn everything(bytes: &[u8]) {
    for body in [splice, object, layer, index, manifest, image, certificate, envelope, document, json] {
        body(bytes);
    }
    for body in [policy, statement, key, glob, releases, root, artifact, payload, settings, btf, packet] {
        body(bytes);
    }
}

/// Any instructions can be spliced or are refused, whatever is asked; none of them gets lost.
pub fn splice(bytes: &[u8]) {
    let Some((options, rest)) = bytes.split_first_chunk::<8>() else { return };
    let insns: Vec<Insn> = rest.chunks_exact(8).map(instruction).collect();
    let [place, low, high, chosen, share, kind, at, below] = *options;
    let point = [HookPoint::Xdp, HookPoint::TcIngress, HookPoint::TcEgress][usize::from(place % 3)];
    let mask = u16::from_le_bytes([low, high]);
    let verdicts = point.verdicts().iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
    let names: Vec<&str> = verdicts.map(|(_, verdict)| verdict.name()).collect();
    let proceed = ProceedSet::parse(point, &names).expect("they are the names of verdicts");
    let enforcement = match chosen % 3 {
        0 => Enforcement::Enforce,
        1 => Enforcement::Shadow,
        _ => Share::of_ten_thousand(u16::from(share)).map_or(Enforcement::Shadow, Enforcement::Canary),
    };
    let way = match kind % 3 {
        0 => Way::Wrapper,
        1 => Way::Register(at % 16),
        _ => Way::Stack(u16::from(below) * 8),
    };
    let [counted, timed, fragments] = [0x40, 0x80, 0x20].map(|flag| chosen & flag != 0);
    let counters = counted.then_some(Counters { cells: 6, keys: 7 });
    let sampled = (counted && !timed).then_some(Sampled { notes: 8, sampler: 9, number: below % 34 });
    let how =
        Splice { point, proceed: &proceed, enforcement, next: 5, counters, timed, sampled, fragments, way };
    for functions in [Functions::Unknown, Functions::AskTheCard] {
        let _effect = effect(&insns, point == HookPoint::Xdp, functions);
    }
    assert!(
        ways(&insns, u16::from(below), timed).contains(&Way::Wrapper),
        "a wrapper is always worth trying"
    );
    match spliced(&insns, &how) {
        Ok(Spliced { insns: spliced, moved }) => {
            let last = insns.len().checked_sub(1).map_or(0, |last| moved.offset(last));
            assert!(last < spliced.len(), "the last instruction is behind the end");
        }
        Err(_) => assert_ne!(way, Way::Wrapper, "a wrapper takes everything"),
    }
}

fn instruction(bytes: &[u8]) -> Insn {
    Insn::from_bytes(bytes.try_into().expect("a chunk has eight bytes"))
}

/// Any object is read or refused; what is read of it can be used, and whatever is said of it has a rule and a file.
pub fn object(bytes: &[u8]) {
    for finding in lint::lint(&lint::Contents::object("object.o", bytes)).unwrap_or_default() {
        assert!(lint::RULES.contains(&finding.rule) && finding.place.file == "object.o", "{finding:?}");
    }
    let Ok(object) = Object::parse(bytes) else { return };
    let described = Object::interface(bytes).expect("the object was read");
    for (name, offset, is) in described.parameters() {
        let held = offset.checked_add(is.bytes()).and_then(|end| object.constants.get(offset..end));
        let shown = held
            .map(|held| is.view(held, object.endian).ok().and_then(|view| serde_json::to_string(&view).ok()));
        assert!(shown.is_none_or(|shown| shown.is_some()), "`{name}` is shown");
    }
    interface(&described, object.endian);
    for map in &object.maps {
        assert_eq!(object.layout.difference(&object.layout, &map.name), None, "a layout is like itself");
    }
}

/// Any types are read or refused, in both byte orders; whatever is asked of them has an answer.
pub fn btf(bytes: &[u8]) {
    for endian in [Endian::Little, Endian::Big] {
        let Ok(btf) = Btf::parse(bytes, endian) else { continue };
        for (id, name, kind) in btf.types() {
            assert_eq!((btf.name(id), btf.kind(id)), (name, Some(kind)), "a type goes by its number");
            assert!(btf.resolve(id).kind.is_some() || btf.bytes(id).is_none(), "nothing has a size");
        }
        interface(&Interface::of(Some(&btf), &[]), endian);
    }
}

/// Any interface is like itself; what is read by it can be written, or is refused with words.
fn interface(interface: &Interface, endian: Endian) {
    const ROOM: usize = 1 << 16;
    assert_eq!(interface.compare(interface), Comparison::Same, "an interface is like itself");
    for map in &interface.maps {
        for part in [&map.key, &map.value].into_iter().flatten().filter(|part| part.bytes() <= ROOM) {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(part.bytes()).collect();
            let value = part.decode(&bytes, endian).expect("it has the size");
            if let Ok(again) = part.encode(&value, endian) {
                assert_eq!(part.decode(&again, endian).as_ref(), Ok(&value), "what is written is read");
            }
        }
    }
}

/// Any layer is read or refused, within its limits; no file leads out of it.
pub fn layer(bytes: &[u8]) {
    const MIB: u64 = 1 << 20;
    let limits = Limits { entries: 16, file_bytes: MIB, total_bytes: 4 * MIB, ..Limits::default() };
    // A fuzzer does not find the checksum of gzip: what is inside gets its turn as well.
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("it goes to memory");
    for layer in [bytes, &packed.finish().expect("it goes to memory")] {
        let Ok(files) = read_layer(layer, &limits) else { continue };
        assert!(files.iter().count() <= limits.entries, "there are too many files");
        for file in files.iter() {
            let leads_out = file.path.split('/').any(|part| matches!(part, "" | "." | ".."));
            assert!(!leads_out, "`{}` is no plain path", file.path);
            assert!(file.bytes.len() as u64 <= limits.file_bytes, "`{}` is too large", file.path);
        }
    }
}

/// Any index of a package is read or refused; nothing is read that has another digest than it should.
pub fn index(bytes: &[u8]) {
    struct Always<'a>(&'a [u8]);
    impl Blobs for Always<'_> {
        fn blob(&self, _: &Digest, _: u64) -> Result<Vec<u8>, BlobError> {
            Ok(self.0.to_vec())
        }
    }
    let read = Package::read(&Always(bytes), &Digest::of(bytes));
    assert!(read.is_err(), "nothing is its own manifest");
    let named = wire::named("file:/a.oci", &Digest::of(bytes), &[bytes.to_vec()], |_| true);
    let read = Package::of_image(&Always(bytes), &Digest::of(bytes), &named);
    assert!(read.is_err(), "nothing is its own layer");
}

/// Any manifest is read or refused; every object that it names belongs to one of its programs.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(manifest) = Manifest::parse(text) else { return };
    assert!(manifest.objects().len() <= manifest.programs.len(), "there is an object without a program");
}

/// Any image is read or refused; a signature that holds is one of this image.
pub fn image(bytes: &[u8]) {
    let Ok(image) = Image::parse(bytes) else { return };
    assert_eq!(Format::of(bytes), Some(Format::Pe), "an image is known by its first bytes");
    let Ok(Some(signature)) = Authenticode::of(&image) else { return };
    assert_eq!(signature.computed, image.authenticode, "the digest is that of the image");
    assert!(!signature.holds() || signature.stated == image.authenticode, "another image was signed");
}

/// Any certificate is read or refused, in DER and in PEM; what is written can be read.
pub fn certificate(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let again = Certificate::all_from_pem(&certificate.to_pem()).expect("what is written can be read");
        assert_eq!(again, [certificate], "what is read is what was written");
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(chain) = Chain::from_pem(text) else { return };
    assert_eq!(Chain::from_pem(&chain.to_pem()).as_ref(), Ok(&chain), "what is read is what was written");
}

/// Any envelope is read or refused; nobody's signature is found under it.
pub fn envelope(bytes: &[u8]) {
    let Ok(envelope) = Envelope::parse(bytes) else { return };
    let signer = PrivateKey::from_seed([7; 32]).public().clone().into();
    let quorum = Quorum::new(vec![signer], 1).expect("one of one");
    assert!(envelope.verify(&quorum, |_| Ok(())).is_err(), "a signature was made without the key");
    assert!(Envelope::parse(&envelope.to_json()).is_ok(), "what is written can be read");
}

/// Any document is read or refused, as TOML and as JSON; what is written can be read.
pub fn document(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let as_toml = Document::parse_toml(text).ok();
    let as_json = serde_json::from_str::<Document>(text).ok();
    for document in as_toml.into_iter().chain(as_json) {
        let written = serde_json::to_string(&document).expect("a document can be written");
        let again = serde_json::from_str::<Document>(&written).expect("what is written can be read");
        assert_eq!(again, document, "what is read is what was written");
    }
}

/// Any bytes are a packet whose text gives them again; any text is a packet or refused, and so are captures.
pub fn packet(bytes: &[u8]) {
    let text = Packet::of_bytes(bytes).to_string();
    let again = text.parse::<Packet>().expect("what is written can be read");
    assert_eq!(again.to_bytes(), bytes, "what is read is what was written");
    assert!(Pattern::from(again).differences(bytes).is_empty(), "a packet is what it is");
    drop(::packet::read_capture(bytes));
    let Some(pattern) = str::from_utf8(bytes).ok().and_then(|text| text.parse::<Pattern>().ok()) else {
        return;
    };
    let text = pattern.to_string();
    let again = text.parse::<Pattern>().expect("what is written can be read");
    assert_eq!(again.to_string(), text, "a pattern has one form");
}

/// Any text has one canonical form, or none; others read the same in it, however it is spaced.
pub fn json(bytes: &[u8]) {
    let Ok(form) = canonical_json(bytes) else { return };
    let value: serde_json::Value = serde_json::from_slice(bytes).expect("what is read strictly is JSON");
    for text in [serde_json::to_vec(&value), serde_json::to_vec_pretty(&value)] {
        let again = canonical_json(&text.expect("a value can be written")).expect("it is the same value");
        assert_eq!(again, form, "a value has one form");
    }
}

/// Any root is read or refused; nobody's root follows from bytes that were not signed for it; what is written can be read.
pub fn root(bytes: &[u8]) {
    let signer = PrivateKey::from_seed([7; 32]).public().clone().into();
    let publisher = "example".parse().expect("it is a name");
    let time = "2031-01-01T00:00:00Z".parse().expect("it is a time");
    let signers = [signer];
    let mut draft = Draft::first(&publisher, time, &signers, &signers).expect("it is a root");
    draft.sign(None, &[&PrivateKey::from_seed([7; 32])]).expect("a key in memory signs");
    let ours = Root::pinned(draft.to_json().as_bytes()).expect("its own key signed it");
    assert!(ours.update(bytes).is_err(), "a root follows without the key");
    drop(Root::pinned(bytes));
    let Ok(draft) = Draft::parse(bytes) else { return };
    let again = Draft::parse(draft.to_json().as_bytes()).expect("what is written can be read");
    assert_eq!(again, draft, "what is read is what was written");
    let next = Draft::after(&draft.checked().expect("a draft is a root"), time);
    next.checked().expect("the next version is a root");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Files that the readers accept: damage to one reaches further than noise does.
    fn good() -> Vec<Vec<u8>> {
        let read =
            |path: &str| std::fs::read(crate::repository().join(path)).expect("it is in the repository");
        let key = PrivateKey::from_seed([9; 32]);
        let document = "[[chain]]\ninterface = \"eth0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"a\"\npackage = \
                        \"file:/a\"\nenforcement = \"canary 5%\"\nconfig = { limit = 5 }\n";
        vec![
            read("crates/package/testdata/small.bpf.o"),
            read("programs/ratelimit/package.toml"),
            read("crates/package/testdata/signed.sys"),
            read("crates/trust/testdata/certificates/pss.pem"),
            Envelope::sign("text/plain", b"words".to_vec(), &[&key])
                .expect("a key in memory signs")
                .to_json(),
            document.as_bytes().to_vec(),
            read("crates/trust/testdata/exception-for-something-revoked/trust.toml"),
            read("crates/trust/testdata/keys/alice.pub"),
            read("crates/trust/testdata/keys/ecdsa-certified.pub"),
            read("crates/trust/testdata/keys/plain.pem"),
            b"example/small@<1.2.3, >=1.0".to_vec(),
            b"a*bc*bc\nabcbc".to_vec(),
            b"eth(..) / vlan(7) / ipv4(ttl=63, options=0x94040000) / tcp(options=mss:1460+ts:1:0) / \"a\\n\"*3 / ..".to_vec(),
            br#"{"publisher":"a","endorses":{"publisher":{"root":"sha256:2fc86a5798c822719beece3353f65a2cbb3b867049201039ac6bcc08e5840dd6","packages":["*"]}},"created":"2030-01-01T00:00:00Z"}"#.to_vec(),
            br#"{"publisher":"a","package":"b","version":"1.0.0","created":"2030-01-01T00:00:00Z","platforms":[]}"#.to_vec(),
            first_root(),
            format!("[{}]", str::from_utf8(&read("it/fixtures/payloads/exp_output_3.json")).expect("it is text")).into_bytes(),
            b"[DEFAULT]\na: 1\n[l3afd]\npid-file: %(a)s # b\nurl = %(url)s\n".to_vec(),
        ]
    }

    fn first_root() -> Vec<u8> {
        let key = PrivateKey::from_seed([9; 32]);
        let signers = [key.public().clone().into()];
        let expires = "2031-01-01T00:00:00Z".parse().expect("it is a time");
        let name = "example".parse().expect("it is a name");
        let mut draft = Draft::first(&name, expires, &signers, &signers).expect("it is a root");
        draft.sign(None, &[&key]).expect("a key in memory signs");
        draft.to_json().into_bytes()
    }

    #[test]
    fn good_files_keep_every_promise() {
        for bytes in good() {
            everything(&bytes);
        }
    }

    proptest! {
        #[test]
        fn noise_keeps_every_promise(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            everything(&bytes);
        }

        #[test]
        fn damage_keeps_every_promise(
            which in any::<prop::sample::Index>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            end in any::<prop::sample::Index>(),
        ) {
            let mut good = good();
            let which = which.index(good.len());
            let mut bytes = good.swap_remove(which);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            everything(&bytes);
            bytes.truncate(end.index(bytes.len()));
            everything(&bytes);
        }

        #[test]
        fn instructions_of_every_code_keep_every_promise(
            options: [u8; 8],
            insns in prop::collection::vec((0..256_u32, any::<u8>(), -4..4_i16, -4..14_i32), 0..60),
        ) {
            let mut bytes = options.to_vec();
            for (code, registers, offset, imm) in insns {
                bytes.extend([code.to_le_bytes()[0], registers]);
                bytes.extend(offset.to_le_bytes());
                bytes.extend(imm.to_le_bytes());
            }
            splice(&bytes);
        }
    }
}
