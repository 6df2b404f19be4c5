-- What people think of packages, and what publishers ask for them.

CREATE TABLE ratings (
    package TEXT NOT NULL REFERENCES packages (id),
    account TEXT NOT NULL REFERENCES accounts (id),
    -- 1 to 5.
    stars BIGINT NOT NULL,
    rated_ms BIGINT NOT NULL,
    PRIMARY KEY (package, account)
);
CREATE INDEX ratings_by_account ON ratings (account);
CREATE INDEX ratings_by_package ON ratings (package, stars);

-- JSON: amount, currency, period and where it is sold; none where it is free.
ALTER TABLE packages ADD COLUMN price TEXT;

-- Both are found: how many people rate it, and the sum of their stars.
ALTER TABLE search_documents ADD COLUMN people BIGINT NOT NULL DEFAULT 0;
ALTER TABLE search_documents ADD COLUMN stars BIGINT NOT NULL DEFAULT 0;
-- What documents are made of, which differs between versions of the hub.
ALTER TABLE search_serial ADD COLUMN form BIGINT NOT NULL DEFAULT 0;

-- Why it was as it was before it was taken down.
ALTER TABLE withheld_releases ADD COLUMN reason TEXT;
