// SPDX-License-Identifier: Apache-2.0
//! Finding packages: by words, with mistakes forgiven, and by facets; the best first, page by page.
//!
//! The index is part of the database and changes with it, so what is released is found at once. Postings are kept in the order of
//! [`rank`], which lets a page be read from their beginning: no query looks at all that it matches.

mod document;
mod index;
mod mend;
mod query;
mod rank;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use sqlx::{AnyPool, Row as _};
use thiserror::Error;
use wire::hub::{Category, Facet, FacetValue, Facets, Found, FoundPackage, Wanted};

pub(crate) use self::index::{index, rebuild, renew};
use self::query::Query;
use self::words::{facet_word, words};
use crate::database::{Database, Kind, places};
use crate::packages::{prices, ratings, undecodable};

/// More words nobody types.
const MAX_WORDS: usize = 8;
/// How many are told where nobody says it, and at most.
const USUAL: u32 = 20;
const MOST: u32 = 100;
/// Of so many packages the facets are counted. Nobody chooses among more, and it takes milliseconds.
const COUNTED: u32 = 1000;
/// So many values are told of a facet.
const VALUES: usize = 50;
/// The facets to choose from.
const CHOICES: [&str; 9] =
    ["category", "hook", "program_type", "platform", "kernel", "license", "publisher", "price", "rating"];

/// Words that no package has, with those that are taken for them.
type Corrected = BTreeMap<String, Vec<String>>;

/// A search is not made.
#[derive(Debug, Error)]
pub(crate) enum Unfound {
    /// It has more words than anybody types.
    #[error("a search has at most {MAX_WORDS} words")]
    TooManyWords,
    /// Nobody is told so many.
    #[error("`limit` is 1 to {MOST}")]
    Limit,
    /// The place of the next page is none.
    #[error("`{given}` is not where a page ended")]
    After { given: String },
    /// The kernel is none.
    #[error(transparent)]
    Kernel(#[from] package::BadKernelVersion),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Finds packages.
pub(crate) async fn find(database: &Database, wanted: &Wanted) -> Result<Found, Unfound> {
    let (kind, readers) = (database.kind(), database.readers());
    let (after, limit) = page(wanted)?;
    let (query, corrected) = query(readers, wanted).await?;
    let mut hits = Vec::new();
    for fit in query.fits() {
        let from = after.saturating_add(fit.advantage());
        let ranks = matches(readers, kind, (&query.expression(kind, *fit), from, limit + 1)).await?;
        hits.extend(ranks.into_iter().map(|rank| (rank - fit.advantage(), rank)));
    }
    hits.sort_unstable();
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = (hits.len() > page).then(|| hits[page - 1].0.to_string());
    hits.truncate(page);
    let ranks: Vec<i64> = hits.into_iter().map(|(_, rank)| rank).collect();
    Ok(Found { packages: told(readers, &ranks).await?, next, corrected })
}

/// Behind which place, and how many.
fn page(wanted: &Wanted) -> Result<(i64, u32), Unfound> {
    let after = match &wanted.after {
        None => i64::MIN / 2,
        Some(given) => given.parse().map_err(|_no_number| Unfound::After { given: given.clone() })?,
    };
    let limit = wanted.limit.unwrap_or(USUAL);
    if (1..=MOST).contains(&limit) { Ok((after, limit)) } else { Err(Unfound::Limit) }
}

/// What is looked for, and the words that were taken for others.
async fn query(readers: &AnyPool, wanted: &Wanted) -> Result<(Query, Corrected), Unfound> {
    let typed = words(&wanted.q);
    if typed.len() > MAX_WORDS {
        return Err(Unfound::TooManyWords);
    }
    let (groups, corrected) = mend::mend(readers, &typed).await?;
    Ok((Query { words: groups, facets: asked(readers, wanted).await? }, corrected))
}

/// The ranks of documents behind a place, the best first.
async fn matches(
    readers: &AnyPool,
    kind: Kind,
    (expression, after, most): (&str, i64, u32),
) -> sqlx::Result<Vec<i64>> {
    let select = match kind {
        Kind::Sqlite => {
            "SELECT rowid FROM search_text WHERE search_text MATCH $1 AND rowid > $2 ORDER BY rowid LIMIT $3"
        }
        Kind::Postgres => {
            "SELECT rank FROM search_text WHERE document @@ $1::text::tsquery AND rank > $2 ORDER BY rank LIMIT $3"
        }
    };
    sqlx::query_scalar(select).bind(expression).bind(after).bind(i64::from(most)).fetch_all(readers).await
}

/// The words of the facets that are asked for.
async fn asked(readers: &AnyPool, wanted: &Wanted) -> Result<Vec<Vec<String>>, Unfound> {
    let shelf = match (&wanted.category, &wanted.subcategory) {
        (Some(category), Some(part)) => Some(format!("{category}/{part}")),
        (None, _) | (_, None) => None,
    };
    let named = [
        ("category", &wanted.category),
        ("subcategory", &shelf),
        ("hook", &wanted.hook),
        ("program_type", &wanted.program_type),
        ("platform", &wanted.platform),
        ("license", &wanted.license),
        ("publisher", &wanted.publisher),
        ("signed_by", &wanted.signed_by),
        ("tag", &wanted.tag),
        ("price", &wanted.price.map(|cost| cost.as_str().to_owned())),
        ("rating", &wanted.rating.map(|stars| u8::from(stars).to_string())),
    ];
    let named = named.into_iter().filter_map(|(facet, value)| Some(vec![facet_word(facet, value.as_ref()?)]));
    let mut groups: Vec<Vec<String>> = named.collect();
    if let Some(kernel) = &wanted.kernel {
        groups.push(kernels(readers, kernel.parse()?).await?);
    }
    if groups.is_empty() && words(&wanted.q).is_empty() {
        groups.push(vec![facet_word(document::ANY.0, document::ANY.1)]);
    }
    Ok(groups)
}

/// The words of all kernels that packages ask for and that are not newer than this one.
async fn kernels(readers: &AnyPool, running: package::KernelVersion) -> sqlx::Result<Vec<String>> {
    let known = values(readers, "kernel").await?;
    let old_enough = |known: &&FacetValue| {
        known.name.parse::<package::KernelVersion>().is_ok_and(|needed| needed <= running)
    };
    let mut found: Vec<String> =
        known.iter().filter(old_enough).map(|known| facet_word("kernel", &known.name)).collect();
    if found.is_empty() {
        // No package has this one, so that none is found.
        found.push(facet_word("kernel", ""));
    }
    Ok(found)
}

/// What is told of packages by their ranks, in that order.
async fn told(readers: &AnyPool, ranks: &[i64]) -> sqlx::Result<Vec<FoundPackage>> {
    if ranks.is_empty() {
        return Ok(Vec::new());
    }
    let select = format!(
        "SELECT d.rank, p.publisher, p.name, r.version, r.facts, p.pulls, p.price, d.people, d.stars FROM search_documents d \
         JOIN packages p ON p.id = d.package JOIN releases r ON r.id = d.release WHERE d.rank IN ({})",
        places(1, ranks.len())
    );
    let query = ranks.iter().fold(sqlx::query(sqlx::AssertSqlSafe(select)), |query, rank| query.bind(*rank));
    let mut found = Vec::new();
    for row in query.fetch_all(readers).await? {
        let facts: wire::hub::Facts =
            serde_json::from_str(&row.try_get::<String, _>(4)?).map_err(undecodable)?;
        let package = FoundPackage {
            publisher: row.try_get(1)?,
            name: row.try_get(2)?,
            version: row.try_get(3)?,
            description: facts.description,
            shelf: format!("{}/{}", facts.category, facts.subcategory),
            license: facts.license,
            hooks: facts.hooks.into_iter().collect(),
            pulls: u64::try_from(row.try_get::<i64, _>(5)?).unwrap_or(0),
            price: prices::read(row.try_get(6)?)?,
            rating: ratings::mean(row.try_get(7)?, row.try_get(8)?),
        };
        found.push((row.try_get::<i64, _>(0)?, package));
    }
    let place = |rank: &i64| ranks.iter().position(|wanted| wanted == rank);
    found.sort_by_key(|(rank, _)| place(rank));
    Ok(found.into_iter().map(|(_, package)| package).collect())
}

/// The values of a facet, the most frequent first.
pub(crate) async fn values(readers: &AnyPool, facet: &str) -> sqlx::Result<Vec<FacetValue>> {
    frequent(readers, facet, usize::MAX).await
}

/// So many values of a facet, the most frequent first.
async fn frequent(readers: &AnyPool, facet: &str, most: usize) -> sqlx::Result<Vec<FacetValue>> {
    let select = "SELECT value, packages FROM search_facets WHERE facet = $1 AND packages > 0 \
                  ORDER BY packages DESC, value LIMIT $2";
    let select = sqlx::query_as::<_, (String, i64)>(select).bind(facet);
    let rows = select.bind(i64::try_from(most).unwrap_or(i64::MAX)).fetch_all(readers).await?;
    let value = |(name, packages)| FacetValue { name, packages: u64::try_from(packages).unwrap_or(0) };
    Ok(rows.into_iter().map(value).collect())
}

/// The facets of what is found.
pub(crate) async fn facets(database: &Database, wanted: &Wanted) -> Result<Facets, Unfound> {
    // A page changes nothing here, and is still one that a search would take.
    page(wanted)?;
    if (Wanted { limit: None, after: None, ..wanted.clone() }) == Wanted::default() {
        return Ok(of_all(database.readers()).await?);
    }
    counted(database, wanted, COUNTED).await
}

/// The facets of so many of the best that are found.
async fn counted(database: &Database, wanted: &Wanted, most: u32) -> Result<Facets, Unfound> {
    let (query, corrected) = query(database.readers(), wanted).await?;
    let mut documents = Vec::new();
    for fit in query.fits() {
        let found = facets_of(database, &query.expression(database.kind(), *fit), most + 1).await?;
        documents.extend(found.into_iter().map(|(rank, facets)| (rank - fit.advantage(), facets)));
    }
    documents.sort_unstable();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let whole = documents.len() <= most;
    documents.truncate(most);
    let mut counts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    let pairs = documents.iter().flat_map(|(_, facets)| facets.split('\n'));
    for (facet, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        *counts.entry(facet).or_default().entry(value).or_default() += 1;
    }
    let facet = |name: &str| {
        let values = counts.get(name).into_iter().flatten();
        let values =
            values.map(|(name, packages)| FacetValue { name: (*name).to_owned(), packages: *packages });
        let mut values: Vec<FacetValue> = values.collect();
        values.sort_by(|one, other| (other.packages, &one.name).cmp(&(one.packages, &other.name)));
        values.truncate(VALUES);
        Facet { name: name.to_owned(), values }
    };
    let facets = CHOICES.into_iter().map(facet).collect();
    Ok(Facets { packages: documents.len() as u64, whole, corrected, facets })
}

/// The facets of all packages, which are counted already.
async fn of_all(readers: &AnyPool) -> sqlx::Result<Facets> {
    let mut facets = Vec::new();
    for name in CHOICES {
        facets.push(Facet { name: name.to_owned(), values: frequent(readers, name, VALUES).await? });
    }
    let any = frequent(readers, document::ANY.0, 1).await?;
    let packages = any.first().map_or(0, |any| any.packages);
    Ok(Facets { packages, whole: true, corrected: Corrected::new(), facets })
}

/// The ranks and facets of the best documents that match.
async fn facets_of(database: &Database, expression: &str, most: u32) -> sqlx::Result<Vec<(i64, String)>> {
    let select = match database.kind() {
        Kind::Sqlite => {
            "SELECT d.rank, d.facets FROM search_text CROSS JOIN search_documents d ON d.rank = search_text.rowid \
             WHERE search_text MATCH $1 ORDER BY search_text.rowid LIMIT $2"
        }
        Kind::Postgres => {
            "SELECT d.rank, d.facets FROM search_text t JOIN search_documents d ON d.rank = t.rank \
             WHERE t.document @@ $1::text::tsquery ORDER BY t.rank LIMIT $2"
        }
    };
    let select = sqlx::query_as(select).bind(expression).bind(i64::from(most));
    select.fetch_all(database.readers()).await
}

/// The shelves, and their parts.
pub(crate) async fn categories(readers: &AnyPool) -> sqlx::Result<Vec<Category>> {
    let parts = values(readers, "subcategory").await?;
    let shelf = |FacetValue { name, packages }: FacetValue| {
        let of_it = parts.iter().filter_map(|part| {
            let (category, part_name) = part.name.split_once('/')?;
            let part = FacetValue { name: part_name.to_owned(), packages: part.packages };
            (category == name).then_some(part)
        });
        let subcategories = of_it.collect();
        Category { name, packages, subcategories }
    };
    Ok(values(readers, "category").await?.into_iter().map(shelf).collect())
}
