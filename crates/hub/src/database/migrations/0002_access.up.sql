-- Access: who there is, what they may do, what they show, and what they changed.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    handle TEXT NOT NULL UNIQUE,
    -- What people call it.
    name TEXT NOT NULL,
    -- At the hub: reader, contributor, reviewer, administrator.
    role TEXT NOT NULL,
    -- A PHC string; none where it cannot log in by a password.
    password TEXT,
    created_ms BIGINT NOT NULL,
    -- When it was closed. Its row stays, since others tell of it.
    closed_ms BIGINT
);

-- organisation or person.
ALTER TABLE publishers ADD COLUMN kind TEXT NOT NULL DEFAULT 'organisation';
-- What people call it.
ALTER TABLE publishers ADD COLUMN title TEXT NOT NULL DEFAULT '';
-- 1 where its repositories are for its members only.
ALTER TABLE publishers ADD COLUMN private BIGINT NOT NULL DEFAULT 0;
-- The most bytes that its repositories may hold; none where the configuration says how many.
ALTER TABLE publishers ADD COLUMN quota_bytes BIGINT;

CREATE TABLE members (
    publisher TEXT NOT NULL REFERENCES publishers (name) ON DELETE CASCADE,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- reader, contributor, reviewer, owner.
    role TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (publisher, account)
);
CREATE INDEX members_by_account ON members (account);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- What its owner calls it.
    name TEXT NOT NULL,
    -- SHA-256 of the secret.
    digest TEXT NOT NULL UNIQUE,
    -- JSON, a list of texts.
    scopes TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    -- When it was used last, some minutes more or less.
    used_ms BIGINT,
    revoked_ms BIGINT
);
CREATE INDEX tokens_by_account ON tokens (account, id);

-- Browsers that are logged in.
CREATE TABLE sessions (
    digest TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account);

-- Links that make an administrator of whoever has one, once.
CREATE TABLE administrator_links (
    digest TEXT PRIMARY KEY,
    expires_ms BIGINT NOT NULL
);

-- What short-lived tokens are signed with.
CREATE TABLE signing_keys (
    id TEXT PRIMARY KEY,
    -- Base64.
    secret TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- Logins that failed, by account and by address.
CREATE TABLE attempts (
    subject TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    -- Until when there is no other attempt.
    until_ms BIGINT NOT NULL
);

-- What was changed. Rows are only ever added.
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- JSON.
    detail TEXT NOT NULL,
    previous TEXT NOT NULL,
    digest TEXT NOT NULL
);

-- How many rows there are and the digest of the last: one row, whose lock puts changes into an order.
CREATE TABLE audit_head (
    one BIGINT PRIMARY KEY,
    number BIGINT NOT NULL,
    digest TEXT NOT NULL
);
INSERT INTO audit_head (one, number, digest) VALUES (1, 0, '');
