// SPDX-License-Identifier: Apache-2.0
//! What is written beside a pinned probe, so that it explains itself to whoever finds it.

use std::collections::BTreeMap;

use package::{Attachment, Digest, MemberName, PackageName, ProgramName, PublisherName, Version};
use plan::{Code, Constant, Fill, PackageRef, ProbeSpec, Sharing};
use serde::{Deserialize, Serialize};

/// The record of one instance of a probe. It is stored as JSON in a frozen map of one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeRecord {
    probe: MemberName,
    publisher: PublisherName,
    package: PackageName,
    version: Version,
    index: Digest,
    object: Digest,
    function: ProgramName,
    attach: Attachment,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    constants: BTreeMap<String, Constant>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    contents: BTreeMap<String, Digest>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    shares: BTreeMap<String, (Sharing, Digest)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fills: BTreeMap<String, Fill>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Code>,
}

impl ProbeRecord {
    /// The record of an instance that was just loaded.
    pub(crate) fn new(spec: &ProbeSpec, code: Code) -> Self {
        Self {
            probe: spec.name.clone(),
            publisher: spec.package.publisher.clone(),
            package: spec.package.name.clone(),
            version: spec.package.version.clone(),
            index: spec.package.index,
            object: spec.object,
            function: spec.function.clone(),
            attach: spec.attach.clone(),
            constants: spec.constants.clone(),
            contents: spec.contents.clone(),
            shares: spec.shares.clone(),
            fills: spec.fills.clone(),
            code: Some(code),
        }
    }
}

impl From<ProbeRecord> for ProbeSpec {
    fn from(record: ProbeRecord) -> Self {
        Self {
            name: record.probe,
            package: PackageRef {
                publisher: record.publisher,
                name: record.package,
                version: record.version,
                index: record.index,
            },
            object: record.object,
            function: record.function,
            attach: record.attach,
            constants: record.constants,
            contents: record.contents,
            shares: record.shares,
            fills: record.fills,
        }
    }
}
