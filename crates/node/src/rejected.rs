// SPDX-License-Identifier: Apache-2.0
//! Why the daemon does not do what was asked, and how that is told over the API.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use package::{MemberName, ReadError, Size};
use plan::{DuplicateMember, DuplicateProbe, Refusal, Unfit, UnfitProbe};
use thiserror::Error;
use trust::Explanation;
use wire::{BadReference, Problem};

use crate::access::Denied;
use crate::faults::Faults;
use crate::l3afd;
use crate::resolve::BadDeployment;
use crate::standing::failed;

/// A request that was not carried out. Nothing of it is in force.
#[derive(Debug, Error)]
pub enum Rejected {
    /// Somebody else changed the desired state meanwhile.
    #[error("generation {expected} was expected, but generation {current} is in force")]
    Changed {
        /// What the caller had seen.
        expected: u64,
        /// What is in force.
        current: u64,
    },
    /// Whoever started the daemon wants nothing applied.
    #[error("the daemon is in safe mode, and applies nothing")]
    Safe,
    /// A generation must be confirmed before anything else changes.
    #[error(
        "generation {number} is on trial, and must be confirmed or rolled back before another is accepted"
    )]
    OnTrial {
        /// The generation.
        number: u64,
    },
    /// There is nothing to confirm.
    #[error("no generation is on trial")]
    NoTrial,
    /// Policies deny it to whoever asks.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Somebody else says what is desired.
    #[error("the desired state is that of {owner}")]
    Owned {
        /// Who.
        owner: String,
    },
    /// The file with the desired state is not what it should be.
    #[error("the desired state in `{}` cannot be used", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A trial with checks is not over before they passed.
    #[error("the checks of generation {number} did not all pass so far")]
    ChecksPending {
        /// The generation.
        number: u64,
    },
    /// Nobody can decide in so short a time, and nobody waits for so long.
    #[error("a trial takes 1 to 86400 seconds, not {seconds}")]
    TrialTime {
        /// What was asked for.
        seconds: u32,
    },
    /// Nothing would bring the generation before back.
    #[error("the watchdog, which would return to the generation before, cannot be started")]
    NoWatchdog(#[source] io::Error),
    /// A check says nothing, or too much.
    #[error(transparent)]
    BadCheck(#[from] wire::BadCheck),
    /// A check cannot be carried out.
    #[error("the check `{check}` cannot be carried out: {problem}")]
    UnfitCheck {
        /// Its name.
        check: String,
        /// Why not.
        problem: String,
    },
    /// A generation is not kept.
    #[error("there is no generation {number}")]
    NoGeneration {
        /// What was asked for.
        number: u64,
    },
    /// There is nothing by that name.
    #[error("no chain has a member `{member}`, and no probe has that name")]
    NoMember {
        /// The name.
        member: MemberName,
    },
    /// No package with a user program is called so, or none that is wanted.
    #[error("no user program of a package `{name}` is to run")]
    NoUserProgram {
        /// The name.
        name: String,
    },
    /// Packages of several publishers are called so.
    #[error("several packages `{name}` have a user program")]
    SeveralUserPrograms {
        /// The name.
        name: String,
        /// Their full names.
        names: BTreeSet<String>,
    },
    /// What a user program wrote cannot be read.
    #[error("what the user program wrote cannot be read from `{}`", path.display())]
    UserLog {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Nothing can be measured for so long.
    #[error("run time can be measured for 1 to 3600 seconds, not for {seconds}")]
    ProfileTime {
        /// What was asked for.
        seconds: u32,
    },
    /// Packets cannot be sampled.
    #[error(transparent)]
    Unsampled(#[from] crate::Unsampled),
    /// A map cannot be read or written.
    #[error(transparent)]
    Map(#[from] crate::BadMapCall),
    /// A hook appears twice in a document.
    #[error("the document has two chains for `{place}`")]
    TwoChains {
        /// The hook.
        place: String,
    },
    /// A program of l3afd v1 cannot be what is said of it.
    #[error(transparent)]
    L3afd(#[from] l3afd::Unfit),
    /// Things of a document are not what they should be.
    #[error("it cannot be as the document says:{0}")]
    Several(Faults),
    /// A deployment is not what it should be.
    #[error(transparent)]
    Deployment(#[from] BadDeployment),
    /// A package reference is of no known kind.
    #[error("`{reference}` is not a package reference")]
    Reference {
        /// What was given.
        reference: String,
    },
    /// A package is where nothing is fetched from.
    #[error("package `{reference}` lies in no repository that the trust policy lists")]
    Unlisted {
        /// Where from.
        reference: String,
        /// Host and name without tag and digest.
        repository: String,
        /// The policy.
        policy: PathBuf,
    },
    /// A package reference into a registry is not one.
    #[error(transparent)]
    BadReference {
        /// What is wrong with it.
        #[from]
        source: BadReference,
    },
    /// A package cannot be fetched.
    #[error("cannot fetch package `{reference}`")]
    Unfetched {
        /// Where from.
        reference: String,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is no room for what would be fetched.
    #[error(
        "there is no room for {wanted} more of packages: they may take {max} on this node; {needed} are needed by the generations \
         that are kept ({generations}{}), and {lately} came within the last hour",
        told(.largest.as_ref())
    )]
    NoRoom {
        /// What would come.
        wanted: Size,
        /// What the store may have.
        max: Size,
        /// What must stay.
        needed: Size,
        /// For how many generations.
        generations: usize,
        /// Which package of those takes the most, and how much.
        largest: Option<(String, Size)>,
        /// What is spared, since somebody may be about to need it.
        lately: Size,
    },
    /// A package is not what it should be.
    #[error("package `{reference}` cannot be read")]
    Unreadable {
        /// Where from.
        reference: String,
        /// What is wrong.
        #[source]
        source: ReadError,
    },
    /// The policy of this machine cannot be used.
    #[error("the trust policy `{}` cannot be used", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// What was accepted before is not known.
    #[error("what this node accepted before cannot be read from `{}`", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What repositories told of packages is not known any more.
    #[error("what repositories told about packages cannot be read from `{}`", path.display())]
    Evidence {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A package did not pass verification.
    #[error("package `{reference}` is not trusted on this machine")]
    Untrusted {
        /// Where from.
        reference: String,
        /// Why not.
        #[source]
        source: Box<trust::Refused>,
        /// How it went.
        explanation: Explanation,
    },
    /// A package cannot do what the document asks of it.
    #[error("the chain on `{place}` cannot be made")]
    Unfit {
        /// The chain.
        place: String,
        /// Why not.
        #[source]
        source: Unfit,
    },
    /// A package has no probe as the document asks for it.
    #[error("the probe `{probe}` cannot be made")]
    UnfitProbe {
        /// The probe.
        probe: MemberName,
        /// Why not.
        #[source]
        source: UnfitProbe,
    },
    /// Two probes have one name.
    #[error(transparent)]
    DuplicateProbe(#[from] DuplicateProbe),
    /// A chain has two members of one name.
    #[error(transparent)]
    Duplicate(#[from] DuplicateMember),
    /// This machine cannot run what is desired.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The kernel refused a step; the chains from before are in force.
    #[error("the kernel refused; what ran before runs on")]
    Halted(#[source] Box<kernel::Halted>),
    /// The kernel cannot be asked.
    #[error(transparent)]
    Unseen(#[from] kernel::Unseen),
    /// The daemon's own files cannot be read or written.
    #[error("cannot {action} in the folder of state")]
    State {
        /// What was to be done.
        action: &'static str,
        /// Why it could not.
        #[source]
        source: io::Error,
    },
}

/// What it means to begin without what repositories told.
const LOST_EVIDENCE: &str = "restore it from a backup; if you remove it, keys that were revoked beside a package count again until \
                             its repository was asked, within the hour or at SIGHUP";
/// What it means to begin without what was accepted.
const LOST_MEMORY: &str =
    "restore it from a backup; if you remove it, releases older than those that ran are accepted again";

impl Rejected {
    /// The HTTP status that tells it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Changed { .. } => 412,
            Self::NoMember { .. } | Self::NoGeneration { .. } | Self::NoUserProgram { .. } => 404,
            Self::SeveralUserPrograms { .. }
            | Self::Safe
            | Self::Owned { .. }
            | Self::OnTrial { .. }
            | Self::NoTrial
            | Self::ChecksPending { .. } => 409,
            Self::Unsampled(unsampled) => unsampled.status(),
            Self::Map(bad) => bad.status(),
            Self::Untrusted { .. } | Self::Unlisted { .. } | Self::Denied(_) => 403,
            Self::ProfileTime { .. }
            | Self::TrialTime { .. }
            | Self::BadFile { .. }
            | Self::BadCheck(_)
            | Self::UnfitCheck { .. }
            | Self::TwoChains { .. }
            | Self::Deployment(_)
            | Self::Several(_)
            | Self::L3afd(_)
            | Self::Reference { .. }
            | Self::BadReference { .. }
            | Self::Unfetched { .. }
            | Self::Unreadable { .. }
            | Self::Unfit { .. }
            | Self::UnfitProbe { .. }
            | Self::Duplicate(_)
            | Self::DuplicateProbe(_)
            | Self::Refusal(_)
            | Self::Halted(_) => 422,
            Self::NoRoom { .. } => 507,
            Self::Policy { .. }
            | Self::Memory { .. }
            | Self::Evidence { .. }
            | Self::Unseen(_)
            | Self::State { .. }
            | Self::UserLog { .. }
            | Self::NoWatchdog(_) => 500,
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Changed { .. } => {
                Some("look at the state in force with `l3af status`, then try again".to_owned())
            }
            Self::Safe => Some(
                "start it without `--safe`, or the machine without `l3af.safe=1`; `l3af detach --all` takes off what runs"
                    .to_owned(),
            ),
            Self::OnTrial { .. } => Some("`l3af confirm` keeps it, `l3af rollback` takes it back".to_owned()),
            Self::Denied(denied) => Some(denied.hint()),
            Self::UnfitCheck { .. } => Some("docs/node.md says what checks there are".to_owned()),
            Self::Owned { owner } => Some(format!(
                "change {owner}, or take `document` out of the daemon's configuration; `l3af detach --all` takes off what runs"
            )),
            Self::BadFile { .. } => Some("correct it; what runs is left alone, and the file is read again when it changes".to_owned()),
            Self::ChecksPending { .. } => Some(
                "they are carried out every second: try again soon; the log of the daemon says which of them fail".to_owned(),
            ),
            Self::NoWatchdog(_) => Some("nothing was changed; apply it without `--confirm-within` and without checks, if it must be now".to_owned()),
            Self::NoTrial => Some("`l3af apply --confirm-within 60` begins a trial; the time for the last one may be over".to_owned()),
            Self::NoGeneration { .. } => Some("`l3af generations` lists those that are kept".to_owned()),
            Self::NoMember { .. } => Some("`l3af ps` lists the members, `l3af probes` the probes".to_owned()),
            Self::NoUserProgram { .. } => Some("`l3af status` lists the user programs with their packages".to_owned()),
            Self::SeveralUserPrograms { names, .. } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Some(format!("name the publisher besides: {}", names.join(", ")))
            }
            Self::Several(faults) => faults.hint(),
            Self::L3afd(unfit) => Some(unfit.hint()),
            Self::Deployment(bad) => Some(bad.hint().to_owned()),
            Self::TwoChains { .. } => Some("put all members of a hook into one chain".to_owned()),
            Self::Reference { .. } | Self::BadReference { .. } => Some(
                "use `file:` and the absolute path of an OCI layout folder, or `oci://host/name:tag`"
                    .to_owned(),
            ),
            Self::Unlisted { repository, policy, .. } => Some(format!(
                "if packages may come from there, add `[[repository]]` with `url = \"{repository}\"` to `{}`",
                policy.display()
            )),
            Self::Unfetched { source, .. } => match source.downcast_ref::<wire::RegistryError>() {
                Some(error) => error.hint(),
                None => Some("`l3af build` makes the folder".to_owned()),
            },
            Self::NoRoom { lately, .. } => Some(make_room(*lately)),
            Self::Unreadable { .. } => Some("build it again with `l3af build`".to_owned()),
            Self::Policy { .. } => Some("correct the file; nothing new is accepted until then, and what runs is left alone".to_owned()),
            Self::Evidence { .. } => Some(LOST_EVIDENCE.to_owned()),
            Self::Memory { .. } => Some(LOST_MEMORY.to_owned()),
            Self::Untrusted { source, .. } => Some(source.hint()),
            Self::Refusal(refusal) => Some(refusal.hint().to_owned()),
            Self::Unfit { .. } | Self::UnfitProbe { .. } => {
                Some("`l3af inspect` shows the programs, parameters and maps of a package".to_owned())
            }
            Self::Halted(halted) if matches!(halted.refused, kernel::Refused::Splice { .. }) => Some(
                "another mechanism may run it: `mechanism` in the `[[chain]]` of the document".to_owned(),
            ),
            Self::Unsampled(unsampled) => unsampled.hint(),
            Self::Map(bad) => bad.hint(),
            Self::ProfileTime { .. }
            | Self::TrialTime { .. }
            | Self::BadCheck(_)
            | Self::Halted(_)
            | Self::Duplicate(_)
            | Self::DuplicateProbe(_)
            | Self::Unseen(_)
            | Self::UserLog { .. }
            | Self::State { .. } => None,
        }
    }

    /// The same as problem details (RFC 9457).
    pub fn problem(&self) -> Problem {
        let mut causes = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        let log = if let Self::Halted(halted) = self { halted.log.as_ref() } else { None };
        Problem {
            kind: format!("urn:l3af:problem:{}", self.slug()),
            title: self.to_string(),
            status: self.status(),
            detail: causes.join(": "),
            hint: self.hint(),
            errors: self.faults(),
            rules: self.rules(),
            log: log.map(|path| path.display().to_string()),
        }
    }

    fn rules(&self) -> Vec<wire::Ruling> {
        if let Self::Untrusted { explanation, .. } = self { failed(explanation) } else { Vec::new() }
    }

    fn slug(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Safe => "safe",
            Self::OnTrial { .. } => "on-trial",
            Self::NoTrial => "no-trial",
            Self::Owned { .. } => "owned",
            Self::Denied(_) => "denied",
            Self::BadFile { .. } | Self::Several(_) => "document",
            Self::L3afd(_) => "l3afd",
            Self::ChecksPending { .. } => "checks-pending",
            Self::TrialTime { .. } => "trial",
            Self::BadCheck(_) | Self::UnfitCheck { .. } => "check",
            Self::NoWatchdog(_) => "no-watchdog",
            Self::NoGeneration { .. } => "no-generation",
            Self::NoMember { .. } => "no-member",
            Self::NoUserProgram { .. } | Self::SeveralUserPrograms { .. } => "user-program",
            Self::UserLog { .. } => "user-log",
            Self::ProfileTime { .. } => "profile",
            Self::Unsampled(_) => "sample",
            Self::Map(_) => "map",
            Self::TwoChains { .. } | Self::Duplicate(_) | Self::DuplicateProbe(_) => "duplicate",
            Self::Deployment(_) => "deployment",
            Self::Reference { .. } | Self::BadReference { .. } => "reference",
            Self::Unlisted { .. } => "unlisted",
            Self::Unfetched { .. } => "unfetched",
            Self::NoRoom { .. } => "no-room",
            Self::Unreadable { .. } => "unreadable",
            Self::Policy { .. } => "policy",
            Self::Memory { .. } => "memory",
            Self::Evidence { .. } => "evidence",
            Self::Untrusted { .. } => "untrusted",
            Self::Unfit { .. } | Self::UnfitProbe { .. } => "unfit",
            Self::Refusal(_) => "refusal",
            Self::Halted(_) => "kernel",
            Self::Unseen(_) => "unseen",
            Self::State { .. } => "state",
        }
    }
}

/// How there can be room for packages, some of which came lately.
fn make_room(lately: Size) -> String {
    let later = if lately.bytes() > 0 { ", or try again in an hour" } else { "" };
    format!(
        "nothing of it was fetched, and what runs goes on; raise `store_max` in the daemon's configuration{later}: a \
         generation that is kept needs its packages, and the oldest goes when there are more than 50"
    )
}

/// What takes the most room, where that is known.
fn told(largest: Option<&(String, Size)>) -> String {
    largest.map(|(reference, size)| format!("; most by `{reference}`, {size}")).unwrap_or_default()
}
