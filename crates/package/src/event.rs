// SPDX-License-Identifier: Apache-2.0
//! Names of what happens: in control groups, in netfilter, and as perf events, each from a table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A text is not one of a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it must be one of {}", .known.join(", "))]
pub struct UnknownEvent {
    /// What was given.
    pub given: String,
    /// The table.
    pub known: Vec<&'static str>,
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name {
            $($(#[$one])* #[doc = concat!("`", $text, "`.")] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its text.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownEvent;

            fn from_str(text: &str) -> Result<Self, UnknownEvent> {
                let known = || Self::ALL.iter().map(|event| event.as_str()).collect();
                let found = Self::ALL.iter().find(|event| event.as_str() == text).copied();
                found.ok_or_else(|| UnknownEvent { given: text.to_owned(), known: known() })
            }
        }

        impl TryFrom<String> for $name {
            type Error = UnknownEvent;

            fn try_from(text: String) -> Result<Self, UnknownEvent> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(event: $name) -> Self {
                event.as_str().to_owned()
            }
        }
    };
}

table! {
    /// What a process of a control group does, in the words of libbpf's sections.
    CgroupEvent {
        Ingress = "ingress",
        Egress = "egress",
        SockCreate = "sock_create",
        SockRelease = "sock_release",
        PostBind4 = "post_bind4",
        PostBind6 = "post_bind6",
        Bind4 = "bind4",
        Bind6 = "bind6",
        Connect4 = "connect4",
        Connect6 = "connect6",
        ConnectUnix = "connect_unix",
        Sendmsg4 = "sendmsg4",
        Sendmsg6 = "sendmsg6",
        SendmsgUnix = "sendmsg_unix",
        Recvmsg4 = "recvmsg4",
        Recvmsg6 = "recvmsg6",
        RecvmsgUnix = "recvmsg_unix",
        Getpeername4 = "getpeername4",
        Getpeername6 = "getpeername6",
        GetpeernameUnix = "getpeername_unix",
        Getsockname4 = "getsockname4",
        Getsockname6 = "getsockname6",
        GetsocknameUnix = "getsockname_unix",
        Sysctl = "sysctl",
        Getsockopt = "getsockopt",
        Setsockopt = "setsockopt",
        Device = "dev",
    }
}

table! {
    /// The protocol whose packets a netfilter program sees.
    NetfilterFamily {
        Ipv4 = "ipv4",
        Ipv6 = "ipv6",
    }
}

table! {
    /// Where on their way it sees them, in the order of `enum nf_inet_hooks`.
    NetfilterHook {
        Prerouting = "prerouting",
        Input = "input",
        Forward = "forward",
        Output = "output",
        Postrouting = "postrouting",
    }
}

table! {
    /// What a perf event counts, in the words of `perf list`.
    PerfCounter {
        CpuClock = "cpu-clock",
        TaskClock = "task-clock",
        PageFaults = "page-faults",
        ContextSwitches = "context-switches",
        CpuMigrations = "cpu-migrations",
        MinorFaults = "minor-faults",
        MajorFaults = "major-faults",
        AlignmentFaults = "alignment-faults",
        EmulationFaults = "emulation-faults",
        CpuCycles = "cpu-cycles",
        Instructions = "instructions",
        CacheReferences = "cache-references",
        CacheMisses = "cache-misses",
        BranchInstructions = "branch-instructions",
        BranchMisses = "branch-misses",
        BusCycles = "bus-cycles",
        StalledCyclesFrontend = "stalled-cycles-frontend",
        StalledCyclesBackend = "stalled-cycles-backend",
        RefCycles = "ref-cycles",
    }
}

impl PerfCounter {
    /// Its `perf_event_attr.type` and `.config`, of `enum perf_type_id`, `perf_sw_ids` and `perf_hw_id`.
    pub fn numbers(self) -> (u32, u64) {
        const HARDWARE: u32 = 0;
        const SOFTWARE: u32 = 1;
        match self {
            Self::CpuClock => (SOFTWARE, 0),
            Self::TaskClock => (SOFTWARE, 1),
            Self::PageFaults => (SOFTWARE, 2),
            Self::ContextSwitches => (SOFTWARE, 3),
            Self::CpuMigrations => (SOFTWARE, 4),
            Self::MinorFaults => (SOFTWARE, 5),
            Self::MajorFaults => (SOFTWARE, 6),
            Self::AlignmentFaults => (SOFTWARE, 7),
            Self::EmulationFaults => (SOFTWARE, 8),
            Self::CpuCycles => (HARDWARE, 0),
            Self::Instructions => (HARDWARE, 1),
            Self::CacheReferences => (HARDWARE, 2),
            Self::CacheMisses => (HARDWARE, 3),
            Self::BranchInstructions => (HARDWARE, 4),
            Self::BranchMisses => (HARDWARE, 5),
            Self::BusCycles => (HARDWARE, 6),
            Self::StalledCyclesFrontend => (HARDWARE, 7),
            Self::StalledCyclesBackend => (HARDWARE, 8),
            Self::RefCycles => (HARDWARE, 9),
        }
    }
}
