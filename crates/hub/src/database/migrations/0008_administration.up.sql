-- Administration: packages that go to other publishers, what is taken down, what is reported, mail, and what is written beside
-- the blobs.

-- The package that it became.
ALTER TABLE packages ADD COLUMN moved_to TEXT;
CREATE INDEX packages_by_successor ON packages (moved_to);

-- Offers of packages to other publishers.
CREATE TABLE transfers (
    id TEXT PRIMARY KEY,
    package TEXT NOT NULL REFERENCES packages (id),
    -- What it is to become.
    publisher TEXT NOT NULL REFERENCES publishers (name),
    name TEXT NOT NULL,
    offered_by TEXT NOT NULL,
    offered_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    -- offered, accepted, withdrawn.
    state TEXT NOT NULL,
    ended_by TEXT,
    ended_ms BIGINT
);
CREATE INDEX transfers_by_package ON transfers (package, state);
CREATE INDEX transfers_by_publisher ON transfers (publisher, id);

-- What administrators took down: a package, a release of it, or bytes. What it does not name is empty.
CREATE TABLE takedowns (
    id TEXT PRIMARY KEY,
    publisher TEXT NOT NULL,
    package TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    -- malware, legal, secret, abuse.
    class TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- The report that led to it.
    report TEXT,
    taken_by TEXT NOT NULL,
    taken_ms BIGINT NOT NULL,
    -- When the bytes go, and when they went.
    erase_ms BIGINT NOT NULL,
    erased_ms BIGINT,
    lifted_by TEXT,
    lifted_ms BIGINT
);
CREATE INDEX takedowns_by_package ON takedowns (publisher, package);
CREATE INDEX takedowns_by_time ON takedowns (erase_ms);

-- Digests that nobody is given, and that are refused under any name.
CREATE TABLE withheld (
    digest TEXT NOT NULL,
    takedown TEXT NOT NULL REFERENCES takedowns (id),
    PRIMARY KEY (digest, takedown)
);
CREATE INDEX withheld_by_takedown ON withheld (takedown);

-- Releases that were taken down, and how far they were.
CREATE TABLE withheld_releases (
    release TEXT NOT NULL REFERENCES releases (id),
    takedown TEXT NOT NULL REFERENCES takedowns (id),
    state TEXT NOT NULL,
    PRIMARY KEY (release, takedown)
);

-- The takedown that an advisory tells of.
ALTER TABLE advisories ADD COLUMN takedown TEXT;

-- What people reported to administrators.
CREATE TABLE reports (
    id TEXT PRIMARY KEY,
    -- package, release, review, account.
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    class TEXT NOT NULL,
    text TEXT NOT NULL,
    -- Who reported it; none where they did not log in.
    account TEXT,
    handle TEXT,
    -- What reports are counted by: an account, or a digest over an address and a day.
    counted TEXT NOT NULL,
    reported_ms BIGINT NOT NULL,
    -- open, claimed, resolved.
    state TEXT NOT NULL,
    -- The administrator who looks into it, or decided.
    handler TEXT,
    outcome TEXT,
    answer TEXT,
    takedown TEXT,
    resolved_ms BIGINT
);
CREATE INDEX reports_by_state ON reports (state, id);
CREATE INDEX reports_by_reporter ON reports (counted, reported_ms);
CREATE INDEX reports_by_account ON reports (account, id);

-- Where accounts are mailed.
CREATE TABLE addresses (
    account TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    confirmed_ms BIGINT,
    -- SHA-256 of the secret in the link that confirms it.
    link TEXT UNIQUE,
    link_expires_ms BIGINT,
    -- How many links were sent on the last day of any (days since 1970).
    asked_day BIGINT NOT NULL,
    asked BIGINT NOT NULL,
    -- JSON, a list of kinds.
    unwanted TEXT NOT NULL
);

-- Letters: those with a due time wait, those with neither that nor a time of sending were given up.
CREATE TABLE mails (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    recipient TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    due_ms BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    sent_ms BIGINT,
    problem TEXT
);
CREATE INDEX mails_by_due ON mails (due_ms);
CREATE INDEX mails_by_account ON mails (account);

-- What lies beside the blobs, by its name: a repository, or `hub`. What changed since it was written is written again.
CREATE TABLE records (
    name TEXT PRIMARY KEY,
    changes BIGINT NOT NULL,
    recorded BIGINT NOT NULL,
    -- The version of the tables that it was written with.
    tables BIGINT NOT NULL
);
CREATE INDEX records_by_need ON records (name) WHERE changes <> recorded;
INSERT INTO records (name, changes, recorded, tables) SELECT id, 1, 0, 0 FROM repositories;
INSERT INTO records (name, changes, recorded, tables) VALUES ('hub', 1, 0, 0);

-- What is asked of the releases of one package goes through these alone, and not through all that are released.
CREATE INDEX releases_of_package ON releases (package, state);
