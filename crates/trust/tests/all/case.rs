// SPDX-License-Identifier: Apache-2.0
//! What `case.toml` says of a case, and what becomes of it. `testdata/README.md` describes the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use package::{BlobError, Blobs, Digest, Format, PackFile, PackSource, Package, Platform, Privileges, pack};
use serde::Deserialize;
use trust::{
    Assurance, Circumstances, Endorsement, Evidence, Found, FoundPlatform, Judgement, Memory, Occasion, Pen,
    Policy, PolicyDocument, Refused, judge, verify,
};

use crate::roots::RootRecipe;

/// The folders that are no attacks.
const KEYS: [&str; 2] = ["keys", "certificates"];
/// The folders of what is made.
pub(crate) const STATEMENTS: &str = "statements";
pub(crate) const ROOTS: &str = "roots";
const OBJECT: &[u8] = include_bytes!("../../../package/testdata/small.bpf.o");

/// A case: a folder, or what becomes of it when the files of its twin take the place of its own.
#[derive(Debug)]
pub(crate) struct Case {
    folder: PathBuf,
    twin: Option<PathBuf>,
}

/// `case.toml`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Recipe {
    machine: String,
    now: Timestamp,
    looked: Option<Timestamp>,
    continues: bool,
    fetched_from: Option<String>,
    memory: Memory,
    /// The versions of the root that come with the package, by number; all.
    brings: Option<Vec<usize>>,
    /// Those that the machine saw before.
    learned: Vec<usize>,
    #[serde(rename = "root")]
    pub(crate) roots: Vec<RootRecipe>,
    pub(crate) release: ReleaseRecipe,
    #[serde(rename = "statement")]
    pub(crate) statements: Vec<StatementRecipe>,
}

/// A package, or the one object of it.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReleaseRecipe {
    pub(crate) publisher: String,
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) platforms: Vec<String>,
    pub(crate) hook: String,
    /// What stands in `[user]` beside its command; empty where there is no user program.
    pub(crate) user: String,
    pub(crate) readme: String,
    pub(crate) single: bool,
}

/// How a statement is made.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StatementRecipe {
    /// What it is about, where that is something else than the release.
    pub(crate) about: Option<ReleaseRecipe>,
    pub(crate) created: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) pen: Option<Pen>,
    /// What is stated instead.
    pub(crate) endorsement: Option<Endorsement>,
    pub(crate) certification: Option<CertificationRecipe>,
    /// Changes of the text before it is signed.
    pub(crate) replace: Vec<Replacement>,
    pub(crate) payload_type: String,
    pub(crate) signatures: Vec<SignatureRecipe>,
    /// Changes of the envelope afterwards.
    pub(crate) envelope: Vec<Replacement>,
}

/// That a version of the root is an organisation's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificationRecipe {
    /// The number of the version.
    pub(crate) root: usize,
    pub(crate) pen: Pen,
}

/// A part of a text, and what takes its place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replacement {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// A signature in an envelope.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureRecipe {
    /// The key that signs.
    pub(crate) by: String,
    /// The file of a key with certificates, which go with the signature.
    pub(crate) certificates: Option<String>,
    /// The key that the envelope names instead.
    pub(crate) claims: Option<String>,
    /// Whether a bit of it is turned over.
    #[serde(default)]
    pub(crate) broken: bool,
    /// How often it is there.
    #[serde(default = "once")]
    pub(crate) times: usize,
}

fn once() -> usize {
    1
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            machine: "linux/amd64".to_owned(),
            now: the_day(),
            looked: None,
            continues: false,
            fetched_from: None,
            memory: Memory::default(),
            brings: None,
            learned: Vec::new(),
            roots: Vec::new(),
            release: ReleaseRecipe::default(),
            statements: Vec::new(),
        }
    }
}

impl Default for ReleaseRecipe {
    fn default() -> Self {
        Self {
            publisher: "example".to_owned(),
            package: "small".to_owned(),
            version: "1.0.0".to_owned(),
            platforms: vec!["linux/amd64".to_owned(), "windows/amd64".to_owned()],
            hook: "xdp".to_owned(),
            user: String::new(),
            readme: "# small".to_owned(),
            single: false,
        }
    }
}

impl Default for StatementRecipe {
    fn default() -> Self {
        Self {
            about: None,
            created: the_day(),
            expires: None,
            pen: None,
            endorsement: None,
            certification: None,
            replace: Vec::new(),
            payload_type: trust::PAYLOAD_TYPE.to_owned(),
            signatures: Vec::new(),
            envelope: Vec::new(),
        }
    }
}

fn the_day() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

impl Case {
    /// Every attack.
    pub(crate) fn attacks() -> Vec<Self> {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let entries = fs::read_dir(testdata).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<PathBuf> =
            entries.filter(|path| path.is_dir() && !KEYS.iter().any(|keys| path.ends_with(keys))).collect();
        folders.sort();
        folders.into_iter().map(|folder| Self { folder, twin: None }).collect()
    }

    /// The same without the attack.
    pub(crate) fn twin(&self) -> Self {
        Self { folder: self.folder.clone(), twin: Some(self.folder.join("twin")) }
    }

    pub(crate) fn name(&self) -> String {
        self.folder.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// The text of one of its files.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.path(name).map(|path| fs::read_to_string(path).unwrap())
    }

    /// Where one of its files is.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let own = self.twin.iter().chain([&self.folder]);
        own.map(|folder| folder.join(name)).find(|path| path.exists())
    }

    pub(crate) fn recipe(&self) -> Recipe {
        let text = self.text("case.toml").unwrap();
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }

    /// The folder of its statements, or of its roots: beside the `case.toml` which says how they are made.
    pub(crate) fn made(&self, what: &str) -> PathBuf {
        self.path("case.toml").unwrap().with_file_name(what)
    }

    /// Its statements, or its roots, in their order.
    pub(crate) fn documents(&self, what: &str) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.made(what)) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    }

    fn policy(&self) -> Policy {
        let document = PolicyDocument::parse(&self.text("trust.toml").unwrap()).unwrap();
        let read = |name: &str| (name.to_owned(), self.text(name).unwrap());
        let files = document.files().map(read).collect();
        document.resolve(&files).unwrap()
    }

    /// What becomes of it.
    pub(crate) fn outcome(&self) -> Result<Assurance, Refused> {
        self.judgement().outcome
    }

    /// What becomes of it, and how.
    pub(crate) fn judgement(&self) -> Judgement<Assurance> {
        let (recipe, policy, roots) = (self.recipe(), self.policy(), self.documents(ROOTS));
        let versions = |numbers: &[usize]| numbers.iter().map(|number| roots[number - 1].clone()).collect();
        let came: Vec<Vec<u8>> = recipe.brings.as_deref().map_or_else(|| roots.clone(), versions);
        let mut memory = recipe.memory.clone();
        memory.learn(&policy, &versions(&recipe.learned));
        let machine: Platform = recipe.machine.parse().unwrap();
        let evidence = Evidence {
            envelopes: self.documents(STATEMENTS),
            roots: came,
            fetched_from: recipe.fetched_from.clone(),
        };
        let occasion = if recipe.continues { Occasion::Continuation } else { Occasion::Deployment };
        let at = Circumstances {
            policy: &policy,
            machine: &machine,
            memory: &memory,
            now: recipe.now,
            looked: recipe.looked,
            occasion,
        };
        if recipe.release.single {
            return judge(&recipe.release.object(), &evidence, &at);
        }
        let Judgement { outcome, explanation } = verify(recipe.release.package(), &evidence, &at);
        Judgement { outcome: outcome.map(|verified| verified.assurance().clone()), explanation }
    }

    /// The refusal as people see it.
    pub(crate) fn refusal(&self) -> Result<String, Assurance> {
        match self.outcome() {
            Ok(assurance) => Err(assurance),
            Err(refused) => Ok(format!("{refused}\nhint: {}\n", refused.hint())),
        }
    }
}

impl ReleaseRecipe {
    /// The package, as whoever pulled it reads it.
    pub(crate) fn package(&self) -> Package {
        let file = |bytes: &[u8]| PackFile { bytes: bytes.to_vec(), executable: false };
        let files = [("small.bpf.o", file(OBJECT)), ("README.md", file(self.readme.as_bytes()))];
        let files = files.map(|(path, file)| (path.to_owned(), file)).into();
        let packed = pack(&PackSource { manifest: self.manifest(), files }, 0).unwrap();
        let blobs = packed.blobs.iter().map(|blob| (blob.digest(), blob.bytes.clone())).collect();
        Package::read(&Stored(blobs), &packed.index.digest).unwrap()
    }

    /// The object alone.
    pub(crate) fn object(&self) -> Found {
        Found {
            publisher: self.publisher.parse().unwrap(),
            package: self.package.parse().unwrap(),
            version: self.version.parse().unwrap(),
            index: None,
            privileges: Privileges::default(),
            entry: FoundPlatform {
                platform: self.platforms[0].parse().unwrap(),
                format: Format::Elf,
                manifest: None,
                files: [("small.bpf.o".to_owned(), Digest::of(OBJECT))].into(),
                kernel_min: None,
                hooks: BTreeSet::new(),
            },
        }
    }

    fn manifest(&self) -> String {
        let Self { publisher, package, version, hook, user, .. } = self;
        let user = match user.as_str() {
            "" => String::new(),
            rest => format!("[user]\ncommand = \"small.bpf.o\"\n{rest}\n"),
        };
        let platforms = self.platforms.iter().map(|platform| {
            let (os, architecture) = platform.split_once('/').unwrap();
            format!("[[platform]]\nos = \"{os}\"\narchitecture = \"{architecture}\"\n")
        });
        format!(
            "[package]\nname = \"{package}\"\npublisher = \"{publisher}\"\nversion = \"{version}\"\ndescription = \"d\"\n\
             category = \"a\"\nsubcategory = \"b\"\nlicense = \"MIT\"\ndocumentation = \"README.md\"\n\
             [kernel]\nmin = \"5.10\"\n{}\
             [[program]]\nfunction = \"first\"\nobject = \"small.bpf.o\"\nhook = \"{hook}\"\n{user}",
            platforms.collect::<String>()
        )
    }
}

/// The blobs of a package in memory.
struct Stored(BTreeMap<Digest, Vec<u8>>);

impl Blobs for Stored {
    fn blob(&self, digest: &Digest, _: u64) -> Result<Vec<u8>, BlobError> {
        self.0.get(digest).cloned().ok_or(BlobError::Missing)
    }
}
