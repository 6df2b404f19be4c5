// SPDX-License-Identifier: Apache-2.0
//! Which daemon a command talks to: the one of this machine, or one that answers over TCP.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use wire::{CallError, NodeClient, RemoteNode};

use crate::failure::Failure;

/// Where the daemon answers, and what is shown to it.
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    /// Unix socket of the daemon
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        default_value = "/run/l3af/l3afd.sock",
        env = "L3AF_SOCKET"
    )]
    pub(crate) socket: PathBuf,
    /// Daemon of another machine, such as `https://node7.example.org:7443`
    #[arg(long, global = true, value_name = "URL", env = "L3AF_NODE", help_heading = "Another machine")]
    pub(crate) node: Option<String>,
    /// Authorities that may have signed the certificate of that daemon (PEM) [default: those of this machine]
    #[arg(long, global = true, value_name = "FILE", env = "L3AF_TLS_CA", help_heading = "Another machine")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Certificate to show to it (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "L3AF_TLS_CERT", help_heading = "Another machine")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of that certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "L3AF_TLS_KEY", help_heading = "Another machine")]
    pub(crate) tls_key: Option<PathBuf>,
    /// File with a token of its issuer
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "L3AF_TOKEN_FILE",
        help_heading = "Another machine"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// Whether somebody said which daemon it is.
    #[arg(skip)]
    pub(crate) is_named: bool,
}

impl Daemon {
    /// A client for it.
    pub(crate) fn client(&self) -> Result<NodeClient, Failure> {
        let Some(url) = &self.node else { return Ok(NodeClient::new(&self.socket)?) };
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some([read(certificate)?, read(key)?].join(&b'\n')),
            (None, None) => None,
            (Some(_), None) => return Err(half("--tls-cert", "--tls-key")),
            (None, Some(_)) => return Err(half("--tls-key", "--tls-cert")),
        };
        let token = self.token_file.as_deref().map(read).transpose()?;
        let token = token.map(|token| String::from_utf8_lossy(&token).trim().to_owned());
        let roots = self.tls_ca.as_deref().map(read).transpose()?;
        let remote = RemoteNode { url: url.clone(), roots, identity, token };
        NodeClient::remote(&remote).map_err(|error: CallError| error.into())
    }

    /// The socket, for what can be done on this machine only.
    pub(crate) fn of_this_machine(&self, command: &str) -> Result<&Path, Failure> {
        if self.node.is_some() {
            let why =
                format!("`l3af {command}` is for this machine, and `--node` or `L3AF_NODE` names another");
            return Err(Failure::new(why).with_hint("`l3af stop --all` takes everything off another machine"));
        }
        Ok(&self.socket)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::new(format!("cannot read `{}`: {error}", path.display())))
}

fn half(given: &str, missing: &str) -> Failure {
    Failure::new(format!("`{given}` takes `{missing}` besides"))
}
