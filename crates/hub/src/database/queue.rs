// SPDX-License-Identifier: Apache-2.0
//! The one writer of SQLite: whatever waits is carried out in one transaction, each change in a savepoint of its own, and is
//! answered when that transaction is durable. So a hundred pushes at a time cost the `fsync` of one.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::sync::{mpsc, oneshot};

/// The most changes of one transaction: those behind it should not wait for long.
const MOST: usize = 256;
/// The most changes that wait; who comes then waits to be able to.
const ROOM: usize = 1024;

/// A change, which tells what to answer.
type Job = Box<dyn for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Answer> + Send>;
/// Answers whoever asked for a change, given whether the transaction is durable.
type Answer = Box<dyn FnOnce(Option<&sqlx::Error>) + Send>;

/// The way to the writer.
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
}

impl Queue {
    /// Begins to write with the one connection of a pool.
    pub(super) fn begin(pool: AnyPool) -> Self {
        let (jobs, waiting) = mpsc::channel(ROOM);
        drop(tokio::spawn(work(pool, waiting)));
        Self { jobs }
    }

    /// See [`Database::write`](super::Database::write).
    pub(super) async fn write<T, E>(
        &self,
        change: impl for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<sqlx::Error> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let answer = |done| answer_to(tell, done);
            in_savepoint(connection, change).map(answer).boxed()
        });
        let gone = || E::from(sqlx::Error::PoolClosed);
        self.jobs.send(job).await.map_err(|_gone| gone())?;
        told.await.unwrap_or_else(|_gone| Err(gone()))
    }
}

/// What is told to one who waits: what the change said, unless the transaction failed.
fn answer_to<T, E>(tell: oneshot::Sender<Result<T, E>>, done: Result<T, E>) -> Answer
where
    T: Send + 'static,
    E: From<sqlx::Error> + Send + 'static,
{
    Box::new(move |failed| {
        let failed = failed.map_or(Ok(()), |error| Err(E::from(copy(error))));
        // Nobody may wait any more.
        drop(tell.send(done.and_then(|done| failed.map(|()| done))));
    })
}

/// Carries out a change, or leaves things as they were.
async fn in_savepoint<T, E: From<sqlx::Error>>(
    connection: &mut AnyConnection,
    change: impl for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, E>>,
) -> Result<T, E> {
    let mut savepoint = connection.begin().await?;
    // Dropped without a commit it is rolled back.
    let done = change(&mut savepoint).await?;
    savepoint.commit().await?;
    Ok(done)
}

/// Carries out what waits, for ever.
async fn work(pool: AnyPool, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(MOST);
    while waiting.recv_many(&mut jobs, MOST).await > 0 {
        let mut answers = Vec::with_capacity(jobs.len());
        let durable = together(&pool, jobs.drain(..), &mut answers).await;
        let failed = durable.as_ref().err();
        if let Some(error) = failed {
            tracing::error!("changes could not be made durable: {error}");
        }
        for answer in answers {
            answer(failed);
        }
    }
}

/// Carries out changes in one transaction. Those that were not begun are dropped, which their callers notice.
async fn together(
    pool: &AnyPool,
    jobs: impl Iterator<Item = Job>,
    answers: &mut Vec<Answer>,
) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    // A transaction that begins as a reader cannot always become a writer.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for job in jobs {
        answers.push(job(&mut transaction).await);
    }
    transaction.commit().await
}

/// An error for each who waited; errors of the database cannot be cloned.
fn copy(error: &sqlx::Error) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(error.to_string()))
}
