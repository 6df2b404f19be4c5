// SPDX-License-Identifier: Apache-2.0
//! System calls that user programs are refused (seccomp).
//!
//! It is a list of what is refused. A list of what is permitted would have to know every C library and language, on kernels
//! that are not there yet, and a program whose library learns a call would break on a node whose daemon has not. What is listed
//! administers the machine, reaches into other processes, or is a part of the kernel that was broken often and that such a
//! program does without. Capabilities guard the most of it already; the filter keeps the code behind them out of reach. Who
//! is granted a capability may make the calls that it is for.

use std::collections::BTreeMap;
use std::io;

use rustix::thread::CapabilitySet;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Calls that are refused, unless one of these capabilities is granted.
struct Refused {
    unless: CapabilitySet,
    calls: &'static [libc::c_long],
}

const ADMIN: CapabilitySet = CapabilitySet::SYS_ADMIN;
const NOBODY: CapabilitySet = CapabilitySet::empty();

#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    // File systems, and namespaces with other ones.
    Refused { unless: ADMIN, calls: &[
        libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_fsopen,
        libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr, libc::SYS_swapon, libc::SYS_swapoff,
        libc::SYS_quotactl, libc::SYS_quotactl_fd, libc::SYS_fanotify_init, libc::SYS_unshare, libc::SYS_setns,
        libc::SYS_sethostname, libc::SYS_setdomainname,
    ] },
    Refused { unless: ADMIN.union(CapabilitySet::SYS_CHROOT), calls: &[libc::SYS_chroot] },
    Refused { unless: CapabilitySet::DAC_READ_SEARCH, calls: &[libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at] },
    // Other processes.
    Refused { unless: CapabilitySet::SYS_PTRACE, calls: &[
        libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd, libc::SYS_kcmp,
    ] },
    // Programs in the kernel. What concerns a map that is open already is permitted, see below.
    Refused { unless: ADMIN.union(CapabilitySet::PERFMON), calls: &[libc::SYS_perf_event_open] },
    Refused { unless: CapabilitySet::SYS_MODULE, calls: &[
        libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
    ] },
    // The machine.
    Refused { unless: CapabilitySet::SYS_BOOT, calls: &[libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_reboot] },
    Refused { unless: CapabilitySet::SYS_TIME, calls: &[
        libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_clock_adjtime, libc::SYS_adjtimex,
    ] },
    Refused { unless: ADMIN.union(CapabilitySet::SYSLOG), calls: &[libc::SYS_syslog] },
    Refused { unless: CapabilitySet::SYS_PACCT, calls: &[libc::SYS_acct] },
    #[cfg(target_arch = "x86_64")]
    Refused { unless: CapabilitySet::SYS_RAWIO, calls: &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt] },
    // Keys have no namespace but the user, and were broken often; so were the other two, which also go around filters like this.
    Refused { unless: NOBODY, calls: &[
        libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl, libc::SYS_userfaultfd, libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    ] },
];

/// A process in new namespaces. `CLONE_NEWTIME` is among the flags of `clone3` and `unshare` only (`linux/sched.h`).
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Calls of the x32 ABI go by the same architecture as those of 64 bits, with this bit (`asm/unistd.h`).
const X32: libc::c_long = 0x4000_0000;
/// Those that have a number of their own there: `ptrace`, `kexec_load`, `process_vm_readv`, `process_vm_writev`
/// (`arch/x86/entry/syscalls/syscall_64.tbl`).
const X32_ONLY: &[libc::c_long] = &[521, 528, 539, 540];

/// What bpf(2) does with descriptors of maps: elements are looked up, written and deleted, one or many, and the map tells what it is
/// (`enum bpf_cmd` of `linux/bpf.h`).
const ON_MAPS: [u64; 10] = [1, 2, 3, 4, 15, 21, 24, 25, 26, 27];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Has this thread, and whatever it executes, be refused what these capabilities do not stand for. It must not be able to gain
/// privileges any more.
pub(super) fn refuse(capabilities: CapabilitySet) -> io::Result<()> {
    for filter in filters(capabilities).map_err(io::Error::other)? {
        seccompiler::apply_filter(&filter).map_err(io::Error::other)?;
    }
    Ok(())
}

fn filters(capabilities: CapabilitySet) -> Result<Vec<BpfProgram>, BackendError> {
    let listed = REFUSED.iter().filter(|refused| !refused.unless.intersects(capabilities));
    let mut refused: Rules = BTreeMap::new();
    for call in listed.flat_map(|refused| refused.calls) {
        add(&mut refused, *call, &[]);
    }
    if cfg!(target_arch = "x86_64") {
        for call in X32_ONLY {
            add(&mut refused, call | X32, &[]);
        }
    }
    if !capabilities.intersects(ADMIN.union(CapabilitySet::BPF)) {
        add(&mut refused, libc::SYS_bpf, &[beyond_maps()?]);
    }
    let mut unknown: Rules = BTreeMap::new();
    if !capabilities.contains(ADMIN) {
        add(&mut refused, libc::SYS_clone, &in_new_namespaces()?);
        // Its flags are in memory, where no filter can see them. C libraries take `clone` where it is not known.
        add(&mut unknown, libc::SYS_clone3, &[]);
    }
    let filters = [(refused, libc::EPERM), (unknown, libc::ENOSYS)];
    let filters = filters.into_iter().filter(|(rules, _)| !rules.is_empty());
    filters.map(|(rules, error)| filter(rules, error.unsigned_abs())).collect()
}

fn add(rules: &mut Rules, call: libc::c_long, when: &[SeccompRule]) {
    rules.insert(call, when.to_vec());
    if cfg!(target_arch = "x86_64") {
        rules.insert(call | X32, when.to_vec());
    }
}

/// Flags are the first argument (clone(2), on `x86_64` and `aarch64`).
fn in_new_namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let has = |flag: &libc::c_int| {
        let flag = u64::from(flag.unsigned_abs());
        SeccompRule::new(vec![SeccompCondition::new(
            0,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(flag),
            flag,
        )?])
    };
    NAMESPACES.iter().map(has).collect()
}

/// The command is the first argument (bpf(2)).
fn beyond_maps() -> Result<SeccompRule, BackendError> {
    let is_other = |command| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, command);
    SeccompRule::new(ON_MAPS.into_iter().map(is_other).collect::<Result<_, _>>()?)
}

/// Calls of other architectures, as of programs with 32 bits, end the process.
fn filter(rules: Rules, error: u32) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error), architecture)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_fit_into_the_kernel_whatever_is_granted() {
        for capabilities in [NOBODY, ADMIN, CapabilitySet::BPF, CapabilitySet::all()] {
            let filters = filters(capabilities).unwrap();
            assert!(!filters.is_empty());
            // BPF_MAXINSNS of `linux/bpf_common.h`.
            assert!(filters.iter().all(|filter| filter.len() < 4096));
        }
    }

    #[test]
    fn who_is_granted_more_is_refused_less() {
        let size = |capabilities| filters(capabilities).unwrap().iter().map(Vec::len).sum::<usize>();
        assert!(size(CapabilitySet::BPF) < size(NOBODY));
        assert!(size(ADMIN) < size(CapabilitySet::BPF));
        assert!(size(CapabilitySet::all()) < size(ADMIN));
    }
}
