//! Opaque credentials: `{prefix}_{tenant}_{id}_{secret}_{crc32}`.
//!
//! The secret has 256 random bits, so a plain SHA-256 of the whole text is what gets stored. The checksum lets typing
//! errors and secret scanners be answered without a database; it protects nothing.

use crate::random;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use tenantry_kernel::TenantId;
use uuid::Uuid;
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 characters of 62 are a little more than 256 bits.
const SECRET: usize = 43;

/// What a credential is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// A browser session.
    Session,
    /// A refresh token.
    Refresh,
    /// An API key.
    ApiKey,
    /// A one-time link (invitation, password reset).
    Link,
}

impl Prefix {
    /// Every prefix.
    pub const ALL: [Self; 4] = [Self::Session, Self::Refresh, Self::ApiKey, Self::Link];
    /// The text a credential starts with.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "tsid",
            Self::Refresh => "trt",
            Self::ApiKey => "tak",
            Self::Link => "tlk",
        }
    }
}

/// A credential as a caller presented it. The id finds the row, the hash is compared with [`Parsed::matches`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Parsed {
    /// See [`Prefix`].
    pub prefix: Prefix,
    /// The tenant it claims; compare with the tenant of the call.
    pub tenant: TenantId,
    /// The row it names.
    pub id: Uuid,
    /// SHA-256 of the whole text.
    pub hash: [u8; 32],
}

impl Parsed {
    /// Compares with a stored hash in constant time.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.hash.ct_eq(stored).into()
    }
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parsed({} of {} for {})", self.prefix.as_str(), self.id, self.tenant)
    }
}

/// Makes and parses opaque credentials.
#[derive(Clone, Copy, Debug)]
pub struct OpaqueToken;

impl OpaqueToken {
    /// A new credential for row `id`: the text for its owner (shown once) and the hash to store.
    #[must_use]
    pub fn generate(prefix: Prefix, tenant: TenantId, id: Uuid) -> (String, [u8; 32]) {
        let secret = secret();
        let body = Zeroizing::new(format!(
            "{}_{}_{}_{}",
            prefix.as_str(),
            tenant.uuid().simple(),
            id.simple(),
            *secret
        ));
        let text = format!("{}_{:08x}", *body, crc32(body.as_bytes()));
        let hash = sha256(text.as_bytes());
        (text, hash)
    }
    /// Parses a credential; `None` for anything that [`OpaqueToken::generate`] cannot have made.
    #[must_use]
    pub fn parse(text: &str) -> Option<Parsed> {
        if text.len() > 160 || !text.is_ascii() {
            return None;
        }
        let (body, checksum) = text.rsplit_once('_')?;
        let mut parts = body.split('_');
        let (prefix, tenant, id, secret) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let prefix = Prefix::ALL.into_iter().find(|known| known.as_str() == prefix)?;
        let secret_ok = secret.len() == SECRET && secret.bytes().all(|b| b.is_ascii_alphanumeric());
        if parts.next().is_some() || !secret_ok || checksum != format!("{:08x}", crc32(body.as_bytes())) {
            return None;
        }
        let (tenant, id) = (TenantId::from_uuid(simple(tenant)?), simple(id)?);
        Some(Parsed {
            prefix,
            tenant,
            id,
            hash: sha256(text.as_bytes()),
        })
    }
    /// 256 random bits in base62, for secrets without a structure of their own.
    #[must_use]
    pub fn random_secret() -> String {
        secret().to_string()
    }
}

/// SHA-256, for values that are stored as hashes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Only 32 lower-case hex digits: one text per id, so that one credential has one text.
fn simple(text: &str) -> Option<Uuid> {
    let shape = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    shape.then(|| Uuid::try_parse(text).ok()).flatten()
}

fn secret() -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(SECRET));
    while out.len() < SECRET {
        let [byte] = random::array::<1>();
        // 248 = 4 * 62: larger bytes would make some characters likelier.
        if byte < 248 {
            out.push(char::from(ALPHABET[usize::from(byte % 62)]));
        }
    }
    out
}

/// CRC-32 (IEEE 802.3), bit by bit: it runs over 120 bytes once a request.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_survives_the_round_trip_and_only_as_it_was_made() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926, "the published check value");
        let id = Uuid::from_u128(0xABCD);
        for prefix in Prefix::ALL {
            let (text, hash) = OpaqueToken::generate(prefix, TenantId::PLATFORM, id);
            let parsed = OpaqueToken::parse(&text).expect("own text");
            assert_eq!(
                (parsed.prefix, parsed.tenant, parsed.id, parsed.hash),
                (prefix, TenantId::PLATFORM, id, hash)
            );
            assert!(parsed.matches(&hash) && !parsed.matches(&[0; 32]) && !parsed.matches(&[]));
            for at in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
                assert!(
                    OpaqueToken::parse(std::str::from_utf8(&changed).expect("ascii")).is_none(),
                    "{at}"
                );
            }
            let upper = text.to_uppercase();
            for bad in [
                "",
                "_",
                "____",
                &upper,
                &format!("{text} "),
                &format!("{text}_"),
                &"é".repeat(70),
            ] {
                assert!(OpaqueToken::parse(bad).is_none(), "{bad}");
            }
            assert!(!format!("{parsed:?}").contains(text.split('_').nth(3).expect("secret")));
        }
    }

    #[test]
    fn secrets_differ_and_use_the_whole_alphabet() {
        let many: String = (0..200).map(|_| OpaqueToken::random_secret()).collect();
        for character in ALPHABET {
            assert!(many.contains(char::from(*character)));
        }
    }
}
