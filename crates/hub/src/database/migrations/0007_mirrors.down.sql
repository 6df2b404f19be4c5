ALTER TABLE publishers DROP COLUMN mirror;
DROP TABLE mirrored;
DROP TABLE mirrors;
