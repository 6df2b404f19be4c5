// SPDX-License-Identifier: Apache-2.0
//! What can be measured of a node, in the text format of `OpenMetrics` 1.0.
//!
//! All of it is asked of the kernel and the engine at the moment of the question; nothing is counted here.

use std::collections::BTreeMap;
use std::fmt;

use plan::Hook;
use wire::{ChainView, Count, MemberView, TrustMode, UserProgramState, UserProgramView};

use crate::access::CertificateEnd;

/// What the answer of `/metrics` is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The same text with when the certificates of the API end.
pub(crate) fn with_certificates(text: String, ends: &[CertificateEnd]) -> String {
    match text.strip_suffix(END) {
        Some(rest) if !ends.is_empty() => format!("{rest}{}{END}", Certificates(ends)),
        Some(_) | None => text,
    }
}

const END: &str = "# EOF\n";

struct Certificates<'a>(&'a [CertificateEnd]);

impl fmt::Display for Certificates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut text, name) = (Text(f), "l3af_certificate_not_after_seconds");
        text.family(name, "gauge", "When a certificate of the API ends, in seconds since 1970")?;
        writeln!(text.0, "# UNIT {name} seconds")?;
        for CertificateEnd { file, is_own, at } in self.0 {
            let whose = if *is_own { "node" } else { "client-root" };
            let labels = [("certificate", whose.to_owned()), ("file", file.display().to_string())];
            text.sample(name, &labels, at.as_second())?;
        }
        Ok(())
    }
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
    /// How often each hook was repaired since the daemon started.
    pub(crate) repairs: &'a BTreeMap<Hook, u64>,
    pub(crate) user_programs: &'a [UserProgramView],
}

/// The text of one metric after the other.
struct Text<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Display for Metrics<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text(f);
        text.family("l3af_trust_mode", "stateset", "Whether packages are verified")?;
        for mode in [TrustMode::Trusted, TrustMode::Normal] {
            let labels = [("l3af_trust_mode", mode.to_string())];
            text.sample("l3af_trust_mode", &labels, u8::from(mode == self.mode))?;
        }
        text.family("l3af_trust_alarms", "gauge", "What about trust somebody should look at")?;
        text.sample("l3af_trust_alarms", &[], self.alarms)?;
        if let Some(age) = self.knowledge_age {
            let help = "Time since somebody looked for what is revoked";
            text.family("l3af_trust_knowledge_age_seconds", "gauge", help)?;
            writeln!(text.0, "# UNIT l3af_trust_knowledge_age_seconds seconds")?;
            text.sample("l3af_trust_knowledge_age_seconds", &[], age)?;
        }
        text.family("l3af_generation", "gauge", "The number of the desired state in force")?;
        text.sample("l3af_generation", &[], self.generation)?;
        let help = "How often a hook was repaired that somebody else had changed";
        text.family("l3af_hook_repairs", "counter", help)?;
        for (hook, times) in self.repairs {
            let labels = [("interface", hook.interface.to_string()), ("hook", hook.point.to_string())];
            text.sample("l3af_hook_repairs_total", &labels, times)?;
        }
        let store =
            [("l3af_store_bytes", "What packages take"), ("l3af_store_max_bytes", "What they may take")];
        for ((name, help), bytes) in store.into_iter().zip(self.store_bytes) {
            text.family(name, "gauge", help)?;
            writeln!(text.0, "# UNIT {name} bytes")?;
            text.sample(name, &[], bytes)?;
        }
        self.members(&mut text)?;
        self.user_programs(&mut text)?;
        f.write_str(END)
    }
}

impl Metrics<'_> {
    fn members(&self, text: &mut Text<'_, '_>) -> fmt::Result {
        type Counted = fn(Count) -> u64;
        let units: [(&str, Counted); 2] =
            [("packets", |count| count.packets), ("bytes", |count| count.bytes)];
        for (unit, number) in units {
            let name = format!("l3af_member_seen_{unit}");
            text.counter(&name, unit, "What reached a member of a chain")?;
            for (chain, member) in self.each_member() {
                text.sample(&format!("{name}_total"), &labels(chain, member), number(member.seen))?;
            }
            let name = format!("l3af_member_left_{unit}");
            text.counter(&name, unit, "What left its chain at a member, by verdict")?;
            let left = self.each_member().flat_map(|(chain, member)| {
                member.left.iter().map(move |(verdict, count)| (chain, member, verdict, *count))
            });
            for (chain, member, verdict, count) in left {
                let mut labels = labels(chain, member);
                labels.push(("verdict", verdict.clone()));
                text.sample(&format!("{name}_total"), &labels, number(count))?;
            }
        }
        Ok(())
    }

    fn user_programs(&self, text: &mut Text<'_, '_>) -> fmt::Result {
        let labels = |program: &UserProgramView| {
            let package = format!("{}/{}", program.publisher, program.package);
            [("package", package), ("version", program.version.to_string())]
        };
        text.family("l3af_user_program_running", "gauge", "Whether a program in user space runs")?;
        for program in self.user_programs {
            let runs = u8::from(program.state == UserProgramState::Running);
            text.sample("l3af_user_program_running", &labels(program), runs)?;
        }
        text.family("l3af_user_program_failed", "gauge", "Whether it is given up for a while")?;
        for program in self.user_programs {
            let failed = u8::from(program.state == UserProgramState::Failed);
            text.sample("l3af_user_program_failed", &labels(program), failed)?;
        }
        text.family("l3af_user_program_restarts", "counter", "How often it was started again")?;
        for program in self.user_programs {
            text.sample("l3af_user_program_restarts_total", &labels(program), program.restarts)?;
        }
        Ok(())
    }

    fn each_member(&self) -> impl Iterator<Item = (&ChainView, &MemberView)> {
        self.chains.iter().flat_map(|chain| chain.members.iter().map(move |member| (chain, member)))
    }
}

fn labels(chain: &ChainView, member: &MemberView) -> Vec<(&'static str, String)> {
    vec![
        ("interface", chain.interface.to_string()),
        ("hook", chain.hook.to_string()),
        ("member", member.name.to_string()),
        ("package", member.package.clone()),
        ("version", member.version.clone()),
    ]
}

impl Text<'_, '_> {
    fn family(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}.")
    }

    /// A counter, whose name ends with its unit; that of its samples ends with `_total` besides.
    fn counter(&mut self, name: &str, unit: &str, help: &str) -> fmt::Result {
        self.family(name, "counter", help)?;
        writeln!(self.0, "# UNIT {name} {unit}")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, String)], value: impl fmt::Display) -> fmt::Result {
        let labels = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value)));
        let labels: Vec<String> = labels.collect();
        match labels.as_slice() {
            [] => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{}}} {value}", labels.join(",")),
        }
    }
}

/// A value of a label: backslashes, quotes and line ends are escaped.
fn escaped(value: &str) -> String {
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
    fn certificates_are_told_before_the_end() {
        let end = CertificateEnd { file: "a.pem".into(), is_own: true, at: jiff::Timestamp::UNIX_EPOCH };
        insta::assert_snapshot!(with_certificates("rest\n# EOF\n".to_owned(), &[end]), @r#"
        rest
        # TYPE l3af_certificate_not_after_seconds gauge
        # HELP l3af_certificate_not_after_seconds When a certificate of the API ends, in seconds since 1970.
        # UNIT l3af_certificate_not_after_seconds seconds
        l3af_certificate_not_after_seconds{certificate="node",file="a.pem"} 0
        # EOF
        "#);
        assert_eq!(with_certificates("# EOF\n".to_owned(), &[]), "# EOF\n");
    }

    #[test]
    fn a_node_without_chains_still_tells_its_mode_and_its_alarms() {
        let hook = Hook { interface: "eth0".parse().unwrap(), point: package::HookPoint::Xdp };
        let repairs = BTreeMap::from([(hook, 2)]);
        let metrics = Metrics {
            mode: TrustMode::Normal,
            alarms: 1,
            knowledge_age: Some(7),
            generation: 3,
            store_bytes: [1000, 2000],
            chains: &[],
            repairs: &repairs,
            user_programs: &[],
        };
        insta::assert_snapshot!(metrics, @r##"
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
