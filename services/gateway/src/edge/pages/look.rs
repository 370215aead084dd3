//! What a page looks like: its template, its tenant's dress and its style sheet. No request is read here and no service
//! asked.

use crate::{
    domain::{problem::Problem, theme::Theme},
    edge::respond,
};
use askama::Template;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tenantry_kernel::{Brand, Reason, TenantRoute, ThemeMode};
use tonic::body::Body;

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInPage<'a> {
    pub(super) brand: &'a str,
    pub(super) support: &'a str,
    pub(super) notice: &'a str,
    pub(super) problem: &'a str,
    pub(super) request_id: &'a str,
    pub(super) return_to: &'a str,
    pub(super) email: &'a str,
}

#[derive(Template)]
#[template(path = "accept.html")]
pub(super) struct AcceptPage<'a> {
    pub(super) brand: &'a str,
    pub(super) support: &'a str,
    pub(super) problem: &'a str,
    pub(super) request_id: &'a str,
    pub(super) token: &'a str,
}

#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) brand: &'a str,
    pub(super) support: &'a str,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) remedy: &'a str,
    pub(super) reason: &'a str,
    pub(super) request_id: &'a str,
    /// Where to go from here; empty where nothing of this host is served.
    pub(super) home: &'a str,
}

#[derive(Template)]
#[template(path = "reason.html")]
pub(super) struct ReasonPage<'a> {
    pub(super) brand: &'a str,
    pub(super) support: &'a str,
    pub(super) reason: &'a str,
    pub(super) meaning: &'a str,
    pub(super) remedy: &'a str,
    pub(super) status: u16,
    pub(super) code: &'a str,
}

/// What a page is dressed in.
pub(super) struct Dress<'a> {
    pub(super) brand: &'a str,
    pub(super) support: &'a str,
}

impl<'a> Dress<'a> {
    pub(super) fn of(route: Option<&'a TenantRoute>) -> Self {
        let Some(route) = route else {
            return Self {
                brand: "Tenantry",
                support: "",
            };
        };
        let Brand {
            display_name,
            support_uri,
            ..
        } = &route.brand;
        let brand = if display_name.is_empty() {
            &route.display_name
        } else {
            display_name
        };
        // The registry checks it too; a link that is not https is not shown.
        Self {
            brand,
            support: if support_uri.starts_with("https://") {
                support_uri
            } else {
                ""
            },
        }
    }
}

/// A problem as a page of its own: what, why, what helps, what to quote, and the way home. Missing and foreign are one
/// neutral text.
pub(super) fn message(route: Option<&TenantRoute>, problem: &Problem, home: &str) -> Response<Body> {
    let Dress { brand, support } = Dress::of(route);
    let is_missing = problem.status == 404;
    let (title, text, reason) = if is_missing {
        (
            "Not found",
            "There is nothing at this address.",
            Reason::NotFound.as_str(),
        )
    } else {
        (problem.title.as_str(), problem.detail.as_str(), problem.reason.as_str())
    };
    let remedy = super::trouble::helps(Reason::parse(reason), text);
    html(
        code(problem.status),
        &MessagePage {
            brand,
            support,
            title,
            text,
            remedy,
            reason,
            request_id: &problem.request_id,
            home,
        },
    )
}

/// The style sheet of a tenant's pages. Its address stays, so it is asked for at every load and sent when it changed.
pub(super) fn theme(route: Option<&TenantRoute>, headers: &HeaderMap) -> Response<Body> {
    let (primary, mode) = route.map_or(("", ThemeMode::Auto), |route| {
        (route.brand.primary_color.as_str(), route.brand.theme_mode)
    });
    let tokens = Theme::new(primary, mode).css();
    style(&(tokens + include_str!("../../../templates/theme.css")), headers)
}

/// A style sheet that is the same as long as its content is.
pub(super) fn style(css: &str, headers: &HeaderMap) -> Response<Body> {
    let digest = URL_SAFE_NO_PAD.encode(&tenantry_crypto::token::sha256(css.as_bytes())[..12]);
    let etag = format!("\"{digest}\"");
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.trim().trim_start_matches("W/") == etag);
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        respond::content(StatusCode::OK, "text/css; charset=utf-8", css.to_owned())
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, value);
    }
    response
}

pub(super) fn html(status: StatusCode, page: &impl Template) -> Response<Body> {
    let text = page
        .render()
        .unwrap_or_else(|_| "The page could not be made. Try again.".to_owned());
    respond::content(status, "text/html; charset=utf-8", text)
}

pub(super) fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_typed_is_text_and_not_markup() {
        let evil = "<script>alert(1)</script>\"'";
        let page = SignInPage {
            brand: evil,
            support: "",
            notice: evil,
            problem: evil,
            request_id: "r",
            return_to: evil,
            email: evil,
        };
        let text = page.render().expect("a page");
        assert!(
            !text.contains("<script>") && !text.contains("value=\"<") && !text.contains("\"\"'"),
            "{text}"
        );
        assert!(
            !text.contains("style=") && !text.contains(" on"),
            "nothing the policy would block: {text}"
        );
    }

    #[test]
    fn a_style_sheet_is_sent_again_only_when_it_has_changed() {
        let mut known = HeaderMap::new();
        let first = theme(None, &known);
        let etag = first.headers()[header::ETAG].clone();
        assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
        known.insert(header::IF_NONE_MATCH, etag.clone());
        assert_eq!(theme(None, &known).status(), StatusCode::NOT_MODIFIED);
        let mut route = crate::app::gate::platform_route();
        route.brand.primary_color = "#aa0011".into();
        let changed = theme(Some(&route), &known);
        assert_eq!(changed.status(), StatusCode::OK);
        assert_ne!(changed.headers()[header::ETAG], etag);
    }

    #[test]
    fn only_https_support_links_are_shown() {
        let mut route = crate::app::gate::platform_route();
        route.brand.support_uri = "javascript:alert(1)".into();
        assert_eq!(Dress::of(Some(&route)).support, "");
        route.brand.support_uri = "https://help.example".into();
        assert_eq!(Dress::of(Some(&route)).support, "https://help.example");
    }
}
