-- The registry: who may push where, what lies in which repository, and what is needed by what.

CREATE TABLE publishers (
    name TEXT PRIMARY KEY,
    -- 1 where the namespace is an ordinary registry: any tags, no packages, no review.
    registry_only BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL
);

CREATE TABLE repositories (
    id TEXT PRIMARY KEY,
    publisher TEXT NOT NULL REFERENCES publishers (name),
    -- What follows the first slash of the OCI name.
    name TEXT NOT NULL,
    -- 1 where readers need not log in.
    public BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (publisher, name)
);

-- What the storage holds. An object is durable before it can be read through any repository, and whoever removes one
-- holds its row until it is gone.
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size BIGINT NOT NULL,
    -- When it was last pushed, mounted or linked; what nobody needs is removed some time after.
    touched_ms BIGINT NOT NULL
);

-- Which blobs can be read through which repository.
CREATE TABLE links (
    repository TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest TEXT NOT NULL REFERENCES blobs (digest),
    -- 1 where readers may have it, 0 where only those may who push there.
    visible BIGINT NOT NULL,
    linked_ms BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX links_by_digest ON links (digest);

CREATE TABLE manifests (
    repository TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    -- Its bytes are a blob.
    digest TEXT NOT NULL REFERENCES blobs (digest),
    media_type TEXT NOT NULL,
    -- The manifest that this one is about; it need not exist.
    subject TEXT,
    artifact_type TEXT,
    -- JSON, a map of texts.
    annotations TEXT,
    visible BIGINT NOT NULL,
    pushed_ms BIGINT NOT NULL,
    -- The account that pushed it; none where nobody had to log in.
    pushed_by TEXT,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX manifests_by_digest ON manifests (digest);
CREATE INDEX manifests_by_subject ON manifests (repository, subject);

-- What a manifest names: blobs, and other manifests.
CREATE TABLE needs (
    repository TEXT NOT NULL,
    manifest TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, digest),
    FOREIGN KEY (repository, manifest) REFERENCES manifests (repository, digest) ON DELETE CASCADE
);
CREATE INDEX needs_by_digest ON needs (repository, digest);

CREATE TABLE tags (
    repository TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (repository, name),
    FOREIGN KEY (repository, digest) REFERENCES manifests (repository, digest) ON DELETE CASCADE
);
CREATE INDEX tags_by_digest ON tags (repository, digest);

-- Blobs that are on their way.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    -- The account that began it.
    account TEXT,
    -- What the storage must know to go on, and how many bytes are durable; JSON.
    staged TEXT NOT NULL,
    touched_ms BIGINT NOT NULL
);
