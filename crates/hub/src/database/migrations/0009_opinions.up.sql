-- What people think of packages, and what publishers ask for them.

CREATE TABLE ratings (
    package TEXT NOT NULL REFERENCES packages (id),
    account TEXT NOT NULL REFERENCES accounts (id),
    -- 1 to 5.
    stars BIGINT NOT NULL,
    rated_ms BIGINT NOT NULL,
    PRIMARY KEY (package, account)
);

-- JSON: amount, currency, period and where it is sold; none where it is free.
ALTER TABLE packages ADD COLUMN price TEXT;
