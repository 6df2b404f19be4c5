// SPDX-License-Identifier: Apache-2.0
//! What a program of l3afd v1 finds around it: its maps at their old place, filled as the payload says, and its executables started
//! with the arguments of old.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use package::{HookPoint, MemorySize};
use plan::{Command, Errand, Fill, Outside};
use wire::l3afd::{Program, direction};

use super::L3afdConfig;
use super::config::POLL;

/// Where things of l3afd v1 are on this node.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The bpffs in which executables look for maps.
    maps: PathBuf,
    /// Where they are told to log to; empty for nowhere.
    logs: String,
    /// Where the files are written that they read.
    rules: PathBuf,
    /// How often they are asked whether they run.
    poll: Duration,
}

impl Places {
    pub(crate) fn of(config: Option<&L3afdConfig>, state: &Path) -> Self {
        Self {
            maps: config.map_or_else(|| "/sys/fs/bpf".into(), |config| config.bpf_maps.clone()),
            logs: config.map(|config| config.bpf_log_dir.clone()).unwrap_or_default(),
            rules: state.join("l3afd-rules"),
            poll: config.map_or(POLL, |config| config.poll),
        }
    }

    /// What surrounds a program at a hook.
    pub(crate) fn outside(&self, program: &Program, (iface, hook): (&str, HookPoint)) -> Outside {
        Outside {
            pins: Some(self.pins(program, iface, hook)),
            program: Some(self.program(program, iface)),
            commands: self.commands(program, iface, hook),
        }
    }

    /// Where its maps are found. Both directions of TC have one place.
    fn pins(&self, program: &Program, iface: &str, hook: HookPoint) -> PathBuf {
        let folder = match hook {
            HookPoint::Xdp => self.maps.clone(),
            HookPoint::TcIngress | HookPoint::TcEgress => self.maps.join("tc/globals"),
        };
        // bpffs takes no dots; no interface of l3afd v1 had one.
        folder.join(iface.replace('.', "_")).join(&program.name).join(program.version_of_pins())
    }

    /// Where the program itself is found.
    fn program(&self, program: &Program, iface: &str) -> PathBuf {
        let folder = self.maps.join("progs").join(iface.replace('.', "_")).join(&program.name);
        let file = format!("{}_{}", program.entry_function_name, program.prog_type);
        folder.join(program.version_of_pins()).join(file)
    }

    fn commands(&self, program: &Program, iface: &str, hook: HookPoint) -> Vec<Command> {
        let direction = direction(hook);
        let (mut common, mut files) = (Vec::new(), BTreeMap::new());
        common.push(format!("--version={}", program.version_of_pins()));
        if self.logs.len() > 1 {
            common.push(format!("--log-dir={}", self.logs));
        }
        let mut started = common.clone();
        if program.rules.len() > 1 && program.rules_file.len() > 1 {
            let folder = self.rules.join(iface).join(&program.name).join(direction);
            let file = folder.join(&program.rules_file);
            started.push(format!("--rules-file={}", file.display()));
            files.insert(file, program.rules.clone());
        }
        let whom = [format!("--iface={iface}"), format!("--direction={direction}")];
        let command = |file: &str, arguments: Vec<String>, once: bool, files| Command {
            file: file.to_owned(),
            arguments,
            once,
            memory: memory(program.memory),
            cpu_seconds: u64::try_from(program.cpu).ok().filter(|seconds| *seconds > 0),
            files,
            stop: None,
            status: None,
        };
        let mut commands = Vec::new();
        if !program.cmd_start.is_empty() {
            // A payload whose arguments are no texts was refused.
            let own = program.start_arguments().unwrap_or_default();
            let arguments = whom.iter().cloned().chain(started).chain(own).collect();
            let daemon = program.user_program_daemon;
            let started = command(&program.cmd_start, arguments, !daemon, files);
            let errand = |file: &String, arguments: Vec<String>| {
                (!file.is_empty()).then(|| Errand { file: file.clone(), arguments })
            };
            // One that has done its work needs none to end it.
            let stop = program.stop_arguments().unwrap_or_default();
            let stop = errand(&program.cmd_stop, whom.iter().cloned().chain(stop).collect());
            let status = errand(&program.cmd_status, program.status_arguments().unwrap_or_default());
            commands.push(Command {
                stop: stop.filter(|_| daemon),
                status: status.map(|errand| (errand, self.poll)),
                ..started
            });
        }
        if !program.cmd_update.is_empty() && program.update_args.as_ref().is_some_and(|args| !args.is_empty())
        {
            let own = program.update_arguments().unwrap_or_default();
            let update = std::iter::once("--cmd=update".to_owned());
            let arguments = whom.into_iter().chain(update).chain(common).chain(own).collect();
            commands.push(command(&program.cmd_update, arguments, true, BTreeMap::new()));
        }
        commands
    }
}

/// So many bytes, or the least that counts; none where it is not limited.
fn memory(bytes: i64) -> Option<MemorySize> {
    let kibibytes = (bytes / 1024).max(1024);
    (bytes > 0).then(|| format!("{kibibytes}KiB").parse().ok()).flatten()
}

/// What the maps of a program hold at first.
pub(crate) fn fills(program: &Program) -> BTreeMap<String, Fill> {
    let mut fills: BTreeMap<String, Fill> = BTreeMap::new();
    for map in program.map_args.iter().flatten() {
        let fill = fills.entry(map.name.clone()).or_default();
        fill.values.extend(map.args.iter().flatten().map(|entry| (entry.key, entry.value)));
    }
    for monitored in program.monitor_maps.iter().flatten() {
        fills.entry(monitored.name.clone()).or_default().zeros.insert(monitored.key);
    }
    fills
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        let text = str::to_owned;
        Program {
            name: text("mirror"),
            version: text("1.0.2"),
            cmd_start: text("mirror"),
            cmd_update: text("mirror"),
            rules: text("allow all"),
            rules_file: text("rules.txt"),
            user_program_daemon: true,
            start_args: Some([(text("b"), "2".into()), (text("a"), "x y".into())].into()),
            update_args: Some([(text("c"), "3".into())].into()),
            cmd_stop: text("mirror-end"),
            cmd_status: text("mirror-status"),
            stop_args: Some([(text("d"), "4".into())].into()),
            status_args: Some([(text("e"), "5".into())].into()),
            ..Program::default()
        }
    }

    #[test]
    fn executables_are_told_what_they_expect() {
        let places = Places {
            maps: "/sys/fs/bpf".into(),
            logs: "/var/log/l3af".to_owned(),
            rules: "/state".into(),
            poll: POLL,
        };
        let outside = places.outside(&program(), ("eth0", HookPoint::TcEgress));
        assert_eq!(outside.pins.as_deref(), Some(Path::new("/sys/fs/bpf/tc/globals/eth0/mirror/1_0_2")));
        let told: Vec<String> = outside.commands.iter().map(|command| command.arguments.join("|")).collect();
        assert_eq!(
            told,
            [
                "--iface=eth0|--direction=egress|--version=1_0_2|--log-dir=/var/log/l3af|--rules-file=/state/eth0/mirror/egress/rules.txt|--a=x y|--b=2",
                "--iface=eth0|--direction=egress|--cmd=update|--version=1_0_2|--log-dir=/var/log/l3af|--c=3",
            ]
        );
        assert_eq!(outside.commands.iter().map(|command| command.once).collect::<Vec<_>>(), [false, true]);
        let started = &outside.commands[0];
        let told = |errand: &Errand| format!("{}|{}", errand.file, errand.arguments.join("|"));
        assert_eq!(
            started.stop.as_ref().map(told).as_deref(),
            Some("mirror-end|--iface=eth0|--direction=egress|--d=4")
        );
        let (status, every) = started.status.as_ref().unwrap();
        assert_eq!((told(status).as_str(), *every), ("mirror-status|--e=5", POLL));
        assert!(outside.commands[1].stop.is_none() && outside.commands[1].status.is_none());
        let rules = &outside.commands[0].files[Path::new("/state/eth0/mirror/egress/rules.txt")];
        assert_eq!(rules, "allow all");
    }

    #[test]
    fn at_xdp_maps_are_found_by_the_interface() {
        let places = Places::of(None, Path::new("/state"));
        let outside = places.outside(
            &Program { cmd_start: String::new(), update_args: None, ..program() },
            ("eth0", HookPoint::Xdp),
        );
        assert_eq!(outside.pins.as_deref(), Some(Path::new("/sys/fs/bpf/eth0/mirror/1_0_2")));
        assert!(outside.commands.is_empty());
        let once = Program { user_program_daemon: false, ..program() };
        assert_eq!(places.outside(&once, ("eth0", HookPoint::Xdp)).commands[0].stop, None);
    }

    #[test]
    fn maps_are_filled_and_counters_begin_with_zero() {
        use wire::l3afd::{MapArg, MapArgs, MonitorMap};
        let args = Some(vec![MapArg { key: 8080, value: 1 }]);
        let monitor = MonitorMap { name: "count".to_owned(), key: 0, aggregator: "scalar".to_owned() };
        let program = Program {
            map_args: Some(vec![MapArgs { name: "ports".to_owned(), args }]),
            monitor_maps: Some(vec![monitor]),
            ..program()
        };
        let fills = fills(&program);
        assert_eq!(fills["ports"], Fill { values: [(8080, 1)].into(), ..Fill::default() });
        assert_eq!(fills["count"], Fill { zeros: [0].into(), ..Fill::default() });
    }
}
