// SPDX-License-Identifier: Apache-2.0
//! What is written beside a pinned instance, so that the chain explains itself to whoever finds it.

use std::collections::BTreeMap;

use package::{
    Digest, Enforcement, HookPoint, Mechanism, MemberName, PackageName, ProceedSet, ProgramName,
    PublisherName, UnknownVerdict, Version,
};
use plan::{Buffers, Code, Constant, Fill, MemberSpec, PackageRef, Sharing};
use serde::{Deserialize, Serialize};

/// The record of one instance. It is stored as JSON in a frozen map of one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    member: MemberName,
    publisher: PublisherName,
    package: PackageName,
    version: Version,
    index: Digest,
    object: Digest,
    function: ProgramName,
    proceed: Vec<String>,
    #[serde(default)]
    enforcement: Enforcement,
    #[serde(default)]
    timed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sampled: Option<u8>,
    #[serde(default)]
    buffers: Buffers,
    #[serde(default)]
    mechanism: Mechanism,
    #[serde(default)]
    device_bound: bool,
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

impl Record {
    /// The record of an instance that was just loaded.
    pub(crate) fn new(spec: &MemberSpec, code: Code) -> Self {
        Self {
            member: spec.name.clone(),
            publisher: spec.package.publisher.clone(),
            package: spec.package.name.clone(),
            version: spec.package.version.clone(),
            index: spec.package.index,
            object: spec.object,
            function: spec.function.clone(),
            proceed: spec.proceed.names().into_iter().map(str::to_owned).collect(),
            enforcement: spec.enforcement,
            timed: spec.timed,
            sampled: spec.sampled,
            buffers: spec.buffers,
            mechanism: spec.mechanism,
            device_bound: spec.device_bound,
            constants: spec.constants.clone(),
            contents: spec.contents.clone(),
            shares: spec.shares.clone(),
            fills: spec.fills.clone(),
            code: Some(code),
        }
    }

    /// The spec that was recorded, for a hook at this point.
    pub(crate) fn into_spec(self, point: HookPoint) -> Result<MemberSpec, UnknownVerdict> {
        Ok(MemberSpec {
            name: self.member,
            package: PackageRef {
                publisher: self.publisher,
                name: self.package,
                version: self.version,
                index: self.index,
            },
            object: self.object,
            function: self.function,
            proceed: ProceedSet::parse(point, &self.proceed)?,
            enforcement: self.enforcement,
            timed: self.timed,
            sampled: self.sampled,
            buffers: self.buffers,
            mechanism: self.mechanism,
            device_bound: self.device_bound,
            constants: self.constants,
            contents: self.contents,
            shares: self.shares,
            fills: self.fills,
        })
    }
}
