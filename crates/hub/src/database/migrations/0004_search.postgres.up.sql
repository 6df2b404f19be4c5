-- The text that is searched.

-- Words by rank, the best first: `rank` is `search_documents.rank`.
CREATE TABLE search_text (
    rank BIGINT PRIMARY KEY,
    document TSVECTOR NOT NULL
);
CREATE INDEX search_text_by_word ON search_text USING GIN (document);
