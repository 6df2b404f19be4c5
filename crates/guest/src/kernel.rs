// SPDX-License-Identifier: Apache-2.0
//! Kernels of Debian, by the numbers of their release.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Unbootable;
use crate::apt::Suite;
use crate::command::run;

/// A kernel, unpacked.
#[derive(Debug)]
pub struct Image {
    /// What `uname -r` prints in it.
    pub release: String,
    /// The file to boot.
    pub kernel: PathBuf,
    /// The folder that holds a folder of modules for the release.
    pub modules: PathBuf,
}

/// The name of whatever release is the newest.
const NEWEST: &str = "newest";

/// Releases of Linux, and the suites that carry them: those that are maintained for long, and the newest.
pub const RELEASES: [(&str, &str); 5] = [
    ("5.10", "bullseye"),
    ("6.1", "bookworm"),
    ("6.12", "trixie"),
    ("6.18", "trixie-backports"),
    (NEWEST, "sid"),
];

/// Where every other release is looked for: each passes through here, and some stay.
const OTHERS: &str = "trixie-backports";

/// The packages that a kernel can be spread over. Up to 6.18 the first has all that it takes to boot; later the second
/// brings the file to boot, the third the modules, and the first only asks for them.
const PARTS: [&str; 4] = ["linux-image", "linux-binary", "linux-modules", "linux-base"];

/// Downloads and unpacks a kernel, once: it stays the same until its folder is removed. `say` is told what takes long.
///
/// # Errors
/// When there is none of the release, or it cannot be had.
pub fn fetch(release: &str, folder: &Path, say: &mut dyn FnMut(&str)) -> Result<Image, Unbootable> {
    let root = folder.join("root");
    let unmade = || Unbootable::file(format!("write to `{}`", folder.display()));
    if !root.join("complete").exists() {
        drop(fs::remove_dir_all(&root));
        fs::create_dir_all(&root).map_err(unmade())?;
        let downloads = folder.join("downloads");
        drop(fs::remove_dir_all(&downloads));
        for package in download(release, &downloads, say)? {
            run(Command::new("dpkg").arg("-x").arg(package).arg(&root))?;
        }
        fs::remove_dir_all(&downloads).map_err(unmade())?;
        // depmod, and whoever loads modules, look for the folder in the place that it had before `/usr` was merged.
        if !root.join("lib").exists() {
            symlink("usr/lib", root.join("lib")).map_err(unmade())?;
        }
        run(Command::new("/sbin/depmod").arg("-b").arg(&root).arg(&unpacked(&root)?.release))?;
        fs::write(root.join("complete"), "").map_err(unmade())?;
    }
    unpacked(&root)
}

fn unpacked(root: &Path) -> Result<Image, Unbootable> {
    let modules = root.join("lib/modules");
    let release = fs::read_dir(&modules).ok().and_then(|mut found| found.next()?.ok());
    let release = release.ok_or(Unbootable::Incomplete { what: "modules" })?;
    let release = release.file_name().to_string_lossy().into_owned();
    let places = [root.join(format!("boot/vmlinuz-{release}")), modules.join(&release).join("vmlinuz")];
    let kernel = places.into_iter().find(|place| place.exists());
    let kernel = kernel.ok_or(Unbootable::Incomplete { what: "file to boot" })?;
    Ok(Image { release, kernel, modules })
}

fn download(release: &str, folder: &Path, say: &mut dyn FnMut(&str)) -> Result<Vec<PathBuf>, Unbootable> {
    let known = RELEASES.iter().find(|(known, _)| *known == release);
    let suite = known.map_or(OTHERS, |(_, suite)| *suite);
    let view = Suite::fetch(suite, folder)?;
    let packages = view.packages("linux-")?;
    let version = newest(&packages, release).ok_or_else(|| Unbootable::NoRelease {
        release: release.to_owned(),
        suite: suite.to_owned(),
        known: RELEASES.map(|(known, _)| known).join(", "),
    })?;
    say(&format!("Downloading Linux {version} of {suite}"));
    let mut parts = PARTS.map(|part| package(part, version)).to_vec();
    parts.retain(|part| packages.contains(part));
    view.download(&parts, &folder.join("packages"))
}

fn package(part: &str, version: &str) -> String {
    format!("{part}-{version}-amd64")
}

/// The newest version of a release that has all its parts.
fn newest<'names>(packages: &'names [String], release: &str) -> Option<&'names str> {
    let versions =
        packages.iter().filter_map(|name| name.strip_prefix("linux-image-")?.strip_suffix("-amd64"));
    // Flavours end in a word, as in `6.1.0-1-cloud`.
    let is_plain = |version: &&str| version.ends_with(|last: char| last.is_ascii_digit());
    // What is named like the release itself only asks for another package.
    let is_asked_for = |version: &&str| {
        release == NEWEST || version.strip_prefix(release).is_some_and(|rest| rest.starts_with('.'))
    };
    // A suite can have the file to boot, which is signed apart, before or after it has the modules.
    let is_complete = |version: &&str| {
        let has = |part| packages.contains(&package(part, version));
        has("linux-binary") == has("linux-modules")
    };
    let versions = versions.filter(is_plain).filter(is_asked_for).filter(is_complete);
    versions.max_by_key(|version| numbers(version))
}

fn numbers(version: &str) -> Vec<u32> {
    version.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::newest;

    fn newest_of(versions: &[&str], release: &str) -> Option<String> {
        let packages: Vec<String> = versions.iter().map(|name| format!("linux-{name}-amd64")).collect();
        newest(&packages, release).map(str::to_owned)
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let suite =
            ["image-6.1.0-9", "image-6.1.0-56", "image-6.12.90+deb12", "image-6.1", "image-6.1.0-57-cloud"];
        assert_eq!(newest_of(&suite, "6.1").as_deref(), Some("6.1.0-56"));
        assert_eq!(newest_of(&suite, "newest").as_deref(), Some("6.12.90+deb12"));
        assert_eq!(newest_of(&suite, "6.18"), None);
    }

    #[test]
    fn a_kernel_without_its_modules_is_passed_over() {
        let suite = ["image-7.2.1+deb13", "binary-7.2.1+deb13", "modules-7.2.1+deb13", "modules-7.2.3+deb13"];
        let newer = ["image-7.2.2+deb13", "binary-7.2.2+deb13"];
        assert_eq!(newest_of(&[&suite[..], &newer].concat(), "7.2").as_deref(), Some("7.2.1+deb13"));
    }
}
