// SPDX-License-Identifier: Apache-2.0
//! The API of l3afd v1: payloads in, the state as it spells it out; and the two that only look, for metrics and for debugging.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use package::HookPoint;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant, sleep};
use wire::l3afd::{self, BadPayload, Configured, Entry, Located, Restart};
use wire::{ChainView, MemberView, Problem};

use super::gate::{Changed, gate};
use super::metrics::Monitor;
use super::restart::Successor;
use super::swagger::{Names, Payload};
use super::{L3afdConfig, store, swagger};
use crate::access::{Access, Asker};
use crate::api::{bounded, problem};
use crate::server::{self, Shared, with};
use crate::{Conditions, Fetcher, Rejected};

/// What callers hear while another process takes over.
const IN_RESTART: &str = "We are currently in the middle of a restart. Please attempt again after a while.";

/// How long a call waits for programs in user space to begin, and how often it looks.
const BEGINNING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// What the calls need.
#[derive(Clone)]
pub(crate) struct Old {
    pub(crate) engine: Shared,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) access: Arc<Access>,
    pub(crate) config: Arc<L3afdConfig>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) successor: Arc<Successor>,
    /// One change after the other: each begins with what the one before left.
    pub(crate) turn: Arc<Mutex<()>>,
}

/// The routes for changes, and for what was asked for so far.
pub(crate) fn configs(old: Old) -> Router {
    let gate = from_fn_with_state(Arc::clone(&old.access), gate);
    let router = Router::new()
        .route("/l3af/configs/{version}", get(all))
        .route("/l3af/configs/{version}/{iface}", get(one))
        .route("/l3af/configs/{version}/update", post(update))
        .route("/l3af/configs/{version}/add", post(add))
        .route("/l3af/configs/{version}/delete", post(delete))
        .route("/l3af/configs/{version}/restart", put(restart));
    let router = if old.config.swagger { router.merge(swagger::routes()) } else { router };
    bounded(router, old.access.limits()).layer(gate).with_state(old)
}

/// The routes for metrics, and for what runs.
pub(crate) fn observability(old: Old) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/bpfs/{iface}", get(bpfs)).with_state(old)
}

/// Wants what the payload says, and nothing else.
#[utoipa::path(post, path = "/l3af/configs/{version}/update", params(("version" = String, Path)), request_body = Vec<Payload>, responses((status = 200, description = "It is in force"), (status = 500, description = "Nothing changed; the text says why")))]
pub(super) async fn update(
    State(old): State<Old>,
    Extension(asker): Extension<Asker>,
    body: Bytes,
) -> Response {
    let host = old.config.repository.host.clone();
    changed(&old, asker, "deploy ebpf programs", &body, move |configured, payload: Vec<Entry>| {
        configured.update(payload, &host)
    })
    .await
}

/// Adds programs whose name and `seq_id` are free.
#[utoipa::path(post, path = "/l3af/configs/{version}/add", params(("version" = String, Path)), request_body = Vec<Payload>, responses((status = 200, description = "It is in force"), (status = 500, description = "Nothing changed; the text says why")))]
pub(super) async fn add(State(old): State<Old>, Extension(asker): Extension<Asker>, body: Bytes) -> Response {
    let host = old.config.repository.host.clone();
    changed(&old, asker, "AddEbpfPrograms ", &body, move |configured, payload: Vec<Entry>| {
        configured.add(payload, &host)
    })
    .await
}

/// Removes programs by their names; unknown ones are passed over.
#[utoipa::path(post, path = "/l3af/configs/{version}/delete", params(("version" = String, Path)), request_body = Vec<Names>, responses((status = 200, description = "They are gone"), (status = 500, description = "Nothing changed; the text says why")))]
pub(super) async fn delete(
    State(old): State<Old>,
    Extension(asker): Extension<Asker>,
    body: Bytes,
) -> Response {
    let host = old.config.repository.host.clone();
    changed(&old, asker, "DeleteEbpfPrograms ", &body, move |configured, payload: Vec<Entry<String>>| {
        configured.delete(payload, &host)
    })
    .await
}

/// Reads a payload, changes what is wanted by it, and answers as l3afd v1 does.
async fn changed<T: serde::de::DeserializeOwned + Send>(
    old: &Old,
    asker: Asker,
    what: &str,
    body: &[u8],
    alter: impl FnOnce(&mut Configured, T) -> Result<(), BadPayload> + Send,
) -> Response {
    if old.successor.is_coming() {
        return text(StatusCode::OK, IN_RESTART.to_owned());
    }
    let payload = match l3afd::read::<Option<T>>(body) {
        Ok(Some(payload)) => payload,
        Ok(None) => return text(StatusCode::OK, String::new()),
        Err(error) => {
            return text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to unmarshal payload: {error}"));
        }
    };
    match old.change(asker, |configured| alter(configured, payload)).await {
        Ok(in_force) => {
            let mut response = text(StatusCode::OK, String::new());
            response.extensions_mut().insert(in_force);
            response
        }
        Err(problem) => {
            tracing::warn!(problem = %problem.kind, "refused: {problem}");
            let hint = problem.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            let mut response =
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to {what}: {problem}{hint}"));
            response.extensions_mut().insert(Changed::refused(problem));
            response
        }
    }
}

/// What was asked for, of all interfaces.
#[utoipa::path(get, path = "/l3af/configs/{version}", params(("version" = String, Path)), responses((status = 200, body = Vec<Payload>)))]
pub(super) async fn all(State(old): State<Old>) -> Response {
    let host = old.config.repository.host.clone();
    old.tell(move |configured| configured.entries(&host)).await
}

/// What was asked for, of one interface.
#[utoipa::path(get, path = "/l3af/configs/{version}/{iface}", params(("version" = String, Path), ("iface" = String, Path)), responses((status = 200, body = Payload)))]
pub(super) async fn one(State(old): State<Old>, Path((_, iface)): Path<(String, String)>) -> Response {
    let host = old.config.repository.host.clone();
    old.tell(move |configured| configured.entry(&iface, &host)).await
}

/// Lets another version of the daemon take over.
#[utoipa::path(put, path = "/l3af/configs/{version}/restart", params(("version" = String, Path)), request_body = Restart, responses((status = 200, description = "The other version serves"), (status = 500, description = "This one goes on; the text says why")))]
pub(super) async fn restart(
    State(old): State<Old>,
    Extension(asker): Extension<Asker>,
    body: Bytes,
) -> Response {
    let failed = |text: String| self::text(StatusCode::INTERNAL_SERVER_ERROR, text);
    let Restart { hostname, version } = match l3afd::read::<Option<Restart>>(&body) {
        Ok(wanted) => wanted.unwrap_or_default(),
        Err(error) => return failed(format!("failed to unmarshal payload: {error}")),
    };
    let host = &old.config.repository.host;
    if hostname != *host {
        return failed(format!("this request is for the host `{hostname}`, and this is `{host}`"));
    }
    // The successor begins with what this one leaves.
    let turn = old.turn.lock().await;
    if !old.successor.begin() {
        return failed(IN_RESTART.to_owned());
    }
    drop(turn);
    let forget = |configured: &mut Configured| {
        configured.forget_empty_lists();
        Ok(())
    };
    if let Err(problem) = old.change(asker, forget).await {
        tracing::warn!(problem = %problem.kind, "empty lists stay as they are: {problem}");
    }
    // It goes on where the caller hangs up: half of it would leave this process waiting for another.
    let (parts, version) = (old.clone(), version.clone());
    let starting = tokio::spawn(async move {
        let started = parts.successor.start(&parts.engine, &parts.config, &version).await;
        started.map_err(|none| none.to_string())
    });
    let started = starting.await.unwrap_or_else(|panicked| Err(panicked.to_string()));
    let failure = started.err().inspect(|none| tracing::error!("no other process takes over: {none}"));
    let changed = match &failure {
        None => Changed::default(),
        Some(text) => Changed::refused(problem(500, "no-successor", text, "this process goes on as before")),
    };
    let mut response = failure.map_or_else(|| text(StatusCode::OK, String::new()), failed);
    response.extensions_mut().insert(changed);
    response
}

async fn metrics(State(old): State<Old>) -> Response {
    let told = old.monitor.text(&old.config.repository.host, &old.runs().await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], told).into_response()
}

/// What runs on an interface, in the fields of l3afd v1 that have a meaning here.
async fn bpfs(State(old): State<Old>, Path(iface): Path<String>) -> Response {
    let (configured, chains) = match (old.configured().await, old.chains().await) {
        (Ok(configured), Ok(chains)) => (configured, chains),
        (Err(rejected), _) | (_, Err(rejected)) => return unread(&rejected),
    };
    let list: Vec<Value> = configured
        .programs()
        .filter(|found| found.iface == iface)
        .filter_map(|found| {
            let member = member(&found, &chains)?;
            Some(json!({ "Program": found.program, "ProgID": member.program_id }))
        })
        .collect();
    Json(list).into_response()
}

impl Old {
    /// Wants what is wanted, changed like this. Returns which generations were in force before and after.
    pub(crate) async fn change(
        &self,
        asker: Asker,
        alter: impl FnOnce(&mut Configured) -> Result<(), BadPayload>,
    ) -> Result<Changed, Problem> {
        let _turn = self.turn.lock().await;
        let (generation, before) = self.generation().await.map_err(|rejected| rejected.problem())?;
        let mut wanted = before.clone();
        alter(&mut wanted).map_err(|bad| refused(&bad))?;
        let document = wanted.document(&self.config.repository).map_err(|bad| refused(&bad))?;
        // What was taken off by hand comes back also where it is asked for as it was.
        let is_off = with(&self.engine, |engine| engine.is_detached()).await;
        let is_off = is_off.map_err(|error| panicked(error).problem())?;
        if wanted == before && !is_off {
            return Ok(Changed::between(generation, generation));
        }
        let applied = async {
            let fetched = server::fetch(&self.engine, &self.fetcher, &document).await.map_err(panicked)??;
            let conditions = Conditions { expected: Some(generation), trial: None };
            let apply =
                move |engine: &mut crate::Engine| engine.apply_l3afd(document, conditions, &fetched, &asker);
            with(&self.engine, apply).await.map_err(panicked)?
        };
        let applied = applied.await.map_err(|rejected: Rejected| {
            self.monitor.note_failure(&before, &wanted);
            let problem = rejected.problem();
            let is_untrusted = matches!(rejected, Rejected::Untrusted { .. });
            Problem { hint: if is_untrusted { Some(self.way_over()) } else { problem.hint }, ..problem }
        })?;
        if let Some(path) = &self.config.store
            && let Err(error) = store::write(path, &wanted, &self.config.repository.host)
        {
            tracing::warn!("`{}` cannot be written; what counts is kept elsewhere: {error}", path.display());
        }
        self.monitor.note(&before, &wanted);
        self.wait_for_user_programs().await;
        self.monitor.read(&self.engine).await;
        Ok(Changed::between(generation, applied.generation))
    }

    /// Waits until what runs in user space got to where its work goes on by itself. l3afd v1 answered no sooner.
    async fn wait_for_user_programs(&self) {
        let begin = Instant::now();
        while begin.elapsed() < BEGINNING
            && with(&self.engine, |engine| !engine.have_user_programs_begun()).await.unwrap_or_default()
        {
            sleep(PAUSE).await;
        }
    }

    /// What makes packages trusted that nobody signed so far.
    fn way_over(&self) -> String {
        let path = self.config.path.display();
        format!(
            "`l3af adopt-l3afd {path} --key KEY` signs the artifacts of this site, and writes the policy that trusts them"
        )
    }

    /// Whether nothing was asked of this daemon yet.
    pub(crate) async fn is_new(&self) -> bool {
        self.generation().await.is_ok_and(|(generation, _)| generation == 0)
    }

    /// What was asked for so far.
    pub(crate) async fn configured(&self) -> Result<Configured, Rejected> {
        self.generation().await.map(|(_, configured)| configured)
    }

    async fn generation(&self) -> Result<(u64, Configured), Rejected> {
        let asked = with(&self.engine, |engine| engine.desired());
        let generation = asked.await.map_err(panicked)??;
        Ok((generation.number, Configured::of(&generation.document)))
    }

    async fn chains(&self) -> Result<Vec<ChainView>, Rejected> {
        let asked = with(&self.engine, |engine| engine.chains());
        Ok(asked.await.map_err(panicked)??.chains)
    }

    /// The programs that run, with their places.
    async fn runs(&self) -> Vec<(String, HookPoint, String)> {
        let chains = self.chains().await.unwrap_or_default();
        let Ok(configured) = self.configured().await else { return Vec::new() };
        let running = configured.programs().filter(|found| member(found, &chains).is_some());
        running.map(|found| (found.iface.to_owned(), found.hook, found.program.name.clone())).collect()
    }

    async fn tell<T: Serialize>(&self, what: impl FnOnce(Configured) -> T) -> Response {
        match self.configured().await {
            Ok(configured) => json_text(l3afd::write(&what(configured), "  ")),
            Err(rejected) => unread(&rejected),
        }
    }
}

/// l3afd v1 says of all it answers that it is JSON, also of texts.
fn text(status: StatusCode, text: String) -> Response {
    (status, json_text(text.into_bytes())).into_response()
}

/// The answer where nobody knows what there is.
fn unread(rejected: &Rejected) -> Response {
    text(StatusCode::INTERNAL_SERVER_ERROR, rejected.problem().to_string())
}

fn json_text(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

fn refused(bad: &BadPayload) -> Problem {
    problem(422, "payload", &bad.to_string(), "docs/l3afd-v1.md describes payloads")
}

fn panicked(error: tokio::task::JoinError) -> Rejected {
    Rejected::State { action: "carry out the call", source: std::io::Error::other(error) }
}

/// The member that a program is, where it runs.
fn member<'c>(located: &Located<'_>, chains: &'c [ChainView]) -> Option<&'c MemberView> {
    let is_place =
        |chain: &&ChainView| chain.interface.to_string() == located.iface && chain.hook == located.hook;
    let name = l3afd::identifier(&located.program.name);
    chains.iter().find(is_place)?.members.iter().find(|member| member.name == name)
}
