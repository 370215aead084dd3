//! Page tokens that work only for the tenant, caller, method and query they were made for, and for a day.

use crate::{Purpose, Sealer, TenantKeys};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tenantry_kernel::{Error, Reason, Result, TenantId};

const LIFETIME_SECONDS: i64 = 24 * 3600;
/// Above this a token cannot be ours; checked before anything is decoded.
const MAX_TEXT: usize = 4096;

/// What a page token is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The tenant of the call.
    pub tenant: TenantId,
    /// [`tenantry_kernel::Principal::name`] of the caller.
    pub principal: &'a str,
    /// The full method name.
    pub method: &'a str,
    /// Hash of everything that shapes the list (parent, filter, order), see [`PageTokens::query_hash`].
    pub query_hash: [u8; 32],
}

impl Binding<'_> {
    /// Lengths first, so that two different bindings never have the same bytes.
    fn aad(&self) -> Vec<u8> {
        let mut out = b"page-token\0".to_vec();
        let tenant = self.tenant.uuid();
        for part in [
            tenant.as_bytes().as_slice(),
            self.principal.as_bytes(),
            self.method.as_bytes(),
            &self.query_hash,
        ] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

/// Makes and opens page tokens.
#[derive(Clone, Copy, Debug)]
pub struct PageTokens;

impl PageTokens {
    /// Hashes the parts of a query; part borders count.
    #[must_use]
    pub fn query_hash(parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
    /// Seals the place where the next page starts.
    #[must_use]
    pub fn seal(sealer: &Sealer, binding: Binding<'_>, cursor: &[u8], now: DateTime<Utc>) -> String {
        let expires = (now.timestamp() + LIFETIME_SECONDS).to_be_bytes();
        B64.encode(sealer.seal(&binding.aad(), [&expires, cursor].concat()))
    }
    /// Opens a token under the same binding.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN` for a token that is foreign, edited, expired or of another query.
    pub fn open(sealer: &Sealer, binding: Binding<'_>, token: &str, now: DateTime<Utc>) -> Result<Vec<u8>> {
        let sealed = decode(token)?;
        let opened = sealer
            .open(&binding.aad(), &sealed)
            .map_err(|cause| invalid().because(cause))?;
        let (expires, cursor) = opened.split_first_chunk::<8>().ok_or_else(invalid)?;
        if i64::from_be_bytes(*expires) <= now.timestamp() {
            return Err(invalid());
        }
        Ok(cursor.to_vec())
    }
    /// [`PageTokens::seal`] under the tenant's current page-token key.
    ///
    /// # Errors
    /// Where the key cannot be fetched.
    pub async fn seal_keyed(
        keys: &dyn TenantKeys,
        binding: Binding<'_>,
        cursor: &[u8],
        now: DateTime<Utc>,
    ) -> Result<String> {
        let sealer = keys.sealer(binding.tenant, Purpose::PageToken, None).await?;
        Ok(Self::seal(&sealer, binding, cursor, now))
    }
    /// [`PageTokens::open`] under the key version the token names, so that tokens survive a key rotation.
    ///
    /// # Errors
    /// As [`PageTokens::open`], or where the key cannot be fetched.
    pub async fn open_keyed(
        keys: &dyn TenantKeys,
        binding: Binding<'_>,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<u8>> {
        let version = Sealer::version_of(&decode(token)?).map_err(|cause| invalid().because(cause))?;
        let sealer = match keys.sealer(binding.tenant, Purpose::PageToken, Some(version)).await {
            Ok(sealer) => sealer,
            // An edited token may name a version that never was.
            Err(missing) if missing.kind() == tenantry_kernel::Kind::NotFound => return Err(invalid().because(missing)),
            Err(other) => return Err(other),
        };
        Self::open(&sealer, binding, token, now)
    }
}

fn decode(token: &str) -> Result<Vec<u8>> {
    if token.len() > MAX_TEXT {
        return Err(invalid());
    }
    B64.decode(token).map_err(|cause| invalid().because(cause))
}

fn invalid() -> Error {
    Error::new(
        Reason::InvalidPageToken,
        "The page token is not valid for this request. Start again without a page token.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataKey;
    use uuid::Uuid;

    #[test]
    fn a_page_token_works_only_for_the_call_it_was_made_for() {
        let sealer = Sealer::new(DataKey::generate(), 1);
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("valid");
        let hash = PageTokens::query_hash(&[b"a", b"bc"]);
        let own = Binding {
            tenant: TenantId::PLATFORM,
            principal: "user:1",
            method: "/x/List",
            query_hash: hash,
        };
        let token = PageTokens::seal(&sealer, own, b"cursor", now);
        assert_eq!(PageTokens::open(&sealer, own, &token, now).expect("own"), b"cursor");
        let others = [
            Binding {
                tenant: TenantId::from_uuid(Uuid::from_u128(9)),
                ..own
            },
            Binding {
                principal: "user:2",
                ..own
            },
            Binding {
                method: "/x/Search",
                ..own
            },
            Binding {
                principal: "user:1/x",
                method: "/List",
                ..own
            },
            Binding {
                query_hash: PageTokens::query_hash(&[b"ab", b"c"]),
                ..own
            },
        ];
        for other in others {
            let refused = PageTokens::open(&sealer, other, &token, now).expect_err("bound");
            assert_eq!(refused.reason(), Reason::InvalidPageToken, "{other:?}");
        }
        let day = chrono::Duration::seconds(LIFETIME_SECONDS);
        assert!(PageTokens::open(&sealer, own, &token, now + day - chrono::Duration::seconds(1)).is_ok());
        assert!(PageTokens::open(&sealer, own, &token, now + day).is_err(), "expired");
        for bad in [
            "",
            "AAAA",
            "not base64!",
            &"A".repeat(5000),
            &format!("{token}A"),
            &token[1..],
        ] {
            assert!(PageTokens::open(&sealer, own, bad, now).is_err(), "{bad}");
        }
    }
}
