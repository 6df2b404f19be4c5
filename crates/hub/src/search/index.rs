// SPDX-License-Identifier: Apache-2.0
//! Keeps the index, in the transaction of what changes it. Rows that several packages share are changed in the order of their names,
//! so that two transactions never wait for each other.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use sqlx::{AnyConnection, AssertSqlSafe};
use wire::hub::{Cost, Facts, State};

use super::document::{Document, Opinions};
use super::rank::rank;
use super::words::{facet_word, variants};
use crate::database::{AT_ONCE, Database, Kind, rows};
use crate::packages::{Release, latest, ratings};

/// What documents are made of: one more whenever that changes.
const FORM: i64 = 1;
/// How many packages are indexed in a transaction when all are.
const PACKAGES_AT_ONCE: i64 = 200;

/// What the index has of a package.
#[derive(Default)]
struct Known {
    serial: Option<i64>,
    rank: Option<i64>,
    words: BTreeSet<String>,
    facets: BTreeSet<String>,
}

/// Has a package found by the release that most people want, or no longer where there is none. What became of it is found in its
/// place as soon as that has a release.
pub(crate) async fn index(connection: &mut AnyConnection, package: &str) -> sqlx::Result<()> {
    index_one(connection, package).await?;
    let before = sqlx::query_scalar("SELECT id FROM packages WHERE moved_to = $1 ORDER BY id").bind(package);
    let before: Vec<String> = before.fetch_all(&mut *connection).await?;
    for package in before {
        index_one(connection, &package).await?;
    }
    Ok(())
}

async fn index_one(connection: &mut AnyConnection, package: &str) -> sqlx::Result<()> {
    if Kind::of(connection) == Kind::Postgres {
        // Who else indexes it waits, and then sees what is known from here on.
        let lock = sqlx::query("SELECT id FROM packages WHERE id = $1 FOR NO KEY UPDATE").bind(package);
        lock.fetch_optional(&mut *connection).await?;
    }
    let releases = Release::siblings(connection, package).await?;
    let mut best = latest(&releases).and_then(|release| Some((release, release.facts.as_ref()?)));
    if let Some((release, _)) = best
        && (!is_open(connection, &release.repository).await? || is_superseded(connection, package).await?)
    {
        best = None;
    }
    let known = known(connection, package).await?;
    if let Some(rank) = known.rank {
        let key = if Kind::of(connection) == Kind::Sqlite { "rowid" } else { "rank" };
        let delete = format!("DELETE FROM search_text WHERE {key} = $1");
        sqlx::query(AssertSqlSafe(delete)).bind(rank).execute(&mut *connection).await?;
    }
    if let Some((release, facts)) = best {
        return put(connection, (release, facts), known).await;
    }
    let delete = sqlx::query("DELETE FROM search_documents WHERE package = $1").bind(package);
    delete.execute(&mut *connection).await?;
    count_words(connection, &known.words, &BTreeSet::new()).await?;
    count_facets(connection, &known.facets, &BTreeSet::new()).await
}

/// Whether everybody may have what lies in a repository. What is for some only is found by nobody: the index is for all.
async fn is_open(connection: &mut AnyConnection, repository: &str) -> sqlx::Result<bool> {
    let select = sqlx::query("SELECT 1 FROM repositories WHERE id = $1 AND public = 1").bind(repository);
    Ok(select.fetch_optional(connection).await?.is_some())
}

/// Whether a package goes on as another one, which can be had.
async fn is_superseded(connection: &mut AnyConnection, package: &str) -> sqlx::Result<bool> {
    let select = sqlx::query_scalar("SELECT moved_to FROM packages WHERE id = $1").bind(package);
    let next: Option<String> = select.fetch_one(&mut *connection).await?;
    // Asked in two steps: in one, SQLite goes through all releases of the hub.
    let Some(next) = next else { return Ok(false) };
    let releases = Release::siblings(connection, &next).await?;
    Ok(releases.iter().any(|release| release.state == State::Released))
}

/// Makes the index anew for all packages, some in each transaction. Searches go on meanwhile.
pub(crate) async fn rebuild(database: &Database) -> sqlx::Result<u64> {
    let (mut after, mut count) = (String::new(), 0);
    loop {
        let select = sqlx::query_scalar("SELECT id FROM packages WHERE id > $1 ORDER BY id LIMIT $2");
        let page: Vec<String> =
            select.bind(&after).bind(PACKAGES_AT_ONCE).fetch_all(database.readers()).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        count += page.len() as u64;
        let indexed = database.write(move |connection| async move { all(connection, &page).await }.boxed());
        indexed.await?;
    }
    let formed = database.write(|connection| {
        async move {
            let form = sqlx::query("UPDATE search_serial SET form = $1 WHERE only_one = 1").bind(FORM);
            form.execute(connection).await.map(drop)
        }
        .boxed()
    });
    formed.await?;
    Ok(count)
}

/// Makes the index anew where another version made it, which knew other words and facets.
pub(crate) async fn renew(database: &Database) -> sqlx::Result<()> {
    let form: i64 =
        sqlx::query_scalar("SELECT form FROM search_serial").fetch_one(database.readers()).await?;
    if form == FORM {
        return Ok(());
    }
    let packages = rebuild(database).await?;
    // A new hub has none.
    if packages > 0 {
        tracing::info!(packages, "the index was of another version and is made anew");
    }
    Ok(())
}

async fn all(connection: &mut AnyConnection, packages: &[String]) -> sqlx::Result<()> {
    for package in packages {
        index_one(connection, package).await?;
    }
    Ok(())
}

async fn put(
    connection: &mut AnyConnection,
    (release, facts): (&Release, &Facts),
    known: Known,
) -> sqlx::Result<()> {
    let (pulls, price): (i64, Option<String>) =
        sqlx::query_as("SELECT pulls, price FROM packages WHERE id = $1")
            .bind(&release.package)
            .fetch_one(&mut *connection)
            .await?;
    let cost = if price.is_some() { Cost::Paid } else { Cost::Free };
    let (people, stars) = ratings::count(connection, &release.package).await?;
    let opinions = Opinions { cost, rating: ratings::mean(people, stars) };
    let document = Document::new(release, facts, opinions);
    let serial = match known.serial {
        Some(serial) => serial,
        None => next_serial(connection).await?,
    };
    let released_ms = release.released_ms.unwrap_or(release.pushed_ms);
    let rank = rank(pulls, released_ms, release.signed_by.is_some(), serial);
    let words: BTreeSet<String> = document.words().into_iter().map(str::to_owned).collect();
    let pairs: BTreeSet<String> =
        document.facets.iter().map(|(facet, value)| format!("{facet}={value}")).collect();
    let insert = "INSERT INTO search_documents (package, serial, rank, release, words, facets, people, stars) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (package) DO UPDATE SET rank = excluded.rank, \
                  release = excluded.release, words = excluded.words, facets = excluded.facets, \
                  people = excluded.people, stars = excluded.stars";
    let insert = sqlx::query(insert).bind(&release.package).bind(serial).bind(rank).bind(&release.id);
    let insert = insert.bind(joined(&words, " ")).bind(joined(&pairs, "\n")).bind(people).bind(stars);
    insert.execute(&mut *connection).await?;
    text(connection, rank, &document).await?;
    count_words(connection, &known.words, &words).await?;
    count_facets(connection, &known.facets, &pairs).await
}

async fn known(connection: &mut AnyConnection, package: &str) -> sqlx::Result<Known> {
    let select = "SELECT serial, rank, words, facets FROM search_documents WHERE package = $1";
    let row = sqlx::query_as::<_, (i64, i64, String, String)>(select).bind(package);
    let known = row.fetch_optional(connection).await?.map(|(serial, rank, words, facets)| Known {
        serial: Some(serial),
        rank: Some(rank),
        words: words.split(' ').map(str::to_owned).collect(),
        facets: facets.split('\n').map(str::to_owned).collect(),
    });
    Ok(known.unwrap_or_default())
}

async fn next_serial(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    let update = "UPDATE search_serial SET last = last + 1 WHERE only_one = 1 RETURNING last";
    sqlx::query_scalar(update).fetch_one(connection).await
}

/// Gives the text to the database.
async fn text(connection: &mut AnyConnection, rank: i64, document: &Document) -> sqlx::Result<()> {
    let facets: Vec<String> = document.facets.iter().map(|(facet, value)| facet_word(facet, value)).collect();
    match Kind::of(connection) {
        Kind::Sqlite => {
            let insert = "INSERT INTO search_text (rowid, exact, name, tags, body, facets) VALUES ($1, $2, $3, $4, $5, $6)";
            let insert = sqlx::query(insert).bind(rank).bind(&document.exact);
            let insert = insert.bind(document.name.join(" ")).bind(document.tags.join(" "));
            let insert = insert.bind(document.body.join(" ")).bind(facets.join(" "));
            insert.execute(connection).await.map(drop)
        }
        Kind::Postgres => {
            let insert = "INSERT INTO search_text (rank, document) VALUES ($1, $2::text::tsvector)";
            let vector = vector(document, &facets);
            sqlx::query(insert).bind(rank).bind(vector).execute(connection).await.map(drop)
        }
    }
}

/// The words as a `tsvector`: the weights A to D stand for the name as one word, the name, the tags and the rest.
fn vector(document: &Document, facets: &[String]) -> String {
    let exact = [document.exact.clone()];
    let parts: [(&[String], char); 5] =
        [(&exact, 'A'), (&document.name, 'B'), (&document.tags, 'C'), (&document.body, 'D'), (facets, 'D')];
    // One position for each weight: a vector has no room for more than 16383, and nobody asks where a word is.
    let words = parts
        .iter()
        .zip(1..)
        .flat_map(|((words, weight), at)| words.iter().map(move |word| format!("'{word}':{at}{weight}")));
    words.collect::<Vec<_>>().join(" ")
}

/// Counts words that a package has now and had not, and the other way round.
async fn count_words(
    connection: &mut AnyConnection,
    had: &BTreeSet<String>,
    has: &BTreeSet<String>,
) -> sqlx::Result<()> {
    let changed: Vec<&String> = had.symmetric_difference(has).collect();
    for words in changed.chunks(AT_ONCE) {
        let insert = format!(
            "INSERT INTO search_words (word, packages) VALUES {} ON CONFLICT (word) \
             DO UPDATE SET packages = search_words.packages + excluded.packages RETURNING word, packages",
            rows(words.len(), 2)
        );
        let insert = sqlx::query_as::<_, (String, i64)>(AssertSqlSafe(insert));
        let insert = words.iter().fold(insert, |insert, word| insert.bind(*word).bind(change(has, word)));
        let counted = insert.fetch_all(&mut *connection).await?;
        let new = counted.iter().filter(|(word, packages)| *packages == 1 && has.contains(word));
        learn(connection, new.map(|(word, _)| word.as_str())).await?;
    }
    Ok(())
}

/// One more that has it, or one less.
fn change(has: &BTreeSet<String>, one: &str) -> i64 {
    if has.contains(one) { 1 } else { -1 }
}

/// Keeps the variants of words that are new. Those of words that no package has any more stay: a word may come back, and what no
/// package has is passed over.
async fn learn(connection: &mut AnyConnection, words: impl Iterator<Item = &str>) -> sqlx::Result<()> {
    let pairs: BTreeSet<(String, &str)> =
        words.flat_map(|word| variants(word).into_iter().map(move |variant| (variant, word))).collect();
    let pairs: Vec<(String, &str)> = pairs.into_iter().collect();
    for pairs in pairs.chunks(AT_ONCE) {
        let insert = format!(
            "INSERT INTO search_variants (variant, word) VALUES {} ON CONFLICT (variant, word) DO NOTHING",
            rows(pairs.len(), 2)
        );
        let insert = sqlx::query(AssertSqlSafe(insert));
        let insert = pairs.iter().fold(insert, |insert, (variant, word)| insert.bind(variant).bind(*word));
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn count_facets(
    connection: &mut AnyConnection,
    had: &BTreeSet<String>,
    has: &BTreeSet<String>,
) -> sqlx::Result<()> {
    let changed: Vec<&String> = had.symmetric_difference(has).collect();
    for pairs in changed.chunks(AT_ONCE) {
        let insert = format!(
            "INSERT INTO search_facets (facet, value, packages) VALUES {} ON CONFLICT (facet, value) \
             DO UPDATE SET packages = search_facets.packages + excluded.packages",
            rows(pairs.len(), 3)
        );
        let insert = pairs.iter().fold(sqlx::query(AssertSqlSafe(insert)), |insert, pair| {
            let (facet, value) = pair.split_once('=').unwrap_or((pair, ""));
            insert.bind(facet).bind(value).bind(change(has, pair))
        });
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

fn joined(texts: &BTreeSet<String>, between: &str) -> String {
    texts.iter().map(String::as_str).collect::<Vec<_>>().join(between)
}
