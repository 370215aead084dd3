//! Small text codecs of the web: percent escapes, form pairs, cookies, places to return to.

/// Decodes `%XX` (and `+` as a space in forms). `None` for a broken escape or text that is not UTF-8.
#[must_use]
pub fn percent_decode(raw: &str, plus: bool) -> Option<String> {
    let mut bytes = raw.bytes();
    let mut out = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => out.push(hex(bytes.next()?)? << 4 | hex(bytes.next()?)?),
            b'+' if plus => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Encodes everything but unreserved characters.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Pairs of a query or form. `None` where an escape is broken or the text is not UTF-8.
#[must_use]
pub fn pairs(raw: &str) -> Option<Vec<(String, String)>> {
    let mut out = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        out.push((percent_decode(name, true)?, percent_decode(value, true)?));
    }
    Some(out)
}

/// Where to go after signing in: a path of this host, or `/`. Nothing that a browser could read as another host.
#[must_use]
pub fn local_path(wanted: &str) -> &str {
    let path = wanted
        .strip_prefix('/')
        .is_some_and(|rest| !rest.starts_with(['/', '\\']));
    let plain = wanted.len() <= 512 && wanted.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'"');
    if path && plain { wanted } else { "/" }
}

/// What must come once did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOne;

/// The one value of a cookie. `Err` where it comes twice: one of them was tossed in from elsewhere.
///
/// # Errors
/// The cookie is there more than once.
pub fn cookie<'a>(headers: impl IntoIterator<Item = &'a str>, name: &str) -> Result<Option<&'a str>, NotOne> {
    let mut found = None;
    for pair in headers.into_iter().flat_map(|header| header.split(';')) {
        let Some((key, value)) = pair.trim().split_once('=') else {
            continue;
        };
        if key == name && found.replace(value).is_some() {
            return Err(NotOne);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_paths_of_this_host_are_returned_to() {
        for good in ["/", "/records?x=1", "/a//b", "/a:b"] {
            assert_eq!(local_path(good), good);
        }
        for bad in [
            "",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "evil",
            "/a\\b",
            "/a b",
            "/a\r\nx: y",
            "javascript:alert(1)",
            "/é",
            "\t//evil.test",
        ] {
            assert_eq!(local_path(bad), "/", "{bad}");
        }
    }

    #[test]
    fn a_cookie_that_comes_twice_is_refused() {
        assert_eq!(cookie(["a=1; __Host-sid=x; b=2"], "__Host-sid"), Ok(Some("x")));
        assert_eq!(cookie(["a=1"], "__Host-sid"), Ok(None));
        assert_eq!(cookie(["x__Host-sid=1; __host-sid=2"], "__Host-sid"), Ok(None));
        assert_eq!(cookie(["__Host-sid=x; __Host-sid=y"], "__Host-sid"), Err(NotOne));
        assert_eq!(cookie(["__Host-sid=x", "__Host-sid=x"], "__Host-sid"), Err(NotOne));
    }

    proptest! {
        #[test]
        fn escapes_round_trip(text in "\\PC{0,40}") {
            prop_assert_eq!(percent_decode(&percent_encode(&text), false), Some(text));
        }
        #[test]
        fn nothing_panics(text in "[%a-f0-9+&=;\\PC]{0,60}") {
            let _ = (percent_decode(&text, true), pairs(&text), local_path(&text), cookie([text.as_str()], "a"));
        }
    }
}
