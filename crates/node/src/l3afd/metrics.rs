// SPDX-License-Identifier: Apache-2.0
//! The metrics of l3afd v1, under its names, with its labels.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use package::HookPoint;
use wire::l3afd::{Configured, Located, Program, direction, identifier};

use crate::Engine;
use crate::server::{Shared, with};

/// How often maps are read.
const PAUSE: Duration = Duration::from_secs(1);

/// What was counted, and what maps held lately.
#[derive(Debug)]
pub(crate) struct Monitor {
    samples: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<&'static str, BTreeMap<Series, u64>>,
    programs: BTreeMap<Series, Life>,
    maps: BTreeMap<Monitored, VecDeque<u64>>,
}

/// A program at a place, as labels tell it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    program: String,
    /// None for a probe, which is at no interface either.
    hook: Option<HookPoint>,
    iface: String,
    ipv4_address: String,
}

#[derive(Debug)]
struct Life {
    version: String,
    began: i64,
}

/// An entry of a map that becomes a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Monitored {
    of: Series,
    map: String,
    key: i64,
    aggregator: String,
}

impl Series {
    fn of(found: &Located<'_>) -> Self {
        Self {
            program: found.program.name.clone(),
            hook: Some(found.hook),
            iface: found.iface.to_owned(),
            ipv4_address: found.ipv4_address.to_owned(),
        }
    }

    fn labels(&self, program: &str, host: &str) -> String {
        let Self { program: name, hook, iface, ipv4_address } = self;
        let (name, iface, ipv4_address, host) = (quote(name), quote(iface), quote(ipv4_address), quote(host));
        let direction = hook.map(direction).unwrap_or_default();
        format!(
            "direction=\"{direction}\",{program}=\"{name}\",host=\"{host}\",interface_name=\"{iface}\",ipv4_address=\"{ipv4_address}\""
        )
    }
}

impl Monitor {
    /// Looks back on so many readings.
    pub(crate) fn new(samples: usize) -> Self {
        Self { samples, state: Mutex::default() }
    }

    /// Counts what was started, stopped and changed from one state to another.
    pub(crate) fn note(&self, before: &Configured, after: &Configured) {
        let wanted = monitored(after);
        let (before, after) = (enabled(before), enabled(after));
        let mut state = self.state();
        let now = Timestamp::now().as_second();
        for (series, program) in &after {
            let known = before.get(series);
            let is_same = known.is_some_and(|known| {
                known.version == program.version && known.start_args == program.start_args
            });
            if !is_same {
                state.count("l3afd_BPFStartCount", series);
                state.programs.insert(series.clone(), Life { version: program.version.clone(), began: now });
            }
            if known.is_some_and(|known| {
                known.map_args != program.map_args || known.update_args != program.update_args
            }) {
                state.count("l3afd_BPFUpdateCount", series);
            }
        }
        for (series, program) in &before {
            let stays = after.get(series).is_some_and(|later| {
                later.version == program.version && later.start_args == program.start_args
            });
            if !stays {
                state.count("l3afd_BPFStopCount", series);
            }
            if !after.contains_key(series) {
                state.programs.remove(series);
            }
        }
        state.maps.retain(|entry, _| wanted.contains(entry));
    }

    /// Counts those that were to change, and did not.
    pub(crate) fn note_failure(&self, before: &Configured, after: &Configured) {
        let (before, after) = (enabled(before), enabled(after));
        let mut state = self.state();
        for (series, program) in &after {
            match before.get(series) {
                Some(known) if known == program => {}
                Some(_) => {
                    state.count("l3afd_BPFUpdateFailedCount", series);
                    state.count("l3afd_BPFDeployFailedCount", series);
                }
                None => state.count("l3afd_BPFDeployFailedCount", series),
            }
        }
    }

    /// Reads maps, again and again.
    pub(crate) async fn follow(self: Arc<Self>, engine: Shared) {
        loop {
            self.read(&engine).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads maps once.
    pub(crate) async fn read(self: &Arc<Self>, engine: &Shared) {
        let monitor = Arc::clone(self);
        if let Err(panicked) = with(engine, move |engine| monitor.read_of(engine)).await {
            tracing::error!("reading maps failed inside: {panicked}");
        }
    }

    fn read_of(&self, engine: &Engine) {
        let Ok(generation) = engine.desired() else { return };
        let configured = Configured::of(&generation.document);
        for entry in monitored(&configured) {
            let place = entry.of.hook.map(|hook| (entry.of.iface.as_str(), hook));
            let value = engine.value_of_l3afd(place, &identifier(&entry.of.program), (&entry.map, entry.key));
            self.state().read(entry, value, self.samples);
        }
    }

    /// All of it in the text format of Prometheus. `running` are the programs that are in their chains.
    pub(crate) fn text(&self, host: &str, running: &[(String, HookPoint, String)]) -> String {
        let state = self.state();
        let mut text = String::new();
        for (name, help) in [
            ("l3afd_BPFStartCount", "How often a program was started"),
            ("l3afd_BPFStopCount", "How often a program was stopped"),
            ("l3afd_BPFUpdateCount", "How often the maps or arguments of a program were changed"),
            ("l3afd_BPFUpdateFailedCount", "How often that failed"),
            ("l3afd_BPFDeployFailedCount", "How often a program could not be deployed"),
        ] {
            let counts = state.counts.get(name).into_iter().flatten();
            let label = if name == "l3afd_BPFUpdateFailedCount" { "bpf_program" } else { "ebpf_program" };
            let samples = counts.map(|(series, count)| (series.labels(label, host), count.to_string()));
            family(&mut text, (name, "counter", help), samples);
        }
        let runs = |series: &Series| {
            running.iter().any(|(iface, hook, name)| {
                (iface, Some(hook), name) == (&series.iface, series.hook.as_ref(), &series.program)
            })
        };
        let samples = state.programs.iter().map(|(series, life)| {
            let labels =
                format!("{},version=\"{}\"", series.labels("ebpf_program", host), quote(&life.version));
            (labels, u8::from(runs(series)).to_string())
        });
        family(&mut text, ("l3afd_BPFRunning", "gauge", "Whether a program runs"), samples);
        let samples = state
            .programs
            .iter()
            .map(|(series, life)| (series.labels("ebpf_program", host), life.began.to_string()));
        family(
            &mut text,
            ("l3afd_BPFStartTime", "gauge", "When a program was started, in seconds since 1970"),
            samples,
        );
        let samples = state.maps.iter().filter_map(|(entry, readings)| {
            let Monitored { of, map, key, aggregator } = entry;
            let map = quote(&format!("{map}_{key}_{aggregator}"));
            let (program, host) = (quote(&of.program), quote(host));
            let (iface, address) = (quote(&of.iface), quote(&of.ipv4_address));
            let labels = format!(
                "ebpf_program=\"{program}\",host=\"{host}\",interface_name=\"{iface}\",ipv4_address=\"{address}\",map_name=\"{map}\""
            );
            Some((labels, aggregate(aggregator, readings)?))
        });
        family(&mut text, ("l3afd_BPFMonitorMap", "gauge", "What an entry of a map holds"), samples);
        text
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, name: &'static str, series: &Series) {
        *self.counts.entry(name).or_default().entry(series.clone()).or_default() += 1;
    }

    fn read(&mut self, entry: Monitored, value: Option<u64>, most: usize) {
        let Some(value) = value else {
            self.maps.remove(&entry);
            return;
        };
        let readings = self.maps.entry(entry).or_default();
        readings.push_back(value);
        // A rate is between two readings.
        while readings.len() > most + 1 {
            readings.pop_front();
        }
    }
}

/// The programs that are to run.
fn enabled(configured: &Configured) -> BTreeMap<Series, &Program> {
    let programs = configured.programs().filter(|found| found.program.is_enabled());
    programs.map(|found| (Series::of(&found), found.program)).collect()
}

/// The entries of maps of all programs and probes that are to run.
fn monitored(configured: &Configured) -> Vec<Monitored> {
    let probes = configured.probes().filter(|probe| probe.is_enabled());
    let probes = probes.map(|probe| {
        let (program, iface, ipv4_address) = (probe.name.clone(), String::new(), String::new());
        (Series { program, hook: None, iface, ipv4_address }, probe)
    });
    let entries = enabled(configured).into_iter().chain(probes).flat_map(|(series, program)| {
        program.monitor_maps.iter().flatten().map(move |entry| Monitored {
            of: series.clone(),
            map: entry.name.clone(),
            key: entry.key,
            aggregator: entry.aggregator.clone(),
        })
    });
    entries.collect()
}

/// What readings, a second apart, come to.
fn aggregate(aggregator: &str, readings: &VecDeque<u64>) -> Option<String> {
    let last = readings.back()?;
    let rates = readings.iter().zip(readings.iter().skip(1)).map(|(before, after)| before.abs_diff(*after));
    match aggregator {
        "max-rate" => Some(rates.max().unwrap_or_default().to_string()),
        "avg" => {
            let sum: u128 = readings.iter().map(|reading| u128::from(*reading)).sum();
            Some((sum / readings.len() as u128).to_string())
        }
        _ => Some(last.to_string()),
    }
}

fn family(
    text: &mut String,
    (name, kind, help): (&str, &str, &str),
    samples: impl Iterator<Item = (String, String)>,
) {
    let mut samples = samples.peekable();
    if samples.peek().is_none() {
        return;
    }
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{{{labels}}} {value}");
    }
}

/// The value of a label, in the text format.
fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use wire::l3afd::{Entry, Lists, MonitorMap};

    use super::*;

    fn configured(version: &str, aggregator: &str) -> Configured {
        let text = str::to_owned;
        let monitor = MonitorMap { name: text("count"), key: 0, aggregator: text(aggregator) };
        let program = Program {
            name: text("a"),
            version: text(version),
            admin_status: text("enabled"),
            monitor_maps: Some(vec![monitor]),
            ..Program::default()
        };
        let lists = Lists { xdp_ingress: Some(vec![program]), ..Lists::default() };
        let entry = Entry {
            host_name: text("h"),
            iface: text("eth0"),
            ipv4_address: text("10.0.0.1"),
            bpf_programs: Some(lists),
        };
        let mut configured = Configured::default();
        configured.update(vec![entry], "h").unwrap();
        configured
    }

    fn monitored_once(configured: &Configured) -> Monitored {
        monitored(configured).remove(0)
    }

    #[test]
    fn lines_are_those_that_dashboards_know() {
        let monitor = Monitor::new(20);
        let (none, first, second) =
            (Configured::default(), configured("1", "scalar"), configured("2", "scalar"));
        monitor.note(&none, &first);
        monitor.note(&first, &second);
        monitor.state().read(monitored_once(&second), Some(7), 20);
        let told = monitor.text("h", &[("eth0".to_owned(), HookPoint::Xdp, "a".to_owned())]);
        let lines: Vec<&str> = told.lines().filter(|line| !line.contains("StartTime")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        # HELP l3afd_BPFStartCount How often a program was started
        # TYPE l3afd_BPFStartCount counter
        l3afd_BPFStartCount{direction="xdpingress",ebpf_program="a",host="h",interface_name="eth0",ipv4_address="10.0.0.1"} 2
        # HELP l3afd_BPFStopCount How often a program was stopped
        # TYPE l3afd_BPFStopCount counter
        l3afd_BPFStopCount{direction="xdpingress",ebpf_program="a",host="h",interface_name="eth0",ipv4_address="10.0.0.1"} 1
        # HELP l3afd_BPFRunning Whether a program runs
        # TYPE l3afd_BPFRunning gauge
        l3afd_BPFRunning{direction="xdpingress",ebpf_program="a",host="h",interface_name="eth0",ipv4_address="10.0.0.1",version="2"} 1
        # HELP l3afd_BPFMonitorMap What an entry of a map holds
        # TYPE l3afd_BPFMonitorMap gauge
        l3afd_BPFMonitorMap{ebpf_program="a",host="h",interface_name="eth0",ipv4_address="10.0.0.1",map_name="count_0_scalar"} 7
        "#);
        monitor.note(&second, &none);
        assert!(!monitor.text("h", &[]).contains("l3afd_BPFMonitorMap"));
    }

    #[test]
    fn readings_are_put_together_as_they_should() {
        let readings: VecDeque<u64> = [10, 13, 20, 21].into();
        let told = ["scalar", "max-rate", "avg"].map(|aggregator| aggregate(aggregator, &readings).unwrap());
        assert_eq!(told, ["21", "7", "16"]);
        assert_eq!(aggregate("scalar", &VecDeque::new()), None);
    }
}
