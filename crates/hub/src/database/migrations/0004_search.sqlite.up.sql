-- The text that is searched.

-- Postings by rank, the best first: `rowid` is `search_documents.rank`.
CREATE VIRTUAL TABLE search_text USING fts5 (
    exact, name, tags, body, facets,
    content = '', contentless_delete = 1, detail = 'column', tokenize = 'ascii'
);
