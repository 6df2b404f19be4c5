// SPDX-License-Identifier: Apache-2.0
//! Kernels of Debian, by the numbers of their release.
//!
//! The release that this machine's suite carries comes from its configured sources. Others come from the sources of
//! another suite, derived from the configured ones by putting its name in place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, run, say};

/// A kernel, unpacked.
#[derive(Debug)]
pub(crate) struct Image {
    /// What `uname -r` prints in it.
    pub(crate) release: String,
    /// The file to boot.
    pub(crate) kernel: PathBuf,
    /// The folder that holds a folder of modules for the release.
    pub(crate) modules: PathBuf,
}

/// The suites that carry a release of Linux.
const SUITES: [(&str, &str); 2] = [("6.1", "bookworm"), ("6.12", "trixie")];

/// Downloads and unpacks a kernel, once.
pub(crate) fn fetch(release: &str, folder: &Path) -> Result<Image> {
    let root = folder.join("root");
    if !root.join("complete").exists() {
        drop(fs::remove_dir_all(&root));
        fs::create_dir_all(&root)?;
        let package = download(release, folder)?;
        run(Command::new("dpkg").arg("-x").arg(package).arg(&root))?;
        let image = unpacked(&root)?;
        run(Command::new("/sbin/depmod").arg("-b").arg(&root).arg(&image.release))?;
        fs::write(root.join("complete"), "")?;
    }
    unpacked(&root)
}

fn unpacked(root: &Path) -> Result<Image> {
    let modules =
        [root.join("lib/modules"), root.join("usr/lib/modules")].into_iter().find(|folder| folder.exists());
    let modules = modules.context("the package of the kernel has no modules")?;
    let release = fs::read_dir(&modules)?.next().context("the package of the kernel has no modules")??;
    let release = release.file_name().to_string_lossy().into_owned();
    let kernel = root.join(format!("boot/vmlinuz-{release}"));
    Ok(Image { release, kernel, modules })
}

fn download(release: &str, folder: &Path) -> Result<PathBuf> {
    let suite = SUITES.iter().find(|(known, _)| *known == release).map(|(_, suite)| *suite);
    let suite = suite.with_context(|| {
        let known: Vec<&str> = SUITES.iter().map(|(known, _)| *known).collect();
        format!("Linux {release} is in no suite that is known here; those are {}", known.join(", "))
    })?;
    let own = output(Command::new("sh").args(["-c", ". /etc/os-release && echo \"$VERSION_CODENAME\""]))?;
    let options = if own.trim() == suite { Vec::new() } else { foreign(own.trim(), suite, folder)? };
    let depends = output(Command::new("apt-cache").args(&options).args(["depends", "linux-image-amd64"]));
    let depends = match depends {
        Ok(text) if text.contains("Depends: linux-image-") => text,
        // Lists that were never fetched know no kernel.
        _ => {
            run(Command::new("apt-get").args(&options).args(["-qq", "update"]))?;
            output(Command::new("apt-cache").args(&options).args(["depends", "linux-image-amd64"]))?
        }
    };
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.filter(|name| name.starts_with("linux-image-")).context("apt knows no kernel")?;
    say(&format!("Downloading {package}"));
    run(Command::new("apt-get").args(&options).args(["-qq", "download", package]).current_dir(folder))?;
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(package));
    let files = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    files.into_iter().find(is_it).context("apt downloaded nothing")
}

/// The options under which apt sees another suite, in folders of its own.
fn foreign(own: &str, suite: &str, folder: &Path) -> Result<Vec<String>> {
    let apt = folder.join("apt");
    let lists = apt.join("state/lists/partial");
    let archives = apt.join("cache/archives/partial");
    let parts = apt.join("sources.list.d");
    for folder in [&lists, &archives, &parts] {
        fs::create_dir_all(folder)?;
    }
    let mut found = false;
    for name in ["debian.sources", "debian.list"] {
        if let Ok(text) = fs::read_to_string(Path::new("/etc/apt/sources.list.d").join(name)) {
            fs::write(parts.join(name), text.replace(own, suite))?;
            found = true;
        }
    }
    if let Ok(text) = fs::read_to_string("/etc/apt/sources.list") {
        fs::write(parts.join("main.list"), text.replace(own, suite))?;
        found = true;
    }
    if !found {
        bail!("this machine has no sources of Debian to derive those of `{suite}` from");
    }
    let set = |key: &str, path: &Path| ["-o".to_owned(), format!("{key}={}", path.display())];
    let options = [
        set("Dir::Etc::sourcelist", Path::new("/dev/null")),
        set("Dir::Etc::sourceparts", &parts),
        set("Dir::State::lists", &apt.join("state/lists")),
        set("Dir::Cache", &apt.join("cache")),
    ];
    Ok(options.concat())
}
