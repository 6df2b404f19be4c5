// SPDX-License-Identifier: Apache-2.0
//! What `l3af top` shows, and what keys do to it. Nothing here knows a terminal.

use std::collections::BTreeMap;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use wire::{CallError, ChainRates, MemberRates, Rate, Status, short_number};

/// The columns.
pub(super) const HEAD: [&str; 9] =
    ["hook", "member", "packets/s", "bytes/s", "passed", "drops/s", "left here", "enforcement", "ns/packet"];

/// One line: the columns of a member.
pub(super) type Row = [String; HEAD.len()];

/// What a key asks for that the view cannot do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    Profile,
}

/// In which order members are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Order {
    /// As packets meet them.
    #[default]
    Chain,
    Packets,
    Drops,
    Time,
}

/// All that is shown.
#[derive(Debug, Default)]
pub(super) struct View {
    status: Option<Status>,
    chains: Vec<ChainRates>,
    /// Why nothing new is shown.
    silence: Option<String>,
    order: Order,
    filter: String,
    /// Whether keys go into the filter.
    is_typing: bool,
    /// How many lines are above what is shown.
    pub(super) above: usize,
    /// How many lines are shown; whoever draws says so.
    pub(super) height: usize,
    pub(super) notice: Option<String>,
}

impl View {
    /// Takes a reading. Where there is none, what was read before stays, and why is told.
    pub(super) fn take(&mut self, reading: Result<(Status, Vec<ChainRates>), CallError>) {
        match reading {
            Ok((status, chains)) => {
                (self.status, self.chains, self.silence) = (Some(status), chains, None);
            }
            Err(error) => self.silence = Some(error.to_string()),
        }
    }

    /// Does what a key says.
    pub(super) fn key(&mut self, key: KeyEvent) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Nothing;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Wish::Quit;
        }
        if self.is_typing {
            self.type_filter(key.code);
            return Wish::Nothing;
        }
        let page = self.height.max(1);
        let last = self.rows().len().saturating_sub(page);
        #[expect(clippy::wildcard_enum_match_arm, reason = "most keys say nothing")]
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('p') => return Wish::Profile,
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up => self.above = self.above.saturating_sub(1),
            KeyCode::Down => self.above += 1,
            KeyCode::PageUp => self.above = self.above.saturating_sub(page),
            KeyCode::PageDown => self.above += page,
            KeyCode::Home => self.above = 0,
            KeyCode::End => self.above = last,
            _ => {}
        }
        self.above = self.above.min(last);
        Wish::Nothing
    }

    fn type_filter(&mut self, code: KeyCode) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "most keys say nothing")]
        match code {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => (self.is_typing, self.filter) = (false, String::new()),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
        self.above = 0;
    }

    /// How the node is, in lines.
    pub(super) fn header(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(status) = &self.status {
            let Status { version, state, generation, mode, kernel, drifts, .. } = status;
            lines.push(format!(
                "l3afd {version}  {state}  generation {generation}  mode {mode}  Linux {kernel}  drift repaired {drifts} times"
            ));
            if !status.waiting_for.is_empty() {
                lines.push(format!("waiting for {}", status.waiting_for.join(", ")));
            }
            lines.extend(status.problem.iter().map(|problem| format!("problem: {problem}")));
            lines.extend(status.alarms.iter().map(|alarm| format!("ALARM: {alarm}")));
        }
        for chain in &self.chains {
            let bypassed = if chain.attached { "" } else { "  detached: packets pass it by" };
            let ChainRates { hook, entered, dropped, .. } = chain;
            let (entered, bytes, dropped) =
                (short_number(entered.packets), short_number(entered.bytes), short_number(dropped.packets));
            lines.push(format!("{hook}: {entered} packets/s, {bytes} bytes/s, {dropped} drops/s{bypassed}"));
        }
        lines.extend(self.silence.iter().map(|why| format!("nothing new: {why}")));
        lines
    }

    /// What keys do, or what is typed, or what was just done.
    pub(super) fn footer(&self) -> String {
        if self.is_typing {
            return format!("/{}_", self.filter);
        }
        let filter = if self.filter.is_empty() { String::new() } else { format!("only `{}`  ", self.filter) };
        let notice = self.notice.as_ref().map(|notice| format!("{notice}  ")).unwrap_or_default();
        let order = self.order.name();
        format!("{notice}{filter}q quit  s sort ({order})  p profile  / filter  arrows scroll")
    }

    /// The members that are shown, in order.
    pub(super) fn rows(&self) -> Vec<Row> {
        let all =
            self.chains.iter().flat_map(|chain| chain.members.iter().map(move |member| (chain, member)));
        let is_shown = |(chain, member): &(&ChainRates, &MemberRates)| {
            [&*chain.hook, member.name.as_ref(), &member.package]
                .iter()
                .any(|text| text.contains(&self.filter))
        };
        let mut shown: Vec<_> = all.filter(is_shown).collect();
        let by = |value: fn(&MemberRates) -> f64, shown: &mut Vec<(&ChainRates, &MemberRates)>| {
            shown.sort_by(|(_, one), (_, other)| value(other).total_cmp(&value(one)));
        };
        match self.order {
            Order::Chain => {}
            Order::Packets => by(|member| member.seen.packets, &mut shown),
            Order::Drops => by(|member| member.dropped.packets, &mut shown),
            Order::Time => by(|member| member.nanoseconds.unwrap_or_default(), &mut shown),
        }
        shown.into_iter().map(|(chain, member)| row(chain, member)).collect()
    }
}

impl Order {
    fn next(self) -> Self {
        match self {
            Self::Chain => Self::Packets,
            Self::Packets => Self::Drops,
            Self::Drops => Self::Time,
            Self::Time => Self::Chain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Packets => "packets",
            Self::Drops => "drops",
            Self::Time => "time",
        }
    }
}

fn row(chain: &ChainRates, member: &MemberRates) -> Row {
    let mut enforcement = member.enforcement.clone();
    if !member.shadowed.is_empty() {
        enforcement = format!("{enforcement}: {}", shares(&member.shadowed, member.seen));
    }
    [
        chain.hook.clone(),
        member.name.to_string(),
        short_number(member.seen.packets),
        short_number(member.seen.bytes),
        percent(member.passed.share_of(member.seen)),
        short_number(member.dropped.packets),
        shares(&member.left, member.seen),
        enforcement,
        member.nanoseconds.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}")),
    ]
}

fn shares(verdicts: &BTreeMap<String, Rate>, of: Rate) -> String {
    let shares = verdicts.iter().map(|(verdict, rate)| format!("{verdict} {}", percent(rate.share_of(of))));
    let shares: Vec<String> = shares.collect();
    if shares.is_empty() { "-".to_owned() } else { shares.join(", ") }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", 100.0 * share))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn rate(packets: f64) -> Rate {
        Rate { packets, bytes: packets * 100.0 }
    }

    fn member(name: &str, seen: f64, left: &[(&str, f64)], nanoseconds: Option<f64>) -> MemberRates {
        let out: f64 = left.iter().map(|(_, packets)| packets).sum();
        MemberRates {
            name: name.parse().unwrap(),
            package: format!("l3af/{name}"),
            version: "0.1.0".to_owned(),
            enforcement: "enforce".to_owned(),
            seen: rate(seen),
            passed: rate(seen - out),
            left: left.iter().map(|(verdict, packets)| ((*verdict).to_owned(), rate(*packets))).collect(),
            dropped: rate(
                left.iter().filter(|(verdict, _)| *verdict == "drop").map(|(_, drops)| drops).sum(),
            ),
            shadowed: BTreeMap::new(),
            nanoseconds,
        }
    }

    /// A view of two chains.
    pub(in super::super) fn view() -> View {
        let mut shadow = member("ratelimit", 900.0, &[("pass", 900.0)], Some(31.4));
        shadow.enforcement = "shadow".to_owned();
        shadow.shadowed = BTreeMap::from([("drop".to_owned(), rate(90.0))]);
        let chain = |hook: &str, members: Vec<MemberRates>| ChainRates {
            hook: hook.to_owned(),
            attached: hook.starts_with("eth0"),
            entered: members[0].seen,
            dropped: members.iter().map(|member| member.dropped).sum(),
            members,
        };
        let sanity = member("sanity", 1000.0, &[("drop", 100.0)], Some(12.0));
        let chains = vec![
            chain("eth0/xdp", vec![sanity, shadow]),
            chain("eth1/tc-egress", vec![member("marks", 1_234_567.0, &[], None)]),
        ];
        let status = serde_json::json!({
            "version": "0.1.0", "mode": "trusted", "generation": 7, "state": "converged", "drifts": 2,
            "kernel": "6.18.0", "pins": "/sys/fs/bpf/l3af",
        });
        let mut view = View { height: 10, ..View::default() };
        view.take(Ok((serde_json::from_value(status).unwrap(), chains)));
        view
    }

    fn press(view: &mut View, keys: &[KeyCode]) -> Wish {
        keys.iter().fold(Wish::Nothing, |_, code| view.key((*code).into()))
    }

    fn members(view: &View) -> Vec<String> {
        view.rows().into_iter().map(|[_, member, ..]| member).collect()
    }

    #[test]
    fn members_are_sorted_by_what_is_asked_for() {
        let mut view = view();
        assert_eq!(members(&view), ["sanity", "ratelimit", "marks"]);
        press(&mut view, &[KeyCode::Char('s')]);
        assert_eq!(members(&view), ["marks", "sanity", "ratelimit"]);
        press(&mut view, &[KeyCode::Char('s')]);
        assert_eq!(members(&view)[0], "sanity");
        press(&mut view, &[KeyCode::Char('s')]);
        assert_eq!(members(&view)[0], "ratelimit");
    }

    #[test]
    fn what_is_typed_behind_a_slash_filters_and_is_no_command() {
        let mut view = view();
        let typed = [KeyCode::Char('/'), KeyCode::Char('q'), KeyCode::Backspace, KeyCode::Char('m')];
        assert_eq!(press(&mut view, &typed), Wish::Nothing);
        assert_eq!(
            (members(&view), view.footer()),
            (vec!["ratelimit".to_owned(), "marks".to_owned()], "/m_".to_owned())
        );
        press(&mut view, &[KeyCode::Enter]);
        assert_eq!(press(&mut view, &[KeyCode::Char('q')]), Wish::Quit);
        press(&mut view, &[KeyCode::Esc]);
        assert_eq!(members(&view).len(), 3);
    }

    #[test]
    fn one_cannot_scroll_past_either_end() {
        let mut view = view();
        view.height = 2;
        press(&mut view, &[KeyCode::Down, KeyCode::PageDown, KeyCode::Down]);
        assert_eq!(view.above, 1);
        press(&mut view, &[KeyCode::Home, KeyCode::Up]);
        assert_eq!(view.above, 0);
        press(&mut view, &[KeyCode::End]);
        assert_eq!(view.above, 1);
    }
}
