//! Ids are types, so that a user id can never be passed where a tenant id is meant.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a raw id. Only stores and decoders of verified tokens may do this.
            #[must_use]
            pub const fn from_uuid(raw: Uuid) -> Self {
                Self(raw)
            }
            /// The raw id, for binding to SQL.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// One customer organisation.
    TenantId
);
uuid_id!(
    /// A member of one tenant. The same e-mail at two tenants is two users.
    UserId
);
uuid_id!(
    /// One signed-in browser or client.
    SessionId
);
uuid_id!(
    /// One API key of one tenant.
    ApiKeyId
);
uuid_id!(
    /// One long-running operation (AIP-151).
    OperationId
);

impl TenantId {
    /// The tenant in which operators live; it is never a customer.
    pub const PLATFORM: Self = Self(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));

    /// `t_<32 hex>`: the name of the tenant's schema (34 of PostgreSQL's 63 bytes).
    #[must_use]
    pub fn schema(self) -> String {
        format!("t_{}", self.0.simple())
    }
}

/// Correlates one request in logs, errors and traces. At most 64 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RequestId(String);

impl RequestId {
    /// Accepts an id from outside if it is 1-64 characters of `[A-Za-z0-9._-]`, so that it cannot forge log lines.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len());
        let safe = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        (fits && safe).then(|| Self(text.to_owned()))
    }
    /// An id of our own.
    #[must_use]
    pub fn from_uuid(raw: Uuid) -> Self {
        Self(raw.simple().to_string())
    }
    /// The text that travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_from_outside_cannot_carry_line_breaks_or_grow() {
        assert!(RequestId::parse("a-1.b_C").is_some());
        for bad in ["", "a b", "a\nb", "a\"b", &"x".repeat(65)] {
            assert!(RequestId::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_schema_name_fits_postgres_with_a_suffix() {
        assert_eq!(TenantId::PLATFORM.schema().len(), 34);
    }
}
