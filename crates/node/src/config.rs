// SPDX-License-Identifier: Apache-2.0
//! The daemon's configuration: one file, read once, with flags over it.

mod access;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Parser;
use package::{CpuShare, MemorySize, Size};
use serde::Deserialize;
use thiserror::Error;
use wire::{BadCredentials, Collector, Credentials};

use crate::LogForm;
use crate::l3afd::{BadL3afdConfig, L3afdConfig};

pub use self::access::{AccessConfig, BadRemote, LimitsConfig, OidcConfig, RemoteConfig, TlsVersion};

/// Keeps the eBPF programs of this machine as a desired state says.
///
/// Packages are verified against the policy before anything of them is loaded; without a policy nothing verifies.
/// Programs keep running while the daemon is down, and are adopted when it comes back.
#[derive(Debug, Parser)]
#[command(name = "l3afd", version, after_help = HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub struct Arguments {
    /// Configuration file (TOML); every key has a default. An `l3afd.cfg` is one of l3afd v1: docs/l3afd-v1.md
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Unix socket of the API
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Folder of generations and packages
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Folder of pins, in a bpffs; one is mounted where there is none
    #[arg(long, value_name = "DIR")]
    pub pins: Option<PathBuf>,
    /// Trust policy: which publishers this machine trusts, for what
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Logins for registries, as `docker login` writes them
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE")]
    pub logins: Option<PathBuf>,
    /// Take off all programs that are pinned, say which, and end; for when no daemon runs
    #[arg(long)]
    pub detach: bool,
    /// End the l3afd v1 whose number is in its `pid-file`, and take over its hooks, with no packet lost: docs/l3afd-v1.md
    #[arg(long, conflicts_with = "detach")]
    pub take_over: bool,
    /// End the daemon, and take everything off, for a l3afd v1 to deploy what its store file has: docs/l3afd-v1.md
    #[arg(long, conflicts_with_all = ["detach", "take_over"])]
    pub give_back: bool,
    /// Apply nothing and repair nothing, and answer what is asked; so does `l3af.safe=1` on the kernel's command line
    #[arg(long)]
    pub safe: bool,
    /// Watch over a generation on trial, as the daemon has itself watched
    #[arg(long, hide = true)]
    pub watchdog: bool,
    /// What systemd says of where stderr leads, from the environment
    #[arg(long, hide = true, env = "JOURNAL_STREAM")]
    pub journal_stream: Option<String>,
}

const HELP: &str = "\
Configuration keys and their defaults:
  socket = \"/run/l3af/l3afd.sock\"   unix socket of the API, mode 0600
  socket_group = none               a group whose members may connect as well
  state  = \"/var/lib/l3af\"          generations, packages, verifier logs
  pins   = \"/sys/fs/bpf/l3af\"       pinned programs, maps and links
  policy = \"/etc/l3af/trust.toml\"   no file: nothing verifies
  logins = \"~/.docker/config.json\"  for registries, as `docker login` writes them
  poll_seconds = 2                  how often the kernel is compared with the desired state
  document = none                   file with the desired state; then nobody else may change it
  store_max = \"2GiB\"               how much room packages may take in the folder of state
  log = \"text\"                      or \"json\", or \"journald\"; left out: journald where stderr leads to it
  commands = {}                     for health checks: NAME = [\"/path/of/program\", \"argument\"]
  [user_programs]                   what packages run in user space
  memory = \"64MiB\"                the most memory of each; left out: what it asks for
  cpu = 50                          the most percent of a core of each; left out: what it asks for
  failures = 10                     one that ends so often ...
  window_seconds = 600              ... within this time is given up for as long
  [otlp]                            left out: metrics are sent nowhere
  endpoint = \"http://collector:4318\"   a collector of OpenTelemetry (OTLP over HTTP)
  seconds = 30                      how often
  [remote]                          the API over TCP, always with TLS: docs/access.md
  listen = \"0.0.0.0:7443\"           left out: nothing is served over TCP
  certificate, key                  PEM files; read again when they change, and at SIGHUP
  client_roots                      authorities (PEM) that sign certificates of clients
  client_names = []                 names that they must bear; \"regex:...\" for expressions
  min_tls = \"1.3\"                   or \"1.2\"
  warn_days = 30                    before a certificate expires
  [remote.oidc]                     whose tokens count
  issuer, audience, roots           a URL, a text, a PEM file
  name_claim = \"sub\", groups_claim = \"groups\"
  [access]
  policies = []                     files of Cedar policies
  admin = [], read_only = []        who has these roles, such as \"user:alice\", \"group:wheel\"
  audit = none                      a file with a line of JSON for each change
  [limits]                          what callers may ask for
  body = \"4MiB\"                     of what a call brings
  connections = 256                 at a time
  changes_per_minute = 60           of each caller but root
  handshake_seconds = 10
  read_seconds = 30                 for the head of a call, and each pause in its body

Examples:
  l3afd --policy ./trust.toml         try it with a policy of your own
  RUST_LOG=debug l3afd                tell more; logs go to stderr";

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Unix socket of the API. Default `/run/l3af/l3afd.sock`.
    pub socket: PathBuf,
    /// A group whose members may connect to the socket as well; then its mode is 0660. Default none.
    pub socket_group: Option<String>,
    /// Folder of generations, packages and verifier logs. Default `/var/lib/l3af`.
    pub state: PathBuf,
    /// Folder of pins. Default `/sys/fs/bpf/l3af`.
    pub pins: PathBuf,
    /// Trust policy. Default `/etc/l3af/trust.toml`; when there is no such file nothing verifies.
    pub policy: PathBuf,
    /// Logins for registries, as `docker login` writes them. Default `~/.docker/config.json`, if there is such a file.
    pub logins: Option<PathBuf>,
    /// Seconds between two comparisons of the kernel with the desired state. Default 2.
    pub poll_seconds: u64,
    /// A file with the desired state (TOML), which is applied when it changes. Default none: callers of the API say what is
    /// desired.
    pub document: Option<PathBuf>,
    /// How much room packages may take in the folder of state. Default `2GiB`.
    pub store_max: Size,
    /// In which form the daemon logs. Default none: journald where stderr leads to the journal, else text.
    pub log: Option<LogForm>,
    /// What health checks of documents may run, by name: a program and its arguments. Default none.
    pub commands: BTreeMap<String, Vec<String>>,
    /// Where metrics are sent. Default none: whoever wants them asks.
    pub otlp: Option<OtlpConfig>,
    /// The programs that packages run in user space.
    pub user_programs: UserProgramsConfig,
    /// The API over TCP. Default none.
    pub remote: Option<RemoteConfig>,
    /// Who may do what.
    pub access: AccessConfig,
    /// How much callers may ask for.
    pub limits: LimitsConfig,
    /// What is served for callers of l3afd v1. It is no key: it comes from a file of its own kind.
    #[serde(skip)]
    pub l3afd: Option<L3afdConfig>,
    /// Whether nothing is applied. It is no key: a file would stay.
    #[serde(skip)]
    pub safe: bool,
}

/// How programs that packages run in user space are bounded, and when they are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserProgramsConfig {
    /// The most memory of each, whatever it asks for. Default none: what it asks for.
    pub memory: Option<MemorySize>,
    /// The most time of processors of each, whatever it asks for. Default none: what it asks for.
    pub cpu: Option<CpuShare>,
    /// How often one may end within the window before it is given up. Default 10.
    pub failures: NonZeroU32,
    /// The window, and for how long one is given up, in seconds. Default 600.
    pub window_seconds: NonZeroU32,
}

/// A collector of metrics.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Where it is, for instance `http://collector:4318`; what is sent goes to `v1/metrics` below it (OTLP over HTTP).
    pub endpoint: String,
    /// How often metrics are sent, in seconds. Default 30.
    #[serde(default = "half_a_minute")]
    pub seconds: NonZeroU32,
}

fn half_a_minute() -> NonZeroU32 {
    const { NonZeroU32::new(30).unwrap() }
}

/// The configuration cannot be used.
#[derive(Debug, Error)]
pub enum BadConfig {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("the configuration `{}` is not valid", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: toml::de::Error,
    },
    /// The file of l3afd v1 is not what it should be.
    #[error("the configuration `{}` of l3afd v1 cannot be used", path.display())]
    L3afd {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: BadL3afdConfig,
    },
    /// The collector cannot be one.
    #[error("`endpoint` of `[otlp]` in the configuration cannot be used")]
    Endpoint(#[source] wire::BadEndpoint),
    /// Never is no period.
    #[error("`poll_seconds` in the configuration must be at least 1")]
    NoPeriod,
    /// The API cannot be served over TCP like that.
    #[error(transparent)]
    Remote(#[from] BadRemote),
}

impl Default for UserProgramsConfig {
    fn default() -> Self {
        let (failures, window_seconds) =
            (const { NonZeroU32::new(10).unwrap() }, const { NonZeroU32::new(600).unwrap() });
        Self { memory: None, cpu: None, failures, window_seconds }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: "/run/l3af/l3afd.sock".into(),
            socket_group: None,
            state: "/var/lib/l3af".into(),
            pins: "/sys/fs/bpf/l3af".into(),
            policy: "/etc/l3af/trust.toml".into(),
            logins: usual_logins().filter(|file| file.exists()),
            poll_seconds: 2,
            document: None,
            store_max: Size::of(2 << 30),
            log: None,
            commands: BTreeMap::new(),
            otlp: None,
            user_programs: UserProgramsConfig::default(),
            remote: None,
            access: AccessConfig::default(),
            limits: LimitsConfig::default(),
            l3afd: None,
            safe: false,
        }
    }
}

/// Whether whoever started the machine asked for nothing to be applied.
fn is_told_by_kernel() -> bool {
    // Without a command line nobody asked.
    let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    line.split_ascii_whitespace().any(|word| word == "l3af.safe=1")
}

/// Where `docker login` writes logins.
fn usual_logins() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".docker/config.json"))
}

impl Config {
    /// The logins for registries.
    ///
    /// # Errors
    /// When the file with them cannot be used.
    pub fn credentials(&self) -> Result<Credentials, BadCredentials> {
        self.logins.as_deref().map_or_else(|| Ok(Credentials::default()), Credentials::read)
    }

    /// The collector of metrics, where there is one.
    ///
    /// # Errors
    /// When its endpoint is none.
    pub fn collector(&self) -> Result<Option<Collector>, BadConfig> {
        let collector = self.otlp.as_ref().map(|otlp| Collector::new(&otlp.endpoint));
        collector.transpose().map_err(BadConfig::Endpoint)
    }

    /// Reads the file that the arguments name, and lays the flags over it.
    ///
    /// # Errors
    /// When the file cannot be read or has unknown keys or values.
    pub fn read(arguments: Arguments) -> Result<Self, BadConfig> {
        let mut config = match &arguments.config {
            Some(path) => Self::from_file(path)?,
            None => Self::default(),
        };
        let flags = [
            (arguments.socket, &mut config.socket),
            (arguments.state, &mut config.state),
            (arguments.pins, &mut config.pins),
            (arguments.policy, &mut config.policy),
        ];
        for (flag, value) in flags {
            if let Some(flag) = flag {
                *value = flag;
            }
        }
        if arguments.logins.is_some() {
            config.logins = arguments.logins;
        }
        config.safe = arguments.safe || is_told_by_kernel();
        if let Some(l3afd) = &mut config.l3afd {
            l3afd.takes_over = arguments.take_over;
        }
        config.collector()?;
        if config.poll_seconds == 0 {
            return Err(BadConfig::NoPeriod);
        }
        config.remote.as_ref().map_or(Ok(()), RemoteConfig::check)?;
        Ok(config)
    }

    fn from_file(path: &Path) -> Result<Self, BadConfig> {
        if path.extension().is_some_and(|extension| extension == "cfg") {
            let l3afd = L3afdConfig::read(path)
                .map_err(|source| BadConfig::L3afd { path: path.to_owned(), source })?;
            let log = l3afd.json_logs.then_some(LogForm::Json);
            return Ok(Self { log, remote: l3afd.remote.clone(), l3afd: Some(l3afd), ..Self::default() });
        }
        let text = fs::read_to_string(path)
            .map_err(|source| BadConfig::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|source| BadConfig::Invalid { path: path.to_owned(), source })
    }
}
