ALTER TABLE withheld_releases DROP COLUMN reason;
ALTER TABLE search_serial DROP COLUMN form;
ALTER TABLE search_documents DROP COLUMN stars;
ALTER TABLE search_documents DROP COLUMN people;
ALTER TABLE packages DROP COLUMN price;
DROP TABLE ratings;
