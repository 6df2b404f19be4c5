// SPDX-License-Identifier: Apache-2.0
//! What the program for user space asks for.

use package::{Manifest, Privileges};

use crate::rules::{USER_CAPABILITY, USER_MEMORY, USER_ROOT};
use crate::{Finding, Place};

/// Capabilities with which one can become root, or read and change what belongs to others (capabilities(7)).
const WIDE: [&str; 12] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "mac_admin",
    "mac_override",
    "setfcap",
    "setgid",
    "setuid",
    "sys_admin",
    "sys_module",
    "sys_ptrace",
];

pub(crate) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let Some(user) = &manifest.user else { return };
    let mut find = |rule, key: &str, what: String| findings.push(Finding::new(rule, Place::key(key), what));
    match &user.privileges {
        Privileges::Root => find(&USER_ROOT, "user.root", "it asks to be root".to_owned()),
        Privileges::Capabilities(asked) => {
            let wide = asked.iter().map(ToString::to_string).filter(|name| WIDE.contains(&name.as_str()));
            for name in wide {
                find(&USER_CAPABILITY, "user.capabilities", format!("it asks for `{name}`"));
            }
        }
    }
    if user.memory.is_none() {
        find(&USER_MEMORY, "user.memory", "it may take all memory".to_owned());
    }
}
