// SPDX-License-Identifier: Apache-2.0
//! The calls about what user programs write.

use reqwest::{Method, Response};

use super::{CallError, NodeClient};
use crate::text_events::TextEvents;
use crate::{UserProgramLog, UserProgramName};

/// What a program in user space writes, line by line, as it is written.
#[derive(Debug)]
pub struct UserLogLines {
    response: Response,
    events: TextEvents,
    node: NodeClient,
}

impl NodeClient {
    /// The last lines that a user program wrote.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn user_log(&self, name: &UserProgramName, lines: u32) -> Result<UserProgramLog, CallError> {
        self.answer(self.request(Method::GET, &path(name, &format!("lines={lines}")))).await
    }

    /// The same, and then what it writes from now on.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn follow_user_log(
        &self,
        name: &UserProgramName,
        lines: u32,
    ) -> Result<UserLogLines, CallError> {
        let path = path(name, &format!("lines={lines}&follow=true"));
        let response = self.response(self.request(Method::GET, &path)).await?;
        Ok(UserLogLines { response, events: TextEvents::default(), node: self.clone() })
    }
}

impl UserLogLines {
    /// The next line; none when the program runs no longer, or the daemon ends.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is not what a node sends.
    pub async fn next(&mut self) -> Result<Option<String>, CallError> {
        loop {
            if let Some(line) = self.events.next() {
                return Ok(Some(line));
            }
            let Some(piece) = self.response.chunk().await.map_err(|source| self.node.broken(source))? else {
                return Ok(None);
            };
            let garbled =
                |bad| CallError::Garbled { socket: self.node.socket.clone(), source: Box::new(bad) };
            self.events.take(&piece).map_err(garbled)?;
        }
    }
}

/// A slash in the name is none in the path.
fn path(name: &UserProgramName, query: &str) -> String {
    let name = name.to_string().replace('/', "%2F");
    format!("/v1/user-programs/{name}/log?{query}")
}
