// SPDX-License-Identifier: Apache-2.0
//! What was asked for by the API of l3afd v1 so far, as a document, and how calls change it.

use std::collections::{BTreeMap, BTreeSet};

use package::{HookPoint, MemberName, plain_name};

use super::check::{BadPayload, check, interface, is_for};
use super::{Entry, Interface, Lists, Program, prog_type};
use crate::{ChainDocument, DeploymentDocument, Document, MemberDocument, ProbeDocument};

/// What was asked for so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configured {
    interfaces: BTreeMap<String, Programs>,
    probes: Vec<Program>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Programs {
    ipv4_address: String,
    lists: BTreeMap<HookPoint, Vec<Program>>,
}

/// A program that was asked for, and where.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a> {
    /// The interface.
    pub iface: &'a str,
    /// Its address, as it was told.
    pub ipv4_address: &'a str,
    /// The hook.
    pub hook: HookPoint,
    /// The program.
    pub program: &'a Program,
}

/// Where artifacts come from, and what this host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The URL of the repository, where a program names none.
    pub url: String,
    /// The folder of this machine in it, such as `bookworm`.
    pub platform: String,
    /// The name of this host, which payloads must bear.
    pub host: String,
    /// Whether several programs may be at one hook.
    pub chaining: bool,
}

impl Configured {
    /// What a document keeps of it.
    pub fn of(document: &Document) -> Self {
        let mut configured = Self::default();
        for Interface { iface, ipv4_address } in &document.l3afd {
            configured.interface(iface).ipv4_address.clone_from(ipv4_address);
        }
        for chain in &document.chains {
            let programs = chain.members.iter().filter_map(|member| member.l3afd.as_deref());
            for program in programs {
                let programs = configured.interface(&chain.interface.to_string());
                programs.list(chain.hook).push(program.clone());
            }
        }
        configured.probes =
            document.probes.iter().filter_map(|probe| probe.l3afd.as_deref()).cloned().collect();
        configured
    }

    /// Wants what a payload says, and nothing else.
    ///
    /// # Errors
    /// When it is for another host, or says nothing of programs.
    pub fn update(&mut self, payload: Vec<Entry>, host: &str) -> Result<(), BadPayload> {
        let mut wanted = Self::default();
        for entry in payload {
            wanted.put(entry, host, Vec::push)?;
        }
        *self = wanted;
        Ok(())
    }

    /// Wants what a payload says besides. A program whose name or place is taken is passed over.
    ///
    /// # Errors
    /// As for an update.
    pub fn add(&mut self, payload: Vec<Entry>, host: &str) -> Result<(), BadPayload> {
        let mut wanted = self.clone();
        for entry in payload {
            wanted.put(entry, host, |list, program| {
                let is_taken = |other: &Program| other.name == program.name || other.seq_id == program.seq_id;
                let is_free = !list.iter().any(is_taken);
                list.extend(is_free.then_some(program));
            })?;
        }
        *self = wanted;
        Ok(())
    }

    /// Wants these programs no more. Names that nothing has are passed over.
    ///
    /// # Errors
    /// When they are for another host.
    pub fn delete(&mut self, payload: Vec<Entry<String>>, host: &str) -> Result<(), BadPayload> {
        let mut wanted = self.clone();
        for Entry { host_name, iface, ipv4_address, bpf_programs } in payload {
            is_for(&host_name, host)?;
            let names = bpf_programs.ok_or_else(|| BadPayload::NoPrograms { iface: iface.clone() })?;
            let (hooks, probes) = names.into_parts();
            wanted.probes.retain(|probe| !probes.contains(&probe.name));
            let Some(programs) = wanted.interfaces.get_mut(&iface) else { continue };
            if !ipv4_address.is_empty() {
                programs.ipv4_address = ipv4_address;
            }
            for (hook, names) in hooks {
                programs.list(hook).retain(|program| !names.contains(&program.name));
            }
            programs.lists.retain(|_, list| !list.is_empty());
        }
        *self = wanted;
        Ok(())
    }

    /// Has lists that are empty be as if nothing was said of them, as they are after a restart of l3afd v1.
    pub fn forget_empty_lists(&mut self) {
        let of_interfaces =
            self.interfaces.values_mut().flat_map(|programs| programs.lists.values_mut()).flatten();
        for program in of_interfaces.chain(&mut self.probes) {
            program.map_args.take_if(|list| list.is_empty());
            program.monitor_maps.take_if(|list| list.is_empty());
        }
    }

    /// The programs at interfaces.
    pub fn programs(&self) -> impl Iterator<Item = Located<'_>> {
        self.interfaces.iter().flat_map(|(iface, Programs { ipv4_address, lists })| {
            lists.iter().flat_map(move |(hook, list)| {
                list.iter().map(move |program| Located { iface, ipv4_address, hook: *hook, program })
            })
        })
    }

    /// The programs at no interface, which the whole node has.
    pub fn probes(&self) -> impl Iterator<Item = &Program> {
        self.probes.iter()
    }

    /// The references of all artifacts that it names, each once.
    pub fn references(&self, repository: &Repository) -> BTreeSet<String> {
        let programs = self.programs().map(|found| found.program).chain(&self.probes);
        programs.map(|program| reference(program, repository)).collect()
    }

    /// All of it, as it is told.
    pub fn entries(&self, host: &str) -> Vec<Entry> {
        self.interfaces.keys().map(|iface| self.entry(iface, host)).collect()
    }

    /// What is told of an interface, also of one that nobody spoke of.
    pub fn entry(&self, iface: &str, host: &str) -> Entry {
        let found = self.interfaces.get(iface);
        let list = |hook| found.and_then(|programs| programs.lists.get(&hook)).cloned();
        let lists = Lists {
            xdp_ingress: list(HookPoint::Xdp),
            tc_ingress: list(HookPoint::TcIngress),
            tc_egress: list(HookPoint::TcEgress),
            probes: Some(self.probes.clone()).filter(|probes| !probes.is_empty()),
        };
        Entry {
            host_name: host.to_owned(),
            iface: iface.to_owned(),
            ipv4_address: found.map(|programs| programs.ipv4_address.clone()).unwrap_or_default(),
            bpf_programs: Some(lists),
        }
    }

    /// The desired state that it means.
    ///
    /// # Errors
    /// When something in it cannot be.
    pub fn document(&self, repository: &Repository) -> Result<Document, BadPayload> {
        let mut document = Document::default();
        for (iface, programs) in &self.interfaces {
            let interface = interface(iface)?;
            document
                .l3afd
                .push(Interface { iface: iface.clone(), ipv4_address: programs.ipv4_address.clone() });
            for (hook, list) in &programs.lists {
                check(iface, *hook, list, repository)?;
                let mut chain = ChainDocument::new(interface.clone(), *hook);
                let members =
                    list.iter().map(|program| member(&mut document, (iface, *hook), program, repository));
                chain.members = members.collect::<Result<_, _>>()?;
                document.chains.push(chain);
            }
        }
        for program in &self.probes {
            program.check()?;
            let named = (!program.entry_function_name.is_empty()).then(|| program.function()).transpose()?;
            document.probes.push(ProbeDocument {
                package: Some(reference(program, repository)),
                program: named,
                enabled: program.is_enabled(),
                l3afd: Some(Box::new(program.clone())),
                ..ProbeDocument::named(identifier(&program.name))
            });
        }
        Ok(document)
    }

    fn put(
        &mut self,
        entry: Entry,
        host: &str,
        mut insert: impl FnMut(&mut Vec<Program>, Program),
    ) -> Result<(), BadPayload> {
        let Entry { host_name, iface, ipv4_address, bpf_programs } = entry;
        is_for(&host_name, host)?;
        interface(&iface)?;
        let lists = bpf_programs.ok_or_else(|| BadPayload::NoPrograms { iface: iface.clone() })?;
        let programs = self.interface(&iface);
        programs.ipv4_address = ipv4_address;
        let (hooks, probes) = lists.into_parts();
        for (hook, given) in hooks {
            let list = programs.list(hook);
            for program in given {
                insert(list, program);
            }
            list.sort_by_key(|program| program.seq_id);
        }
        programs.lists.retain(|_, list| !list.is_empty());
        for probe in probes {
            // Each interface repeats those of the node.
            if !self.probes.iter().any(|known| known.name == probe.name) {
                self.probes.push(probe);
            }
        }
        Ok(())
    }

    fn interface(&mut self, iface: &str) -> &mut Programs {
        self.interfaces.entry(iface.to_owned()).or_default()
    }
}

impl Programs {
    fn list(&mut self, hook: HookPoint) -> &mut Vec<Program> {
        self.lists.entry(hook).or_default()
    }
}

fn member(
    document: &mut Document,
    place: (&str, HookPoint),
    program: &Program,
    repository: &Repository,
) -> Result<MemberDocument, BadPayload> {
    Ok(MemberDocument {
        deployment: Some(deploy(document, place, program, repository)),
        program: Some(program.function()?),
        enabled: program.is_enabled(),
        l3afd: Some(Box::new(program.clone())),
        ..MemberDocument::named(identifier(&program.name))
    })
}

/// Makes sure that there is the deployment of a program. Those of one interface at TC have one for both directions, as they use
/// the same maps.
fn deploy(
    document: &mut Document,
    (iface, hook): (&str, HookPoint),
    program: &Program,
    repository: &Repository,
) -> MemberName {
    let package = reference(program, repository);
    let mut name = identifier(&format!("{iface}-{}-{}", prog_type(hook), program.name));
    let is_other = |name: &MemberName| {
        document.deployments.iter().any(|known| known.name == *name && known.package != package)
    };
    if is_other(&name) {
        name = identifier(&format!("{iface}-{hook}-{}", program.name));
    }
    if !document.deployments.iter().any(|known| known.name == name) {
        document.deployments.push(DeploymentDocument::new(name.clone(), package));
    }
    name
}

fn reference(program: &Program, repository: &Repository) -> String {
    let own = program.ebpf_package_repo_url.as_str();
    let url = if own.is_empty() { repository.url.as_str() } else { own };
    let (url, Repository { platform, .. }) = (url.trim_end_matches('/'), repository);
    format!("l3afd:{url}/{}/{}/{platform}/{}", program.name, program.version, program.artifact)
}

/// A name for a member or a deployment: the same for the same text, and another for another.
pub fn identifier(text: &str) -> MemberName {
    plain_name(text).parse().expect("it has the form of a name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l3afd;

    fn repository() -> Repository {
        let text = str::to_owned;
        Repository {
            url: text("file:///srv/l3afd/"),
            platform: text("noble"),
            host: text("h"),
            chaining: true,
        }
    }

    fn program(name: &str, seq_id: i64) -> Program {
        let text = str::to_owned;
        Program {
            name: text(name),
            seq_id,
            artifact: format!("l3af_{name}.tar.gz"),
            version: text("latest"),
            admin_status: text("enabled"),
            prog_type: text("xdp"),
            object_file: text("a.bpf.o"),
            entry_function_name: text("f"),
            ..Program::default()
        }
    }

    fn entry(programs: Vec<Program>) -> Entry {
        let lists = Lists { xdp_ingress: Some(programs), ..Lists::default() };
        let text = str::to_owned;
        Entry {
            host_name: text("h"),
            iface: text("eth0.7"),
            ipv4_address: text("10.0.0.1"),
            bpf_programs: Some(lists),
        }
    }

    fn added(programs: Vec<Program>) -> Configured {
        let mut configured = Configured::default();
        configured.add(vec![entry(programs)], "h").unwrap();
        configured
    }

    #[test]
    fn a_payload_comes_back_from_its_document() {
        let configured = added(vec![program("b", 2), program("a", 1)]);
        let document = configured.document(&repository()).unwrap();
        assert_eq!(Configured::of(&document), configured);
        let names: Vec<String> =
            document.chains[0].members.iter().map(|member| member.name.to_string()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(document.deployments[0].package, "l3afd:file:///srv/l3afd/a/latest/noble/l3af_a.tar.gz");
        let json = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
    }

    #[test]
    fn what_is_there_already_is_not_added_again() {
        let mut configured = added(vec![program("a", 1)]);
        configured.add(vec![entry(vec![program("a", 5), program("c", 1), program("d", 2)])], "h").unwrap();
        let names: Vec<String> = configured
            .entry("eth0.7", "h")
            .bpf_programs
            .unwrap()
            .xdp_ingress
            .unwrap()
            .into_iter()
            .map(|program| program.name)
            .collect();
        assert_eq!(names, ["a", "d"]);
    }

    #[test]
    fn what_an_update_does_not_mention_goes() {
        let mut configured = added(vec![program("a", 1), program("b", 2)]);
        configured.update(vec![entry(vec![program("b", 1)])], "h").unwrap();
        assert_eq!(configured, added(vec![program("b", 1)]));
        configured.update(Vec::new(), "h").unwrap();
        assert_eq!(configured, Configured::default());
    }

    #[test]
    fn an_interface_stays_known_when_its_last_program_is_deleted() {
        let mut configured = added(vec![program("a", 1)]);
        let names = Lists { xdp_ingress: Some(vec!["a".to_owned(), "z".to_owned()]), ..Lists::default() };
        let text = str::to_owned;
        let gone = Entry {
            host_name: text("h"),
            iface: text("eth0.7"),
            ipv4_address: String::new(),
            bpf_programs: Some(names),
        };
        configured.delete(vec![gone], "h").unwrap();
        let told = String::from_utf8(l3afd::write(&configured.entry("eth0.7", "h"), "")).unwrap();
        assert_eq!(
            told.replace('\n', ""),
            r#"{"host_name": "h","iface": "eth0.7","ipv4_address": "10.0.0.1","bpf_programs": {"xdp_ingress": null,"tc_ingress": null,"tc_egress": null,"probes": null}}"#
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |change: fn(&mut Program)| {
            let mut program = program("a", 1);
            change(&mut program);
            added(vec![program]).document(&repository()).unwrap_err().to_string()
        };
        let told = [
            refused(|program| program.cmd_start = "../../bin/sh".to_owned()),
            refused(|program| program.name = "../a".to_owned()),
            refused(|program| program.admin_status = "on".to_owned()),
            refused(|program| program.prog_type = "tc".to_owned()),
            refused(|program| program.start_args = Some([("n".to_owned(), 5.into())].into())),
            refused(|program| program.object_file.clear()),
            refused(|program| program.entry_function_name.clear()),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
        `cmd_start` of the program `a` is `../../bin/sh`: it must be the path of a file in the artifact
        `name` of the program `../a` is `../a`: it must be 1 to 100 letters, digits, dots, dashes and underscores, and no `..`
        `admin_status` of the program `a` is `on`: it must be `enabled` or `disabled`
        `prog_type` of the program `a` is `tc`: it must be `xdp` for `xdp_ingress`, and else `tc`
        `n` of `start_args` of the program `a` is 5, and must be a string
        `object_file` of the program `a` is ``: it is needed: programs that their executables load themselves cannot be chained without their help
        `entry_function_name` of the program `a` is ``: it must be 1 to 127 letters, digits and underscores, and not begin with a digit
        "#);
        let mut configured = Configured::default();
        assert!(matches!(configured.add(vec![entry(Vec::new())], "other"), Err(BadPayload::Host { .. })));
        let lo = Entry { iface: "lo".to_owned(), ..entry(Vec::new()) };
        assert!(matches!(configured.add(vec![lo], "h"), Err(BadPayload::Interface { .. })));
        let none = Entry { bpf_programs: None, ..entry(Vec::new()) };
        assert!(matches!(configured.add(vec![none], "h"), Err(BadPayload::NoPrograms { .. })));
        let alone = Repository { chaining: false, ..repository() };
        let two = added(vec![program("a", 1), program("b", 2)]);
        assert!(matches!(two.document(&alone), Err(BadPayload::NoChaining { .. })));
    }
}
