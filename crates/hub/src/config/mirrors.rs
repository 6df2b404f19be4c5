// SPDX-License-Identifier: Apache-2.0
//! `[mirrors]`: what rules of mirrors may use of this machine.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What rules of mirrors may use of this machine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MirrorsConfig {
    /// A file with the logins for other hubs and registries, as `docker login` and `l3af login` write it. None: one goes there
    /// as anybody.
    pub logins: Option<PathBuf>,
    /// Folders in and below which packages may be taken from. None.
    pub folders: Vec<PathBuf>,
}

impl MirrorsConfig {
    /// Whether packages may be taken from a folder, wherever links lead.
    pub(crate) fn admits(&self, folder: &Path) -> bool {
        let Ok(folder) = folder.canonicalize() else { return false };
        let listed = self.folders.iter().filter_map(|listed| listed.canonicalize().ok());
        listed.into_iter().any(|listed| folder.starts_with(listed))
    }
}

#[cfg(test)]
mod tests {
    use super::MirrorsConfig;

    #[test]
    fn only_what_is_below_a_listed_folder_is_read() {
        let kept = tempfile::tempdir().expect("a folder");
        let (listed, other) = (kept.path().join("listed"), kept.path().join("listed-not"));
        let below = listed.join("below");
        for folder in [&below, &other] {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        std::os::unix::fs::symlink(&other, listed.join("link")).expect("a link");
        let config = MirrorsConfig { folders: vec![listed.clone()], ..MirrorsConfig::default() };
        assert!(config.admits(&listed) && config.admits(&below));
        for folder in [&other, &listed.join("link"), &listed.join(".."), &listed.join("none")] {
            assert!(!config.admits(folder), "{}", folder.display());
        }
    }
}
