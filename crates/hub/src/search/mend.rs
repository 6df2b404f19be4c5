// SPDX-License-Identifier: Apache-2.0
//! Forgives mistakes: a word that no package has stands for those that are nearest to it.

use std::collections::BTreeMap;

use sqlx::AnyPool;
use strsim::osa_distance;

use super::words::{SHORTEST_MENDED, variants};
use crate::database::places;

/// As many words are taken for one at most.
const MANY: usize = 3;
/// Words that are longer than this may have two mistakes, in letters.
const LONG: usize = 7;

/// For each word what is looked for in its stead, and the words for which that is something else.
pub(super) async fn mend(
    readers: &AnyPool,
    typed: &[String],
) -> sqlx::Result<(Vec<Vec<String>>, BTreeMap<String, Vec<String>>)> {
    let (mut groups, mut corrected) = (Vec::new(), BTreeMap::new());
    for word in typed {
        let taken = if is_known(readers, word).await? { Vec::new() } else { near(readers, word).await? };
        if taken.is_empty() {
            groups.push(vec![word.clone()]);
        } else {
            corrected.insert(word.clone(), taken.clone());
            groups.push(taken);
        }
    }
    Ok((groups, corrected))
}

async fn is_known(readers: &AnyPool, word: &str) -> sqlx::Result<bool> {
    let select = sqlx::query("SELECT 1 FROM search_words WHERE word = $1 AND packages > 0").bind(word);
    Ok(select.fetch_optional(readers).await?.is_some())
}

/// The nearest words, those that most packages have first.
async fn near(readers: &AnyPool, word: &str) -> sqlx::Result<Vec<String>> {
    let letters = word.chars().count();
    if letters < SHORTEST_MENDED {
        return Ok(Vec::new());
    }
    let variants = variants(word);
    let select = format!(
        "SELECT w.word, w.packages FROM search_words w WHERE w.packages > 0 AND w.word IN \
         (SELECT v.word FROM search_variants v WHERE v.variant IN ({}))",
        places(1, variants.len())
    );
    let query = sqlx::query_as::<_, (String, i64)>(sqlx::AssertSqlSafe(select));
    let query = variants.into_iter().fold(query, sqlx::query::QueryAs::bind);
    let farthest = if letters > LONG { 2 } else { 1 };
    let mut found: Vec<(usize, i64, String)> = query
        .fetch_all(readers)
        .await?
        .into_iter()
        .map(|(known, packages)| (osa_distance(word, &known), -packages, known))
        .filter(|(distance, ..)| *distance <= farthest)
        .collect();
    found.sort_unstable();
    let nearest = found.first().map(|(distance, ..)| *distance);
    let found = found.into_iter().filter(|(distance, ..)| Some(*distance) == nearest);
    Ok(found.take(MANY).map(|(.., known)| known).collect())
}
