// SPDX-License-Identifier: Apache-2.0
//! `l3af status`: how the daemon is, and why it trusts what it runs.

use wire::{Explained, Status, UserProgramView};

use super::daemon::call;
use crate::arguments::{self, Daemon};
use crate::failure::Outcome;
use crate::output;

pub(crate) fn run(daemon: &Daemon, arguments: &arguments::Status) -> Outcome {
    if arguments.explain {
        let explained = call(daemon, async |node| node.explanations().await)?;
        if arguments.json {
            return output::json(&explained);
        }
        explained.iter().for_each(explain);
        return Ok(());
    }
    let status = call(daemon, async |node| node.status().await)?;
    if arguments.json {
        return output::json(&status);
    }
    output::mode(status.mode);
    for (name, value) in lines(&status) {
        output::data(&format!("{name:<12} {value}"));
    }
    Ok(())
}

fn lines(status: &Status) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("state", status.state.to_string()),
        ("generation", status.generation.to_string()),
        ("mode", status.mode.to_string()),
        ("looked", status.looked.clone().unwrap_or_else(|| "never".to_owned())),
        ("kernel", status.kernel.clone()),
        ("pins", status.pins.clone()),
        ("version", status.version.clone()),
    ];
    if let Some(wire::Unconfirmed { seconds_left, back_to, .. }) = &status.unconfirmed {
        let trial = format!(
            "on trial: generation {back_to} returns in {seconds_left} s; `l3af confirm` keeps this one"
        );
        lines.insert(2, ("confirmed", trial));
    }
    lines.extend(
        status.document.clone().map(|file| ("document", format!("{file}; nobody else may change it"))),
    );
    if !status.waiting_for.is_empty() {
        lines.push(("waiting for", status.waiting_for.join(", ")));
    }
    if !status.left.is_empty() {
        lines.push((
            "left",
            format!("{}: changed by somebody else, until the next document", status.left.join(", ")),
        ));
    }
    if let Some(drift) = &status.last_drift {
        lines.push((
            "drift",
            format!("{} repaired since the daemon started; the last: {drift}", status.drifts),
        ));
    }
    lines.extend(status.user_programs.iter().map(|program| ("user program", user_program(program))));
    lines.extend(status.notices.iter().map(|notice| ("notice", notice.clone())));
    if let Some(problem) = &status.problem {
        lines.push(("problem", problem.to_string()));
        lines.extend(problem.hint.clone().map(|hint| ("hint", hint)));
        lines.extend(problem.log.clone().map(|log| ("log", log)));
    }
    for alarm in &status.alarms {
        lines.push(("ALARM", alarm.to_string()));
        lines.extend(alarm.removed.iter().map(|what| ("removed", what.clone())));
        lines.extend(alarm.kept.iter().map(|what| ("kept", what.clone())));
        lines.extend(alarm.hint.clone().map(|hint| ("hint", hint)));
    }
    lines
}

fn user_program(program: &UserProgramView) -> String {
    let UserProgramView { publisher, package, version, name, state, restarts, user, .. } = program;
    let state = match (state, program.pid) {
        (wire::UserProgramState::Running, Some(pid)) => {
            let ready =
                if program.ready == Some(false) { ", and did not say yet that it is ready" } else { "" };
            format!("runs as process {pid}{ready}")
        }
        (wire::UserProgramState::Running | wire::UserProgramState::Waiting, _) => "waits".to_owned(),
        (wire::UserProgramState::Failed, _) => {
            format!("is given up, and tried again in {} s", program.retry_seconds.unwrap_or_default())
        }
        (wire::UserProgramState::Finished, _) => "did its work, and ended".to_owned(),
        (wire::UserProgramState::Stopping, _) => "is stopping".to_owned(),
    };
    let last = program.last.as_ref().map(|last| format!("; {last}")).unwrap_or_default();
    let user = match user {
        Some(0) => ", as root".to_owned(),
        Some(user) => format!(", as user {user}"),
        None => String::new(),
    };
    let can = match program.capabilities.as_slice() {
        [] => String::new(),
        capabilities => format!(" with {}", capabilities.join(", ")),
    };
    let at = program.member.as_ref().map(|hook| format!(" at `{hook}`")).unwrap_or_default();
    let profile = program.profile.as_ref().map(|name| format!(" (profile `{name}`)")).unwrap_or_default();
    let limits: Vec<String> = program.limits.iter().map(|limit| format!("; {limit}")).collect();
    let limits = limits.concat();
    let confined = program.confinement.as_ref().map(|confined| format!("; {confined}")).unwrap_or_default();
    format!(
        "`{name}` of {publisher}/{package} {version}{at} {state}{user}{can}{profile}, started again {restarts} times{confined}{limits}{last}"
    )
}

/// The rules that let a package in, and those that would not today.
fn explain(explained: &Explained) {
    output::data(&format!("{} {}", explained.package, explained.digest));
    let tell = |rulings: &[wire::Ruling]| {
        for ruling in rulings {
            output::data(&format!("  {ruling}"));
        }
    };
    tell(&explained.accepted);
    if !explained.withdrawn.is_empty() {
        output::data("  trusted no longer:");
        tell(&explained.withdrawn);
    }
}
