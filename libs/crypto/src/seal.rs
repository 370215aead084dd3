//! Sealing: AES-256-GCM with a random 96-bit nonce, bound to a context (`aad`) that is not stored.
//!
//! Layout: format (1 byte) | key version (4, big endian) | nonce (12) | ciphertext and tag. The first five bytes are
//! authenticated too. One key must seal fewer than 2^32 values (NIST SP 800-38D), so keys are per tenant and purpose.

use crate::{DataKey, random};
use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use std::{fmt, sync::Arc};

const FORMAT: u8 = 1;
const HEADER: usize = 5;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Bytes that do not open. It does not say why: that would help only an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not sealed by this key under this context, or changed since.
    #[error("the sealed value does not open")]
    DoesNotOpen,
    /// Sealed with a key version that is not known here.
    #[error("the sealed value needs key version {0}")]
    UnknownVersion(u32),
}

/// Seals and opens under one version of one key.
pub struct Sealer {
    cipher: Aes256Gcm,
    /// For keys that are derived from it; zeroized on drop.
    key: DataKey,
    version: u32,
}

impl Sealer {
    /// A sealer for `key`, which is version `key_version` of its purpose.
    #[must_use]
    pub fn new(key: DataKey, key_version: u32) -> Self {
        Self {
            cipher: cipher(&key),
            key,
            version: key_version,
        }
    }
    /// The version of its key.
    #[must_use]
    pub const fn key_version(&self) -> u32 {
        self.version
    }
    pub(crate) const fn key(&self) -> &DataKey {
        &self.key
    }
    /// Seals; the same `aad` is needed to open.
    #[must_use]
    pub fn seal(&self, aad: &[u8], plaintext: impl AsRef<[u8]>) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.version.to_be_bytes());
        let body = encrypt(&self.cipher, &bound(&out, aad), plaintext.as_ref());
        out.extend_from_slice(&body);
        out
    }
    /// Opens what [`Sealer::seal`] made.
    ///
    /// # Errors
    /// Other key, other version, other `aad`, or changed bytes.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let version = Self::version_of(sealed)?;
        if version != self.version {
            return Err(SealError::UnknownVersion(version));
        }
        let (header, body) = sealed.split_at(HEADER);
        decrypt(&self.cipher, &bound(header, aad), body)
    }
    /// Opens with the sealer that `lookup` knows for the value's key version.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn open_with(
        lookup: impl FnOnce(u32) -> Option<Arc<Self>>,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let version = Self::version_of(sealed)?;
        lookup(version)
            .ok_or(SealError::UnknownVersion(version))?
            .open(aad, sealed)
    }
    /// The key version a sealed value needs. It is not authenticated before the value is opened.
    ///
    /// # Errors
    /// Where the bytes are not a sealed value.
    pub fn version_of(sealed: &[u8]) -> Result<u32, SealError> {
        match sealed {
            [FORMAT, a, b, c, d, rest @ ..] if rest.len() >= NONCE + TAG => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => Err(SealError::DoesNotOpen),
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer(version {})", self.version)
    }
}

pub(crate) fn cipher(key: &DataKey) -> Aes256Gcm {
    Aes256Gcm::new(key.expose().into())
}

pub(crate) fn encrypt(cipher: &Aes256Gcm, aad: &[u8], msg: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE] = random::array();
    let mut out = nonce.to_vec();
    let body = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg, aad })
        .expect("only messages above 64 GiB fail");
    out.extend_from_slice(&body);
    out
}

pub(crate) fn decrypt(cipher: &Aes256Gcm, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::DoesNotOpen)?;
    cipher
        .decrypt(&Nonce::from(*nonce), Payload { msg, aad })
        .map_err(|_| SealError::DoesNotOpen)
}

fn bound(header: &[u8], aad: &[u8]) -> Vec<u8> {
    [header, aad].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_only_under_its_key_version_and_context() {
        let sealer = Sealer::new(DataKey::new([1; 32]), 3);
        let sealed = sealer.seal(b"tenant-a|record-1", "hello");
        assert_eq!(
            sealer.open(b"tenant-a|record-1", &sealed).as_deref(),
            Ok(b"hello".as_slice())
        );
        assert_eq!(sealer.open(b"tenant-b|record-1", &sealed), Err(SealError::DoesNotOpen));
        assert_eq!(
            Sealer::new(DataKey::new([2; 32]), 3).open(b"tenant-a|record-1", &sealed),
            Err(SealError::DoesNotOpen)
        );
        assert_eq!(
            Sealer::new(DataKey::new([1; 32]), 4).open(b"tenant-a|record-1", &sealed),
            Err(SealError::UnknownVersion(3))
        );
        let known = Arc::new(sealer);
        assert!(
            Sealer::open_with(
                |version| (version == 3).then(|| known.clone()),
                b"tenant-a|record-1",
                &sealed
            )
            .is_ok()
        );
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let sealer = Sealer::new(DataKey::generate(), 1);
        let sealed = sealer.seal(b"x", b"value");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open(b"x", &changed).is_err(), "byte {at}");
            assert!(sealer.open(b"x", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert_ne!(sealer.seal(b"x", b"value"), sealed, "nonces differ");
    }
}
