// SPDX-License-Identifier: Apache-2.0
//! What can be measured of a node, as it is, and in the text format of `OpenMetrics` 1.0.
//!
//! All of it is asked of the kernel and the engine at the moment of the question; nothing is counted here.

use std::collections::BTreeMap;
use std::fmt;

use plan::Hook;
use wire::{ChainView, Count, MemberView, TrustMode, UserProgramState, UserProgramView};

use crate::access::CertificateEnd;
use crate::engine::Tally;

/// What the answer of `/metrics` is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// When the certificates of the API end; nothing where it has none.
pub(crate) fn certificates(ends: &[CertificateEnd]) -> Option<Family> {
    let samples = ends.iter().map(|CertificateEnd { file, is_own, at }| {
        let whose = if *is_own { "node" } else { "client-root" };
        let labels = vec![("certificate", whose.to_owned()), ("file", file.display().to_string())];
        // Before 1970 none was made.
        (labels, u64::try_from(at.as_second()).unwrap_or_default())
    });
    let help = "When a certificate of the API ends, in seconds since 1970";
    let name = "l3af_certificate_not_after_seconds";
    (!ends.is_empty()).then(|| Family::new(name, Kind::Gauge, help, samples.collect()).of("seconds"))
}

/// One moment of a node.
pub(crate) struct Metrics<'a> {
    pub(crate) mode: TrustMode,
    pub(crate) alarms: usize,
    /// Seconds since somebody looked for what is revoked.
    pub(crate) knowledge_age: Option<i64>,
    pub(crate) generation: u64,
    /// Bytes that the store has, and that it may have.
    pub(crate) store_bytes: [u64; 2],
    pub(crate) chains: &'a [ChainView],
    /// What was done since the daemon started.
    pub(crate) tally: &'a Tally,
    pub(crate) user_programs: &'a [UserProgramView],
}

/// One metric, with all its samples.
pub(crate) struct Family {
    /// Its name. That of a counter ends with `_total` where it has a value.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) unit: Option<&'static str>,
    pub(crate) help: &'static str,
    pub(crate) samples: Vec<(Vec<Label>, u64)>,
}

/// A label and its value.
type Label = (&'static str, String);

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    StateSet,
}

/// Metrics in the text format, with those of maps behind them.
pub(crate) fn text(families: &[Family], of_maps: &str) -> String {
    let families = families.iter().map(ToString::to_string);
    families.chain([of_maps.to_owned(), "# EOF\n".to_owned()]).collect()
}

impl Metrics<'_> {
    /// All metrics, in the order in which they are told.
    pub(crate) fn families(&self) -> Vec<Family> {
        let modes = [TrustMode::Trusted, TrustMode::Normal]
            .map(|mode| (vec![("l3af_trust_mode", mode.to_string())], u64::from(mode == self.mode)));
        let alarms = u64::try_from(self.alarms).unwrap_or(u64::MAX);
        let [repairs, changes] = [&self.tally.repairs, &self.tally.changes].map(of_hooks);
        let outcomes = [("accepted", self.tally.accepted), ("refused", self.tally.refused)];
        let outcomes = outcomes.map(|(outcome, times)| (vec![("outcome", outcome.to_owned())], times));
        let [store, most] = self.store_bytes;
        let alone = |value| vec![(Vec::new(), value)];
        let mut families = vec![
            Family::new("l3af_trust_mode", Kind::StateSet, "Whether packages are verified", modes.to_vec()),
            Family::new(
                "l3af_trust_alarms",
                Kind::Gauge,
                "What about trust somebody should look at",
                alone(alarms),
            ),
        ];
        families.extend(self.knowledge_age.map(|age| {
            let help = "Time since somebody looked for what is revoked";
            let age = alone(age.unsigned_abs());
            Family::new("l3af_trust_knowledge_age_seconds", Kind::Gauge, help, age).of("seconds")
        }));
        let help = "How often a hook was repaired that somebody else had changed";
        families.extend([
            Family::new(
                "l3af_generation",
                Kind::Gauge,
                "The number of the desired state in force",
                alone(self.generation),
            ),
            Family::new("l3af_hook_repairs", Kind::Counter, help, repairs),
            Family::new(
                "l3af_hook_changes",
                Kind::Counter,
                "How often a hook was changed as somebody asked",
                changes,
            ),
            Family::new(
                "l3af_documents",
                Kind::Counter,
                "Documents that were to be in force",
                outcomes.to_vec(),
            ),
            Family::new("l3af_store_bytes", Kind::Gauge, "What packages take", alone(store)).of("bytes"),
            Family::new("l3af_store_max_bytes", Kind::Gauge, "What they may take", alone(most)).of("bytes"),
        ]);
        families.extend(self.members());
        families.extend(self.run_times());
        families.extend(self.user_programs());
        families
    }

    fn members(&self) -> Vec<Family> {
        type Counted = fn(Count) -> u64;
        let units: [(&str, Counted); 2] =
            [("packets", |count| count.packets), ("bytes", |count| count.bytes)];
        let of_unit = |(unit, number): (&'static str, Counted)| {
            let seen = self.each_member().map(|(chain, member)| (labels(chain, member), number(member.seen)));
            let left = self.each_member().flat_map(|(chain, member)| left(chain, member));
            let left = left.map(|(labels, count)| (labels, number(count)));
            let family = |what: &str, help, samples| {
                Family::new(&format!("l3af_member_{what}_{unit}"), Kind::Counter, help, samples).of(unit)
            };
            [
                family("seen", "What reached a member of a chain", seen.collect()),
                family("left", "What left its chain at a member, by verdict", left.collect()),
            ]
        };
        units.into_iter().flat_map(of_unit).collect()
    }

    /// How often and how long members ran while they were measured (`l3af profile`).
    fn run_times(&self) -> [Family; 2] {
        let measured = || self.each_member().filter(|(_, member)| member.run.runs > 0);
        let runs = measured().map(|(chain, member)| (labels(chain, member), member.run.runs));
        let times = measured().map(|(chain, member)| (labels(chain, member), member.run.nanoseconds));
        let (help, times) = ("How long a member ran while it was measured", times.collect());
        [
            Family::new(
                "l3af_member_runs",
                Kind::Counter,
                "How often a member ran while it was measured",
                runs.collect(),
            ),
            Family::new("l3af_member_run_nanoseconds", Kind::Counter, help, times).of("nanoseconds"),
        ]
    }

    fn user_programs(&self) -> [Family; 3] {
        type Value = fn(&UserProgramView) -> u64;
        let family = |name, kind, help, value: Value| {
            let samples = self.user_programs.iter().map(|program| {
                let package = format!("{}/{}", program.publisher, program.package);
                (vec![("package", package), ("version", program.version.to_string())], value(program))
            });
            Family::new(name, kind, help, samples.collect())
        };
        [
            family(
                "l3af_user_program_running",
                Kind::Gauge,
                "Whether a program in user space runs",
                |program| u64::from(program.state == UserProgramState::Running),
            ),
            family(
                "l3af_user_program_failed",
                Kind::Gauge,
                "Whether it is given up for a while",
                |program| u64::from(program.state == UserProgramState::Failed),
            ),
            family(
                "l3af_user_program_restarts",
                Kind::Counter,
                "How often it was started again",
                |program| program.restarts,
            ),
        ]
    }

    fn each_member(&self) -> impl Iterator<Item = (&ChainView, &MemberView)> {
        self.chains.iter().flat_map(|chain| chain.members.iter().map(move |member| (chain, member)))
    }
}

/// Numbers by hook.
fn of_hooks(numbers: &BTreeMap<Hook, u64>) -> Vec<(Vec<Label>, u64)> {
    let labels =
        |hook: &Hook| vec![("interface", hook.interface.to_string()), ("hook", hook.point.to_string())];
    numbers.iter().map(|(hook, number)| (labels(hook), *number)).collect()
}

fn labels(chain: &ChainView, member: &MemberView) -> Vec<Label> {
    vec![
        ("interface", chain.interface.to_string()),
        ("hook", chain.hook.to_string()),
        ("member", member.name.to_string()),
        ("package", member.package.clone()),
        ("version", member.version.clone()),
    ]
}

/// What left at a member, by verdict.
fn left(chain: &ChainView, member: &MemberView) -> Vec<(Vec<Label>, Count)> {
    let with = |verdict: &String| [labels(chain, member), vec![("verdict", verdict.clone())]].concat();
    member.left.iter().map(|(verdict, count)| (with(verdict), *count)).collect()
}

impl Family {
    pub(crate) fn new(name: &str, kind: Kind, help: &'static str, samples: Vec<(Vec<Label>, u64)>) -> Self {
        Self { name: name.to_owned(), kind, unit: None, help, samples }
    }

    pub(crate) fn of(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }
}

/// In the text format; a metric with a unit has it at the end of its name.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, unit, help, samples } = self;
        writeln!(f, "# TYPE {name} {kind}\n# HELP {name} {help}.")?;
        if let Some(unit) = unit {
            writeln!(f, "# UNIT {name} {unit}")?;
        }
        let total = if *kind == Kind::Counter { "_total" } else { "" };
        for (labels, value) in samples {
            let labels = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value)));
            let labels: Vec<String> = labels.collect();
            match labels.as_slice() {
                [] => writeln!(f, "{name}{total} {value}")?,
                labels => writeln!(f, "{name}{total}{{{}}} {value}", labels.join(","))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::StateSet => "stateset",
        })
    }
}

/// A value of a label: backslashes, quotes and line ends are escaped.
pub(crate) fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_early() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }

    #[test]
    fn when_certificates_end_is_told() {
        let end = CertificateEnd { file: "a.pem".into(), is_own: true, at: jiff::Timestamp::UNIX_EPOCH };
        insta::assert_snapshot!(text(certificates(&[end]).as_slice(), ""), @r#"
        # TYPE l3af_certificate_not_after_seconds gauge
        # HELP l3af_certificate_not_after_seconds When a certificate of the API ends, in seconds since 1970.
        # UNIT l3af_certificate_not_after_seconds seconds
        l3af_certificate_not_after_seconds{certificate="node",file="a.pem"} 0
        # EOF
        "#);
        assert!(certificates(&[]).is_none());
    }

    fn tally() -> Tally {
        let hook = Hook { interface: "eth0".parse().unwrap(), point: package::HookPoint::Xdp };
        Tally {
            repairs: BTreeMap::from([(hook.clone(), 2)]),
            changes: BTreeMap::from([(hook, 4)]),
            accepted: 4,
            refused: 1,
        }
    }

    /// A node that has no chain.
    fn alone(tally: &Tally) -> Metrics<'_> {
        Metrics {
            mode: TrustMode::Normal,
            alarms: 1,
            knowledge_age: Some(7),
            generation: 3,
            store_bytes: [1000, 2000],
            chains: &[],
            tally,
            user_programs: &[],
        }
    }

    #[test]
    fn a_node_without_chains_still_tells_its_mode_and_its_alarms() {
        let tally = tally();
        let metrics = alone(&tally);
        insta::assert_snapshot!(text(&metrics.families(), ""), @r##"
        # TYPE l3af_trust_mode stateset
        # HELP l3af_trust_mode Whether packages are verified.
        l3af_trust_mode{l3af_trust_mode="trusted"} 0
        l3af_trust_mode{l3af_trust_mode="normal"} 1
        # TYPE l3af_trust_alarms gauge
        # HELP l3af_trust_alarms What about trust somebody should look at.
        l3af_trust_alarms 1
        # TYPE l3af_trust_knowledge_age_seconds gauge
        # HELP l3af_trust_knowledge_age_seconds Time since somebody looked for what is revoked.
        # UNIT l3af_trust_knowledge_age_seconds seconds
        l3af_trust_knowledge_age_seconds 7
        # TYPE l3af_generation gauge
        # HELP l3af_generation The number of the desired state in force.
        l3af_generation 3
        # TYPE l3af_hook_repairs counter
        # HELP l3af_hook_repairs How often a hook was repaired that somebody else had changed.
        l3af_hook_repairs_total{interface="eth0",hook="xdp"} 2
        # TYPE l3af_hook_changes counter
        # HELP l3af_hook_changes How often a hook was changed as somebody asked.
        l3af_hook_changes_total{interface="eth0",hook="xdp"} 4
        # TYPE l3af_documents counter
        # HELP l3af_documents Documents that were to be in force.
        l3af_documents_total{outcome="accepted"} 4
        l3af_documents_total{outcome="refused"} 1
        # TYPE l3af_store_bytes gauge
        # HELP l3af_store_bytes What packages take.
        # UNIT l3af_store_bytes bytes
        l3af_store_bytes 1000
        # TYPE l3af_store_max_bytes gauge
        # HELP l3af_store_max_bytes What they may take.
        # UNIT l3af_store_max_bytes bytes
        l3af_store_max_bytes 2000
        # TYPE l3af_member_seen_packets counter
        # HELP l3af_member_seen_packets What reached a member of a chain.
        # UNIT l3af_member_seen_packets packets
        # TYPE l3af_member_left_packets counter
        # HELP l3af_member_left_packets What left its chain at a member, by verdict.
        # UNIT l3af_member_left_packets packets
        # TYPE l3af_member_seen_bytes counter
        # HELP l3af_member_seen_bytes What reached a member of a chain.
        # UNIT l3af_member_seen_bytes bytes
        # TYPE l3af_member_left_bytes counter
        # HELP l3af_member_left_bytes What left its chain at a member, by verdict.
        # UNIT l3af_member_left_bytes bytes
        # TYPE l3af_member_runs counter
        # HELP l3af_member_runs How often a member ran while it was measured.
        # TYPE l3af_member_run_nanoseconds counter
        # HELP l3af_member_run_nanoseconds How long a member ran while it was measured.
        # UNIT l3af_member_run_nanoseconds nanoseconds
        # TYPE l3af_user_program_running gauge
        # HELP l3af_user_program_running Whether a program in user space runs.
        # TYPE l3af_user_program_failed gauge
        # HELP l3af_user_program_failed Whether it is given up for a while.
        # TYPE l3af_user_program_restarts counter
        # HELP l3af_user_program_restarts How often it was started again.
        # EOF
        "##);
    }
}
