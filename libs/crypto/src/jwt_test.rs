use super::*;
use chrono::Duration;
use ring::signature;
use serde_json::{Value, json};

const TYP: &str = "txn+jwt";
const AUD: &str = "business";
const ISS: &str = "tenantry-auth";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("valid")
}
fn claims() -> Value {
    json!({"iss": ISS, "aud": AUD, "sub": "user:1", "iat": now().timestamp(), "exp": now().timestamp() + 60})
}
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}
fn signer() -> Es256Signer {
    Es256Signer::generate().expect("system randomness").1
}
fn verifier(keys: &[&Es256Signer]) -> Es256Verifier {
    Es256Verifier::from_jwks(&keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>()).expect("own keys")
}
fn check(verifier: &Es256Verifier, token: &str) -> Result<Value, JwtError> {
    verifier.verify(token, TYP, AUD, ISS, now())
}
/// A token with any header and payload, signed correctly: what a holder of the key could make.
fn forge(signer: &Es256Signer, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", B64.encode(header), B64.encode(payload));
    es256::install();
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &signer.key, Algorithm::ES256).expect("signs");
    format!("{signed}.{signature}")
}
fn header(signer: &Es256Signer, extra: &str) -> String {
    format!(r#"{{"alg":"ES256","typ":"{TYP}","kid":"{}"{extra}}}"#, signer.kid())
}

#[test]
fn a_token_verifies_after_its_key_was_stored_and_loaded() {
    let (der, made) = Es256Signer::generate().expect("system randomness");
    let loaded = Es256Signer::from_pkcs8(&der).expect("own key");
    assert_eq!(made.kid(), loaded.kid());
    let token = loaded.sign(TYP, &claims()).expect("signs");
    assert_eq!(check(&verifier(&[&made]), &token).expect("valid"), claims());
    assert!(Es256Signer::from_pkcs8(b"not a key").is_err());
    assert_eq!(format!("{loaded:?}"), format!("Es256Signer({})", loaded.kid()));
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638_and_a_jwk_must_bear_its_own() {
    let jwk = signer().public_jwk();
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, jwk.x, jwk.y);
    assert_eq!(jwk.kid, B64.encode(Sha256::digest(canonical)));
    let json = serde_json::to_value(&jwk).expect("json");
    assert_eq!(
        (&json["use"], &json["alg"], &json["kty"]),
        (&json!("sig"), &json!("ES256"), &json!("EC"))
    );
    for broken in [
        Jwk {
            kid: "other".into(),
            ..jwk.clone()
        },
        Jwk {
            crv: "P-384".into(),
            ..jwk.clone()
        },
        Jwk {
            kty: "RSA".into(),
            ..jwk.clone()
        },
        Jwk {
            use_: "enc".into(),
            ..jwk.clone()
        },
        Jwk {
            x: "AAAA".into(),
            ..jwk.clone()
        },
    ] {
        assert_eq!(Es256Verifier::from_jwks(&[broken]).err(), Some(JwtError::Key));
    }
}

/// A9 19: algorithms.
#[test]
fn only_es256_is_an_algorithm() {
    let key = signer();
    let verifier = verifier(&[&key]);
    for alg in ["none", "nOnE", "HS256", "RS256", "ES384", "EdDSA", "es256", ""] {
        let header = header(&key, "").replace("ES256", alg);
        let refused = check(&verifier, &forge(&key, &header, &claims().to_string()));
        assert_eq!(refused.err(), Some(JwtError::Algorithm), "{alg}");
    }
    let unsigned = format!(
        "{}.{}.",
        B64.encode(header(&key, "").replace("ES256", "none")),
        B64.encode(claims().to_string())
    );
    assert!(check(&verifier, &unsigned).is_err());
    // HS256 with the public key as the secret.
    let signed = format!(
        "{}.{}",
        B64.encode(header(&key, "").replace("ES256", "HS256")),
        B64.encode(claims().to_string())
    );
    let point = key.public_jwk().point().expect("point");
    let tag = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &point),
        signed.as_bytes(),
    );
    assert_eq!(
        check(&verifier, &format!("{signed}.{}", B64.encode(tag.as_ref()))).err(),
        Some(JwtError::Algorithm)
    );
}

/// A9 19: signature forms.
#[test]
fn only_the_fixed_signature_form_is_accepted() {
    let key = signer();
    let verifier = verifier(&[&key]);
    let token = key.sign(TYP, &claims()).expect("signs");
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let raw = B64.decode(signature).expect("base64");
    let random = SystemRandom::new();
    let der_key = EcdsaKeyPair::from_pkcs8(
        &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &random)
            .expect("key")
            .as_ref(),
        &random,
    )
    .expect("key");
    let der = der_key
        .sign(&random, signed.as_bytes())
        .expect("signs")
        .as_ref()
        .to_vec();
    // DER of the very same r and s.
    let (r, s) = raw.split_at(32);
    let der_same = [&[0x30, 70, 2, 33, 0], r, &[2, 33, 0], s].concat();
    let mut flipped = raw.clone();
    flipped[10] ^= 1;
    for bad in [
        vec![0; 64],
        vec![],
        der,
        der_same,
        [raw.clone(), vec![0]].concat(),
        raw[..63].to_vec(),
        flipped,
    ] {
        let token = format!("{signed}.{}", B64.encode(&bad));
        assert_eq!(
            check(&verifier, &token).err(),
            Some(JwtError::Signature),
            "{} bytes",
            bad.len()
        );
    }
}

/// A9 19 and 22: trailing data, duplicate names, JWE, nesting, size.
#[test]
fn malformed_tokens_are_refused() {
    let key = signer();
    let verifier = verifier(&[&key]);
    let token = key.sign(TYP, &claims()).expect("signs");
    let standard = token.replace('-', "+").replace('_', "/");
    for bad in [
        String::new(),
        "..".into(),
        ".".into(),
        "a.b".into(),
        format!("{token}."),
        format!("{token}.x"),
        format!("{token}="),
        format!("{token} "),
        format!("{token}\n"),
        format!(" {token}"),
        format!("a.b.{token}"),
        format!("Bearer {token}"),
        "é.é.é".into(),
    ] {
        assert!(check(&verifier, &bad).is_err(), "{bad:?}");
    }
    assert!(
        standard == token || check(&verifier, &standard).is_err(),
        "the other base64 alphabet"
    );
    let payload = claims().to_string();
    let twice = |name: &str| payload.replacen('{', &format!(r#"{{"{name}":"x","{name}":"y","#), 1);
    for bad in [
        twice("other"),
        twice("sub"),
        payload.replacen('{', r#"{"aud":"other","#, 1),
        format!("{payload} x"),
        format!("[{payload}]"),
        payload.replacen('{', r#"{"deep":[{"a":1,"a":2}],"#, 1),
        "\"text\"".into(),
        "null".into(),
        format!("\u{feff}{payload}"),
    ] {
        let refused = check(&verifier, &forge(&key, &header(&key, ""), &bad));
        assert_eq!(refused.err(), Some(JwtError::Claims), "{bad}");
    }
    let nested = forge(&key, &header(&key, ""), &token);
    assert_eq!(check(&verifier, &nested).err(), Some(JwtError::Claims));
    let big = forge(
        &key,
        &header(&key, ""),
        &with("pad", json!("x".repeat(4000))).to_string(),
    );
    assert_eq!(check(&verifier, &big).err(), Some(JwtError::Malformed));
    assert_eq!(
        key.sign(TYP, &with("pad", json!("x".repeat(4000)))).err(),
        Some(JwtError::Malformed),
        "nor do we make one"
    );
    let deep = forge(
        &key,
        &header(&key, ""),
        &format!(r#"{{"a":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000)),
    );
    assert_eq!(
        check(&verifier, &deep).err(),
        Some(JwtError::Claims),
        "nesting is bounded"
    );
}

/// A9 20: key ids.
#[test]
fn a_key_is_found_only_by_its_exact_id_in_this_set() {
    let (key, second, stranger) = (signer(), signer(), signer());
    let verifier = verifier(&[&key, &second]);
    assert!(check(&verifier, &second.sign(TYP, &claims()).expect("signs")).is_ok());
    assert_eq!(
        check(&verifier, &stranger.sign(TYP, &claims()).expect("signs")).err(),
        Some(JwtError::UnknownKey)
    );
    for kid in [
        "",
        "../../dev/null",
        "' OR 1=1 --",
        "*",
        &"k".repeat(2000),
        &key.kid().to_lowercase(),
    ] {
        let header = header(&key, "").replace(key.kid(), kid);
        assert_eq!(
            check(&verifier, &forge(&key, &header, &claims().to_string())).err(),
            Some(JwtError::UnknownKey),
            "{kid}"
        );
    }
    let absent = format!(r#"{{"alg":"ES256","typ":"{TYP}"}}"#);
    let null = format!(r#"{{"alg":"ES256","typ":"{TYP}","kid":null}}"#);
    for header in [absent, null] {
        assert_eq!(
            check(&verifier, &forge(&key, &header, &claims().to_string())).err(),
            Some(JwtError::Malformed)
        );
    }
    // The id of one key over the signature of another.
    let swapped = forge(&stranger, &header(&key, ""), &claims().to_string());
    assert_eq!(check(&verifier, &swapped).err(), Some(JwtError::Signature));
    assert_eq!(
        check(&Es256Verifier::default(), &key.sign(TYP, &claims()).expect("signs")).err(),
        Some(JwtError::UnknownKey)
    );
}

/// A9 21 and 22: headers that would let a token choose how it is verified.
#[test]
fn no_header_may_influence_verification() {
    let key = signer();
    let verifier = verifier(&[&key]);
    let jwk = serde_json::to_string(&key.public_jwk()).expect("json");
    for extra in [
        r#","jku":"https://evil.example/jwks""#.to_owned(),
        r#","x5u":"https://evil.example""#.into(),
        format!(r#","jwk":{jwk}"#),
        r#","x5c":[]"#.into(),
        r#","crit":["exp"]"#.into(),
        r#","crit":[]"#.into(),
        r#","b64":false"#.into(),
        r#","b64":true"#.into(),
        r#","zip":"DEF""#.into(),
        r#","enc":"A256GCM""#.into(),
        r#","cty":"JWT""#.into(),
        r#","alg":"ES256""#.into(),
        r#","unknown":1"#.into(),
    ] {
        let refused = check(&verifier, &forge(&key, &header(&key, &extra), &claims().to_string()));
        assert_eq!(refused.err(), Some(JwtError::Malformed), "{extra}");
    }
}

/// A9 23: token types.
#[test]
fn a_token_of_another_type_is_refused() {
    let key = signer();
    let verifier = verifier(&[&key]);
    for typ in [
        "at+jwt",
        "JWT",
        "logout+jwt",
        "device-proof+jwt",
        "TXN+JWT",
        "application/txn+jwt",
        "",
    ] {
        assert_eq!(
            check(&verifier, &key.sign(typ, &claims()).expect("signs")).err(),
            Some(JwtError::Type),
            "{typ}"
        );
    }
}

/// A9 24: audience, issuer and times.
#[test]
fn claims_are_compared_exactly() {
    let key = signer();
    let verifier = verifier(&[&key]);
    let refused = |claims: Value| check(&verifier, &key.sign(TYP, &claims).expect("signs")).err();
    let at = now().timestamp();
    assert_eq!(refused(with("aud", json!("auth"))), Some(JwtError::Audience));
    assert_eq!(refused(with("iss", json!("tenantry-auth/"))), Some(JwtError::Issuer));
    for (name, value) in [
        ("aud", json!([AUD])),
        ("aud", Value::Null),
        ("iss", json!(1)),
        ("exp", json!((at + 60).to_string())),
        ("exp", json!(f64::MAX)),
        ("exp", json!(at as f64 + 60.5)),
        ("exp", json!(-1)),
        ("exp", json!(at)),
        ("iat", json!(-5)),
        ("nbf", json!("soon")),
        ("exp", Value::Null),
    ] {
        assert_eq!(
            refused(with(name, value.clone())),
            Some(JwtError::Claims),
            "{name} {value}"
        );
    }
    let raw = claims().to_string().replace(&(at + 60).to_string(), "1e999");
    assert_eq!(
        check(&verifier, &forge(&key, &header(&key, ""), &raw)).err(),
        Some(JwtError::Claims)
    );
    for missing in ["iss", "aud", "iat", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().expect("object").remove(missing);
        assert_eq!(refused(claims), Some(JwtError::Claims), "{missing}");
    }
    assert_eq!(refused(with("nbf", json!(at + 6))), Some(JwtError::NotYet));
    assert_eq!(refused(with("nbf", json!(at + 5))), None);
    assert_eq!(refused(with("exp", json!(i64::MAX))), None);
}

#[test]
fn five_seconds_of_skew_are_forgiven_and_no_more() {
    let key = signer();
    let verifier = verifier(&[&key]);
    let token = key.sign(TYP, &claims()).expect("signs");
    let at = |seconds| {
        verifier
            .verify::<Value>(&token, TYP, AUD, ISS, now() + Duration::seconds(seconds))
            .err()
    };
    assert_eq!((at(-5), at(-6)), (None, Some(JwtError::NotYet)));
    assert_eq!((at(64), at(65)), (None, Some(JwtError::Expired)));
}

/// A9 25: a key that left the set verifies nothing any more.
#[test]
fn a_retired_key_is_unknown_as_soon_as_the_set_is_replaced() {
    let (old, new) = (signer(), signer());
    let token = old.sign(TYP, &claims()).expect("signs");
    assert!(check(&verifier(&[&old, &new]), &token).is_ok());
    assert_eq!(check(&verifier(&[&new]), &token).err(), Some(JwtError::UnknownKey));
}

#[test]
fn every_changed_byte_of_a_token_is_noticed() {
    let key = signer();
    let verifier = verifier(&[&key]);
    let token = key.sign(TYP, &claims()).expect("signs");
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(
            check(&verifier, std::str::from_utf8(&changed).expect("ascii")).is_err(),
            "byte {at}"
        );
    }
}
