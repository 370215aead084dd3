//! The syntax of a compact JWS, as strictly as our own tokens allow: three base64url parts, an exact header, and JSON
//! without duplicate names. Nothing here decides about trust.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use std::{collections::HashSet, fmt};

/// The only header our tokens have. Unknown names fail, and with them `crit`, `b64`, `jku`, `jwk`, `x5u`, `x5c`, `zip`,
/// `enc` and `cty`; serde refuses duplicates.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) typ: String,
    pub(crate) kid: String,
}

/// A token taken apart; `signed` is what the signature covers.
pub(crate) struct Parts<'a> {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

pub(crate) fn split(token: &str) -> Option<Parts<'_>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    if payload.contains('.') {
        return None;
    }
    // The decoder refuses padding, other alphabets, line breaks and non-zero trailing bits.
    let header = serde_json::from_slice(&B64.decode(header).ok()?).ok()?;
    let (payload, signature) = (B64.decode(payload).ok()?, B64.decode(signature).ok()?);
    Some(Parts {
        header,
        payload,
        signed: signed.as_bytes(),
        signature,
    })
}

pub(crate) fn part(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(B64.encode(serde_json::to_vec(value)?))
}

/// Whether the bytes are one JSON object in which no object names anything twice.
pub(crate) fn is_plain_object(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{') && serde_json::from_slice::<NoDuplicates>(bytes).is_ok()
}

struct NoDuplicates;

impl<'de> Deserialize<'de> for NoDuplicates {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = NoDuplicates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate names")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NoDuplicates, A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<NoDuplicates>()?;
            if !seen.insert(name) {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        Ok(NoDuplicates)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NoDuplicates, A::Error> {
        while seq.next_element::<NoDuplicates>()?.is_some() {}
        Ok(NoDuplicates)
    }
    fn visit_unit<E>(self) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }
    fn visit_bool<E>(self, _: bool) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }
    fn visit_i64<E>(self, _: i64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }
    fn visit_u64<E>(self, _: u64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }
    fn visit_f64<E>(self, _: f64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }
    fn visit_str<E>(self, _: &str) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }
}
