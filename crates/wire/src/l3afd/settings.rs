// SPDX-License-Identifier: Apache-2.0
//! The configuration file of l3afd v1, `l3afd.cfg`: sections, keys and values, as `robfig/config` reads them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use configparser::ini::Ini;
use jiff::SignedDuration;
use thiserror::Error;

/// The values of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, BTreeMap<String, Option<String>>>);

/// A file, or a value in it, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadSettings {
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
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self, BadSettings> {
        let text = fs::read_to_string(path);
        text.map_err(|error| error.to_string())
            .and_then(|text| Self::parse(&text))
            .map_err(|problem| BadSettings::Syntax { problem })
    }

    /// Sections and keys mind their case, `:` and `=` part a key from its value, `#` and `;` begin comments.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ini = Ini::new_cs();
        ini.set_default_section("DEFAULT");
        ini.set_inline_comment_symbols(Some(&['#', ';']));
        let read = ini.read(text.to_owned())?;
        Ok(Self(read.into_iter().map(|(section, values)| (section, values.into_iter().collect())).collect()))
    }

    /// A value, where there is one: of its section, or of `[DEFAULT]`, with others put in for `%(name)s` and `${NAME}`.
    pub fn get(&self, section: &str, key: &str) -> Option<String> {
        let raw = self.raw(section, key)?;
        let mut text = raw.clone();
        // A value that names itself would never end.
        for _ in 0..16 {
            let Some((before, rest)) = text.split_once("%(") else { break };
            let Some((name, after)) = rest.split_once(")s") else { break };
            text = format!("{before}{}{after}", self.raw(section, name).unwrap_or_default());
        }
        Some(with_variables(&text))
    }

    fn raw(&self, section: &str, key: &str) -> Option<String> {
        let value = |section: &str| self.0.get(section)?.get(key).cloned();
        value(section).or_else(|| value("DEFAULT")).map(Option::unwrap_or_default)
    }

    /// The value, or what counts where there is none.
    pub fn text(&self, section: &str, key: &str, default: &str) -> String {
        self.get(section, key).unwrap_or_else(|| default.to_owned())
    }

    /// The value.
    ///
    /// # Errors
    /// When there is none.
    pub fn needed(&self, section: &'static str, key: &'static str) -> Result<String, BadSettings> {
        self.get(section, key).ok_or(BadSettings::Missing { section, key })
    }

    /// A truth value.
    ///
    /// # Errors
    /// When it is none.
    pub fn is(&self, section: &'static str, key: &'static str, default: bool) -> Result<bool, BadSettings> {
        let Some(value) = self.get(section, key) else { return Ok(default) };
        match value.to_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(true),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(false),
            _ => {
                let problem = "it must be `true` or `false`".to_owned();
                Err(BadSettings::Value { section, key, value, problem })
            }
        }
    }

    /// A number.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(
        &self,
        section: &'static str,
        key: &'static str,
        default: usize,
    ) -> Result<usize, BadSettings> {
        let Some(value) = self.get(section, key) else { return Ok(default) };
        let bad = |problem: std::num::ParseIntError| BadSettings::Value {
            section,
            key,
            value: value.clone(),
            problem: problem.to_string(),
        };
        value.parse().map_err(bad)
    }

    /// A time span as Go spells it, such as `1m30s`; not 0.
    ///
    /// # Errors
    /// When it is none.
    pub fn duration(
        &self,
        section: &'static str,
        key: &'static str,
        default: Duration,
    ) -> Result<Duration, BadSettings> {
        let Some(value) = self.get(section, key) else { return Ok(default) };
        let span = value.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        span.filter(|span| !span.is_zero()).ok_or_else(|| BadSettings::Value {
            section,
            key,
            value,
            problem: "it must be a time span above 0, such as `30s`".to_owned(),
        })
    }

    /// An address to listen at.
    ///
    /// # Errors
    /// When it is none.
    pub fn address(
        &self,
        section: &'static str,
        key: &'static str,
        default: &str,
    ) -> Result<SocketAddr, BadSettings> {
        let value = self.text(section, key, default);
        let bad = |problem: String| BadSettings::Value { section, key, value: value.clone(), problem };
        // Go listens at all addresses where none is named.
        let spelled = if value.starts_with(':') { format!("0.0.0.0{value}") } else { value.clone() };
        let found: Vec<SocketAddr> =
            spelled.to_socket_addrs().map_err(|error| bad(error.to_string()))?.collect();
        // A name may stand for several; the first of IPv4 is what callers of old use.
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
        first.copied().ok_or_else(|| bad("it is no address".to_owned()))
    }
}

/// The text with the values of variables of the environment in place of `${NAME}`; one that is not set is empty.
#[expect(clippy::disallowed_methods, reason = "the configuration says which variables it is made of")]
fn with_variables(text: &str) -> String {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, after)) => whole.extend([&env::var(name).unwrap_or_default(), after]),
            None => whole.extend(["${", part]),
        }
    }
    whole
}

/// What repositories of l3afd v1 call this machine: the name of its release, as `lsb_release -cs` tells it.
pub fn platform() -> String {
    codename(&fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn codename(os_release: &str) -> String {
    let values: BTreeMap<&str, &str> = os_release.lines().filter_map(|line| line.split_once('=')).collect();
    let value = values.get("VERSION_CODENAME").or_else(|| values.get("UBUNTU_CODENAME"));
    value.map_or_else(|| "n/a".to_owned(), |value| value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_known_by_its_name() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=bookworm\n"), "bookworm");
        assert_eq!(codename(""), "n/a");
    }

    #[test]
    fn values_are_found_as_in_files_of_old() {
        let text =
            "[DEFAULT]\nbase: /var\n[a]\nfile: %(base)s/x ; a comment\nKey = yes\nself: %(self)s\n[b]\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.get("a", "file").as_deref(), Some("/var/x"));
        assert_eq!(settings.get("b", "base").as_deref(), Some("/var"));
        assert_eq!((settings.get("a", "key"), settings.is("a", "Key", false)), (None, Ok(true)));
        assert!(settings.get("a", "self").is_some());
        assert!(settings.number("a", "Key", 1).is_err());
        let text = "[a]\nhome: ${PATH}:${NO_SUCH_VARIABLE}/x${\nlong: 1m30s\nnone: 0s\nbad: 30\n";
        let settings = Settings::parse(text).unwrap();
        let home = settings.get("a", "home").unwrap();
        assert!(home.starts_with('/') && home.ends_with(":/x${"), "{home}");
        let told = ["long", "other", "none", "bad"]
            .map(|key| settings.duration("a", key, Duration::from_secs(30)).map(|span| span.as_secs()).ok());
        assert_eq!(told, [Some(90), Some(30), None, None]);
    }
}
