-- What happened, who wants to hear of it, and what was told to whom.

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    publisher TEXT NOT NULL,
    package TEXT NOT NULL,
    -- A version, or for advisories a range of versions.
    version TEXT NOT NULL,
    digest TEXT,
    -- What was said of it, such as why a version was yanked.
    text TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX events_by_time ON events (at_ms, id);
CREATE INDEX events_by_package ON events (publisher, package, at_ms);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    -- Whose packages it is about; none for those of all.
    publisher TEXT REFERENCES publishers (name),
    url TEXT NOT NULL,
    -- What deliveries are signed with; there is no way to sign with a digest of it.
    secret TEXT NOT NULL,
    created_by TEXT,
    created_ms BIGINT NOT NULL,
    -- When the other side said that it is gone for good.
    gone_ms BIGINT
);

CREATE TABLE deliveries (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event TEXT NOT NULL REFERENCES events (id),
    attempts BIGINT NOT NULL DEFAULT 0,
    -- When it is to be tried next; none when it arrived or was given up.
    due_ms BIGINT,
    -- What the other side said last: a status of HTTP, or why there was none.
    answer TEXT,
    tried_ms BIGINT,
    PRIMARY KEY (webhook, event)
);
CREATE INDEX deliveries_by_due ON deliveries (due_ms);
