// SPDX-License-Identifier: Apache-2.0
//! The page for people, at `/`: one file, read-only. It is whole without a script; one of its own brings it up to date.
//!
//! The browser is told to run and load nothing else (CSP level 3): style and script are known by their digests.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use jiff::{Timestamp, Unit};
use package::Digest;
use wire::{
    ChainRates, ChainView, Event, MemberRates, MemberView, Problem, Status, TrustMode, UserProgramState,
    UserProgramView, rates, short_number,
};

use super::{Served, ask, refuse};

/// How many events it shows.
const EVENTS: usize = 20;
/// Readings that are closer to each other say little of what goes through in a second.
const APART: Duration = Duration::from_millis(900);

const STYLE: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");

/// The reading with which the next one is compared, and what was told last.
#[derive(Default)]
pub(super) struct Looks(Mutex<Option<Last>>);

struct Last {
    at: Instant,
    chains: Vec<ChainView>,
    told: Told,
}

/// Rates, and of how long a time they are; none before there is a second reading.
#[derive(Clone, Default)]
struct Told {
    rates: Vec<ChainRates>,
    apart: Option<Duration>,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    style: &'static str,
    script: &'static str,
    at: String,
    status: Status,
    is_unverified: bool,
    chains: Vec<Chain>,
    /// The user programs: package, name, state, and how often each was started again.
    programs: Vec<[String; 4]>,
    seconds: Option<String>,
    events: Vec<Event>,
}

/// A chain as a table.
struct Chain {
    title: String,
    attached: bool,
    rows: Vec<Row>,
}

struct Row {
    member: String,
    package: String,
    enforcement: String,
    seen: u64,
    passed: u64,
    left: String,
    packets_a_second: String,
    bytes_a_second: String,
    drops_a_second: String,
}

/// A page for people
#[utoipa::path(get, path = "/", responses((status = 200, body = String, content_type = "text/html"), (status = "default", body = Problem)))]
pub(super) async fn page(State(Served { engine, events, looks, .. }): State<Served>) -> Response {
    let seen = match ask(engine, |engine| Ok((engine.status()?, engine.chains()?.chains))).await {
        Ok(seen) => seen,
        Err(refused) => return refused,
    };
    let mut last = events.after(0);
    last.reverse();
    last.truncate(EVENTS);
    let (status, chains) = seen;
    let told = looks.look(&chains);
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        at: Timestamp::now().round(Unit::Second).unwrap_or_default().to_string(),
        is_unverified: status.mode == TrustMode::Normal,
        programs: status.user_programs.iter().map(program).collect(),
        status,
        chains: chains.iter().map(|view| chain(view, &told.rates)).collect(),
        seconds: told.apart.map(|apart| format!("{:.0}", apart.as_secs_f64())),
        events: last,
    };
    match page.render() {
        Ok(page) => (headers(), Html(page)).into_response(),
        Err(error) => {
            tracing::error!("the page cannot be written: {error}");
            refuse(500, "internal", "the page cannot be written", "the API tells the same")
        }
    }
}

fn headers() -> [(header::HeaderName, String); 4] {
    let known = |text: &str| format!("'sha256-{}'", wire::base64(Digest::of(text.as_bytes()).bytes()));
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        known(STYLE),
        known(SCRIPT)
    );
    [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ]
}

impl Looks {
    /// What went through since the reading before. One that was just made is told again.
    fn look(&self, chains: &[ChainView]) -> Told {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Instant::now();
        let told = match &*last {
            Some(Last { at: before, told, .. }) if at - *before < APART => return told.clone(),
            Some(Last { at: before, chains: old, .. }) => {
                let apart = at - *before;
                Told { rates: rates(old, chains, apart), apart: Some(apart) }
            }
            None => Told::default(),
        };
        *last = Some(Last { at, chains: chains.to_vec(), told: told.clone() });
        told
    }
}

fn program(program: &UserProgramView) -> [String; 4] {
    let UserProgramView { publisher, package, version, name, state, restarts, .. } = program;
    let state = match state {
        UserProgramState::Running => "running",
        UserProgramState::Waiting => "waiting",
        UserProgramState::Failed => "failed",
        UserProgramState::Finished => "finished",
        UserProgramState::Stopping => "stopping",
    };
    [format!("{publisher}/{package} {version}"), name.clone(), state.to_owned(), restarts.to_string()]
}

fn chain(view: &ChainView, rates: &[ChainRates]) -> Chain {
    let hook = format!("{}/{}", view.interface, view.hook);
    let rates = rates.iter().find(|rates| rates.hook == hook);
    let of = |name: &package::MemberName| rates?.members.iter().find(|member| member.name == *name);
    let rows = view.members.iter().map(|member| row(member, of(&member.name))).collect();
    let mode = view.mode.map(|mode| format!(", {mode}")).unwrap_or_default();
    Chain { title: format!("{hook} ({}{mode})", view.mechanism), attached: view.attached, rows }
}

fn row(member: &MemberView, rates: Option<&MemberRates>) -> Row {
    let counts = member.left.iter().map(|(verdict, count)| format!("{verdict} {}", count.packets));
    let rate =
        |of: fn(&MemberRates) -> f64| rates.map_or_else(|| "-".to_owned(), |rates| short_number(of(rates)));
    Row {
        member: member.name.to_string(),
        package: format!("{} {}", member.package, member.version),
        enforcement: member.enforcement.clone(),
        seen: member.seen.packets,
        passed: member.passed.packets,
        left: counts.collect::<Vec<_>>().join(", "),
        packets_a_second: rate(|rates| rates.seen.packets),
        bytes_a_second: rate(|rates| rates.seen.bytes),
        drops_a_second: rate(|rates| rates.dropped.packets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_and_nothing_else() {
        let evil = "<script>alert(1)</script> & \"'";
        let status = serde_json::json!({
            "version": "0.1.0", "mode": "normal", "generation": 7, "state": "refused", "drifts": 2, "kernel": evil, "pins": "",
            "waiting_for": [evil],
            "problem": { "type": "urn:l3af:problem:x", "title": evil, "status": 500, "detail": evil, "hint": evil },
        });
        let event =
            serde_json::json!({ "number": 1, "at": evil, "kind": "drift", "text": evil, "by": [evil] });
        let row = Row {
            member: evil.to_owned(),
            package: evil.to_owned(),
            enforcement: evil.to_owned(),
            seen: 1,
            passed: 1,
            left: evil.to_owned(),
            packets_a_second: "-".to_owned(),
            bytes_a_second: "-".to_owned(),
            drops_a_second: "-".to_owned(),
        };
        let page = Page {
            style: STYLE,
            script: SCRIPT,
            at: String::new(),
            status: serde_json::from_value(status).unwrap(),
            is_unverified: true,
            programs: vec![[evil; 4].map(str::to_owned)],
            chains: vec![Chain { title: evil.to_owned(), attached: false, rows: vec![row] }],
            seconds: None,
            events: vec![serde_json::from_value(event).unwrap()],
        };
        let page = page.render().unwrap();
        assert!(!page.contains("<script>alert") && !page.contains("& \"'"), "{page}");
        assert_eq!(page.matches("<script").count(), 1);
        // Their digests are those of what stands there.
        let whole = [format!("<style>{STYLE}</style>"), format!("<script>{SCRIPT}</script>")];
        assert!(whole.iter().all(|part| page.contains(part)));
        assert_eq!(
            page.matches("&lt;script&gt;").count() + page.matches("&#60;script&#62;").count(),
            17,
            "{page}"
        );
    }

    #[test]
    fn the_page_has_nothing_that_its_policy_forbids() {
        let page = include_str!("../../templates/page.html");
        for forbidden in [" style=", " onclick=", " onload=", "http:", "https:", "src=", "href="] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        // A style or script that could end early would be another one than its digest says.
        assert!(!SCRIPT.contains("</") && !STYLE.contains("</"));
    }
}
