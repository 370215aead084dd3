//! The archive on a real directory and a real S3 server; the tables on a real PostgreSQL.

mod archive;
mod base;
mod database;
mod feed;
mod janitor;
mod s3;
