//! ES256 tokens, for our own use only: `jsonwebtoken` encodes, decodes and validates them, with `ring` under it.
//!
//! The verifier accepts one algorithm, one `typ`, one audience and one issuer at a time, and keys only from the set it
//! was given: a token never says how it wants to be verified. Time is an argument, so the times are compared here.

use crate::{es256, jws};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
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
    key: EncodingKey,
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
        let pair = es256::key_pair(der).ok_or(JwtError::Key)?;
        Ok(Self {
            key: EncodingKey::from_ec_der(der),
            jwk: Jwk::new(pair.public_key().as_ref())?,
        })
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
        es256::install();
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.jwk.kid.clone());
        let token = jsonwebtoken::encode(&header, claims, &self.key).map_err(|error| refusal(&error))?;
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
    keys: HashMap<String, DecodingKey>,
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
        let keys = keys
            .iter()
            .map(|jwk| Some((jwk.kid.clone(), DecodingKey::from_ec_der(&jwk.point()?))))
            .collect::<Option<_>>();
        Ok(Self {
            keys: keys.ok_or(JwtError::Key)?,
        })
    }
    /// Whether it has a key, for "fetch the set again" decisions.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
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
        es256::install();
        let key = self.key_for(token, expected_typ)?;
        let decoded = jsonwebtoken::decode::<jws::Object>(token, key, &validation(aud, iss));
        let claims = decoded.map_err(|error| refusal(&error))?.claims.0;
        // The library also takes lists of audiences and issuers and rounds times; ours are one text and whole seconds.
        let standard = Standard::deserialize(&claims).map_err(|_| JwtError::Claims)?;
        if standard.iss != iss {
            return Err(JwtError::Issuer);
        }
        if standard.aud != aud {
            return Err(JwtError::Audience);
        }
        check_times(&standard, now.timestamp())?;
        T::deserialize(claims).map_err(|_| JwtError::Claims)
    }

    /// The key that a token of this type may name. Nothing in it is trusted yet.
    fn key_for(&self, token: &str, expected_typ: &str) -> Result<&DecodingKey, JwtError> {
        if token.len() > MAX_TOKEN {
            return Err(JwtError::Malformed);
        }
        let header = jws::header(token).ok_or(JwtError::Malformed)?;
        if header.alg != ALG {
            return Err(JwtError::Algorithm);
        }
        if header.typ != expected_typ {
            return Err(JwtError::Type);
        }
        self.keys.get(&header.kid).ok_or(JwtError::UnknownKey)
    }
}

/// Everything but the times, which the library would compare with the system's clock.
fn validation(aud: &str, iss: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    validation.set_audience(&[aud]);
    validation.set_issuer(&[iss]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn refusal(error: &jsonwebtoken::errors::Error) -> JwtError {
    match error.kind() {
        ErrorKind::InvalidAlgorithm | ErrorKind::MissingAlgorithm => JwtError::Algorithm,
        ErrorKind::InvalidSignature => JwtError::Signature,
        ErrorKind::InvalidEcdsaKey | ErrorKind::InvalidKeyFormat => JwtError::Key,
        ErrorKind::InvalidAudience => JwtError::Audience,
        ErrorKind::InvalidIssuer => JwtError::Issuer,
        // The header was read before: what is no JSON, or lacks a claim, are the claims.
        ErrorKind::Json(_) | ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => JwtError::Claims,
        _ => JwtError::Malformed,
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
