//! The console's style sheet and its one script: files of this binary, the same for every tenant, so they may be kept for
//! ever under an address that changes with them.

use crate::edge::respond;
use http::{HeaderValue, Response, StatusCode, header};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};
use tonic::body::Body;

const STYLE: &str = include_str!("../../../templates/console.css");
const SCRIPT: &str = include_str!("../../../templates/console.js");

static STYLE_HREF: LazyLock<String> = LazyLock::new(|| versioned("/console.css", STYLE));
static SCRIPT_HREF: LazyLock<String> = LazyLock::new(|| versioned("/console.js", SCRIPT));

fn versioned(path: &str, content: &str) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{path}?v={:016x}", hasher.finish())
}

pub(super) fn style_href() -> &'static str {
    &STYLE_HREF
}

pub(super) fn script_href() -> &'static str {
    &SCRIPT_HREF
}

/// The style sheet.
#[must_use]
pub fn style(query: &str) -> Response<Body> {
    file("text/css; charset=utf-8", STYLE, &STYLE_HREF, query)
}

/// The script.
#[must_use]
pub fn script(query: &str) -> Response<Body> {
    file("text/javascript; charset=utf-8", SCRIPT, &SCRIPT_HREF, query)
}

fn file(media: &'static str, content: &'static str, href: &str, query: &str) -> Response<Body> {
    let mut response = respond::content(StatusCode::OK, media, content);
    // Under another version it is another file: an old page must not be stuck with it.
    let current = href.ends_with(&format!("?{query}"));
    let keep = if current {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_kept_under_their_own_address_only_and_stay_small() {
        let kept = |query: &str| {
            script(query).headers()[header::CACHE_CONTROL]
                .to_str()
                .expect("ascii")
                .to_owned()
        };
        let (_, query) = script_href().split_once('?').expect("a version");
        assert!(kept(query).contains("immutable"));
        assert_eq!((kept(""), kept("v=1")), ("no-cache".into(), "no-cache".into()));
        assert!(SCRIPT.len() <= 15 << 10, "{} bytes of script", SCRIPT.len());
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ] {
            assert!(!SCRIPT.contains(sink), "{sink}");
        }
        assert!(
            !STYLE.contains('#') && !STYLE.contains("rgb") && !STYLE.contains("url("),
            "colours are tokens of the theme"
        );
    }
}
