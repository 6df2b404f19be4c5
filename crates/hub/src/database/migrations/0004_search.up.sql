-- What is searched, and what is around the text of it, which each database keeps in its own way.

CREATE TABLE search_documents (
    package TEXT PRIMARY KEY REFERENCES packages (id),
    -- Tells packages apart that are equally good.
    serial BIGINT NOT NULL UNIQUE,
    rank BIGINT NOT NULL UNIQUE,
    -- The release that is found.
    release TEXT NOT NULL REFERENCES releases (id),
    -- Its words and its facets, each once, with blanks and line ends between.
    words TEXT NOT NULL,
    facets TEXT NOT NULL
);

-- How many packages were ever found: gives serials.
CREATE TABLE search_serial (only_one BIGINT PRIMARY KEY, last BIGINT NOT NULL);
INSERT INTO search_serial (only_one, last) VALUES (1, 0);

-- All words, and how many packages have them.
CREATE TABLE search_words (
    word TEXT PRIMARY KEY,
    packages BIGINT NOT NULL
);

-- All words without one letter each, and whole: what a word with a mistake has in common with the right one.
CREATE TABLE search_variants (
    variant TEXT NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (variant, word)
);
CREATE INDEX search_variants_by_word ON search_variants (word);

-- All values of all facets, and how many packages have them.
CREATE TABLE search_facets (
    facet TEXT NOT NULL,
    value TEXT NOT NULL,
    packages BIGINT NOT NULL,
    PRIMARY KEY (facet, value)
);
