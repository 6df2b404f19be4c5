DROP TABLE search_facets;
DROP TABLE search_variants;
DROP TABLE search_words;
DROP TABLE search_serial;
DROP TABLE search_documents;
DROP TABLE search_text;
