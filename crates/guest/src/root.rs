// SPDX-License-Identifier: Apache-2.0
//! What the guest runs before the stories: a first root in memory that finds the files of this machine, and a script.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{run, run_into};
use crate::{Image, Unbootable, quoted};

/// What the first root runs: static, as there are no libraries in it.
const BUSYBOX: &str = "/bin/busybox";

/// What the first root must be able to load, with what these need; the second one loads the rest by itself.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

/// `cache=loose`: nothing here changes while the guest runs, and what it has read once it need not ask for again.
const INIT: &str = r#"#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
for module in $($bb cat /modules/order); do $bb insmod /modules/$module; done
$bb mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,cache=loose host /host || echo "the files of this machine cannot be mounted"
$bb mount -t tmpfs memory /memory
$bb mkdir /memory/changes /memory/work
$bb mount -t overlay -o lowerdir=/host,upperdir=/memory/changes,workdir=/memory/work root /root
for folder in proc sys dev; do $bb mkdir -p /root/$folder; $bb mount --move /$folder /root/$folder; done
for folder in tmp run; do $bb mkdir -p /root/$folder; $bb mount -t tmpfs memory /root/$folder; done
run=$($bb sed -n 's/.*l3af.run=\([^ ]*\).*/\1/p' /root/proc/cmdline)
exec $bb switch_root /root /bin/sh "$run"
"#;

/// Makes the first root.
pub(crate) fn initrd(image: &Image, folder: &Path) -> Result<PathBuf, Unbootable> {
    let root = folder.join("initrd.d");
    let unmade = || Unbootable::file(format!("write to `{}`", folder.display()));
    drop(fs::remove_dir_all(&root));
    for name in ["bin", "proc", "sys", "dev", "host", "memory", "root", "modules"] {
        fs::create_dir_all(root.join(name)).map_err(unmade())?;
    }
    let missing = |source| Unbootable::Start { program: BUSYBOX.to_owned(), source };
    fs::copy(BUSYBOX, root.join("bin/busybox")).map_err(missing)?;
    fs::write(root.join("init"), INIT).map_err(unmade())?;
    run(Command::new("chmod").arg("+x").arg(root.join("init")))?;
    let mut order = Vec::new();
    for (number, module) in in_order(image)?.iter().enumerate() {
        let name = format!("{number:02}.ko");
        unpack(module, &root.join("modules").join(&name))?;
        order.push(name);
    }
    fs::write(root.join("modules/order"), order.join("\n")).map_err(unmade())?;
    let initrd = folder.join("initrd.gz");
    let pack =
        format!("cd {} && find . | cpio -o -H newc --quiet | gzip -1 > {}", quoted(&root), quoted(&initrd));
    run(Command::new("sh").args(["-c", &pack]))?;
    Ok(initrd)
}

/// The modules in an order in which each finds what it needs. `modules.dep` lists for each what it needs, the first to
/// be loaded last (modules.dep(5)).
fn in_order(image: &Image) -> Result<Vec<PathBuf>, Unbootable> {
    let folder = image.modules.join(&image.release);
    let needs = fs::read_to_string(folder.join("modules.dep"));
    let needs =
        needs.map_err(Unbootable::file(format!("read what modules of `{}` need", folder.display())))?;
    let mut order: Vec<PathBuf> = Vec::new();
    for module in MODULES {
        let is_it = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.split('.').next() == Some(module)
        };
        let line = needs.lines().find_map(|line| line.split_once(':').filter(|(path, _)| is_it(path)));
        // What is built into the kernel is not listed.
        let Some((path, needed)) = line else { continue };
        for path in needed.split_ascii_whitespace().rev().chain([path]) {
            let path = folder.join(path);
            if !order.contains(&path) {
                order.push(path);
            }
        }
    }
    Ok(order)
}

/// Busybox loads no module that is compressed.
fn unpack(module: &Path, target: &Path) -> Result<(), Unbootable> {
    let (program, options) = match module.extension().and_then(OsStr::to_str) {
        Some("xz") => ("xz", &["-dc"][..]),
        Some("zst") => ("zstd", &["-dc"][..]),
        _ => ("cat", &[][..]),
    };
    let file = File::create(target).map_err(Unbootable::file(format!("write to `{}`", target.display())))?;
    run_into(Command::new(program).args(options).arg(module), file)
}

/// What the guest does once it sees the files of this machine.
pub(crate) fn script(image: &Image, line: &str) -> String {
    let modules = quoted(&image.modules);
    let release = &image.release;
    // Kernels come with their configuration beside them, where nothing in the guest would look.
    let configuration = image.kernel.with_file_name(format!("config-{release}"));
    let configuration = quoted(&configuration);
    format!(
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root\n\
         mkdir -p /lib/modules && mount --bind {modules} /lib/modules\n\
         cp {configuration} /lib/modules/{release}/config\n\
         mkdir -p /dev/pts && mount -t devpts devpts /dev/pts\n\
         mkdir -p /dev/shm && mount -t tmpfs tmpfs /dev/shm\n\
         mount -t bpf bpf /sys/fs/bpf\n\
         mount -t cgroup2 cgroup2 /sys/fs/cgroup\n\
         mount -t securityfs securityfs /sys/kernel/security\n\
         ip link set lo up\n\
         {line}\n\
         echo $? > /dev/ttyS1\n\
         /bin/busybox poweroff -f\n"
    )
}
