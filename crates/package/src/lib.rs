// SPDX-License-Identifier: Apache-2.0
//! The eBPF package: its manifest, its objects, its archive, and how it is laid out as an OCI image.
//!
//! This crate believes nothing it reads: every size has a bound, every digest is computed, every name is parsed into a
//! type that cannot be wrong. It does no I/O; bytes come in through [`Blobs`] and go out as [`Packed`].

#[macro_use]
mod spelled;

mod archive;
mod artifact;
mod attach;
mod attachment;
mod btf_ext;
mod bytecode;
mod capability;
mod code;
mod config;
mod context;
mod digest;
mod enforcement;
mod event;
mod flow;
mod flow_filter;
mod format;
mod glob;
mod hook;
mod interface;
mod interfaces;
mod layout;
mod limits;
mod manifest;
mod map_interface;
mod mechanism;
mod names;
mod object;
mod oci;
mod pack;
mod pe;
mod placement;
mod plain_value;
mod platform;
mod probe;
mod read;
mod referrer;
mod section;
mod settle;
mod silence;
mod size;
mod user_program;
mod version;
mod zipped;

pub use archive::{ArchiveError, File, Files, Limits, read_layer, unpack, write_layer};
pub use artifact::{ARTIFACT_CAPABILITIES, Artifact, BadArtifact, plain_name, plain_version};
pub use attach::{AttachKey, AttachOptions, AttachValue, BadAttachment};
pub use attachment::{Attachment, Moment, Pace, Side, Traced};
pub use btf_ext::SourceLine;
pub use bytecode::{Bytecode, Named};
pub use capability::{Capability, Privileges, UnknownCapability};
pub use code::{Code, Function, Instruction, Symbol};
pub use config::Config;
pub use digest::{BadDigest, Digest};
pub use enforcement::{BadEnforcement, BadShare, Enforcement, Share};
pub use event::{CgroupEvent, NetfilterFamily, NetfilterHook, PerfCounter, UnknownEvent};
pub use flow::Flow;
pub use flow_filter::{BadFlowFilter, FlowEnd, FlowFilter};
pub use format::{Format, UnknownFormat};
pub use glob::Glob;
pub use hook::{BadHookPoint, HookPoint, ProceedSet, UnknownVerdict, Verdict};
pub use interface::{Interface, NetworkNamespace};
pub use interfaces::{BadInterfaces, BadPlace, Interfaces, MacAddress};
pub use layout::{Difference, Layout};
pub use limits::{BadCpuShare, BadMemorySize, CpuShare, MemorySize};
pub use manifest::{
    Build, KernelRequirement, Manifest, ManifestError, MapSpec, PackageInfo, ProgramSpec, Scope, Upgrade,
};
pub use map_interface::InterfaceError;
pub use maps::Endian;
pub use mechanism::Mechanism;
pub use names::{
    AbsolutePath, BadName, EventName, InterfaceName, MemberName, PackageName, ProgramName, PublisherName,
    SymbolName,
};
pub use object::{Object, ObjectError, ObjectMap, ObjectProgram};
pub use oci::{ARTIFACT_TYPE, Blob, Descriptor, INDEX_MEDIA_TYPE, Index, MANIFEST_MEDIA_TYPE};
pub use pack::{PackError, PackFile, PackSource, Packed, pack};
pub use pe::{Image, ImageError};
pub use placement::{Occupied, OnDrift, Position, XdpMode};
pub use plain_value::PlainValue;
pub use platform::{BadPlatform, Platform};
pub use probe::{BadProgramKind, ProbeKind, ProgramKind};
pub use read::{BlobError, Blobs, MAX_LAYER_BYTES, MAX_MANIFEST_BYTES, Package, PackagePlatform, ReadError};
pub use referrer::{BUNDLE_MEDIA_TYPE, COSIGN_PREDICATE_TYPE, Referrer, ReferrerKind, ReferrerManifest};
pub use semver::Version;
pub use silence::Silence;
pub use size::{BadSize, Size};
pub use user_program::{BadReadySeconds, Convention, Need, ReadySeconds, UserProgram};
pub use version::{BadKernelVersion, KernelVersion};
