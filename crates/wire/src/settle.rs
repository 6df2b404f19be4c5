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
        let members = members.filter_map(|member| member.package.as_mut());
        let probes = self.probes.iter_mut().filter_map(|probe| probe.package.as_mut());
        let deployments = self.deployments.iter_mut().map(|deployment| &mut deployment.package);
        for package in members.chain(probes).chain(deployments) {
            *package = settle_reference(package, folder)?;
        }
        Ok(())
    }
}
