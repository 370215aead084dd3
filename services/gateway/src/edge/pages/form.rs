//! What a browser sends to a page and keeps of it: forms of this very host, and the session cookie.

use crate::{
    domain::{host::Host, origin, text},
    edge::rest,
    error,
};
use http::{HeaderValue, Request, Response, header};
use tenantry_kernel::{Error, Reason, Result};
use tonic::body::Body;

/// The session cookie.
pub const COOKIE: &str = "__Host-sid";
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";
/// Forms are small.
const MAX_FORM: usize = 16 << 10;
/// Forms of records are as large as their texts, three bytes for each byte of theirs.
pub(super) const MAX_RECORD: usize = 2 << 20;

/// Reads a form that a page of this very host sent.
pub(super) async fn read(request: Request<Body>) -> Result<Vec<(String, String)>> {
    read_up_to(request, MAX_FORM).await
}

/// Reads a form of at most `most` bytes that a page of this very host sent.
pub(super) async fn read_up_to(request: Request<Body>, most: usize) -> Result<Vec<(String, String)>> {
    let (parts, body) = request.into_parts();
    let host =
        Host::of(&parts.uri, &parts.headers).map_err(|error| Error::new(Reason::MalformedRequest, error.text()))?;
    if !origin::is_same_origin(&parts.headers, &host) {
        return Err(error::origin_mismatch());
    }
    let bytes = rest::read(body, &parts.headers, most).await?;
    let media = parts
        .headers
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if !bytes.is_empty() && !media.starts_with(b"application/x-www-form-urlencoded") {
        return Err(Error::new(
            Reason::UnsupportedMediaType,
            "Send the form as application/x-www-form-urlencoded.",
        ));
    }
    let malformed = || Error::new(Reason::MalformedRequest, "The form is not percent-encoded UTF-8.");
    text::pairs(std::str::from_utf8(&bytes).map_err(|_| malformed())?).ok_or_else(malformed)
}

pub(super) fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
        .unwrap_or_default()
}

pub(super) fn parameter(query: &str, name: &str) -> String {
    field(&text::pairs(query).unwrap_or_default(), name).to_owned()
}

/// Sets the session cookie; an empty session deletes it.
pub(super) fn with_cookie(mut response: Response<Body>, session: &str, seconds: i64) -> Result<Response<Body>> {
    if !session
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    {
        return Err(Error::internal("a session token that is no cookie value"));
    }
    let value = HeaderValue::from_str(&format!("{COOKIE}={session}; {ATTRIBUTES}; Max-Age={seconds}"))
        .map_err(Error::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::respond;

    #[test]
    fn the_cookie_is_bound_to_its_host_and_cannot_be_widened() {
        let set = |session: &str, seconds| {
            with_cookie(respond::see_other("/"), session, seconds)
                .map(|r| r.headers()[header::SET_COOKIE].to_str().expect("ascii").to_owned())
        };
        assert_eq!(
            set("tsid_a", 60).expect("a cookie"),
            "__Host-sid=tsid_a; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
        );
        assert!(set("", 0).expect("a cookie").contains("Max-Age=0"));
        for bad in ["a; Domain=localhost", "a\r\nx: y", "a b", "é"] {
            assert!(set(bad, 60).is_err(), "{bad}");
        }
    }
}
