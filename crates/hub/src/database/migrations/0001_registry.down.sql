DROP TABLE uploads;
DROP TABLE tags;
DROP TABLE needs;
DROP TABLE manifests;
DROP TABLE links;
DROP TABLE blobs;
DROP TABLE repositories;
DROP TABLE publishers;
