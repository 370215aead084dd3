//! The console's pages in one table: method, path, whose host, least role, handler. The gateway's table of routes is made
//! from it, so that nothing is served that is not listed here.
//!
//! A page of somebody who is not signed in leads to the sign-in page and back.

use super::{
    backups, branding, console,
    console::{Console, Form, Link, Outcome},
    exports, fleet, form, imports, keys, lifecycle, members, onboarding, operations, operator, plans, records, roles,
    sagas, sessions, snapshots, tenants, types,
};
use crate::{
    app::visitor::Visitor,
    domain::{
        host::Host,
        origin,
        table::{PageSpec, Site},
        template::Bindings,
        text,
    },
    edge::{Edge, respond},
    error,
};
use futures::future::BoxFuture;
use http::{Method, Request, Response, header};
use std::sync::Arc;
use tenantry_api::auth::{GetCurrentSessionRequest, GetCurrentSessionResponse, Role};
use tenantry_kernel::{Error, Reason, TenantStatus};
use tonic::{Code, Status, body::Body};

/// What answers a page.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// Shows.
    Get(for<'a> fn(&'a Console) -> BoxFuture<'a, Outcome>),
    /// Takes a form.
    Post(for<'a> fn(&'a Console, Form) -> BoxFuture<'a, Outcome>),
    /// Takes a file: the body is read by the handler.
    Upload(for<'a> fn(&'a Console, Request<Body>) -> BoxFuture<'a, Outcome>),
}

/// One page.
pub(super) struct Page {
    spec: PageSpec,
    handler: Handler,
}

const fn page(http: &'static str, path: &'static str, site: Site, least: Role, handler: Handler) -> Page {
    let least = least as i32;
    Page {
        spec: PageSpec {
            http,
            path,
            site,
            least,
        },
        handler,
    }
}

macro_rules! get {
    ($site:ident $least:ident $path:literal $handler:path) => {
        page(
            "GET",
            $path,
            Site::$site,
            Role::$least,
            Handler::Get(|console| Box::pin($handler(console))),
        )
    };
}
macro_rules! post {
    ($site:ident $least:ident $path:literal $handler:path) => {
        page(
            "POST",
            $path,
            Site::$site,
            Role::$least,
            Handler::Post(|console, form| Box::pin($handler(console, form))),
        )
    };
}
macro_rules! upload {
    ($site:ident $least:ident $path:literal $handler:path) => {
        page(
            "POST",
            $path,
            Site::$site,
            Role::$least,
            Handler::Upload(|console, request| Box::pin($handler(console, request))),
        )
    };
}

/// Every page behind the sign-in. `Tenant` pages are not on the operators' host, `Operator` pages only there.
static PAGES: &[Page] = &[
    get!(Any Viewer "/" operator::front),
    get!(Any Viewer "/members" members::list),
    post!(Any Admin "/members" members::invite),
    get!(Any Viewer "/members/{member}" members::show),
    post!(Any Admin "/members/{member}" members::update),
    post!(Any Admin "/members/{member}/disable" members::disable),
    post!(Any Admin "/members/{member}/enable" members::enable),
    post!(Any Admin "/members/{member}/reset" members::reset),
    get!(Any Admin "/members/{member}/delete" members::ask_delete),
    post!(Any Admin "/members/{member}/delete" members::delete),
    get!(Any Viewer "/roles" roles::show),
    get!(Any Admin "/keys" keys::list),
    post!(Any Admin "/keys" keys::create),
    get!(Any Admin "/keys/{key}/revoke" keys::ask_revoke),
    post!(Any Admin "/keys/{key}/revoke" keys::revoke),
    get!(Any Viewer "/sessions" sessions::list),
    post!(Any Viewer "/sessions/{session}/revoke" sessions::revoke),
    post!(Any Viewer "/sessions/revoke-others" sessions::revoke_others),
    get!(Tenant Viewer "/types" types::list),
    get!(Tenant Admin "/types/new" types::new),
    post!(Tenant Admin "/types/new" types::create),
    get!(Tenant Viewer "/types/{type}" types::show),
    post!(Tenant Admin "/types/{type}" types::rename),
    get!(Tenant Admin "/types/{type}/fields" types::ask_fields),
    post!(Tenant Admin "/types/{type}/fields" types::add_fields),
    get!(Tenant Admin "/types/{type}/delete" types::ask_delete),
    post!(Tenant Admin "/types/{type}/delete" types::delete),
    get!(Tenant Viewer "/types/{type}/records" records::list),
    get!(Tenant Member "/types/{type}/records/new" records::new),
    post!(Tenant Member "/types/{type}/records/new" records::create),
    get!(Tenant Viewer "/types/{type}/records/{record}" records::show),
    post!(Tenant Member "/types/{type}/records/{record}" records::update),
    get!(Tenant Member "/types/{type}/records/{record}/delete" records::ask_delete),
    post!(Tenant Member "/types/{type}/records/{record}/delete" records::delete),
    get!(Tenant Viewer "/types/{type}/export.csv" exports::csv),
    get!(Tenant Viewer "/types/{type}/export.ndjson" exports::ndjson),
    get!(Tenant Member "/imports" imports::ask),
    upload!(Tenant Member "/imports" imports::upload),
    get!(Tenant Viewer "/imports/{import}" imports::show),
    post!(Tenant Member "/imports/{import}" imports::start),
    get!(Any Viewer "/usage" operator::usage),
    get!(Any Viewer "/backups" operator::backups),
    post!(Tenant Admin "/backups" backups::run),
    post!(Tenant Admin "/backups/policy" backups::policy),
    get!(Tenant Viewer "/backups/{snapshot}" snapshots::show),
    post!(Tenant Admin "/backups/{snapshot}/verify" snapshots::verify),
    get!(Tenant Owner "/backups/{snapshot}/restore" snapshots::ask_restore),
    post!(Tenant Owner "/backups/{snapshot}/restore" snapshots::restore),
    get!(Tenant Owner "/backups/{snapshot}/delete" snapshots::ask_delete),
    post!(Tenant Owner "/backups/{snapshot}/delete" snapshots::delete),
    get!(Tenant Admin "/branding" branding::show),
    post!(Tenant Admin "/branding" branding::save),
    get!(Tenant Admin "/branding/preview.css" branding::preview),
    get!(Tenant Admin "/branding/preview.json" branding::measured),
    post!(Tenant Admin "/branding/publish" branding::publish),
    post!(Tenant Admin "/branding/discard" branding::discard),
    post!(Tenant Admin "/branding/rollback" branding::rollback),
    get!(Operator Admin "/tenants/new" onboarding::ask),
    post!(Operator Admin "/tenants/new" onboarding::create),
    get!(Operator Viewer "/tenants/{tenant}" tenants::show),
    post!(Operator Admin "/tenants/{tenant}" tenants::update),
    post!(Operator Admin "/tenants/{tenant}/domains" tenants::verify_domain),
    get!(Operator Admin "/tenants/{tenant}/suspend" lifecycle::ask_suspend),
    post!(Operator Admin "/tenants/{tenant}/suspend" lifecycle::suspend),
    get!(Operator Admin "/tenants/{tenant}/resume" lifecycle::ask_resume),
    post!(Operator Admin "/tenants/{tenant}/resume" lifecycle::resume),
    get!(Operator Owner "/tenants/{tenant}/delete" lifecycle::ask_delete),
    post!(Operator Owner "/tenants/{tenant}/delete" lifecycle::delete),
    get!(Operator Owner "/tenants/{tenant}/undelete" lifecycle::ask_undelete),
    post!(Operator Owner "/tenants/{tenant}/undelete" lifecycle::undelete),
    get!(Operator Viewer "/sagas" sagas::list),
    get!(Operator Viewer "/sagas/{operation}" sagas::show),
    get!(Operator Viewer "/plans" plans::list),
    get!(Operator Admin "/plans/new" plans::new),
    post!(Operator Admin "/plans/new" plans::create),
    get!(Operator Viewer "/plans/{plan}" plans::show),
    post!(Operator Admin "/plans/{plan}" plans::update),
    get!(Operator Viewer "/services" fleet::services),
    get!(Operator Viewer "/alerts" fleet::alerts),
    get!(Operator Viewer "/events" fleet::events),
    get!(Tenant Viewer "/operations" operations::list),
    get!(Tenant Viewer "/operations/{operation}" operations::show),
    post!(Tenant Member "/operations/{operation}/cancel" operations::cancel),
];

/// An entry of the navigation.
pub(super) struct Area {
    href: &'static str,
    label: &'static str,
    pub(super) site: Site,
    pub(super) least: Role,
}

impl Area {
    pub(super) fn link(&self, path: &str) -> Link {
        let below = path.strip_prefix(self.href).is_some_and(|rest| rest.starts_with('/'));
        Link {
            href: self.href,
            label: self.label,
            current: path == self.href || (self.href != "/" && below),
        }
    }
}

const fn area(href: &'static str, label: &'static str, site: Site, least: Role) -> Area {
    Area {
        href,
        label,
        site,
        least,
    }
}

/// The navigation, in order.
pub(super) static AREAS: &[Area] = &[
    area("/", "Home", Site::Tenant, Role::Viewer),
    area("/", "Tenants", Site::Operator, Role::Viewer),
    area("/sagas", "Operations", Site::Operator, Role::Viewer),
    area("/plans", "Plans", Site::Operator, Role::Viewer),
    area("/types", "Data", Site::Tenant, Role::Viewer),
    area("/imports", "Import", Site::Tenant, Role::Member),
    area("/members", "Members", Site::Any, Role::Viewer),
    area("/roles", "Roles", Site::Any, Role::Viewer),
    area("/keys", "API keys", Site::Any, Role::Admin),
    area("/branding", "Branding", Site::Tenant, Role::Admin),
    area("/usage", "Usage", Site::Any, Role::Viewer),
    area("/backups", "Backups", Site::Any, Role::Viewer),
    area("/operations", "Operations", Site::Tenant, Role::Viewer),
    area("/services", "Services", Site::Operator, Role::Viewer),
    area("/alerts", "Alerts", Site::Operator, Role::Viewer),
    area("/events", "Events", Site::Operator, Role::Viewer),
];

/// What a form says after it was done. A code in the address, never a text: an address can come from anybody.
pub(super) fn notice(code: &str) -> &'static str {
    match code {
        "saved" => "Saved.",
        "created" => "Created.",
        "deleted" => "Deleted.",
        "disabled" => "The member is disabled: their sessions and keys have ended.",
        "enabled" => "The member is enabled and can sign in.",
        "revoked" => "Revoked. It stops working everywhere within two seconds.",
        "draft" => "The draft is saved. Pages show it once it is published.",
        "discarded" => "The draft is discarded. Pages show what they showed before.",
        "published" => "Published. Pages show it within two seconds.",
        "rolled-back" => "The earlier branding is published again. Pages show it within two seconds.",
        "verified" => "The domain is verified and leads to the tenant.",
        "cancelling" => "Asked to stop.",
        "policy" => "The backup policy is saved.",
        _ => "",
    }
}

/// What the gateway's table of routes needs of every page.
pub(crate) fn specs() -> Vec<PageSpec> {
    PAGES.iter().map(|page| page.spec).collect()
}

/// One request to the page at `index` of the table.
pub(crate) async fn serve(
    edge: &Arc<Edge>,
    index: usize,
    bindings: Bindings,
    request: Request<Body>,
    visitor: &Visitor,
) -> Response<Body> {
    let refused = |error: &Error| {
        let route = super::tenant(visitor);
        super::failure(&visitor.trail, &visitor.request_id, error, route)
    };
    let (Some(page), Some(route)) = (PAGES.get(index), console::route(visitor)) else {
        return refused(&Error::not_found());
    };
    let is_operator = route.tenant == tenantry_kernel::TenantId::PLATFORM;
    if (page.spec.site == Site::Operator && !is_operator) || (page.spec.site == Site::Tenant && is_operator) {
        return refused(&Error::not_found());
    }
    if let Err(error) = check_origin(&request) {
        return refused(&error);
    }
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default();
    let is_form = request.method() == Method::POST;
    let back = if is_form {
        path.clone()
    } else {
        request
            .uri()
            .path_and_query()
            .map_or_else(|| path.clone(), ToString::to_string)
    };
    let Some(query) = text::pairs(query) else {
        return refused(&Error::new(
            Reason::MalformedRequest,
            "The query is not percent-encoded UTF-8.",
        ));
    };
    if visitor.credential.is_none() && route.status == TenantStatus::Active {
        return sign_in(edge, &back, false, if is_form { "unsaved" } else { "" });
    }
    // With a session, that is: a program that reads pages with its token is a program.
    if !request.headers().contains_key(header::AUTHORIZATION) {
        let _ = visitor.trail.page.set(());
    }
    let asked: Result<GetCurrentSessionResponse, Status> = edge
        .ask(
            visitor,
            "/tenantry.auth.v1.SessionService/GetCurrentSession",
            &GetCurrentSessionRequest {},
        )
        .await;
    let who = match asked {
        Ok(who) => who,
        // A session that ended, or one of another tenant: this host knows nobody by it.
        Err(status) if matches!(status.code(), Code::Unauthenticated | Code::NotFound) => {
            return sign_in(edge, &back, true, if is_form { "unsaved" } else { "ended" });
        }
        Err(status) => return super::failed(visitor, &status, &route),
    };
    let console = Console {
        edge: edge.clone(),
        visitor: visitor.clone(),
        route,
        user: who.user.unwrap_or_default(),
        session: who.session.unwrap_or_default().name,
        bindings,
        query,
        path,
    };
    run(page, &console, request).await
}

async fn run(page: &Page, console: &Console, request: Request<Body>) -> Response<Body> {
    let shows = request.method() != Method::POST;
    if console.user.role < page.spec.least {
        let least = console::role_label(Role::try_from(page.spec.least).unwrap_or(Role::Owner));
        let text = format!("This page is for the role {least} and above. Ask an admin for it.");
        return console.failed(&console.status(&Error::new(Reason::PermissionDenied, text)), false);
    }
    let outcome = match page.handler {
        Handler::Get(handler) => handler(console).await,
        Handler::Upload(handler) => handler(console, request).await,
        Handler::Post(handler) => match Form::read(request).await {
            Ok(form) => handler(console, form).await,
            Err(error) => Err(console.status(&error)),
        },
    };
    outcome.unwrap_or_else(|status| {
        // The session ended between the first question and this one.
        if status.code() == Code::Unauthenticated {
            return sign_in(
                &console.edge,
                &console.path,
                true,
                if shows { "ended" } else { "unsaved" },
            );
        }
        console.failed(&status, shows)
    })
}

/// Forms come from pages of this very host, with or without a cookie.
fn check_origin(request: &Request<Body>) -> Result<(), Error> {
    if !origin::is_state_changing(request.method()) {
        return Ok(());
    }
    let host = Host::of(request.uri(), request.headers())
        .map_err(|error| Error::new(Reason::MalformedRequest, error.text()))?;
    if origin::is_same_origin(request.headers(), &host) {
        Ok(())
    } else {
        Err(error::origin_mismatch())
    }
}

/// The address itself where a page shows something there; behind a form, the nearest page above it.
pub(crate) fn nearest<'a>(edge: &Edge, address: &'a str) -> &'a str {
    let mut wanted = address;
    while !edge.table.shows(wanted) {
        wanted = wanted
            .rsplit_once('/')
            .map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
        if wanted == "/" {
            break;
        }
    }
    wanted
}

/// To the sign-in page, which says why, and from there to the page that was wanted.
fn sign_in(edge: &Edge, back: &str, forget: bool, notice: &str) -> Response<Body> {
    let wanted = nearest(edge, back);
    let wanted = if wanted == "/" { "" } else { wanted };
    let location = console::address("/sign-in", &[("return_to", wanted), ("notice", notice)]);
    let response = respond::see_other(&location);
    if forget {
        form::with_cookie(response, "", 0).unwrap_or_else(|_| respond::see_other("/sign-in"))
    } else {
        response
    }
}
