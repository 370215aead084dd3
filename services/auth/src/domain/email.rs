//! E-mail addresses, as far as we care: one normal form, so that one person is one member.

use serde::{Deserialize, Serialize};
use tenantry_kernel::{Error, Result};

/// A lower-case address of plausible shape. Whether it receives mail is the owner's business.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Parses and lower-cases.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self> {
        let text = text.trim();
        let plausible = text.len() <= 254
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
            && text
                .rsplit_once('@')
                .is_some_and(|(local, domain)| is_local(local) && is_domain(domain));
        if plausible {
            return Ok(Self(text.to_lowercase()));
        }
        Err(Error::invalid_field(
            field,
            "must be an e-mail address such as name@example.org, at most 254 characters",
        ))
    }
    /// What a sign-in form held: never an error, so that every wrong input gets the same answer.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        Self(text.trim().to_lowercase())
    }
    /// Wraps a stored address.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_local(text: &str) -> bool {
    (1..=64).contains(&text.len()) && !text.contains(['@', '"', '<', '>', ',', ';', ':', '\\', '(', ')', '[', ']'])
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_address() {
        assert_eq!(
            Email::parse("user.email", " Ada@Example.ORG ").unwrap().as_str(),
            "ada@example.org"
        );
        for good in ["a@b", "ada.l+x@example.org", "o'neil@example.co.uk"] {
            assert!(Email::parse("user.email", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b@c d",
            "a\n@b",
            "<a@b>",
            "a@-b",
            "a@b..c",
            &format!("{}@b", "x".repeat(65)),
        ] {
            assert!(Email::parse("user.email", bad).is_err(), "{bad}");
        }
    }
}
