// SPDX-License-Identifier: Apache-2.0
//! The configuration file of l3afd v1, `l3afd.cfg`: what of it means something here.
//!
//! The keys and their defaults are those of l3afd 2.x (`config/config.go`). Keys that configure what this daemon has in another way,
//! or does not need, are passed over, and named in the log.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use configparser::ini::Ini;
use thiserror::Error;
use wire::l3afd::Repository;

use crate::access::{BadExpression, NameRule};
use crate::config::{RemoteConfig, TlsVersion};

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
    /// How many seconds rates and averages of metrics look back.
    pub samples: usize,
    /// The API with TLS, in place of without.
    pub remote: Option<RemoteConfig>,
    /// Whether logs are JSON.
    pub json_logs: bool,
    /// The folder of versions of the daemon, with `latest` that leads to one of them.
    pub versions: PathBuf,
    /// How long a successor has to come up.
    pub patience: Duration,
}

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum BadL3afdConfig {
    /// It is no such file.
    #[error("it cannot be read: {problem}")]
    Syntax {
        /// What is wrong.
        problem: String,
    },
    /// A key is missing.
    #[error("`{key}` of the section `[{section}]` is missing")]
    Missing {
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value cannot be.
    #[error("`{key}` of the section `[{section}]` is `{value}`: {problem}")]
    Value {
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
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

/// The values of the file.
struct Values(BTreeMap<String, BTreeMap<String, Option<String>>>);

impl L3afdConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, a key is missing, or a value cannot be.
    pub fn read(path: &Path) -> Result<Self, BadL3afdConfig> {
        let syntax = |problem: String| BadL3afdConfig::Syntax { problem };
        let text = fs::read_to_string(path).map_err(|error| syntax(error.to_string()))?;
        let values = Values::parse(&text).map_err(syntax)?;
        let platform = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self::of(path, &values, (codename(&platform), host))
    }

    /// What is served without TLS: the API where it is, metrics, and what runs.
    pub(crate) fn open(&self) -> Vec<SocketAddr> {
        let api = self.remote.is_none().then_some(self.api);
        let mut open: Vec<SocketAddr> = api.into_iter().chain([self.metrics]).chain(self.debug).collect();
        open.dedup();
        open
    }

    fn of(path: &Path, values: &Values, (platform, host): (String, String)) -> Result<Self, BadL3afdConfig> {
        let api = values.address("l3af-configs", "restapi-addr", "localhost:53000")?;
        let has_tls = values.is("mtls", "enabled", true)?;
        let is_production = values.text("l3afd", "environment", "PROD") == "PROD";
        if !has_tls && is_production && !api.ip().is_loopback() {
            return Err(BadL3afdConfig::Open { address: api });
        }
        let debug = values.address("ebpf-chain-debug", "addr", "localhost:8899")?;
        let store = values.needed("l3af-config-store", "filename")?;
        Ok(Self {
            path: path.to_owned(),
            pid_file: values.needed("l3afd", "pid-file")?.into(),
            bpf_log_dir: values.text("l3afd", "bpf-log-dir", ""),
            bpf_maps: values.needed("l3afd", "BpfMapDefaultPath")?.into(),
            repository: Repository {
                url: values.needed("ebpf-repo", "url")?,
                platform,
                host,
                chaining: values
                    .needed("l3afd", "bpf-chaining-enabled")
                    .and_then(|_| values.is("l3afd", "bpf-chaining-enabled", true))?,
            },
            api,
            metrics: values.address("web", "metrics-addr", "localhost:8898")?,
            debug: values.is("ebpf-chain-debug", "enabled", false)?.then_some(debug),
            store: (!store.is_empty()).then(|| store.into()),
            samples: values.number("web", "n-metric-samples", 20)?.max(1),
            remote: if has_tls { Some(values.remote(api)?) } else { None },
            json_logs: values.is("l3afd", "json-format-logs", false)?,
            versions: values.text("graceful-restart", "basepath", "/usr/local/l3afd").into(),
            patience: Duration::from_secs(values.number("graceful-restart", "time-to-restart", 7)? as u64),
        })
    }
}

impl Values {
    /// Sections and keys mind their case, `:` and `=` part a key from its value, `#` and `;` begin comments.
    fn parse(text: &str) -> Result<Self, String> {
        let mut ini = Ini::new_cs();
        ini.set_default_section("DEFAULT");
        ini.set_inline_comment_symbols(Some(&['#', ';']));
        let read = ini.read(text.to_owned())?;
        Ok(Self(read.into_iter().map(|(section, values)| (section, values.into_iter().collect())).collect()))
    }

    /// A value, where there is one: of its section, or of `[DEFAULT]`, with others put in for `%(name)s` and `${NAME}`.
    fn get(&self, section: &str, key: &str) -> Option<String> {
        let raw = self.raw(section, key)?;
        let mut text = raw.clone();
        // A value that names itself would never end.
        for _ in 0..16 {
            let Some((before, rest)) = text.split_once("%(") else { break };
            let Some((name, after)) = rest.split_once(")s") else { break };
            text = format!("{before}{}{after}", self.raw(section, name).unwrap_or_default());
        }
        Some(text)
    }

    fn raw(&self, section: &str, key: &str) -> Option<String> {
        let value = |section: &str| self.0.get(section)?.get(key).cloned();
        value(section).or_else(|| value("DEFAULT")).map(Option::unwrap_or_default)
    }

    fn text(&self, section: &str, key: &str, default: &str) -> String {
        self.get(section, key).unwrap_or_else(|| default.to_owned())
    }

    fn needed(&self, section: &'static str, key: &'static str) -> Result<String, BadL3afdConfig> {
        self.get(section, key).ok_or(BadL3afdConfig::Missing { section, key })
    }

    fn is(&self, section: &'static str, key: &'static str, default: bool) -> Result<bool, BadL3afdConfig> {
        let Some(value) = self.get(section, key) else { return Ok(default) };
        match value.to_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(true),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(false),
            _ => {
                let problem = "it must be `true` or `false`".to_owned();
                Err(BadL3afdConfig::Value { section, key, value, problem })
            }
        }
    }

    fn number(
        &self,
        section: &'static str,
        key: &'static str,
        default: usize,
    ) -> Result<usize, BadL3afdConfig> {
        let Some(value) = self.get(section, key) else { return Ok(default) };
        let bad = |problem: std::num::ParseIntError| BadL3afdConfig::Value {
            section,
            key,
            value: value.clone(),
            problem: problem.to_string(),
        };
        value.parse().map_err(bad)
    }

    fn address(
        &self,
        section: &'static str,
        key: &'static str,
        default: &str,
    ) -> Result<SocketAddr, BadL3afdConfig> {
        let value = self.text(section, key, default);
        let bad = |problem: String| BadL3afdConfig::Value { section, key, value: value.clone(), problem };
        // Go listens at all addresses where none is named.
        let spelled = if value.starts_with(':') { format!("0.0.0.0{value}") } else { value.clone() };
        let mut found = spelled.to_socket_addrs().map_err(|error| bad(error.to_string()))?;
        let first = found.next().ok_or_else(|| bad("it is no address".to_owned()))?;
        // A name may stand for several; the first of IPv4 is what callers of old use.
        Ok(spelled.to_socket_addrs().into_iter().flatten().find(SocketAddr::is_ipv4).unwrap_or(first))
    }

    fn remote(&self, listen: SocketAddr) -> Result<RemoteConfig, BadL3afdConfig> {
        let folder = PathBuf::from(self.text("mtls", "cert-dir", ""));
        // The documentation of old spells the key in another way than its code.
        let certificate =
            self.get("mtls", "server-cert-filename").or_else(|| self.get("mtls", "server-crt-filename"));
        let rules = self.text("mtls", "san-match-rules", "");
        let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty());
        let client_names = rules.map(name_rule).collect::<Result<Vec<_>, _>>()?;
        let version = self.get("mtls", "min-tls-version").or_else(|| self.get("mTLS", "min-tls-version"));
        let min_tls = match version.as_deref() {
            Some("TLS_1.2" | "1.2" | "TLS_1_2") => TlsVersion::Tls12,
            Some(_) | None => TlsVersion::Tls13,
        };
        Ok(RemoteConfig {
            client_roots: Some(folder.join(self.text("mtls", "cacert-filename", "ca.pem"))),
            client_names,
            min_tls,
            warn_days: self.number("mtls", "cert-expiry-warning-days", 30)?.try_into().unwrap_or(30),
            listen,
            certificate: Some(folder.join(certificate.unwrap_or_else(|| "server.crt".to_owned()))),
            key: Some(folder.join(self.text("mtls", "server-key-filename", "server.key"))),
            oidc: None,
        })
    }
}

/// A rule is the name of a host, or else an expression that is found anywhere in one.
fn name_rule(rule: &str) -> Result<NameRule, BadL3afdConfig> {
    let is_host = rule.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    let spelled = if is_host { rule.to_lowercase() } else { format!("regex:.*({rule}).*") };
    NameRule::try_from(spelled).map_err(|error: BadExpression| BadL3afdConfig::Value {
        section: "mtls",
        key: "san-match-rules",
        value: rule.to_owned(),
        problem: error.to_string(),
    })
}

/// The name of a release, as `lsb_release -cs` tells it.
fn codename(os_release: &str) -> String {
    let values: BTreeMap<&str, &str> = os_release.lines().filter_map(|line| line.split_once('=')).collect();
    let value = values.get("VERSION_CODENAME").or_else(|| values.get("UBUNTU_CODENAME"));
    value.map_or_else(|| "n/a".to_owned(), |value| value.trim_matches('"').to_owned())
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
        let values = Values::parse(text).map_err(|problem| BadL3afdConfig::Syntax { problem })?;
        L3afdConfig::of(Path::new("l3afd.cfg"), &values, ("noble".to_owned(), "h".to_owned()))
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

    #[test]
    fn a_release_is_known_by_its_name() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=bookworm\n"), "bookworm");
        assert_eq!(codename(""), "n/a");
    }
}
