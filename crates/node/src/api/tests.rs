// SPDX-License-Identifier: Apache-2.0
//! Programs of packages on made-up packets.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use wire::{Problem, TestWish, Tested};

use super::answer::problem_response;
use super::{Served, ask, fetch, refuse};
use crate::engine::document_of;
use crate::testing::{self, BadTest};

/// Programs that are tested take memory of the kernel and time of a processor: one at a time does.
static TURN: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(1)));

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
    let turn = Arc::clone(&TURN).acquire_owned().await.expect("nobody closes it");
    let fetched = fetch(served, &document_of(&wish)).await?;
    let (engine, wished) = (Arc::clone(&served.engine), wish.clone());
    let candidate = ask(engine, move |engine| engine.candidate(&wished, &fetched)).await?;
    match in_turn(turn, move || candidate.test(&wish)).await {
        Ok(tested) => tested.map_err(|bad| told(&bad)),
        Err(panicked) => {
            tracing::error!("a test failed inside: {panicked}");
            Err(refuse(500, "internal", "the daemon failed while it worked on this", "its log says more"))
        }
    }
}

/// Works apart. The turn is over when the work is, and not when whoever asked hangs up.
async fn in_turn<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let work = move || {
        let done = work();
        drop(turn);
        done
    };
    tokio::task::spawn_blocking(work).await
}

fn told(bad: &BadTest) -> Response {
    let problem = bad.problem();
    tracing::warn!(problem = %problem.kind, status = problem.status, "refused: {problem}");
    problem_response(&problem)
}

#[cfg(test)]
mod turns {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_turn_lasts_as_long_as_its_work_also_when_nobody_waits_for_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let turns = Arc::new(Semaphore::new(1));
            let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
            let (begun, begins) = tokio::sync::oneshot::channel();
            let (finish, finishes) = mpsc::channel::<()>();
            let work = move || {
                begun.send(()).unwrap();
                finishes.recv().unwrap();
            };
            let waiting = tokio::spawn(in_turn(turn, work));
            begins.await.unwrap();
            waiting.abort();
            assert!(waiting.await.unwrap_err().is_cancelled());
            assert_eq!(turns.available_permits(), 0);
            finish.send(()).unwrap();
            drop(turns.acquire().await.unwrap());
        });
    }
}
