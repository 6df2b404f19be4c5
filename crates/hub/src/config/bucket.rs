// SPDX-License-Identifier: Apache-2.0
//! `[bucket]`: a bucket that speaks the protocol of Amazon S3.

use std::path::PathBuf;

use serde::Deserialize;

/// A bucket that speaks the protocol of Amazon S3.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketConfig {
    /// Its name.
    pub name: String,
    /// Where it is, `https://s3.example.org`. Amazon, in the region.
    pub endpoint: Option<String>,
    /// The region. `us-east-1`.
    #[serde(default = "default_region")]
    pub region: String,
    /// What the names of all objects begin with. Nothing.
    #[serde(default)]
    pub prefix: String,
    /// Whom the bucket lets in. The role of the machine, as Amazon tells it to machines.
    pub key: Option<BucketKey>,
}

/// An access key of a bucket.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketKey {
    /// Its id.
    pub id: String,
    /// The file with its secret.
    pub secret_file: PathBuf,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}
