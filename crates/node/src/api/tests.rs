// SPDX-License-Identifier: Apache-2.0
//! Programs of packages on made-up packets.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use wire::{Problem, TestWish, Tested};

use super::answer::problem_response;
use super::{Served, ask, fetch, refuse};
use crate::engine::document_of;
use crate::testing::{self, BadTest};

/// Programs that are tested take memory of the kernel and time of a processor: one at a time does.
static TURN: Semaphore = Semaphore::const_new(1);

/// Runs a program of a package on made-up packets; nothing is attached, and nothing of it stays
#[utoipa::path(
    post, path = "/v1/tests", request_body = TestWish,
    responses((status = 200, body = Tested), (status = 403, body = Problem), (status = 422, body = Problem), (status = "default", body = Problem))
)]
pub(super) async fn test(
    State(served): State<Served>,
    wish: Result<axum::Json<TestWish>, JsonRejection>,
) -> Response {
    let wish = match wish {
        Ok(axum::Json(wish)) => wish,
        Err(rejection) => {
            let hint = "for example `{\"package\": \"file:/srv/ratelimit.oci\", \"hook\": \"xdp\", \"steps\": [{\"packet\": \"..\"}]}`";
            return refuse(rejection.status().as_u16(), "test", &rejection.body_text(), hint);
        }
    };
    match run(&served, wish).await {
        Ok(tested) => axum::Json(tested).into_response(),
        Err(refused) => refused,
    }
}

async fn run(served: &Served, wish: TestWish) -> Result<Tested, Response> {
    testing::check(&wish).map_err(|bad| told(&bad))?;
    let _turn = TURN.acquire().await;
    let fetched = fetch(served, &document_of(&wish)).await?;
    let (engine, wished) = (Arc::clone(&served.engine), wish.clone());
    let candidate = ask(engine, move |engine| engine.candidate(&wished, &fetched)).await?;
    let tested = tokio::task::spawn_blocking(move || candidate.test(&wish)).await;
    match tested {
        Ok(tested) => tested.map_err(|bad| told(&bad)),
        Err(panicked) => {
            tracing::error!("a test failed inside: {panicked}");
            Err(refuse(500, "internal", "the daemon failed while it worked on this", "its log says more"))
        }
    }
}

fn told(bad: &BadTest) -> Response {
    let problem = bad.problem();
    tracing::warn!(problem = %problem.kind, status = problem.status, "refused: {problem}");
    problem_response(&problem)
}
