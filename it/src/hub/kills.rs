// SPDX-License-Identifier: Apache-2.0
//! Pushes many artifacts while the hub is killed again and again, and looks afterwards for each one that was acknowledged.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use package::Digest;

use super::{Ask, Hub, Reply};

/// How many push at a time.
const CLIENTS: usize = 8;
/// The size of a piece of a blob; blobs have up to four.
const PIECE_BYTES: usize = 200_000;
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many artifacts were acknowledged; each is there as a whole.
    pub acknowledged: usize,
    /// How often the hub was killed while somebody pushed.
    pub kills: usize,
    /// How many uploads went on after a kill from where they were.
    pub resumed: usize,
}

/// Something that was acknowledged.
struct Pushed {
    blob: Vec<u8>,
    manifest: String,
    tag: String,
}

/// Pushes so many artifacts to a repository, in the middle of which the hub is killed so often; then finds each of them.
///
/// # Errors
/// When something that was acknowledged is not there as a whole, or the hub does not come up again.
pub fn push_through_kills(hub: &mut Hub, repository: &str, pushes: usize, kills: usize) -> Result<Tally> {
    let (next, resumed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let acknowledged = Mutex::new(Vec::new());
    let asks = Asks { hub: hub.ask("GET", ""), repository: repository.to_owned() };
    let client = || {
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < pushes);
        while let Some(number) = take() {
            let taken = asks.push_until_acknowledged(number, &resumed);
            acknowledged.lock().expect("no client panics").push(taken);
        }
    };
    thread::scope(|scope| -> Result<()> {
        for _ in 0..CLIENTS {
            scope.spawn(client);
        }
        for kill in 1..=kills {
            // At a part of the work, which takes as long as it takes.
            while next.load(Ordering::Relaxed) < pushes * kill / (kills + 1) {
                thread::sleep(Duration::from_millis(1));
            }
            hub.kill()?;
            hub.restart()?;
        }
        Ok(())
    })?;
    let acknowledged = acknowledged.into_inner().expect("no client panics");
    for pushed in &acknowledged {
        asks.find(pushed)?;
    }
    Ok(Tally { acknowledged: acknowledged.len(), kills, resumed: resumed.into_inner() })
}

/// Asks a hub that may be down.
struct Asks {
    hub: Ask,
    repository: String,
}

impl Asks {
    fn ask(&self, method: &str, path: &str) -> Ask {
        self.hub.again(method, path)
    }

    fn push_until_acknowledged(&self, number: usize, resumed: &AtomicUsize) -> Pushed {
        let size = PIECE_BYTES * (number % 4 + 1);
        let seed = number.to_le_bytes();
        let blob: Vec<u8> = seed.iter().copied().cycle().take(size).collect();
        let descriptor = |kind: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes);
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}}}"#, bytes.len())
        };
        let (config, layer) = (descriptor("application/x", &seed), descriptor("application/y", &blob));
        let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#);
        let tag = format!("v{number}");
        loop {
            // In small and large pieces, as it comes.
            let pushed = self.push_small(&seed).and_then(|()| self.push_pieces(&blob, resumed));
            let put = pushed.and_then(|()| {
                let put = self.ask("PUT", &format!("/v2/{}/manifests/{tag}", self.repository));
                put.header("Content-Type", IMAGE).body(manifest.as_str()).send()
            });
            if put.is_ok_and(|put| put.status == 201) {
                return Pushed { blob, manifest, tag };
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn push_small(&self, bytes: &[u8]) -> Result<()> {
        let path = format!("/v2/{}/blobs/uploads/?digest={}", self.repository, Digest::of(bytes));
        let put = self.ask("POST", &path).body(bytes).send()?;
        ensure!(put.status == 201, "{}", put.text());
        Ok(())
    }

    /// Uploads a blob in pieces; one that does not get through is sent again from where the upload is.
    fn push_pieces(&self, blob: &[u8], resumed: &AtomicUsize) -> Result<()> {
        let begun = self.ask("POST", &format!("/v2/{}/blobs/uploads/", self.repository)).body("").send()?;
        let location = begun.header("location").context("no upload was begun")?.to_owned();
        let mut from = 0;
        while from < blob.len() {
            let piece = &blob[from..blob.len().min(from + PIECE_BYTES)];
            let sent = self.ask("PATCH", &location).body(piece).send();
            from = match sent {
                Ok(sent) if sent.status == 202 => from + piece.len(),
                Ok(_) | Err(_) => {
                    let have = self.have(&location)?;
                    resumed.fetch_add(usize::from(have > 0), Ordering::Relaxed);
                    have
                }
            };
        }
        let put = self.ask("PUT", &format!("{location}?digest={}", Digest::of(blob))).body("").send()?;
        ensure!(put.status == 201, "{}", put.text());
        Ok(())
    }

    /// How many bytes an upload has, asked of a hub that comes up again.
    fn have(&self, location: &str) -> Result<usize> {
        let status = loop {
            match self.ask("GET", location).send() {
                Ok(status) => break status,
                Err(_down) => thread::sleep(Duration::from_millis(5)),
            }
        };
        ensure!(status.status == 204, "an upload that was acknowledged is lost: {}", status.text());
        let last: usize = status
            .header("range")
            .and_then(|range| range.strip_prefix("0-")?.parse().ok())
            .context("no range")?;
        Ok(if last == 0 { 0 } else { last + 1 })
    }

    fn find(&self, pushed: &Pushed) -> Result<()> {
        let get = |rest: &str| -> Result<Reply> {
            self.ask("GET", &format!("/v2/{}/{rest}", self.repository)).send()
        };
        let manifest = get(&format!("manifests/{}", pushed.tag))?;
        ensure!(manifest.text() == pushed.manifest, "manifest `{}` is not what was acknowledged", pushed.tag);
        let blob = get(&format!("blobs/{}", Digest::of(&pushed.blob)))?;
        ensure!(blob.body == pushed.blob, "the blob of `{}` is not what was acknowledged", pushed.tag);
        Ok(())
    }
}
