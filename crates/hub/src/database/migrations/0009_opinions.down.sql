ALTER TABLE packages DROP COLUMN price;
DROP TABLE ratings;
