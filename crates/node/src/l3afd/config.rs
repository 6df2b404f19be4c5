// SPDX-License-Identifier: Apache-2.0
//! The configuration file of l3afd v1, `l3afd.cfg`: what of it means something here.
//!
//! The keys and their defaults are those of l3afd 2.x (`config/config.go`). Keys that configure what this daemon has in another way,
//! or does not need, are passed over, and named in the log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use wire::l3afd::{BadSettings, Repository, Settings, platform};

use crate::access::{BadExpression, NameRule};
use crate::config::{RemoteConfig, TlsVersion};

/// How often executables are asked whether they run, where nothing else is said.
pub(super) const POLL: Duration = Duration::from_secs(30);

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct L3afdConfig {
    /// The file.
    pub path: PathBuf,
    /// Where the number of the process is written; empty for nowhere.
    pub pid_file: PathBuf,
    /// Where executables of packages are told to log to; empty for nowhere.
    pub bpf_log_dir: String,
    /// The bpffs in which they look for maps.
    pub bpf_maps: PathBuf,
    /// Where artifacts come from, and who this host is.
    pub repository: Repository,
    /// The address of the API.
    pub api: SocketAddr,
    /// The address of metrics.
    pub metrics: SocketAddr,
    /// The address of the debug API.
    pub debug: Option<SocketAddr>,
    /// The file with what was asked for so far.
    pub store: Option<PathBuf>,
    /// Whether what the file has counts, and not what was asked of this daemon before: it takes over from a l3afd v1.
    pub takes_over: bool,
    /// How often executables are asked whether they run.
    pub poll: Duration,
    /// How many seconds rates and averages of metrics look back.
    pub samples: usize,
    /// The API with TLS, in place of without.
    pub remote: Option<RemoteConfig>,
    /// Whether the API tells what it is at `/swagger`.
    pub swagger: bool,
    /// Whether logs are JSON.
    pub json_logs: bool,
    /// The folder of versions of the daemon, with `latest` that leads to one of them.
    pub versions: PathBuf,
    /// Where versions are fetched from that are not there.
    pub releases: String,
    /// How long a successor has to come up.
    pub patience: Duration,
}

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum BadL3afdConfig {
    /// The file, or a value in it.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The API would be open to everybody.
    #[error(
        "the API at `{address}` would be served without TLS: set `enabled: true` in `[mtls]`, or an address of this machine \
         for `restapi-addr`, or an `environment` other than `PROD`"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
}

impl L3afdConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, a key is missing, or a value cannot be.
    pub fn read(path: &Path) -> Result<Self, BadL3afdConfig> {
        let settings = Settings::read(path)?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self::of(path, &settings, (platform(), host))
    }

    /// What is served without TLS: the API where it is, metrics, and what runs.
    pub(crate) fn open(&self) -> Vec<SocketAddr> {
        let api = self.remote.is_none().then_some(self.api);
        let mut open: Vec<SocketAddr> = api.into_iter().chain([self.metrics]).chain(self.debug).collect();
        open.dedup();
        open
    }

    fn of(
        path: &Path,
        settings: &Settings,
        (platform, host): (String, String),
    ) -> Result<Self, BadL3afdConfig> {
        let api = settings.address("l3af-configs", "restapi-addr", "localhost:53000")?;
        let has_tls = settings.is("mtls", "enabled", true)?;
        let is_production = settings.text("l3afd", "environment", "PROD") == "PROD";
        if !has_tls && is_production && !api.ip().is_loopback() {
            return Err(BadL3afdConfig::Open { address: api });
        }
        settings.needed("l3afd", "bpf-chaining-enabled")?;
        let chaining = settings.is("l3afd", "bpf-chaining-enabled", true)?;
        let debug = settings.address("ebpf-chain-debug", "addr", "localhost:8899")?;
        let store = settings.needed("l3af-config-store", "filename")?;
        Ok(Self {
            path: path.to_owned(),
            pid_file: settings.needed("l3afd", "pid-file")?.into(),
            bpf_log_dir: settings.text("l3afd", "bpf-log-dir", ""),
            bpf_maps: settings.needed("l3afd", "BpfMapDefaultPath")?.into(),
            repository: Repository { url: settings.needed("ebpf-repo", "url")?, platform, host, chaining },
            api,
            metrics: settings.address("web", "metrics-addr", "localhost:8898")?,
            debug: settings.is("ebpf-chain-debug", "enabled", false)?.then_some(debug),
            store: (!store.is_empty()).then(|| store.into()),
            takes_over: false,
            poll: settings.duration("web", "ebpf-poll-interval", POLL)?,
            samples: settings.number("web", "n-metric-samples", 20)?.max(1),
            remote: if has_tls { Some(remote(settings, api)?) } else { None },
            swagger: settings.is("l3afd", "swagger-api-enabled", false)?,
            json_logs: settings.is("l3afd", "json-format-logs", false)?,
            versions: settings.text("graceful-restart", "basepath", "/usr/local/l3afd").into(),
            releases: settings.text("graceful-restart", "restart-artifacts-url", "file:///srv/l3afd"),
            patience: Duration::from_secs(settings.number("graceful-restart", "time-to-restart", 7)? as u64),
        })
    }
}

/// The API with TLS.
fn remote(settings: &Settings, listen: SocketAddr) -> Result<RemoteConfig, BadSettings> {
    let folder = PathBuf::from(settings.text("mtls", "cert-dir", ""));
    // The documentation of old spells the key in another way than its code.
    let certificate =
        settings.get("mtls", "server-cert-filename").or_else(|| settings.get("mtls", "server-crt-filename"));
    let rules = settings.text("mtls", "san-match-rules", "");
    let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty());
    let client_names = rules.map(name_rule).collect::<Result<Vec<_>, _>>()?;
    let version = settings.get("mtls", "min-tls-version").or_else(|| settings.get("mTLS", "min-tls-version"));
    let min_tls = match version.as_deref() {
        Some("TLS_1.2" | "1.2" | "TLS_1_2") => TlsVersion::Tls12,
        Some(_) | None => TlsVersion::Tls13,
    };
    Ok(RemoteConfig {
        client_roots: Some(folder.join(settings.text("mtls", "cacert-filename", "ca.pem"))),
        client_names,
        min_tls,
        warn_days: settings.number("mtls", "cert-expiry-warning-days", 30)?.try_into().unwrap_or(30),
        listen,
        certificate: Some(folder.join(certificate.unwrap_or_else(|| "server.crt".to_owned()))),
        key: Some(folder.join(settings.text("mtls", "server-key-filename", "server.key"))),
        oidc: None,
    })
}

/// A rule is the name of a host, or else an expression that is found anywhere in one.
fn name_rule(rule: &str) -> Result<NameRule, BadSettings> {
    let is_host = rule.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    let spelled = if is_host { rule.to_lowercase() } else { format!("regex:.*({rule}).*") };
    NameRule::try_from(spelled).map_err(|error: BadExpression| BadSettings::Value {
        section: "mtls",
        key: "san-match-rules",
        value: rule.to_owned(),
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
[DEFAULT]
base: /var/l3afd
[l3afd]
pid-file: %(base)s/l3afd.pid   # written at start
datacenter: dummy
bpf-dir: /dev/shm
BpfMapDefaultPath: /sys/fs/bpf
bpf-chaining-enabled: true
environment: DEV
[ebpf-repo]
url: file:///srv/l3afd
[web]
metrics-addr: 0.0.0.0:8898
[l3af-configs]
restapi-addr: 0.0.0.0:7080
[l3af-config-store]
filename: %(base)s/l3af-config.json
[mtls]
enabled: false
";

    fn read(text: &str) -> Result<L3afdConfig, BadL3afdConfig> {
        let settings = Settings::parse(text).unwrap();
        L3afdConfig::of(Path::new("l3afd.cfg"), &settings, ("noble".to_owned(), "h".to_owned()))
    }

    #[test]
    fn a_file_of_old_is_understood() {
        let config = read(FILE).unwrap();
        assert_eq!(config.pid_file, Path::new("/var/l3afd/l3afd.pid"));
        assert_eq!(config.store.as_deref(), Some(Path::new("/var/l3afd/l3af-config.json")));
        assert_eq!((config.api.port(), config.metrics.port(), config.debug), (7080, 8898, None));
        assert!(config.repository.chaining && config.remote.is_none());
    }

    #[test]
    fn an_api_for_everybody_is_served_in_no_production() {
        assert!(matches!(read(&FILE.replace("DEV", "PROD")), Err(BadL3afdConfig::Open { .. })));
        let local = FILE.replace("DEV", "PROD").replace("0.0.0.0:7080", "127.0.0.1:7080");
        assert!(read(&local).is_ok());
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        let told = read(&FILE.replace("pid-file", "pid")).unwrap_err().to_string();
        assert_eq!(told, "`pid-file` of the section `[l3afd]` is missing");
        let told = read(&FILE.replace("enabled: false", "enabled: perhaps")).unwrap_err().to_string();
        assert_eq!(told, "`enabled` of the section `[mtls]` is `perhaps`: it must be `true` or `false`");
    }

    #[test]
    fn tls_is_the_default_and_names_follow_their_rules() {
        let text =
            FILE.replace("enabled: false", "cert-dir: /etc/l3afd\nsan-match-rules: a.example.org, .*-ops");
        let remote = read(&text).unwrap().remote.unwrap();
        assert_eq!(remote.certificate.as_deref(), Some(Path::new("/etc/l3afd/server.crt")));
        let admits = |name: &str| remote.client_names.iter().any(|rule| rule.admits(name));
        assert_eq!(["a.example.org", "b.example.org", "x-ops.net"].map(admits), [true, false, true]);
    }
}
