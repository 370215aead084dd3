//! Ed25519 signatures under a key in a file, for what must be believed after it has left our databases.

use crate::{
    KeyError,
    keyring::{DataKey, read_key},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::{collections::HashMap, fmt, path::Path};

const DOMAIN: &[u8] = b"tenantry signature v1\0";

/// Signs. Never printed.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads a seed of 32 bytes in base64 from a file that only its owner can read.
    ///
    /// # Errors
    /// Missing file, mode wider than 0600, other content.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        Self::from_seed(&read_key(path)?)
    }
    /// From a seed.
    ///
    /// # Errors
    /// Never for 32 bytes; the library's type says otherwise.
    pub fn from_seed(seed: &DataKey) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .map(Self)
            .map_err(|_| KeyError::Length)
    }
    /// The public key in base64: what others need to verify.
    #[must_use]
    pub fn public(&self) -> String {
        BASE64_STANDARD.encode(self.0.public_key())
    }
    /// The signature of `message` in base64.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        BASE64_STANDARD.encode(self.0.sign(&[DOMAIN, message].concat()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// Public keys whose signatures are believed.
#[derive(Clone, Debug, Default)]
pub struct VerifyingKeys(HashMap<String, Vec<u8>>);

impl VerifyingKeys {
    /// From public keys in base64.
    ///
    /// # Errors
    /// Where one is not 32 bytes in base64.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, KeyError> {
        let decode = |key: &str| {
            let bytes = BASE64_STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 32);
            bytes.map(|bytes| (key.to_owned(), bytes)).ok_or(KeyError::Length)
        };
        keys.into_iter().map(decode).collect::<Result<_, _>>().map(Self)
    }
    /// Whether `signature` is one of `key` over `message`, and `key` is believed.
    #[must_use]
    pub fn verify(&self, key: &str, message: &[u8], signature: &str) -> bool {
        let (Some(public), Ok(signature)) = (self.0.get(key), BASE64_STANDARD.decode(signature)) else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, public)
            .verify(&[DOMAIN, message].concat(), &signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_known_key_and_the_same_message_verify() {
        let (one, two) = (DataKey::new([1; 32]), DataKey::new([2; 32]));
        let (one, two) = (
            SigningKey::from_seed(&one).expect("a seed"),
            SigningKey::from_seed(&two).expect("a seed"),
        );
        let known = VerifyingKeys::new([one.public().as_str()]).expect("a key");
        let signature = one.sign(b"message");
        assert!(known.verify(&one.public(), b"message", &signature));
        assert!(!known.verify(&one.public(), b"messagE", &signature));
        assert!(
            !known.verify(&two.public(), b"message", &two.sign(b"message")),
            "unknown key"
        );
        assert!(
            !known.verify(&one.public(), b"message", &two.sign(b"message")),
            "other key"
        );
        assert!(!known.verify(&one.public(), b"message", "!"));
        assert!(VerifyingKeys::new(["short"]).is_err());
        assert_eq!(format!("{one:?}"), "SigningKey(***)");
    }
}
