//! Page sizes (AIP-158): 0 means the default, more than the maximum is the maximum, less than 0 is an error.

use crate::Error;

/// What a list returns when the caller does not say.
pub const DEFAULT: i64 = 50;
/// What a list returns at most.
pub const MAX: i64 = 500;

/// The number of items to return.
///
/// # Errors
/// `INVALID_ARGUMENT` for a negative size.
pub fn size(requested: i32) -> Result<i64, Error> {
    match i64::from(requested) {
        0 => Ok(DEFAULT),
        n if n < 0 => Err(Error::invalid_field(
            "page_size",
            "must not be negative; 0 means 50, the maximum is 500",
        )),
        n => Ok(n.min(MAX)),
    }
}
