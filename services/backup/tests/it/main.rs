//! The archive on a real directory and a real S3 server.

mod archive;
mod feed;
mod s3;
