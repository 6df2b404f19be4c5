// SPDX-License-Identifier: Apache-2.0
//! The hub as a registry, beside Debian's `docker-registry`: what small reads and pushes come to in a second, and large ones in
//! bytes. Samples of the two take turns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use package::Digest;
use serde_json::json;

use super::client::{Connection, on_last_processor, rate};

/// How long one sample is taken.
const SAMPLE: Duration = Duration::from_secs(2);
/// How many artifacts there are to be read.
const ARTIFACTS: usize = 100;
/// The size of what is read and pushed as a small blob.
const SMALL_BYTES: usize = 4096;
/// The size of a large one.
const LARGE_BYTES: usize = 100 * 1024 * 1024;

/// What is measured.
pub(super) const NUMBERS: [&str; 5] =
    ["manifest_get_per_s", "blob_get_per_s", "push_per_s", "large_push_mib_per_s", "large_pull_mib_per_s"];

/// A registry that is measured.
pub(super) struct Subject {
    /// What it is called in the result.
    pub(super) name: &'static str,
    pub(super) address: String,
    /// A line of the head of each request, with its end; or nothing.
    pub(super) credentials: String,
    /// Where may be pushed and read.
    pub(super) repository: String,
}

/// Rates, by what was measured and then by who.
pub(super) type Rates = BTreeMap<&'static str, BTreeMap<&'static str, Vec<f64>>>;

/// Measures registries in turns.
pub(super) fn measure(
    subjects: &[Subject],
    rounds: usize,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<Rates> {
    let mut rates = Rates::new();
    for subject in subjects {
        subject.fill()?;
    }
    for round in 0..rounds {
        for turn in 0..subjects.len() {
            let subject = &subjects[(turn + round) % subjects.len()];
            for (what, rate) in subject.sample(round, is_wanted)? {
                rates.entry(what).or_default().entry(subject.name).or_default().push(rate);
            }
        }
    }
    Ok(rates)
}

/// A small blob; each number gives another.
fn small(number: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(SMALL_BYTES).collect()
}

/// An artifact with one blob.
fn manifest(blob: &[u8]) -> Vec<u8> {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let empty = json!({
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": Digest::of(b"{}"),
        "size": 2,
    });
    let layer = json!({
        "mediaType": "application/octet-stream",
        "digest": Digest::of(blob),
        "size": blob.len(),
    });
    json!({ "schemaVersion": 2, "mediaType": media_type, "config": empty, "layers": [layer] })
        .to_string()
        .into_bytes()
}

impl Subject {
    fn connect(&self) -> Result<Connection> {
        Connection::open(&self.address, &self.credentials)
    }

    /// A sample of each number that is wanted.
    fn sample(&self, round: usize, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<(&'static str, f64)>> {
        let [manifests, blobs, pushes, large_pushes, large_pulls] = NUMBERS;
        let mut samples = Vec::new();
        if is_wanted(manifests) {
            samples.push((manifests, self.manifests()?));
        }
        if is_wanted(blobs) {
            samples.push((blobs, self.blobs()?));
        }
        if is_wanted(pushes) {
            samples.push((pushes, self.pushes(round)?));
        }
        if is_wanted(large_pushes) || is_wanted(large_pulls) {
            let (push, pull) = self.large(round)?;
            samples.extend([(large_pushes, push), (large_pulls, pull)]);
        }
        Ok(samples)
    }

    /// Pushes what is read afterwards.
    fn fill(&self) -> Result<()> {
        let mut connection = self.connect()?;
        connection.push_blob(&self.repository, &Digest::of(b"{}").to_string(), b"{}")?;
        for number in 0..ARTIFACTS {
            self.push(&mut connection, number)?;
        }
        Ok(())
    }

    fn push(&self, connection: &mut Connection, number: usize) -> Result<()> {
        let blob = small(number);
        connection.push_blob(&self.repository, &Digest::of(&blob).to_string(), &blob)?;
        connection.push_manifest(&self.repository, &format!("v{number}"), &manifest(&blob))
    }

    /// Manifests by tag and by digest in turns.
    fn manifests(&self) -> Result<f64> {
        let tags = (0..ARTIFACTS).map(|number| format!("v{number}"));
        let digests = (0..ARTIFACTS).map(|number| Digest::of(&manifest(&small(number))).to_string());
        let names: Vec<String> = tags.zip(digests).flat_map(|(tag, digest)| [tag, digest]).collect();
        let paths: Vec<String> =
            names.iter().map(|name| format!("/v2/{}/manifests/{name}", self.repository)).collect();
        self.reads(&paths)
    }

    fn blobs(&self) -> Result<f64> {
        let digests = (0..ARTIFACTS).map(|number| Digest::of(&small(number)));
        let paths: Vec<String> =
            digests.map(|digest| format!("/v2/{}/blobs/{digest}", self.repository)).collect();
        self.reads(&paths)
    }

    fn reads(&self, paths: &[String]) -> Result<f64> {
        rate(&self.address, &self.credentials, SAMPLE, &|connection, number, count| {
            let path = &paths[(number * 7 + count) % paths.len()];
            let answer = connection.get(path)?;
            ensure!(answer.status == 200 && answer.length > 0, "GET {path}: {}", answer.status);
            Ok(())
        })
    }

    /// Artifacts that were not pushed before: a blob, and a manifest with a tag.
    fn pushes(&self, round: usize) -> Result<f64> {
        rate(&self.address, &self.credentials, SAMPLE, &|connection, number, count| {
            self.push(connection, ((round + 1) << 40) + (number << 32) + count)
        })
    }

    /// One large blob, pushed and pulled by one client: MiB in a second.
    fn large(&self, round: usize) -> Result<(f64, f64)> {
        let mut bytes = vec![0x5a; LARGE_BYTES];
        bytes[..8].copy_from_slice(&round.to_le_bytes());
        let digest = Digest::of(&bytes).to_string();
        let measured = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                on_last_processor()?;
                let mut connection = self.connect()?;
                let begin = Instant::now();
                connection.push_blob(&self.repository, &digest, &bytes)?;
                let push = begin.elapsed();
                let begin = Instant::now();
                let answer = connection.get(&format!("/v2/{}/blobs/{digest}", self.repository))?;
                ensure!(answer.length == LARGE_BYTES, "a large blob came back with {} bytes", answer.length);
                Ok((push, begin.elapsed()))
            });
            client.join().unwrap_or_else(|_panic| anyhow::bail!("a client panicked"))
        })?;
        let mib_per_second = |time: Duration| 100.0 / time.as_secs_f64();
        Ok((mib_per_second(measured.0), mib_per_second(measured.1)))
    }
}
