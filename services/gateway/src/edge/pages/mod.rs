//! Pages for people: sign in, set a password, sign out, kind errors, and behind the sign-in the console (its table is in
//! `router.rs`). Server-rendered and complete without script; a tenant gives a name and a colour, never markup.
//!
//! Each tenant's pages live on its own host, and so does the session cookie: host-only, never readable by script.

pub mod assets;
mod backups;
mod branding;
mod console;
mod definition;
mod exports;
mod fields;
mod filter;
mod fleet;
mod form;
mod home;
mod imports;
mod keys;
mod lifecycle;
mod look;
mod mapping;
mod members;
mod onboarding;
mod operations;
mod operator;
mod plans;
mod records;
mod references;
mod remedies;
mod roles;
mod router;
mod sagas;
mod sessions;
mod snapshots;
#[cfg(test)]
mod templates_test;
mod tenants;
mod trouble;
mod types;
mod usage;
mod values;

pub use form::COOKIE;
pub(crate) use router::{nearest, serve as serve_console, specs};

use super::{Edge, respond};
use crate::{
    app::visitor::{Place, Trail, Visitor},
    domain::{catalogue::Entry, problem, table::Fixed, text},
};
use form::{field, parameter, with_cookie};
use http::{HeaderMap, Request, Response, StatusCode, header, request::Parts};
use look::{AcceptPage, Dress, ReasonPage, SignInPage, code, html, message, theme};
use tenantry_api::auth::{
    AcceptLinkRequest, AcceptLinkResponse, SignInMode, SignInRequest, SignInResponse, SignOutRequest, SignOutResponse,
};
use tenantry_kernel::{Error, Reason, RequestId, Result, TenantRoute, TenantStatus};
use tonic::{Code, Status, body::Body};

/// Whether a browser asks.
#[must_use]
pub fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|text| text.contains("text/html"))
}

/// The tenant of the host.
#[must_use]
pub fn tenant(visitor: &Visitor) -> Option<&TenantRoute> {
    match &visitor.place {
        Place::Tenant(route) => Some(route),
        Place::Api => None,
    }
}

/// One page request.
pub async fn serve(edge: &Edge, page: Fixed, request: Request<Body>, visitor: &Visitor) -> Response<Body> {
    if page == Fixed::Theme {
        return theme(tenant(visitor), request.headers());
    }
    let Some(route) = tenant(visitor) else {
        return failure(&visitor.trail, &visitor.request_id, &Error::not_found(), None);
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let served = match page {
        Fixed::SignInForm => Ok(sign_in_form(route, visitor, &query)),
        Fixed::SignIn => sign_in(edge, route, visitor, request).await,
        Fixed::AcceptForm => Ok(accept_form(route, visitor, &query)),
        Fixed::Accept => accept(edge, route, visitor, request).await,
        Fixed::SignOut => sign_out(edge, visitor, request).await,
        _ => Err(Error::not_found()),
    };
    served.unwrap_or_else(|error| failure(&visitor.trail, &visitor.request_id, &error, Some(route)))
}

fn sign_in_form(route: &TenantRoute, visitor: &Visitor, query: &str) -> Response<Body> {
    let Dress { brand, support } = Dress::of(Some(route));
    let wanted = parameter(query, "return_to");
    let notice = match parameter(query, "notice").as_str() {
        "password" => "Your password is set. Sign in with it.",
        "signed-out" => "You are signed out.",
        "ended" => "Your session ended. Sign in again.",
        "unsaved" => "Your session ended; nothing was saved. Sign in and do it again.",
        _ => "",
    };
    let return_to = text::local_path(&wanted);
    let page = SignInPage {
        brand,
        support,
        notice,
        problem: "",
        request_id: visitor.request_id.as_str(),
        return_to,
        email: "",
    };
    html(StatusCode::OK, &page)
}

async fn sign_in(
    edge: &Edge,
    route: &TenantRoute,
    visitor: &Visitor,
    request: Request<Body>,
) -> Result<Response<Body>> {
    let agent = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let user_agent: String = agent.chars().filter(|c| !c.is_control()).take(200).collect();
    let form = form::read(request).await?;
    let (email, wanted) = (field(&form, "email"), field(&form, "return_to"));
    let return_to = text::local_path(wanted);
    let question = SignInRequest {
        email: email.to_owned(),
        password: field(&form, "password").to_owned(),
        mode: SignInMode::Session.into(),
        user_agent,
    };
    let answer: Result<SignInResponse, Status> = edge
        .ask(visitor, "/tenantry.auth.v1.LoginService/SignIn", &question)
        .await;
    match answer {
        Ok(answer) => {
            let seconds = answer
                .expires_in
                .map_or(0, |life| life.seconds.clamp(0, 90 * 24 * 3600));
            with_cookie(respond::see_other(return_to), &answer.session_token, seconds)
        }
        Err(status) => {
            let problem = noted(visitor, &status);
            let Dress { brand, support } = Dress::of(Some(route));
            let detail = if problem.reason == Reason::SignInFailed.as_str() {
                "E-mail or password is wrong."
            } else {
                problem.detail.as_str()
            };
            let page = SignInPage {
                brand,
                support,
                notice: "",
                problem: detail,
                request_id: &problem.request_id,
                return_to,
                email,
            };
            Ok(html(code(problem.status), &page))
        }
    }
}

fn accept_form(route: &TenantRoute, visitor: &Visitor, query: &str) -> Response<Body> {
    let Dress { brand, support } = Dress::of(Some(route));
    let token = parameter(query, "token");
    html(
        StatusCode::OK,
        &AcceptPage {
            brand,
            support,
            problem: "",
            request_id: visitor.request_id.as_str(),
            token: &token,
        },
    )
}

async fn accept(edge: &Edge, route: &TenantRoute, visitor: &Visitor, request: Request<Body>) -> Result<Response<Body>> {
    let form = form::read(request).await?;
    let (token, password) = (field(&form, "token"), field(&form, "password"));
    let Dress { brand, support } = Dress::of(Some(route));
    let again = |problem: &str, status| {
        html(
            status,
            &AcceptPage {
                brand,
                support,
                problem,
                request_id: visitor.request_id.as_str(),
                token,
            },
        )
    };
    if password != field(&form, "again") {
        return Ok(again(
            "The two passwords are not the same. Type both again.",
            StatusCode::BAD_REQUEST,
        ));
    }
    let question = AcceptLinkRequest {
        link_token: token.to_owned(),
        password: password.to_owned(),
    };
    let answer: Result<AcceptLinkResponse, Status> = edge
        .ask(visitor, "/tenantry.auth.v1.LoginService/AcceptLink", &question)
        .await;
    Ok(match answer {
        Ok(_) => respond::see_other("/sign-in?notice=password"),
        Err(status) => {
            let problem = noted(visitor, &status);
            again(&problem.detail, code(problem.status))
        }
    })
}

async fn sign_out(edge: &Edge, visitor: &Visitor, request: Request<Body>) -> Result<Response<Body>> {
    form::read(request).await?;
    if visitor.credential.is_some() {
        let answer: Result<SignOutResponse, Status> = edge
            .ask(visitor, "/tenantry.auth.v1.LoginService/SignOut", &SignOutRequest {})
            .await;
        // A session that is not there any more is signed out; anything else must not look like success.
        if let Err(status) = answer
            && !matches!(status.code(), Code::Unauthenticated | Code::NotFound)
        {
            return Err(tenantry_server::error_of(&status));
        }
    }
    with_cookie(respond::see_other("/sign-in?notice=signed-out"), "", 0)
}

fn noted(visitor: &Visitor, status: &Status) -> problem::Problem {
    let problem = problem::of_status(status, &visitor.request_id);
    let _ = visitor.trail.reason.set(problem.reason.clone());
    problem
}

fn failed(visitor: &Visitor, status: &Status, route: &TenantRoute) -> Response<Body> {
    let problem = noted(visitor, status);
    message(Some(route), &problem, home(Some(route)))
}

/// The way home: none leads into an organisation that is not served.
fn home(route: Option<&TenantRoute>) -> &'static str {
    let is_served = route.is_some_and(|route| route.status == TenantStatus::Active);
    if is_served { "/" } else { "" }
}

/// An error as a page.
#[must_use]
pub fn failure(trail: &Trail, request_id: &RequestId, error: &Error, route: Option<&TenantRoute>) -> Response<Body> {
    let _ = trail.reason.set(error.reason().as_str().to_owned());
    crate::app::gate::log(error, request_id);
    message(route, &problem::of_error(error, request_id), home(route))
}

/// A page on a host that is nobody's. It has the neutral style sheet.
#[must_use]
pub fn of_nobody(trail: &Trail, request_id: &RequestId, error: &Error, request: &Parts) -> Response<Body> {
    if request.uri.path() == "/theme.css" {
        theme(None, &request.headers)
    } else {
        failure(trail, request_id, error, None)
    }
}

/// What a reason means.
#[must_use]
pub fn reason(reason: Reason, entry: Entry, status: u16) -> Response<Body> {
    let Dress { brand, support } = Dress::of(None);
    let code = format!("{:?}", reason.kind());
    html(
        StatusCode::OK,
        &ReasonPage {
            brand,
            support,
            reason: reason.as_str(),
            meaning: entry.meaning,
            remedy: entry.remedy,
            status,
            code: &code,
        },
    )
}

/// No such page, of nobody in particular.
#[must_use]
pub fn unknown(request_id: &RequestId) -> Response<Body> {
    message(None, &problem::of_error(&Error::not_found(), request_id), "/")
}
