//! ES256 tokens (JWS, RFC 7515 and 7518 3.4) on `ring`, for our own tokens only.
//!
//! The verifier accepts one algorithm, one `typ`, one audience and one issuer at a time, and keys only from the set it
//! was given: a token never says how it wants to be verified. Time is an argument.

use crate::jws;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use chrono::{DateTime, Utc};
use ring::{
    rand::SystemRandom,
    signature::{
        self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, fmt};
use zeroize::Zeroizing;

const ALG: &str = "ES256";
/// Larger tokens are refused before they are decoded.
pub const MAX_TOKEN: usize = 4096;
/// How far the clocks of two machines may differ, in seconds.
pub const LEEWAY_SECONDS: i64 = 5;

/// Why a token was refused. For logs: callers learn only that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not a token of ours in form: size, parts, header, JSON.
    #[error("the token is malformed")]
    Malformed,
    /// Another algorithm than ES256.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// Another kind of token.
    #[error("the token is of another type")]
    Type,
    /// Signed by a key that is not in the set.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// For somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// From somebody else.
    #[error("the token is from another issuer")]
    Issuer,
    /// Too old.
    #[error("the token has expired")]
    Expired,
    /// From the future.
    #[error("the token is not valid yet")]
    NotYet,
    /// The claims do not have the expected form.
    #[error("the token's claims are malformed")]
    Claims,
    /// Key material that is not a P-256 key.
    #[error("the key is not a P-256 key")]
    Key,
}

/// A public P-256 key as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `EC`
    pub kty: String,
    /// `P-256`
    pub crv: String,
    /// base64url, 32 bytes
    pub x: String,
    /// base64url, 32 bytes
    pub y: String,
    /// RFC 7638 thumbprint
    pub kid: String,
    /// `sig`
    #[serde(rename = "use")]
    pub use_: String,
    /// `ES256`
    pub alg: String,
}

/// A set of public keys (RFC 7517).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl Jwk {
    fn new(point: &[u8]) -> Result<Self, JwtError> {
        let [4, rest @ ..] = point else {
            return Err(JwtError::Key);
        };
        let (x, y) = rest
            .split_at_checked(32)
            .filter(|(_, y)| y.len() == 32)
            .ok_or(JwtError::Key)?;
        let (x, y) = (B64.encode(x), B64.encode(y));
        let kid = thumbprint(&x, &y);
        let own = str::to_owned;
        Ok(Self {
            kty: own("EC"),
            crv: own("P-256"),
            x,
            y,
            kid,
            use_: own("sig"),
            alg: own(ALG),
        })
    }
    /// The uncompressed point, if this is a P-256 key whose `kid` is its own thumbprint.
    fn point(&self) -> Option<Vec<u8>> {
        let form = self.kty == "EC" && self.crv == "P-256" && self.use_ == "sig" && self.alg == ALG;
        let (x, y) = (B64.decode(&self.x).ok()?, B64.decode(&self.y).ok()?);
        let fits = form && x.len() == 32 && y.len() == 32 && self.kid == thumbprint(&self.x, &self.y);
        fits.then(|| [&[4], x.as_slice(), &y].concat())
    }
}

/// RFC 7638: SHA-256 over the required members in lexicographic order.
fn thumbprint(x: &str, y: &str) -> String {
    B64.encode(Sha256::digest(format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#
    )))
}

/// Signs tokens with one P-256 key.
pub struct Es256Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    jwk: Jwk,
}

impl Es256Signer {
    /// A new key: its PKCS#8 DER (seal it before storing) and a signer for it.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn generate() -> Result<(Zeroizing<Vec<u8>>, Self), JwtError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| JwtError::Key)?;
        let der = Zeroizing::new(document.as_ref().to_vec());
        let signer = Self::from_pkcs8(&der)?;
        Ok((der, signer))
    }
    /// A signer for a stored key. Its `kid` is always the key's thumbprint.
    ///
    /// # Errors
    /// Where the bytes are not a P-256 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, JwtError> {
        let random = SystemRandom::new();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random).map_err(|_| JwtError::Key)?;
        let jwk = Jwk::new(key.public_key().as_ref())?;
        Ok(Self { key, random, jwk })
    }
    /// The key's RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }
    /// The public key to publish.
    #[must_use]
    pub fn public_jwk(&self) -> Jwk {
        self.jwk.clone()
    }
    /// Signs `claims` as a token of type `typ`.
    ///
    /// # Errors
    /// Claims that are no JSON object, or a token that verifiers would refuse for its size.
    pub fn sign<T: Serialize>(&self, typ: &str, claims: &T) -> Result<String, JwtError> {
        let header = jws::Header {
            alg: ALG.to_owned(),
            typ: typ.to_owned(),
            kid: self.jwk.kid.clone(),
        };
        let header = jws::part(&header).map_err(|_| JwtError::Malformed)?;
        let claims = jws::part(claims).map_err(|_| JwtError::Claims)?;
        let signed = format!("{header}.{claims}");
        let signature = self
            .key
            .sign(&self.random, signed.as_bytes())
            .map_err(|_| JwtError::Signature)?;
        let token = format!("{signed}.{}", B64.encode(signature.as_ref()));
        if token.len() > MAX_TOKEN {
            Err(JwtError::Malformed)
        } else {
            Ok(token)
        }
    }
}

impl fmt::Debug for Es256Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Es256Signer({})", self.jwk.kid)
    }
}

/// Verifies tokens with the keys it was made from, and no others.
#[derive(Clone, Debug, Default)]
pub struct Es256Verifier {
    points: HashMap<String, Vec<u8>>,
}

/// What every token of ours must say, besides the claims of its type.
#[derive(Deserialize)]
struct Standard {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
}

impl Es256Verifier {
    /// A verifier for a set of published keys.
    ///
    /// # Errors
    /// Where a key is not a P-256 signing key under its own thumbprint.
    pub fn from_jwks(keys: &[Jwk]) -> Result<Self, JwtError> {
        let points = keys
            .iter()
            .map(|jwk| Some((jwk.kid.clone(), jwk.point()?)))
            .collect::<Option<_>>();
        Ok(Self {
            points: points.ok_or(JwtError::Key)?,
        })
    }
    /// Whether it has a key, for "fetch the set again" decisions.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.points.contains_key(kid)
    }
    /// Verifies a token and returns its claims.
    ///
    /// # Errors
    /// See [`JwtError`]; the first check that fails decides.
    pub fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        expected_typ: &str,
        aud: &str,
        iss: &str,
        now: DateTime<Utc>,
    ) -> Result<T, JwtError> {
        let payload = self.verified_payload(token, expected_typ)?;
        if !jws::is_plain_object(&payload) {
            return Err(JwtError::Claims);
        }
        let standard: Standard = serde_json::from_slice(&payload).map_err(|_| JwtError::Claims)?;
        if standard.iss != iss {
            return Err(JwtError::Issuer);
        }
        if standard.aud != aud {
            return Err(JwtError::Audience);
        }
        check_times(&standard, now.timestamp())?;
        serde_json::from_slice(&payload).map_err(|_| JwtError::Claims)
    }

    fn verified_payload(&self, token: &str, expected_typ: &str) -> Result<Vec<u8>, JwtError> {
        if token.len() > MAX_TOKEN {
            return Err(JwtError::Malformed);
        }
        let parts = jws::split(token).ok_or(JwtError::Malformed)?;
        if parts.header.alg != ALG {
            return Err(JwtError::Algorithm);
        }
        if parts.header.typ != expected_typ {
            return Err(JwtError::Type);
        }
        let point = self.points.get(&parts.header.kid).ok_or(JwtError::UnknownKey)?;
        // The fixed form is exactly r | s in 64 bytes: DER and appended bytes fail; r = 0 or s = 0 fails inside ring.
        let algorithm: &dyn signature::VerificationAlgorithm = &ECDSA_P256_SHA256_FIXED;
        UnparsedPublicKey::new(algorithm, point)
            .verify(parts.signed, &parts.signature)
            .map_err(|_| JwtError::Signature)?;
        Ok(parts.payload)
    }
}

fn check_times(claims: &Standard, now: i64) -> Result<(), JwtError> {
    if claims.iat < 0 || claims.exp <= claims.iat {
        return Err(JwtError::Claims);
    }
    if now >= claims.exp.saturating_add(LEEWAY_SECONDS) {
        return Err(JwtError::Expired);
    }
    let begin = claims.nbf.map_or(claims.iat, |nbf| nbf.max(claims.iat));
    if begin > now.saturating_add(LEEWAY_SECONDS) {
        return Err(JwtError::NotYet);
    }
    Ok(())
}

#[cfg(test)]
#[path = "jwt_test.rs"]
mod tests;
