// SPDX-License-Identifier: Apache-2.0
//! `l3af adopt-l3afd`: signs the artifacts of a site of l3afd v1, and writes the policy that trusts them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use package::{ARTIFACT_CAPABILITIES, Package, PublisherName};
use trust::{Envelope, PAYLOAD_TYPE, PolicyDocument, Sign as Signs, Statement, Terms};
use wire::l3afd::{self, Configured, Entry, Place, Repository, Settings};

use super::detach::{daemon_program, told_by_daemon};
use crate::arguments::adopt::AdoptL3afd;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::signing_key::{self, Passphrase};

/// What a site of l3afd v1 has.
struct Site {
    repository: Repository,
    places: Vec<Place>,
}

pub(crate) fn run(arguments: &AdoptL3afd, environment: Option<&Passphrase>) -> Outcome {
    if arguments.back {
        return back(arguments);
    }
    let AdoptL3afd { config, publisher, policy, statements, .. } = arguments;
    let site = Site::read(config)?;
    if site.places.is_empty() {
        let text = format!("`{}` has no artifact for `{}`", site.repository.url, site.repository.platform);
        return Err(Failure::new(text).with_hint(
            "artifacts are at NAME/VERSION/PLATFORM/ARTIFACT.tar.gz (or `.zip`) below the URL of `[ebpf-repo]`",
        ));
    }
    let keys = signing_key::open_all(&arguments.keys, environment)?;
    let keys: Vec<&dyn Signs> = keys.iter().map(Box::as_ref).collect();
    let signed = site.places.iter().map(|place| sign(place, publisher, &keys, statements.as_deref()));
    let failed = signed
        .filter_map(|outcome| outcome.map_err(|failure| output::note(&format!("error: {failure}"))).err());
    let failed = failed.count();
    trust_them(policy, publisher, &site, &keys)?;
    if failed > 0 {
        let of = site.places.len();
        return Err(Failure::new(format!("{failed} of {of} artifacts are not signed, and would be refused")));
    }
    Ok(())
}

/// Ends the daemon, and has it take everything off. What a l3afd v1 needs is in its store file already.
fn back(AdoptL3afd { config, state, pins, .. }: &AdoptL3afd) -> Outcome {
    let mut daemon = Command::new(daemon_program()?);
    daemon.arg("--config").arg(config).arg("--give-back").arg("--state").arg(state).arg("--pins").arg(pins);
    let steps = told_by_daemon(&mut daemon)
        .map_err(|error| Failure::new(format!("`l3afd --give-back` did not do it: {error}")))?;
    output::data(steps.trim_end());
    output::note("nothing is attached any more; start l3afd v1, and it deploys what its store file has");
    Ok(())
}

impl Site {
    fn read(config: &Path) -> Result<Self, Failure> {
        let bad = |error: l3afd::BadSettings| Failure::new(format!("`{}`: {error}", config.display()));
        let settings = Settings::read(config).map_err(bad)?;
        let repository = Repository {
            url: settings.needed("ebpf-repo", "url").map_err(bad)?,
            platform: l3afd::platform(),
            host: String::new(),
            chaining: true,
        };
        let mut references = BTreeSet::new();
        if let Some(folder) = repository.url.strip_prefix("file://") {
            references.extend(
                files(Path::new(folder), &repository.platform)
                    .into_iter()
                    .map(|path| format!("l3afd:file://{path}")),
            );
        }
        if let Some(store) = settings.get("l3af-config-store", "filename").filter(|store| !store.is_empty()) {
            references.extend(stored(Path::new(&store))?.references(&repository));
        }
        let places = references.iter().map(|reference| Place::parse(reference));
        let places = places.collect::<Result<_, _>>().map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { repository, places })
    }
}

/// The artifacts in a repository that is a folder.
fn files(repository: &Path, platform: &str) -> Vec<String> {
    let below = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let versions = below(repository.to_owned()).flat_map(below);
    let artifacts = versions.flat_map(|version| below(version.join(platform)));
    let texts = artifacts.filter_map(|path| path.into_os_string().into_string().ok());
    let is_artifact = |path: &String| l3afd::ARTIFACTS.iter().any(|ending| path.ends_with(ending));
    texts.filter(is_artifact).collect()
}

/// What l3afd v1 was asked for, as its store has it. One that is not there names nothing.
fn stored(store: &Path) -> Result<Configured, Failure> {
    let Ok(text) = fs::read(store) else { return Ok(Configured::default()) };
    let bad = |problem: String| Failure::new(format!("`{}` cannot be read: {problem}", store.display()));
    let entries: Option<Vec<Entry>> = l3afd::read(&text).map_err(|error| bad(error.to_string()))?;
    let entries = entries.unwrap_or_default();
    let host = entries.first().map(|entry| entry.host_name.clone()).unwrap_or_default();
    let mut configured = Configured::default();
    configured.update(entries, &host).map_err(|error| bad(error.to_string()))?;
    Ok(configured)
}

/// States what an artifact is, signed, beside it.
fn sign(place: &Place, publisher: &PublisherName, keys: &[&dyn Signs], elsewhere: Option<&Path>) -> Outcome {
    let told = |error: &dyn std::error::Error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::new(format!("{}: {error}{cause}", place.path_in_repository()))
    };
    let file = match (place.statement_file(), elsewhere) {
        (Some(file), _) => file,
        (None, Some(folder)) => folder.join(place.path_in_repository() + ".l3af.json"),
        (None, None) => {
            return Err(Failure::new(format!("{} is on a server", place.path_in_repository()))
                .with_hint("`--statements DIR` says where its statement is written"));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(place.fetch()).map_err(|error| told(&error))?;
    let packed = place.pack_for(&found.bytes, publisher).map_err(|error| told(&error))?;
    let package = Package::read(&packed, &packed.index.digest).map_err(|error| told(&error))?;
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let statement = Statement::about(&package, Terms::from(now));
    let envelope = Envelope::sign(PAYLOAD_TYPE, statement.to_json(), keys)?;
    write(&file, &envelope.to_json())?;
    output::data(&format!(
        "signed {} {}: {}",
        package.manifest.package.name,
        package.manifest.package.version,
        file.display()
    ));
    Ok(())
}

/// Writes the policy, where there is none; else tells what it needs, unless it trusts the publisher already.
fn trust_them(path: &Path, publisher: &PublisherName, site: &Site, keys: &[&dyn Signs]) -> Outcome {
    let keys: Vec<String> =
        keys.iter().map(|key| format!("\"\"\"\n{}\"\"\"", key.public().to_pem())).collect();
    let mut text = format!(
        "[[publisher]]\nname = \"{publisher}\"\npackages = [\"*\"]\nuser_capabilities = {ARTIFACT_CAPABILITIES:?}\nkeys = [{}]\n",
        keys.join(", ")
    );
    let servers: BTreeSet<String> = site.places.iter().filter_map(Place::on_network).collect();
    let hosts: BTreeSet<&str> = servers.iter().filter_map(|whole| whole.split('/').next()).collect();
    text.extend(hosts.iter().map(|host| format!("[[repository]]\nurl = \"{host}\"\n")));
    PolicyDocument::parse(&text)
        .and_then(|policy| policy.resolve(&BTreeMap::new()))
        .map_err(|error| Failure::new(format!("no policy can be made of these keys: {error}")))?;
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write(
                path,
                format!("# Written by `l3af adopt-l3afd`: docs/trust-policy.md describes it.\n{text}")
                    .as_bytes(),
            )?;
            output::note(&format!("wrote the policy `{}`", path.display()));
        }
        Err(error) => return Err(Failure::new(format!("cannot read `{}`: {error}", path.display()))),
        Ok(known) if known.contains(&format!("name = \"{publisher}\"")) => {
            output::note(&format!(
                "the policy `{}` speaks of `{publisher}` already, and stays",
                path.display()
            ));
        }
        Ok(_) => {
            output::note(&format!("add this to the policy `{}`, which stays as it is:", path.display()));
            output::data(text.trim_end());
        }
    }
    Ok(())
}

/// Writes a file, and makes the folder it is in.
fn write(path: &Path, bytes: &[u8]) -> Outcome {
    if let Some(folder) = path.parent() {
        let failed =
            |error: std::io::Error| Failure::new(format!("cannot make `{}`: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(failed)?;
    }
    output::write_file(path, bytes)
}
