// SPDX-License-Identifier: Apache-2.0
//! `l3af chain`: chains as pictures, with the packets that went through.

use package::Mechanism;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use wire::{ChainView, Count, MemberView};

use super::daemon::call;
use crate::arguments::{Chain, Daemon};
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn run(daemon: &Daemon, arguments: &Chain) -> Outcome {
    let mut listed = call(daemon, async |node| node.chains().await)?;
    if let Some(interface) = &arguments.interface {
        listed.chains.retain(|chain| chain.interface == *interface);
    }
    if arguments.json {
        return output::json(&listed);
    }
    output::mode(listed.mode);
    let chains = listed.chains;
    match (&arguments.interface, chains.is_empty()) {
        (Some(interface), true) => {
            Err(Failure::new(format!("no chain runs on `{interface}`"))
                .with_hint("`l3af ps` lists what runs"))
        }
        (None, true) => {
            output::note("no chain runs");
            Ok(())
        }
        _ => {
            for chain in &chains {
                output::data(&draw(chain));
            }
            Ok(())
        }
    }
}

/// One chain from the packets' way in to their way out.
fn draw(chain: &ChainView) -> String {
    let mut picture = format!("{}/{}", chain.interface, chain.hook);
    if !chain.attached {
        picture.push_str("  (detached: packets pass it by)");
    } else if let Some(mode) = chain.mode {
        // Writing to a string cannot fail, here and below.
        let _ = write!(picture, "  ({mode})");
    }
    let reason = chain.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let _ = write!(picture, "\n  {}{reason}", chain.mechanism);
    picture.extend(chain.before.iter().map(|name| format!("\n  │\n  ▼\n  `{name}`, not ours")));
    for member in &chain.members {
        match chain.mechanism {
            Mechanism::Splice | Mechanism::Dispatcher => draw_member(member, &mut picture),
            Mechanism::Alone => {
                let _ = write!(picture, "\n  ▼\n{}", title(member));
                draw_config(member, &mut picture);
                picture.push_str("\n└─► its verdicts are not counted");
            }
        }
    }
    let last = chain.members.last().map(|member| member.passed).unwrap_or_default();
    if last.packets > 0 {
        let _ = write!(picture, "\n  │ {}\n  ▼", packets(last));
    }
    if chain.incumbent.is_some() {
        picture.push_str("\n  the program that had the interface before, not ours");
    }
    picture.extend(chain.behind.iter().map(|name| format!("\n  `{name}`, not ours")));
    picture
}

fn title(member: &MemberView) -> String {
    format!("┌ {}  {} {}  `{}`", member.name, member.package, member.version, member.program)
}

/// A member of a chain, with what it saw before and what left at it behind.
fn draw_member(member: &MemberView, picture: &mut String) {
    let proceed = if member.proceed.is_empty() { "nothing".to_owned() } else { member.proceed.join(", ") };
    let (seen, title) = (packets(member.seen), title(member));
    let _ = write!(picture, "\n  │ {seen}\n  ▼\n{title}\n│   goes on after {proceed}");
    if member.enforcement != "enforce" {
        let shadowed = verdicts(&member.shadowed);
        let _ = write!(picture, "\n│   {}: {shadowed} would have left", member.enforcement);
    }
    draw_config(member, picture);
    let _ = write!(picture, "\n└─► left here: {}", verdicts(&member.left));
}

fn draw_config(member: &MemberView, picture: &mut String) {
    for (name, value) in &member.config {
        let _ = write!(picture, "\n│   {name} = {value}");
    }
    for map in member.configured_maps.keys() {
        let _ = write!(picture, "\n│   {map} holds what the document says");
    }
}

fn verdicts(counts: &BTreeMap<String, Count>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let counts = counts.iter().map(|(verdict, count)| format!("{verdict} {}", count.packets));
    counts.collect::<Vec<_>>().join(", ")
}

fn packets(count: Count) -> String {
    format!("{} packets, {} bytes", count.packets, count.bytes)
}

#[cfg(test)]
mod tests {
    use package::{HookPoint, XdpMode};

    use super::*;

    fn member(name: &str, seen: u64, left: &[(&str, u64)], passed: u64) -> MemberView {
        let count = |packets| Count { packets, bytes: packets * 60 };
        MemberView {
            name: name.parse().unwrap(),
            instance: format!("{name}#1"),
            program_id: Some(7),
            package: format!("l3af/{name}"),
            version: "0.1.0".to_owned(),
            program: name.to_owned(),
            object_digest: String::new(),
            code_digest: None,
            untouched_digest: None,
            read_only_data: None,
            proceed: vec!["pass".to_owned()],
            enforcement: "enforce".to_owned(),
            shadowed: BTreeMap::new(),
            run: wire::RunTime::default(),
            config: BTreeMap::from([("limit".to_owned(), 5.into())]),
            configured_maps: BTreeMap::new(),
            seen: count(seen),
            left: left.iter().map(|(verdict, packets)| ((*verdict).to_owned(), count(*packets))).collect(),
            passed: count(passed),
        }
    }

    #[test]
    fn a_chain_is_drawn_from_the_way_in_to_the_way_out() {
        let members = vec![
            member("sanity", 10, &[("drop", 1)], 9),
            member("ratelimit", 9, &[("drop", 4), ("pass", 5)], 0),
        ];
        let interface = "eth0".parse().unwrap();
        let reason = Some("it fits".to_owned());
        let (hook, mechanism) = (HookPoint::Xdp, Mechanism::Splice);
        let mut chain = ChainView {
            interface,
            hook,
            attached: true,
            mechanism,
            reason,
            mode: Some(XdpMode::Native),
            before: Vec::new(),
            behind: Vec::new(),
            incumbent: None,
            members,
        };
        insta::assert_snapshot!(draw(&chain), @"
        eth0/xdp  (native)
          splice: it fits
          │ 10 packets, 600 bytes
          ▼
        ┌ sanity  l3af/sanity 0.1.0  `sanity`
        │   goes on after pass
        │   limit = 5
        └─► left here: drop 1
          │ 9 packets, 540 bytes
          ▼
        ┌ ratelimit  l3af/ratelimit 0.1.0  `ratelimit`
        │   goes on after pass
        │   limit = 5
        └─► left here: drop 4, pass 5
        ");
        (chain.mechanism, chain.reason) = (Mechanism::Alone, None);
        chain.members.truncate(1);
        chain.members[0].passed = Count::default();
        insta::assert_snapshot!(draw(&chain), @"
        eth0/xdp  (native)
          alone
          ▼
        ┌ sanity  l3af/sanity 0.1.0  `sanity`
        │   limit = 5
        └─► its verdicts are not counted
        ");
    }
}
