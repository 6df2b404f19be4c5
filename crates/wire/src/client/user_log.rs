// SPDX-License-Identifier: Apache-2.0
//! The calls about what user programs write.

use reqwest::Method;

use super::{CallError, Following, NodeClient};
use crate::{UserProgramLog, UserProgramName};

impl NodeClient {
    /// The last lines that a user program wrote.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn user_log(&self, name: &UserProgramName, lines: u32) -> Result<UserProgramLog, CallError> {
        self.answer(self.request(Method::GET, &path(name, &format!("lines={lines}")))).await
    }

    /// The same, and then what it writes from now on, until it runs no longer or the daemon ends.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn follow_user_log(
        &self,
        name: &UserProgramName,
        lines: u32,
    ) -> Result<Following<String>, CallError> {
        self.follow(self.request(Method::GET, &path(name, &format!("lines={lines}&follow=true")))).await
    }
}

/// A slash in the name is none in the path.
fn path(name: &UserProgramName, query: &str) -> String {
    let name = name.to_string().replace('/', "%2F");
    format!("/v1/user-programs/{name}/log?{query}")
}
