// SPDX-License-Identifier: Apache-2.0
//! Control groups (cgroup v2) in which user programs have their limits, below that of the daemon.
//!
//! A group with processes of its own cannot have groups with limits below it (`Documentation/admin-guide/cgroup-v2.rst`, "No
//! Internal Process Constraint"). So the daemon goes into a leaf below the group that it was started in, the first time that
//! somebody has limits. Where others are in that group as well, which is not the daemon's then, it goes back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use package::Digest;

/// The leaf of the daemon.
const LEAF: &str = "l3afd";

/// Where control groups can be made; found out when one is made first.
#[derive(Debug)]
pub(super) struct Cgroups {
    /// Makes names differ from those of another daemon in the same group.
    tag: String,
    base: OnceLock<Result<PathBuf, String>>,
}

/// A control group. It is removed, and what is left in it killed, when it goes out of scope.
#[derive(Debug)]
pub(super) struct Cgroup(PathBuf);

impl Cgroups {
    /// Those of the daemon that keeps its state in this folder.
    pub(super) fn new(state: &Path) -> Self {
        let digest = Digest::of(state.as_os_str().as_encoded_bytes()).hex();
        Self { tag: digest[..8].to_owned(), base: OnceLock::new() }
    }

    /// None, and why.
    #[cfg(test)]
    pub(super) fn none(why: &str) -> Self {
        Self { tag: String::new(), base: OnceLock::from(Err(why.to_owned())) }
    }

    /// Makes one. Each has a number of its own: a release may start while the one before still ends.
    pub(super) fn make(&self, name: &str) -> Result<Cgroup, String> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let prefix = format!("l3af-{}-", self.tag);
        let base = self.base.get_or_init(|| find().inspect(|base| clear(base, &prefix))).clone()?;
        loop {
            let group = base.join(format!("{prefix}{name}.{}", MADE.fetch_add(1, Ordering::Relaxed)));
            match fs::create_dir(&group) {
                // One that could not be removed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(format!("the control group `{}` cannot be made: {error}", group.display()));
                }
                Ok(()) => return Ok(Cgroup(group)),
            }
        }
    }
}

impl Cgroup {
    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Sets a limit.
    pub(super) fn limit(&self, control: &str, value: &str) -> Result<(), String> {
        let path = self.0.join(control);
        if !path.exists() {
            let controller = control.split('.').next().unwrap_or_default();
            return Err(format!("the control group of the daemon has no controller `{controller}`"));
        }
        fs::write(&path, value).map_err(|error| format!("`{}` cannot be written: {error}", path.display()))
    }

    /// Kills all that is in it (since Linux 5.14; before, only what is in the program's group of processes is killed).
    fn empty(&self) {
        let kill = self.0.join("cgroup.kill");
        if kill.exists() {
            drop(fs::write(kill, "1"));
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.empty();
        // What was killed is in it until it is gone.
        for _ in 0..50 {
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(_) | Ok(()) => return,
            }
        }
    }
}

/// Kills what a daemon that was killed left running, and removes the groups that it is in.
fn clear(base: &Path, prefix: &str) {
    let left = fs::read_dir(base).into_iter().flatten().flatten();
    let left = left.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()));
    left.for_each(|entry| drop(Cgroup(entry.path())));
}

/// The group below which there can be groups with limits.
fn find() -> Result<PathBuf, String> {
    let read =
        |path: &str| fs::read_to_string(path).map_err(|error| format!("`{path}` cannot be read: {error}"));
    let base = base(&read("/proc/self/mounts")?, &read("/proc/self/cgroup")?)?;
    let available = words(&base.join("cgroup.controllers"));
    let wanted: Vec<&str> =
        ["memory", "cpu"].into_iter().filter(|name| available.iter().any(|found| found == name)).collect();
    if wanted.is_empty() {
        return Err(format!(
            "the control group `{}` has neither of the controllers `memory` and `cpu`",
            base.display()
        ));
    }
    prepare(&base, &wanted).map_err(|error| {
        let hint = "have the daemon started in a group of its own, as with `Delegate=yes` of systemd";
        format!("the control group `{}` cannot be divided: {error}; {hint}", base.display())
    })?;
    Ok(base)
}

/// The folder of the daemon's group, or of the one above where it is in its leaf already.
fn base(mounts: &str, own: &str) -> Result<PathBuf, String> {
    let mounted = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then_some(place)
    });
    let mounted = mounted.ok_or("no cgroup v2 is mounted")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    // A group outside of what can be seen here begins with `..`.
    let own = own.filter(|own| !own.split('/').any(|part| part == ".."));
    let own = Path::new(mounted).join(own.ok_or("the daemon is in no control group of cgroup v2")?);
    Ok(match own.parent() {
        Some(above) if own.file_name().is_some_and(|name| name == LEAF) => above.to_owned(),
        Some(_) | None => own,
    })
}

/// Lets groups below one have these controllers.
fn prepare(base: &Path, wanted: &[&str]) -> io::Result<()> {
    let (control, processes) = (base.join("cgroup.subtree_control"), base.join("cgroup.procs"));
    let enabled = words(&control);
    let missing: Vec<&&str> =
        wanted.iter().filter(|name| !enabled.iter().any(|found| found == **name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    // The root of all groups may have processes, and says nothing of its type.
    let is_root = !base.join("cgroup.type").exists();
    let own = std::process::id().to_string();
    if !is_root {
        let leaf = base.join(LEAF);
        match fs::create_dir(&leaf) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) | Ok(()) => {}
        }
        fs::write(leaf.join("cgroup.procs"), &own)?;
    }
    let divided = missing.iter().try_for_each(|name| fs::write(&control, format!("+{name}")));
    divided.inspect_err(|_| {
        if !is_root {
            drop(fs::write(&processes, &own));
            drop(fs::remove_dir(base.join(LEAF)));
        }
    })
}

fn words(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "tmpfs /run tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";

    #[test]
    fn groups_are_made_below_that_of_the_daemon_and_beside_its_leaf() {
        let found = |own: &str| base(MOUNTS, own).map(|path| path.display().to_string());
        assert_eq!(
            found("0::/system.slice/l3afd.service\n").unwrap(),
            "/sys/fs/cgroup/system.slice/l3afd.service"
        );
        assert_eq!(
            found("0::/system.slice/x.service/l3afd\n").unwrap(),
            "/sys/fs/cgroup/system.slice/x.service"
        );
        assert_eq!(found("4:memory:/a\n0::/\n").unwrap(), "/sys/fs/cgroup/");
        assert_eq!(found("4:memory:/a\n").unwrap_err(), "the daemon is in no control group of cgroup v2");
        assert!(found("0::/../outside\n").is_err());
        assert_eq!(base("tmpfs /run tmpfs rw 0 0\n", "0::/\n").unwrap_err(), "no cgroup v2 is mounted");
    }

    /// A folder that looks like a control group, with these files.
    fn group(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(folder.path().join(file), "").unwrap();
        }
        folder
    }

    #[test]
    fn the_daemon_goes_into_its_leaf_before_its_group_is_divided_but_not_in_the_root() {
        let folder = group(&["cgroup.type", "cgroup.procs", "cgroup.subtree_control"]);
        prepare(folder.path(), &["memory"]).unwrap();
        let own = fs::read_to_string(folder.path().join("l3afd/cgroup.procs")).unwrap();
        assert_eq!(own, std::process::id().to_string());
        assert_eq!(fs::read_to_string(folder.path().join("cgroup.subtree_control")).unwrap(), "+memory");
        let root = group(&["cgroup.procs", "cgroup.subtree_control"]);
        prepare(root.path(), &["memory"]).unwrap();
        assert!(!root.path().join("l3afd").exists());
        // What is divided already is left alone.
        fs::write(root.path().join("cgroup.subtree_control"), "cpu memory pids").unwrap();
        prepare(root.path(), &["memory", "cpu"]).unwrap();
        assert_eq!(
            fs::read_to_string(root.path().join("cgroup.subtree_control")).unwrap(),
            "cpu memory pids"
        );
    }

    #[test]
    fn two_of_a_name_differ_and_what_was_left_of_others_goes() {
        let folder = tempfile::tempdir().unwrap();
        let cgroups = Cgroups { tag: "tag".to_owned(), base: OnceLock::from(Ok(folder.path().to_owned())) };
        let (one, other) = (cgroups.make("a").unwrap(), cgroups.make("a").unwrap());
        assert_ne!(one.path(), other.path());
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
        fs::create_dir(folder.path().join("l3af-other-a.0")).unwrap();
        clear(folder.path(), "l3af-tag-");
        assert!(!other.path().exists() && folder.path().join("l3af-other-a.0").exists());
    }

    #[test]
    fn a_limit_without_its_controller_says_which() {
        let folder = group(&["memory.max"]);
        let group = Cgroup(folder.path().to_owned());
        group.limit("memory.max", "1048576").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("memory.max")).unwrap(), "1048576");
        assert!(group.limit("cpu.max", "1 2").unwrap_err().ends_with("has no controller `cpu`"));
    }
}
