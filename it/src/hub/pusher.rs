// SPDX-License-Identifier: Apache-2.0
//! Pushes artifacts to a hub that may go down at any time, and finds them again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use package::Digest;

use super::{Ask, Reply};

/// The size of a piece of a blob; blobs have up to four.
const PIECE_BYTES: usize = 50_000;
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// How long to wait before a hub that is down is asked again.
const PAUSE: Duration = Duration::from_millis(5);

/// What is pushed; each number gives another.
pub struct Artifact {
    config: Vec<u8>,
    blob: Vec<u8>,
    manifest: String,
    tag: String,
}

impl Artifact {
    /// The artifact of a number.
    pub fn numbered(number: u64) -> Self {
        let size = PIECE_BYTES * usize::try_from(number % 4 + 1).expect("four at most");
        let config = number.to_le_bytes().to_vec();
        let blob: Vec<u8> = config.iter().copied().cycle().take(size).collect();
        let descriptor = |kind: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes);
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}}}"#, bytes.len())
        };
        let (first, layer) = (descriptor("application/x", &config), descriptor("application/y", &blob));
        let manifest = format!(r#"{{"schemaVersion":2,"config":{first},"layers":[{layer}]}}"#);
        Self { config, blob, manifest, tag: format!("v{number}") }
    }
}

/// Pushes to a repository.
pub struct Pusher {
    hub: Ask,
    repository: String,
    /// How many pieces of uploads went on from where they were.
    resumed: AtomicUsize,
}

impl Pusher {
    pub(super) fn new(hub: Ask, repository: &str) -> Self {
        Self { hub, repository: repository.to_owned(), resumed: AtomicUsize::new(0) }
    }

    /// Pushes an artifact to a hub that goes down now and then, until the hub says that it has it.
    ///
    /// # Errors
    /// When something that was acknowledged is lost.
    pub fn push_until_acknowledged(&self, artifact: &Artifact) -> Result<()> {
        while !self.push(artifact)? {
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// How many uploads went on after they had broken off from where they were.
    pub fn resumed(&self) -> usize {
        self.resumed.load(Ordering::Relaxed)
    }

    /// Pushes an artifact, and tells whether the hub acknowledged all of it.
    ///
    /// # Errors
    /// When something that was acknowledged is lost.
    pub fn push(&self, artifact: &Artifact) -> Result<bool> {
        let Artifact { config, blob, manifest, tag } = artifact;
        // In small and large pieces, as it comes.
        if !self.push_small(config) || !self.push_pieces(blob)? {
            return Ok(false);
        }
        let put = self.ask("PUT", &format!("manifests/{tag}"));
        let put = put.header("Content-Type", IMAGE).body(manifest.as_str()).send();
        Ok(put.is_ok_and(|put| put.status == 201))
    }

    /// Looks for an artifact, every byte of it.
    ///
    /// # Errors
    /// When it is not there as a whole.
    pub fn find(&self, artifact: &Artifact) -> Result<()> {
        let get = |path: &str| -> Result<Reply> { self.ask("GET", path).send() };
        let Artifact { config, blob, manifest, tag } = artifact;
        let found = get(&format!("manifests/{tag}"))?;
        ensure!(found.text() == *manifest, "manifest `{tag}` is not what was acknowledged");
        for bytes in [config, blob] {
            let found = get(&format!("blobs/{}", Digest::of(bytes)))?;
            ensure!(found.body == *bytes, "a blob of `{tag}` is not what was acknowledged");
        }
        Ok(())
    }

    /// The numbers of all artifacts that the hub says it has.
    ///
    /// # Errors
    /// When it does not say.
    pub fn listed(&self) -> Result<Vec<u64>> {
        let listed = self.ask("GET", "tags/list").send()?;
        if listed.status == 404 {
            return Ok(Vec::new());
        }
        let listed: serde_json::Value = serde_json::from_slice(&listed.body)?;
        let tags = listed["tags"].as_array().context("no list of tags")?;
        let number = |tag: &serde_json::Value| tag.as_str()?.strip_prefix('v')?.parse().ok();
        tags.iter().map(|tag| number(tag).with_context(|| format!("nobody pushed the tag {tag}"))).collect()
    }

    fn ask(&self, method: &str, path: &str) -> Ask {
        self.hub.again(method, &format!("/v2/{}/{path}", self.repository))
    }

    fn push_small(&self, bytes: &[u8]) -> bool {
        let put =
            self.ask("POST", &format!("blobs/uploads/?digest={}", Digest::of(bytes))).body(bytes).send();
        put.is_ok_and(|put| put.status == 201)
    }

    /// Uploads a blob in pieces; one that does not get through is sent again from where the upload is.
    fn push_pieces(&self, blob: &[u8]) -> Result<bool> {
        let begun = self.ask("POST", "blobs/uploads/").body("").send();
        let Some(location) = begun.ok().and_then(|begun| begun.header("location").map(str::to_owned)) else {
            return Ok(false);
        };
        let (mut from, mut acknowledged) = (0, 0);
        while from < blob.len() {
            let piece = &blob[from..blob.len().min(from + PIECE_BYTES)];
            let sent = self.hub.again("PATCH", &location).body(piece).send();
            if sent.is_ok_and(|sent| sent.status == 202) {
                from += piece.len();
                acknowledged = from;
                continue;
            }
            match self.have(&location)? {
                Some(have) if have >= acknowledged => from = have,
                // Of an upload without bytes a hub need not know after it was down.
                None if acknowledged == 0 => return Ok(false),
                have => bail!("of an upload {have:?} bytes are there, and {acknowledged} were acknowledged"),
            }
            self.resumed.fetch_add(usize::from(from > 0), Ordering::Relaxed);
        }
        let put = self.hub.again("PUT", &format!("{location}?digest={}", Digest::of(blob))).body("").send();
        Ok(put.is_ok_and(|put| put.status == 201))
    }

    /// How many bytes an upload has, asked of a hub that comes up again; none where there is no such upload.
    fn have(&self, location: &str) -> Result<Option<usize>> {
        let status = loop {
            match self.hub.again("GET", location).send() {
                Ok(status) => break status,
                Err(_down) => thread::sleep(PAUSE),
            }
        };
        if status.status == 404 {
            return Ok(None);
        }
        let last: usize = status
            .header("range")
            .and_then(|range| range.strip_prefix("0-")?.parse().ok())
            .context("no range")?;
        Ok(Some(if last == 0 { 0 } else { last + 1 }))
    }
}
