// SPDX-License-Identifier: Apache-2.0
//! Paths of packages in documents, as the daemon understands them, whatever folder it runs in.

use std::path::{Path, absolute};

use crate::{BadReference, Document, Reference};

/// A package folder as a reference. Relative paths begin at `folder`; a package in a registry is one already. Whether there is such
/// a folder is not looked at.
///
/// # Errors
/// When a reference into a registry is none.
pub fn settle_reference(path: &str, folder: &Path) -> Result<String, BadReference> {
    if let Some(reference) = Reference::in_uri(path) {
        return Ok(reference?.uri());
    }
    let path = folder.join(path.strip_prefix("file:").unwrap_or(path));
    // It fails where there is no current folder; then the daemon says that the path is not absolute.
    Ok(format!("file:{}", absolute(&path).unwrap_or(path).display()))
}

impl Document {
    /// Makes references of all packages. Relative paths begin at `folder`.
    ///
    /// # Errors
    /// When a reference into a registry is none.
    pub fn settle(&mut self, folder: &Path) -> Result<(), BadReference> {
        let members = self.chains.iter_mut().flat_map(|chain| &mut chain.members);
        let packages = members.map(|member| &mut member.package);
        for package in packages.chain(self.probes.iter_mut().map(|probe| &mut probe.package)) {
            *package = settle_reference(package, folder)?;
        }
        Ok(())
    }
}
