-- Issuers that say who somebody is, people by way of a browser and machines by a token; and programs that are given tokens.

-- Who logs in at an issuer, and which account that is here.
CREATE TABLE identities (
    id TEXT PRIMARY KEY,
    -- The URL of the issuer.
    issuer TEXT NOT NULL,
    -- What the issuer never calls somebody else (`sub`).
    subject TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- What the issuer called it when it came first, for people.
    name TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    UNIQUE (issuer, subject)
);
CREATE INDEX identities_by_account ON identities (account, id);

-- Browsers that were sent to an issuer, and those that came back as somebody who is nobody here yet.
CREATE TABLE journeys (
    -- SHA-256 of what the browser brings back.
    digest TEXT PRIMARY KEY,
    -- SHA-256 of the cookie that only this browser has.
    browser TEXT NOT NULL,
    issuer TEXT NOT NULL,
    -- Where to go afterwards.
    next TEXT NOT NULL,
    -- Who came back; none while nobody did.
    subject TEXT,
    name TEXT,
    expires_ms BIGINT NOT NULL
);

-- Which tokens of an issuer may publish for a publisher.
CREATE TABLE publishing_rules (
    id TEXT PRIMARY KEY,
    publisher TEXT NOT NULL REFERENCES publishers (name) ON DELETE CASCADE,
    -- Who made it, and for whom its tokens act.
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    issuer TEXT NOT NULL,
    -- JSON, an object of texts.
    claims TEXT NOT NULL,
    -- JSON, a list of texts.
    scopes TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX publishing_rules_by_issuer ON publishing_rules (issuer, id);
CREATE INDEX publishing_rules_by_publisher ON publishing_rules (publisher, id);

-- Tokens of issuers that were shown, for as long as they could be shown again.
CREATE TABLE shown_tokens (
    digest TEXT PRIMARY KEY,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX shown_tokens_by_end ON shown_tokens (expires_ms);

-- The rule by which a token was given out; none where a person has it.
ALTER TABLE tokens ADD COLUMN rule TEXT;

-- Codes that become a token for the program that asked for them.
CREATE TABLE login_codes (
    digest TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- SHA-256 of what only that program knows, in base64url.
    challenge TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    -- JSON, a list of texts.
    scopes TEXT NOT NULL,
    token_expires_ms BIGINT,
    expires_ms BIGINT NOT NULL
);

-- Machines without a browser that wait until somebody lets them in.
CREATE TABLE login_devices (
    digest TEXT PRIMARY KEY,
    -- What people type.
    user_code TEXT NOT NULL UNIQUE,
    -- JSON, a list of texts.
    scopes TEXT NOT NULL,
    token_expires_ms BIGINT,
    -- From where it was asked for.
    address TEXT NOT NULL,
    -- Who let it in; none while nobody did.
    account TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    -- 1 where somebody said no.
    denied BIGINT NOT NULL DEFAULT 0,
    interval_s BIGINT NOT NULL,
    -- When it may ask again.
    due_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
