-- Mirrors: what is taken from other hubs, by whose rule, and what became of it.

CREATE TABLE mirrors (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- JSON: where from, which packages, how often, and the trust policy that must hold.
    rule TEXT NOT NULL,
    created_by TEXT,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    -- When it is carried out next.
    due_ms BIGINT NOT NULL,
    -- Whoever has the lease carries it out; one that is not renewed is taken by another.
    lease TEXT,
    leased_until_ms BIGINT NOT NULL DEFAULT 0,
    -- How often in a row it could not be carried out whole.
    failures BIGINT NOT NULL DEFAULT 0,
    -- When it was carried out last, and why not whole.
    ran_ms BIGINT,
    problem TEXT
);
CREATE INDEX mirrors_by_due ON mirrors (due_ms);

-- What became of each release that a rule is about, the last time that it was looked at.
CREATE TABLE mirrored (
    mirror TEXT NOT NULL REFERENCES mirrors (id) ON DELETE CASCADE,
    publisher TEXT NOT NULL,
    package TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT,
    -- mirrored, refused, failed, gone, removed.
    outcome TEXT NOT NULL,
    problem TEXT,
    -- 1 where it is yanked here since it is at the source.
    yanked BIGINT NOT NULL DEFAULT 0,
    -- When it became so.
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (mirror, publisher, package, version)
);

-- The rule that a namespace is filled by: nobody else writes there. Empty where that rule is gone.
ALTER TABLE publishers ADD COLUMN mirror TEXT;
