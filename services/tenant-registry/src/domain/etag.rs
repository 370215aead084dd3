//! Etags (AIP-154): the quoted version of a row.

use tenantry_kernel::{Error, Result};

/// `"7"`
#[must_use]
pub fn of(version: i64) -> String {
    format!("\"{version}\"")
}

/// Compares the etag of a request, if it has one, with the current version. Quotes may be missing, as HTTP clients
/// and shells lose them.
///
/// # Errors
/// `ETAG_MISMATCH`.
pub fn check(etag: &str, version: i64) -> Result<()> {
    let bare = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    if etag.is_empty() || bare == version.to_string() {
        Ok(())
    } else {
        Err(Error::etag_mismatch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_current_version_or_no_etag_passes() {
        for good in ["", "\"7\"", "7", "W/\"7\""] {
            assert!(check(good, 7).is_ok(), "{good}");
        }
        for bad in ["\"8\"", "07", "x", "\"\""] {
            assert!(check(bad, 7).is_err(), "{bad}");
        }
    }
}
