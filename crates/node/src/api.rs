// SPDX-License-Identifier: Apache-2.0
//! The API: HTTP in, calls of the engine, JSON out. `GET /openapi.json` describes it.

mod answer;
mod given;
mod happened;
mod map_watch;
mod maps;
mod page;
mod samples;
mod security;
mod tests;
mod user_log;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRef, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Router};
use package::MemberName;
use plan::Hooks;
use serde::Deserialize;
use tokio::sync::watch;
use tower_http::timeout::RequestBodyTimeoutLayer;
use utoipa::OpenApi;
use wire::{
    Applied, ChainDocument, ChainView, Count, Document, Generation, MemberDocument, MemberView, Planned,
    Problem, Problems, Profile, Rollback, Status,
};

use self::answer::{answer, ask, change, finished, refuse};
use self::given::Given;
use self::security::Schemes;
use crate::access::{Access, Asker, gate};
use crate::events::Events;
use crate::metrics::{self, CONTENT_TYPE};
use crate::server::{self, Shared};
use crate::{Conditions, Engine, Fetched, Fetcher, LimitsConfig, map_metrics};

pub(crate) use self::answer::{Told, problem, refused};
pub(crate) use self::maps::told;

/// What the calls need.
#[derive(Clone)]
struct Served {
    engine: Shared,
    fetcher: Arc<Fetcher>,
    events: Arc<Events>,
    access: Arc<Access>,
    /// The readings that the page compares.
    looks: Arc<page::Looks>,
    /// Becomes true when the daemon is to end, and with it what goes on until then.
    end: watch::Receiver<bool>,
}

impl FromRef<Served> for Shared {
    fn from_ref(served: &Served) -> Self {
        Arc::clone(&served.engine)
    }
}

type Json = Result<Given, Response>;

#[derive(OpenApi)]
#[openapi(
    info(title = "l3afd", description = "The chains and probes of one node"),
    // Over the socket nothing of that is asked for.
    security((), ("certificate" = []), ("token" = [])),
    modifiers(&Schemes, &Problems),
    paths(
        status,
        desired,
        explanations,
        apply,
        confirm,
        roll_back,
        generations,
        generation,
        plan,
        stop,
        stop_all,
        chains,
        probes,
        happened::events,
        profile,
        end_profile,
        maps::maps,
        maps::entry,
        maps::entries,
        maps::change,
        map_watch::watch,
        samples::samples,
        tests::test,
        user_log::user_log,
        page::page,
        metrics,
        healthy,
        ready
    ),
    components(schemas(
        Status,
        Generation,
        wire::GenerationSummary,
        wire::Unconfirmed,
        Rollback,
        Document,
        ChainDocument,
        MemberDocument,
        wire::ProbeDocument,
        wire::CheckDocument,
        wire::DropsDocument,
        wire::ProbeView,
        Applied,
        Planned,
        wire::PlannedStep,
        wire::PlannedChain,
        ChainView,
        MemberView,
        Count,
        Profile,
        wire::SampleWish,
        wire::Sampled,
        wire::PacketView,
        wire::Said,
        wire::Event,
        wire::EventKind,
        Problem,
        wire::ReadOnlyDataView,
        wire::RunTime,
        wire::State,
        wire::Chains,
        wire::Probes,
        wire::TrustMode,
        wire::Alarm,
        wire::Explained,
        wire::Ruling,
        wire::Verdict,
        wire::UserProgramView,
        wire::UserProgramState,
        wire::UserProgramConfinement,
        wire::UserProgramLimit,
        wire::LimitMeans,
        wire::Fault,
        wire::UserProgramLog,
        wire::Maps,
        wire::MapView,
        wire::MapEntry,
        wire::MapLine,
        wire::MapEnd,
        wire::MapChange,
        wire::NewEntry,
        wire::MapChanged,
        wire::MapTold
    ))
)]
struct Description;

/// The routes of the API over an engine, what fetches for it, what happens, and who may ask; answers that go on do so until `end`
/// becomes true.
pub fn router(
    engine: Shared,
    fetcher: Arc<Fetcher>,
    events: Arc<Events>,
    access: Arc<Access>,
    end: watch::Receiver<bool>,
) -> Router {
    let limits = access.limits();
    let gate = from_fn_with_state(Arc::clone(&access), gate);
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/desired", get(desired).put(apply).delete(stop_all))
        .route("/v1/desired/explanations", get(explanations))
        .route("/v1/desired/confirmation", put(confirm))
        .route("/v1/rollback", post(roll_back))
        .route("/v1/generations", get(generations))
        .route("/v1/generations/{number}", get(generation))
        .route("/v1/desired/members/{member}", delete(stop))
        .route("/v1/plan", post(plan))
        .route("/v1/chains", get(chains))
        .route("/v1/probes", get(probes))
        .route("/v1/events", get(happened::events))
        .route("/v1/profile", put(profile).delete(end_profile))
        .route("/v1/maps", get(maps::maps))
        .route("/v1/maps/{member}/{map}", get(maps::entry).patch(maps::change).layer(maps::body_limit()))
        .route("/v1/maps/{member}/{map}/entries", get(maps::entries))
        .route("/v1/maps/{member}/{map}/watch", get(map_watch::watch))
        .route("/v1/samples", post(samples::samples))
        .route("/v1/tests", post(tests::test))
        .route("/v1/user-programs/{name}/log", get(user_log::user_log))
        .route("/", get(page::page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(async || axum::Json(Description::openapi())))
        .fallback(async || {
            refuse(404, "not-found", "there is no such resource", "`/openapi.json` lists them")
        })
        .method_not_allowed_fallback(async || {
            refuse(405, "method", "this resource has no such method", "`Allow` lists those that it has")
        });
    bounded(router, limits).layer(gate).with_state(Served {
        engine,
        fetcher,
        events,
        access,
        looks: Arc::default(),
        end,
    })
}

/// The same routes, where what a call brings is as long as it may be, and keeps coming.
pub(crate) fn bounded<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    limits: LimitsConfig,
) -> Router<S> {
    let body_bytes = usize::try_from(limits.body.bytes()).unwrap_or(usize::MAX);
    let patience = Duration::from_secs(limits.read_seconds.get().into());
    router.layer(DefaultBodyLimit::max(body_bytes)).layer(RequestBodyTimeoutLayer::new(patience))
}

/// How the node is
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status), (status = "default", body = Problem)))]
async fn status(State(Served { engine, access, .. }): State<Served>) -> Response {
    answer(engine, move |engine| Ok(Status { notices: access.notices(), ..engine.status()? })).await
}

/// The desired state in force
#[utoipa::path(get, path = "/v1/desired", responses((status = 200, body = Generation), (status = "default", body = Problem)))]
async fn desired(State(engine): State<Shared>) -> Response {
    answer(engine, |engine| engine.desired()).await
}

/// Why each package of the desired state was accepted
#[utoipa::path(get, path = "/v1/desired/explanations", responses((status = 200, body = Vec<wire::Explained>), (status = "default", body = Problem)))]
async fn explanations(State(engine): State<Shared>) -> Response {
    answer(engine, |engine| engine.explanations()).await
}

/// The generations that are kept, the newest first
#[utoipa::path(get, path = "/v1/generations", responses((status = 200, body = Vec<wire::GenerationSummary>), (status = "default", body = Problem)))]
async fn generations(State(engine): State<Shared>) -> Response {
    answer(engine, |engine| engine.history()).await
}

/// A generation that is kept
#[utoipa::path(
    get, path = "/v1/generations/{number}", params(("number" = u64, Path, description = "its number")),
    responses((status = 200, body = Generation), (status = 404, body = Problem), (status = "default", body = Problem))
)]
async fn generation(State(engine): State<Shared>, number: Result<Path<u64>, PathRejection>) -> Response {
    match number {
        Ok(Path(number)) => answer(engine, move |engine| engine.generation(number)).await,
        Err(rejection) => {
            refuse(400, "number", &rejection.body_text(), "`/v1/generations` lists the numbers")
        }
    }
}

/// Keeps the generation in force, which is on trial
#[utoipa::path(
    put, path = "/v1/desired/confirmation",
    params(("If-Match" = Option<String>, Header, description = "the generation that must be in force, in quotes")),
    responses((status = 200, body = Generation), (status = 409, body = Problem), (status = 412, body = Problem), (status = "default", body = Problem))
)]
async fn confirm(State(engine): State<Shared>, headers: HeaderMap) -> Response {
    match expected(&headers) {
        Ok(expected) => change(engine, move |engine| engine.confirm(expected)).await,
        Err(response) => response,
    }
}

/// Brings back the document of a generation that is kept, with the packages that it had; nothing is fetched
#[utoipa::path(
    post, path = "/v1/rollback", request_body = Rollback,
    params(("If-Match" = Option<String>, Header, description = "the generation that must be in force, in quotes")),
    responses((status = 200, body = Applied), (status = 404, body = Problem), (status = 412, body = Problem), (status = "default", body = Problem))
)]
async fn roll_back(
    State(engine): State<Shared>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    wanted: Result<axum::Json<Rollback>, JsonRejection>,
) -> Response {
    let Rollback { to } = match wanted {
        Ok(axum::Json(wanted)) => wanted,
        Err(rejection) => {
            let hint = "`{}` goes to the one before, `{\"to\": 7}` to generation 7";
            return refuse(rejection.status().as_u16(), "rollback", &rejection.body_text(), hint);
        }
    };
    match expected(&headers) {
        Ok(expected) => change(engine, move |engine| engine.roll_back(to, expected, &asker)).await,
        Err(response) => response,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    confirm_within: Option<u32>,
}

/// Replaces the desired state, and reaches it or leaves everything as it was
#[utoipa::path(
    put, path = "/v1/desired", request_body = Document,
    params(
        ("If-Match" = Option<String>, Header, description = "the generation that must be in force, in quotes"),
        ("confirm_within" = Option<u32>, Query, description = "seconds after which the generation before returns, unless this one is confirmed")
    ),
    responses((status = 200, body = Applied), (status = 409, body = Problem), (status = 412, body = Problem), (status = "default", body = Problem))
)]
async fn apply(
    State(served): State<Served>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    terms: Result<Query<Terms>, QueryRejection>,
    document: Json,
) -> Response {
    let trial = match terms {
        Ok(Query(terms)) => terms.confirm_within,
        Err(rejection) => {
            return refuse(400, "query", &rejection.body_text(), "`confirm_within` takes seconds");
        }
    };
    let document = match document {
        Ok(Given(document)) => document,
        Err(refused) => return refused,
    };
    let expected = match expected(&headers) {
        Ok(expected) => expected,
        Err(response) => return response,
    };
    match fetch(&served, &document).await {
        Ok(fetched) => {
            let call = move |engine: &mut Engine| {
                engine.apply(document, Conditions { expected, trial }, &fetched, &asker)
            };
            change(served.engine, call).await
        }
        Err(response) => response,
    }
}

/// The steps that a desired state would take; nothing is changed
#[utoipa::path(
    post, path = "/v1/plan", request_body = Document,
    responses((status = 200, body = Planned), (status = "default", body = Problem))
)]
async fn plan(State(served): State<Served>, document: Json) -> Response {
    let document = match document {
        Ok(Given(document)) => document,
        Err(refused) => return refused,
    };
    match fetch(&served, &document).await {
        Ok(fetched) => answer(served.engine, move |engine| engine.plan(&document, &fetched)).await,
        Err(response) => response,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    hook: Option<String>,
}

/// Takes a member out of its chain, or out of one chain when `hook` names it, or takes a probe off
#[utoipa::path(
    delete, path = "/v1/desired/members/{member}",
    params(
        ("member" = String, Path, description = "the name of the member or probe"),
        ("hook" = Option<String>, Query, description = "`<interface>/<point>`")
    ),
    responses((status = 200, body = Applied), (status = 404, body = Problem), (status = "default", body = Problem))
)]
async fn stop(
    State(engine): State<Shared>,
    Extension(asker): Extension<Asker>,
    member: Result<Path<String>, PathRejection>,
    place: Result<Query<Where>, QueryRejection>,
) -> Response {
    match read_place(member, place) {
        Ok((member, hooks)) => {
            change(engine, move |engine| engine.stop(Some(&member), hooks.as_ref(), &asker)).await
        }
        Err(response) => response,
    }
}

fn read_place(
    member: Result<Path<String>, PathRejection>,
    place: Result<Query<Where>, QueryRejection>,
) -> Result<(MemberName, Option<Hooks>), Response> {
    let bad_name = |text: &str| refuse(400, "name", text, "`l3af ps` lists the members");
    let bad_hook = |text: &str| refuse(400, "hook", text, "name it as `?hook=eth0/xdp`");
    let Path(member) = member.map_err(|rejection| bad_name(&rejection.body_text()))?;
    let member = member.parse().map_err(|bad: package::BadName| bad_name(&bad.to_string()))?;
    let Query(Where { hook }) = place.map_err(|rejection| bad_hook(&rejection.body_text()))?;
    let hooks = hook.as_deref().map(str::parse::<Hooks>).transpose();
    Ok((member, hooks.map_err(|bad| bad_hook(&bad.to_string()))?))
}

/// Takes all members out of all chains
#[utoipa::path(delete, path = "/v1/desired", responses((status = 200, body = Applied), (status = "default", body = Problem)))]
async fn stop_all(State(engine): State<Shared>, Extension(asker): Extension<Asker>) -> Response {
    change(engine, move |engine| engine.stop(None, None, &asker)).await
}

/// The chains as they are in the kernel, with their counters
#[utoipa::path(get, path = "/v1/chains", responses((status = 200, body = wire::Chains), (status = "default", body = Problem)))]
async fn chains(State(engine): State<Shared>) -> Response {
    answer(engine, |engine| engine.chains()).await
}

/// The probes as they are in the kernel
#[utoipa::path(get, path = "/v1/probes", responses((status = 200, body = wire::Probes), (status = "default", body = Problem)))]
async fn probes(State(engine): State<Shared>) -> Response {
    answer(engine, |engine| engine.probes()).await
}

/// Measures the run time of all members for a while
#[utoipa::path(put, path = "/v1/profile", request_body = Profile, responses((status = 200, body = Planned), (status = "default", body = Problem)))]
async fn profile(
    State(engine): State<Shared>,
    profile: Result<axum::Json<Profile>, JsonRejection>,
) -> Response {
    match profile {
        Ok(axum::Json(profile)) => change(engine, move |engine| engine.profile(profile)).await,
        Err(rejection) => {
            let hint = "for example `{\"seconds\": 5}`";
            refuse(rejection.status().as_u16(), "profile", &rejection.body_text(), hint)
        }
    }
}

/// Ends measuring before its time
#[utoipa::path(delete, path = "/v1/profile", responses((status = 200, body = Planned), (status = "default", body = Problem)))]
async fn end_profile(State(engine): State<Shared>) -> Response {
    change(engine, Engine::end_profile).await
}

/// What can be measured of the node, in the text format of `OpenMetrics` 1.0
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "application/openmetrics-text"), (status = "default", body = Problem)))]
async fn metrics(State(Served { engine, access, .. }): State<Served>) -> Response {
    let kind = [(header::CONTENT_TYPE, CONTENT_TYPE)];
    let (mut families, counted) =
        match ask(engine, |engine| Ok((engine.families()?, engine.counted_maps()))).await {
            Ok(asked) => asked,
            Err(refused) => return refused,
        };
    families.extend(metrics::certificates(&access.ends()));
    // Nothing is told of maps where reading them fails inside.
    let of_maps = tokio::task::spawn_blocking(move || map_metrics::text(&counted)).await.unwrap_or_default();
    (kind, metrics::text(&families, &of_maps)).into_response()
}

/// Whether the daemon is alive: it answers
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem)))]
async fn healthy(State(engine): State<Shared>) -> Response {
    ask(engine, |_| Ok(())).await.map_or_else(|refused| refused, |()| "alive\n".into_response())
}

/// Whether what is desired runs, or waits for interfaces only
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = String, content_type = "text/plain"), (status = 503, body = String, content_type = "text/plain"), (status = "default", body = Problem)))]
async fn ready(State(engine): State<Shared>) -> Response {
    let asked = ask(engine, |engine| Ok(engine.status()?.state)).await;
    asked.map_or_else(
        |refused| refused,
        |state| {
            let is_ready = matches!(state, wire::State::Converged | wire::State::Waiting);
            let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, format!("{state}\n")).into_response()
        },
    )
}

/// Fetches what a document names in registries.
async fn fetch(served: &Served, document: &Document) -> Result<Fetched, Response> {
    finished(server::fetch(&served.engine, &served.fetcher, document)).await
}

fn expected(headers: &HeaderMap) -> Result<Option<u64>, Response> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim_matches('"').parse().ok());
    let bad =
        || refuse(400, "if-match", "`If-Match` is not the number of a generation", "for example `\"3\"`");
    number.map(Some).ok_or_else(bad)
}
