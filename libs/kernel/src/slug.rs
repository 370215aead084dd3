//! Tenant slugs: one DNS label, lower case ASCII, not reserved.

use crate::Error;

/// Names that would collide with hosts of our own or mislead people.
pub const RESERVED: &[&str] = &[
    "operator",
    "api",
    "www",
    "admin",
    "auth",
    "login",
    "mail",
    "smtp",
    "ftp",
    "ns",
    "localhost",
    "status",
    "docs",
    "help",
    "support",
    "static",
    "assets",
    "cdn",
    "app",
    "console",
    "platform",
    "tenantry",
    "internal",
    "system",
    "root",
];

/// Checks a slug: 3-40 characters of `[a-z0-9-]`, starting with a letter, not ending with `-`, no `--`, not reserved.
///
/// # Errors
/// `INVALID_ARGUMENT` naming what is accepted.
pub fn check(slug: &str) -> Result<(), Error> {
    let shape = (3..=40).contains(&slug.len())
        && slug.starts_with(|c: char| c.is_ascii_lowercase())
        && !slug.ends_with('-')
        && !slug.contains("--")
        && slug
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !shape {
        return Err(Error::invalid_field(
            "tenant.slug",
            "must be 3 to 40 characters of a-z, 0-9 and single '-', starting with a letter",
        ));
    }
    if RESERVED.contains(&slug) {
        return Err(Error::invalid_field("tenant.slug", "is reserved; choose another"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_unreserved_dns_labels_are_slugs() {
        for good in ["acme", "a1b", "globex-2"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Acme",
            "acmé",
            "-acme",
            "acme-",
            "a--b",
            "1acme",
            "operator",
            "a.b",
            "xn--acm",
            &"a".repeat(41),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
