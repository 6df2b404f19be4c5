// SPDX-License-Identifier: Apache-2.0
//! What readers may see of a repository of packages: what was released, with all that belongs to it.
//!
//! To a manifest belong the blobs and manifests that it names, those that are about it, what belongs to these, and so on.

use sqlx::AnyConnection;

use crate::ContentDigest;

/// Marks what belongs to some manifests of the repository `$1`.
macro_rules! mark {
    ($table:literal, visible: $visible:literal, $manifests:literal) => {
        concat!(
            "WITH RECURSIVE edges (above, below) AS (",
            "SELECT manifest, digest FROM needs WHERE repository = $1 ",
            "UNION ALL SELECT subject, digest FROM manifests WHERE repository = $1 AND subject IS NOT NULL",
            "), reached (digest) AS (",
            $manifests,
            " UNION SELECT edges.below FROM reached JOIN edges ON edges.above = reached.digest",
            ") UPDATE ",
            $table,
            " SET visible = ",
            $visible,
            " WHERE repository = $1 AND digest IN (SELECT digest FROM reached)",
            // What was taken down stays hidden.
            " AND NOT EXISTS (SELECT 1 FROM withheld WHERE withheld.digest = ",
            $table,
            ".digest)"
        )
    };
}

/// Lets readers have a manifest and what belongs to it. What comes later stays unseen until it is revealed itself.
///
/// # Errors
/// When the database fails.
pub(crate) async fn reveal(
    connection: &mut AnyConnection,
    repository: &str,
    digest: &ContentDigest,
) -> sqlx::Result<()> {
    let updates = [
        mark!("manifests", visible: "1", "SELECT digest FROM manifests WHERE repository = $1 AND digest = $2"),
        mark!("links", visible: "1", "SELECT digest FROM manifests WHERE repository = $1 AND digest = $2"),
    ];
    for update in updates {
        sqlx::query(update).bind(repository).bind(digest.to_string()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes a manifest and what belongs to it from readers again, but for what belongs to others that they may have.
///
/// # Errors
/// When the database fails.
pub(crate) async fn conceal(
    connection: &mut AnyConnection,
    repository: &str,
    digest: &ContentDigest,
) -> sqlx::Result<()> {
    let updates = [
        mark!("manifests", visible: "0", "SELECT digest FROM manifests WHERE repository = $1 AND digest = $2"),
        mark!("links", visible: "0", "SELECT digest FROM manifests WHERE repository = $1 AND digest = $2"),
    ];
    for update in updates {
        sqlx::query(update).bind(repository).bind(digest.to_string()).execute(&mut *connection).await?;
    }
    let updates = [
        mark!("manifests", visible: "1", "SELECT digest FROM manifests WHERE repository = $1 AND visible = 1"),
        mark!("links", visible: "1", "SELECT digest FROM manifests WHERE repository = $1 AND visible = 1"),
    ];
    for update in updates {
        sqlx::query(update).bind(repository).execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use sqlx::{AnyConnection, Row as _};

    use super::{conceal, reveal};
    use crate::{Algorithm, Config, ContentDigest, Database};

    fn digest(name: &str) -> ContentDigest {
        ContentDigest::of(Algorithm::Sha256, name.as_bytes())
    }

    /// One index of an image with a layer, a statement about the index, and another index of the same image.
    async fn fill(connection: &mut AnyConnection) -> sqlx::Result<()> {
        let digest = |name| digest(name).to_string();
        let text = |statement: &'static str| sqlx::query(statement);
        text("INSERT INTO publishers (name, created_ms) VALUES ('p', 0)").execute(&mut *connection).await?;
        let repository =
            "INSERT INTO repositories (id, publisher, name, public, created_ms) VALUES ('r', 'p', 'n', 1, 0)";
        text(repository).execute(&mut *connection).await?;
        for name in ["index", "other", "image", "layer", "statement", "envelope"] {
            let blob = "INSERT INTO blobs (digest, size, touched_ms) VALUES ($1, 0, 0)";
            text(blob).bind(digest(name)).execute(&mut *connection).await?;
        }
        for (name, subject) in [("index", ""), ("other", ""), ("image", ""), ("statement", "index")] {
            let manifest = "INSERT INTO manifests (repository, digest, media_type, subject, visible, pushed_ms) \
                            VALUES ('r', $1, '', $2, 0, 0)";
            let subject = (!subject.is_empty()).then(|| digest(subject));
            text(manifest).bind(digest(name)).bind(subject).execute(&mut *connection).await?;
        }
        for name in ["layer", "envelope"] {
            let link = "INSERT INTO links (repository, digest, visible, linked_ms) VALUES ('r', $1, 0, 0)";
            text(link).bind(digest(name)).execute(&mut *connection).await?;
        }
        let needs = [("index", "image"), ("other", "image"), ("image", "layer"), ("statement", "envelope")];
        for (above, below) in needs {
            let need = "INSERT INTO needs (repository, manifest, digest) VALUES ('r', $1, $2)";
            text(need).bind(digest(above)).bind(digest(below)).execute(&mut *connection).await?;
        }
        Ok(())
    }

    async fn visible(database: &Database) -> Vec<&'static str> {
        let both =
            "SELECT digest FROM manifests WHERE visible = 1 UNION SELECT digest FROM links WHERE visible = 1";
        let rows = sqlx::query(both).fetch_all(database.readers()).await.expect("read");
        let seen: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let names = ["index", "other", "image", "layer", "statement", "envelope"];
        names.into_iter().filter(|name| seen.contains(&digest(name).to_string())).collect()
    }

    #[tokio::test]
    async fn what_is_revealed_comes_with_all_that_belongs_to_it_and_goes_with_it_unless_others_need_it() {
        let kept = tempfile::tempdir().expect("a folder");
        let config = Config { folder: kept.path().to_owned(), ..Config::default() };
        let database = Database::open(&config).await.expect("a database");
        database.write(|connection| fill(connection).boxed()).await.expect("filled");
        assert_eq!(visible(&database).await, [""; 0]);
        let revealed =
            database.write(|connection| async { reveal(connection, "r", &digest("index")).await }.boxed());
        revealed.await.expect("revealed");
        assert_eq!(visible(&database).await, ["index", "image", "layer", "statement", "envelope"]);
        let revealed =
            database.write(|connection| async { reveal(connection, "r", &digest("other")).await }.boxed());
        revealed.await.expect("revealed");
        assert_eq!(visible(&database).await, ["index", "other", "image", "layer", "statement", "envelope"]);
        let concealed =
            database.write(|connection| async { conceal(connection, "r", &digest("index")).await }.boxed());
        concealed.await.expect("concealed");
        assert_eq!(visible(&database).await, ["other", "image", "layer"]);
    }
}
