-- Packages: what was pushed, how far it is, who looked at it, and what was found.

CREATE TABLE packages (
    id TEXT PRIMARY KEY,
    publisher TEXT NOT NULL REFERENCES publishers (name),
    name TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    -- How often its releases were pulled, and until when that was counted.
    pulls BIGINT NOT NULL DEFAULT 0,
    counted_ms BIGINT,
    UNIQUE (publisher, name)
);
CREATE INDEX packages_by_name ON packages (name);

-- A row is never removed: a version that was used once is used for ever.
CREATE TABLE releases (
    id TEXT PRIMARY KEY,
    package TEXT NOT NULL REFERENCES packages (id),
    version TEXT NOT NULL,
    -- The repository that it was pushed to, and what was pushed.
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    -- Why it is in that state, where somebody said so.
    reason TEXT,
    -- Counts what was pushed beside it, so that a check notices what came while it ran.
    evidence BIGINT NOT NULL DEFAULT 0,
    pushed_by TEXT,
    pushed_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    released_ms BIGINT,
    -- What was read from it, and whose signature was verified; JSON (wire::hub::Facts) and text.
    facts TEXT,
    signed_by TEXT,
    pulls BIGINT NOT NULL DEFAULT 0,
    UNIQUE (package, version)
);
CREATE INDEX releases_by_state ON releases (state, changed_ms);
CREATE INDEX releases_by_digest ON releases (repository, digest);

-- Bytes that were rejected: manifests, layers, objects.
CREATE TABLE rejected (
    digest TEXT PRIMARY KEY,
    release TEXT NOT NULL REFERENCES releases (id),
    reason TEXT NOT NULL,
    rejected_ms BIGINT NOT NULL
);

-- Releases that are to be checked. Whoever has the lease checks; one that is not renewed is taken by another.
CREATE TABLE check_queue (
    release TEXT PRIMARY KEY REFERENCES releases (id),
    due_ms BIGINT NOT NULL,
    lease TEXT,
    leased_until_ms BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX check_queue_by_due ON check_queue (due_ms);

CREATE TABLE check_results (
    release TEXT NOT NULL REFERENCES releases (id),
    -- Its place among the checks.
    place BIGINT NOT NULL,
    name TEXT NOT NULL,
    level TEXT NOT NULL,
    -- JSON (wire::hub::Finding).
    findings TEXT NOT NULL,
    PRIMARY KEY (release, name)
);

-- The roots of publishers: the first is registered, each other is signed by the one before.
CREATE TABLE publisher_roots (
    publisher TEXT NOT NULL REFERENCES publishers (name),
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    text TEXT NOT NULL,
    registered_by TEXT,
    registered_ms BIGINT NOT NULL,
    PRIMARY KEY (publisher, version)
);

-- The keys by which reviewers sign.
CREATE TABLE review_keys (
    account TEXT NOT NULL,
    -- The ids of its public keys.
    key_ids TEXT NOT NULL,
    pem TEXT NOT NULL,
    added_ms BIGINT NOT NULL,
    PRIMARY KEY (account, key_ids)
);

CREATE TABLE reviews (
    id TEXT PRIMARY KEY,
    release TEXT NOT NULL REFERENCES releases (id),
    account TEXT NOT NULL,
    handle TEXT NOT NULL,
    decision TEXT NOT NULL,
    text TEXT NOT NULL,
    -- The manifest that holds the signed statement; none for words alone.
    referrer TEXT,
    reviewed_ms BIGINT NOT NULL
);
CREATE INDEX reviews_by_release ON reviews (release, reviewed_ms);

-- How many must look at releases of a publisher, else of a category; else what the configuration says.
CREATE TABLE review_policies (
    -- `publisher` or `category`.
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    approvals BIGINT NOT NULL,
    -- 1 where the publisher's own people count.
    own BIGINT NOT NULL,
    PRIMARY KEY (scope, name)
);

CREATE TABLE advisories (
    id TEXT PRIMARY KEY,
    package TEXT NOT NULL REFERENCES packages (id),
    -- A range of versions.
    versions TEXT NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    published_by TEXT,
    published_ms BIGINT NOT NULL
);
CREATE INDEX advisories_by_package ON advisories (package);

-- Who accepted the notice of this instance: one row for each text.
CREATE TABLE acceptances (
    account TEXT NOT NULL,
    -- The digest of the text.
    notice TEXT NOT NULL,
    accepted_ms BIGINT NOT NULL,
    PRIMARY KEY (account, notice)
);

-- Pulls of releases by day (days since 1970).
CREATE TABLE pulls (
    release TEXT NOT NULL REFERENCES releases (id),
    day BIGINT NOT NULL,
    pulls BIGINT NOT NULL,
    PRIMARY KEY (release, day)
);

-- Who pulled what today already. Nobody can be named by it: it is a digest over the day as well.
CREATE TABLE pulled (
    day BIGINT NOT NULL,
    release TEXT NOT NULL,
    puller TEXT NOT NULL,
    PRIMARY KEY (day, release, puller)
);
