// SPDX-License-Identifier: Apache-2.0
//! `[mail]`: how the hub sends mail. Without it nobody is mailed.

use std::path::PathBuf;

use serde::Deserialize;

/// How the hub sends mail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// A server that takes mail (SMTP).
    pub server: String,
    /// Its port. 465 with `tls`, 587 with `starttls`, 25 with `none`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected. `starttls`.
    #[serde(default)]
    pub tls: MailTls,
    /// A file with certificates (PEM) by which the server is known, besides those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// By which name the hub logs in there. It does not, where there is none.
    #[serde(default)]
    pub user: Option<String>,
    /// The file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Who mail is from: `Example's packages <hub@example.org>`.
    pub from: String,
}

/// How a connection to a server of mail is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// From its beginning.
    Tls,
    /// Before anything is said; a server that cannot is told nothing.
    #[default]
    Starttls,
    /// Not at all: for a server on this machine. Nobody logs in over it.
    None,
}

impl MailConfig {
    /// The port of the server.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailTls::Tls => 465,
            MailTls::Starttls => 587,
            MailTls::None => 25,
        })
    }
}
