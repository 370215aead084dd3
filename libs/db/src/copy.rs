//! COPY in text format: out of a snapshot, row by row, and into a table, a chunk at a time.

use crate::error::map_error;
use bytes::Bytes;
use futures::{TryStreamExt, stream::BoxStream};
use std::fmt;
use tenantry_kernel::Result;

/// Rows on their way out. Dropped before the end, its connection is closed: there is no other way to stop the server.
pub struct CopyOut<'c> {
    stream: BoxStream<'c, sqlx::Result<Bytes>>,
    in_flight: &'c mut bool,
}

impl<'c> CopyOut<'c> {
    pub(crate) fn new(stream: BoxStream<'c, sqlx::Result<Bytes>>, in_flight: &'c mut bool) -> Self {
        Self { stream, in_flight }
    }
    /// Appends the next row, with its line end; `false` behind the last one.
    ///
    /// # Errors
    /// See [`map_error`].
    pub async fn read(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        match self.stream.try_next().await {
            // The server sends one row a message.
            Ok(Some(row)) => {
                into.extend_from_slice(&row);
                Ok(true)
            }
            Ok(None) => {
                *self.in_flight = false;
                Ok(false)
            }
            Err(error) => Err(map_error(error)),
        }
    }
}

impl fmt::Debug for CopyOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CopyOut(..)")
    }
}
