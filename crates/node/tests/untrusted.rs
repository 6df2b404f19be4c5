// SPDX-License-Identifier: Apache-2.0
//! What is not trusted never reaches the kernel, and so not its verifier.
#![expect(clippy::unwrap_used, reason = "test crate")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kernel::{Ended, Fake, Glance, Holdings, Kernel, Refused, Runs, Samples, Totals, Unseen};
use node::{Asker, Conditions, Config, Engine, Fetched, Parts, Rejected};
use package::{
    Attachment, FlowFilter, MemberName, NetworkNamespace, PackFile, PackSource, Package, Platform, Referrer,
    ReferrerKind, Share, pack,
};
use plan::{Desired, Hook, Instance, MemberSpec, Observed, ProbeSpec, Step};
use tempfile::TempDir;
use trust::{Envelope, PAYLOAD_TYPE, PrivateKey, Statement, Terms};
use wire::{Document, Layout};

const OBJECT: &[u8] = include_bytes!("../../package/testdata/small.bpf.o");
const NOW: &str = "2030-01-01T00:00:00Z";

/// A kernel that counts the programs that it is asked to load.
struct Counting {
    kernel: Fake,
    loads: Arc<AtomicUsize>,
}

impl Holdings for Counting {
    fn inherit(&mut self, links: &Path, programs: &Path) -> Result<BTreeSet<Hook>, Unseen> {
        self.kernel.inherit(links, programs)
    }

    fn expose(&mut self, folder: &Path, members: &[(&Hook, &MemberSpec)]) -> Result<(), Unseen> {
        self.kernel.expose(folder, members)
    }

    fn expose_program(&mut self, hook: &Hook, spec: &MemberSpec, place: &Path) -> Result<(), Unseen> {
        self.kernel.expose_program(hook, spec, place)
    }

    fn maps(&self, hook: &Hook, spec: &MemberSpec) -> Result<BTreeMap<String, PathBuf>, Unseen> {
        self.kernel.maps(hook, spec)
    }

    fn probe_maps(&self, spec: &ProbeSpec) -> Result<BTreeMap<String, PathBuf>, Unseen> {
        self.kernel.probe_maps(spec)
    }

    fn program_ids(&self, hook: &Hook) -> Result<BTreeMap<Instance, u32>, Unseen> {
        self.kernel.program_ids(hook)
    }
}

impl Kernel for Counting {
    fn end(&mut self, ended: Ended) -> Result<(), Refused> {
        self.kernel.end(ended)
    }

    fn observe(&self, namespaces: &BTreeSet<NetworkNamespace>) -> Result<Observed, Unseen> {
        self.kernel.observe(namespaces)
    }

    fn glance(&mut self, namespaces: &BTreeSet<NetworkNamespace>) -> Result<Option<Glance>, Unseen> {
        self.kernel.glance(namespaces)
    }

    fn execute(&mut self, step: &Step, desired: &Desired) -> Result<(), Refused> {
        if matches!(step, Step::Load { .. }) {
            self.loads.fetch_add(1, Ordering::Relaxed);
        }
        self.kernel.execute(step, desired)
    }

    fn missing(&self, attachment: &Attachment) -> Option<String> {
        self.kernel.missing(attachment)
    }

    fn runs(&self) -> Result<BTreeMap<Instance, Runs>, Unseen> {
        self.kernel.runs()
    }

    fn totals(&self, hook: &Hook) -> Result<BTreeMap<MemberName, Totals>, Unseen> {
        self.kernel.totals(hook)
    }

    fn sample(&mut self, hook: &Hook, filter: FlowFilter, share: Option<Share>) -> Result<Samples, Unseen> {
        self.kernel.sample(hook, filter, share)
    }
}

/// A node with a package that this key signed, where key 1 is trusted.
struct Place {
    folder: TempDir,
    loads: Arc<AtomicUsize>,
    engine: Engine,
}

impl Place {
    fn with_package_signed_by(seed: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "[package]\nname = \"small\"\npublisher = \"example\"\nversion = \"1.0.0\"\ndescription = \
                        \"d\"\ncategory = \"a\"\nsubcategory = \"b\"\nlicense = \"MIT\"\ndocumentation = \
                        \"README.md\"\n[kernel]\nmin = \"5.10\"\n[[platform]]\nos = \"linux\"\narchitecture = \
                        \"amd64\"\n[[program]]\nfunction = \"first\"\nobject = \"small.bpf.o\"\nhook = \"xdp\"\n";
        let file = |bytes: &[u8]| PackFile { bytes: bytes.to_vec(), executable: false };
        let files = [("small.bpf.o", file(OBJECT)), ("README.md", file(b"# small"))];
        let files = files.map(|(path, file)| (path.to_owned(), file)).into();
        let packed = pack(&PackSource { manifest: manifest.to_owned(), files }, 0).unwrap();
        let layout = Layout::write(&folder.path().join("package"), &packed).unwrap();
        let package = Package::read(&layout, &packed.index.digest).unwrap();
        let statement = Statement::about(&package, Terms::from(NOW.parse().unwrap()));
        let envelope =
            Envelope::sign(PAYLOAD_TYPE, statement.to_json(), &[&PrivateKey::from_seed([seed; 32])]);
        let bytes = envelope.unwrap().to_json();
        layout.refer(&Referrer { kind: ReferrerKind::Statement, bytes }).unwrap();
        fs::write(folder.path().join("1.pub"), PrivateKey::from_seed([1; 32]).public().to_pem()).unwrap();
        let policy = "[[publisher]]\nname = \"example\"\npackages = [\"*\"]\nkey_files = [\"1.pub\"]\n";
        fs::write(folder.path().join("trust.toml"), policy).unwrap();
        let loads = Arc::new(AtomicUsize::new(0));
        let kernel = Fake::new(["eth0".parse().unwrap()]);
        let config = Config {
            state: folder.path().join("state"),
            policy: folder.path().join("trust.toml"),
            ..Config::default()
        };
        let engine = Engine::new(Parts {
            kernel: Box::new(Counting { kernel, loads: Arc::clone(&loads) }),
            config,
            machine: Platform::new("linux", "amd64").unwrap(),
            clock: || NOW.parse().unwrap(),
        });
        Self { folder, loads, engine }
    }

    fn apply(&mut self) -> Result<usize, Rejected> {
        let package = self.folder.path().join("package");
        let document = format!(
            "[[chain]]\ninterface = \"eth0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"small\"\npackage = \"file:{}\"\n",
            package.display()
        );
        let document = Document::parse_toml(&document).unwrap();
        self.engine.apply(document, Conditions::default(), &Fetched::default(), &Asker::owner())?;
        Ok(self.loads.load(Ordering::Relaxed))
    }

    /// Changes the last byte of the largest blob: the layer, in which the object is.
    fn tamper(&self) {
        let blobs = fs::read_dir(self.folder.path().join("package/blobs/sha256")).unwrap();
        let size = |path: &Path| fs::metadata(path).unwrap().len();
        let layer = blobs.map(|entry| entry.unwrap().path()).max_by_key(|path| size(path)).unwrap();
        let mut bytes = fs::read(&layer).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(layer, bytes).unwrap();
    }
}

#[test]
fn what_is_trusted_is_loaded() {
    assert_eq!(Place::with_package_signed_by(1).apply().unwrap(), 1);
}

#[test]
fn what_a_stranger_signed_is_never_loaded() {
    let mut place = Place::with_package_signed_by(2);
    assert!(matches!(place.apply(), Err(Rejected::Untrusted { .. })));
    assert_eq!(place.loads.load(Ordering::Relaxed), 0);
}

#[test]
fn what_was_tampered_with_is_never_loaded() {
    let mut place = Place::with_package_signed_by(1);
    place.tamper();
    assert!(matches!(place.apply(), Err(Rejected::Unreadable { .. })));
    assert_eq!(place.loads.load(Ordering::Relaxed), 0);
}
