//! The one table of everything the public port answers: REST routes from the descriptors, pages and system routes from
//! the list below. Dispatch and the isolation matrix read the same table, so that nothing is served that is not listed.

use super::template::{Bindings, Path, Template};
use http::Method as HttpMethod;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use serde::Serialize;
use std::sync::Arc;
use tenantry_api::{Access, Method, Methods};

/// Pages and system routes: what the gateway answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fixed {
    /// The sign-in form.
    SignInForm,
    /// Its target.
    SignIn,
    /// The form behind an invite or reset link.
    AcceptForm,
    /// Its target.
    Accept,
    /// Ends the session.
    SignOut,
    /// Colours of the host's tenant.
    Theme,
    /// The console's style sheet, the same for everybody.
    ConsoleStyle,
    /// The console's script, the same for everybody.
    ConsoleScript,
    /// Public keys of the host's tenant.
    Jwks,
    /// The OpenAPI document.
    OpenApi,
    /// Whether this process answers.
    Health,
    /// What an error reason means.
    ErrorPage,
}

const FIXED: &[(Fixed, Kind, &str, &str)] = &[
    (Fixed::SignInForm, Kind::Page, "GET", "/sign-in"),
    (Fixed::SignIn, Kind::Page, "POST", "/sign-in"),
    (Fixed::AcceptForm, Kind::Page, "GET", "/accept"),
    (Fixed::Accept, Kind::Page, "POST", "/accept"),
    (Fixed::SignOut, Kind::Page, "POST", "/sign-out"),
    (Fixed::Theme, Kind::Page, "GET", "/theme.css"),
    (Fixed::ConsoleStyle, Kind::System, "GET", "/console.css"),
    (Fixed::ConsoleScript, Kind::System, "GET", "/console.js"),
    (Fixed::Jwks, Kind::System, "GET", "/.well-known/jwks.json"),
    (Fixed::OpenApi, Kind::System, "GET", "/openapi.json"),
    (Fixed::Health, Kind::System, "GET", "/healthz"),
    (Fixed::ErrorPage, Kind::System, "GET", "/errors/{reason}"),
];

/// REST routes of client-streaming methods, whose body is not JSON and which `google.api.http` cannot describe.
const UPLOADS: &[(&str, &str, &str)] = &[(
    "POST",
    "/v1/imports:upload",
    "/tenantry.business.v1.ImportService/UploadImport",
)];

/// On whose host a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// Everybody's.
    Any,
    /// A tenant's, but not the operators'.
    Tenant,
    /// The operators'.
    Operator,
}

/// A page behind the sign-in, as far as it concerns routing; what answers it is the edge's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSpec {
    /// HTTP method.
    pub http: &'static str,
    /// Path template.
    pub path: &'static str,
    /// See [`Site`].
    pub site: Site,
    /// The least role it is shown to: 1 viewer, 2 member, 3 admin, 4 owner.
    pub least: i32,
}

/// What kind of route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A method of a service, as JSON.
    Rest,
    /// For people with a browser.
    Page,
    /// For machines, without a tenant's data.
    System,
}

/// What of the request message the HTTP body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// There is none.
    None,
    /// The whole message.
    All,
    /// One field.
    Field(String),
    /// A raw file, sent on as a client stream.
    Upload,
}

/// How one method is reached by REST.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The method.
    pub method: Arc<Method>,
    /// See [`BodyRule`].
    pub body: BodyRule,
    /// The field of the response that is the HTTP body; `None` = all of it.
    pub response_body: Option<String>,
}

/// What answers.
#[derive(Clone, Debug)]
pub enum Target {
    /// A method of a service.
    Call(Binding),
    /// The gateway itself.
    Fixed(Fixed),
    /// A page behind the sign-in, by its place in the edge's list.
    Page(usize, PageSpec),
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Route {
    /// HTTP method.
    pub http: HttpMethod,
    /// Path template.
    pub template: Template,
    /// What answers.
    pub target: Target,
    /// See [`Kind`].
    pub kind: Kind,
}

/// One entry, for printing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteInfo {
    /// HTTP method.
    pub method: String,
    /// Path template.
    pub template: String,
    /// `/package.Service/Method`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_method: Option<String>,
    /// See [`Kind`].
    pub kind: Kind,
    /// For pages behind the sign-in: on whose host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Site>,
    /// For pages behind the sign-in: the least role, 1 viewer to 4 owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_role: Option<i32>,
}

/// What a look-up found.
#[derive(Debug)]
pub enum Found<'a> {
    /// This route.
    Route(&'a Route, Bindings),
    /// The path is there with other methods only.
    OtherMethods(Vec<&'a HttpMethod>),
    /// No such path.
    Nothing,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    routes: Vec<Route>,
}

impl Table {
    /// Reads the REST routes from the descriptors and adds the fixed ones and the pages.
    ///
    /// # Panics
    /// Never in a build that passed its tests: templates come from the descriptors in the binary.
    #[must_use]
    pub fn load(methods: &Methods, pages: &[PageSpec]) -> Self {
        let mut routes: Vec<Route> = FIXED
            .iter()
            .map(|(fixed, kind, http, path)| route(http, path, *kind, Target::Fixed(*fixed)))
            .collect();
        for (at, page) in pages.iter().enumerate() {
            routes.push(route(page.http, page.path, Kind::Page, Target::Page(at, *page)));
        }
        let mut all: Vec<&Arc<Method>> = methods
            .iter()
            .filter(|method| method.access != Access::Service)
            .collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        for method in all {
            for (http, path, body, response_body) in rules(methods.pool(), method) {
                let binding = Binding {
                    method: Arc::clone(method),
                    body,
                    response_body,
                };
                routes.push(route(&http, &path, Kind::Rest, Target::Call(binding)));
            }
        }
        for (http, path, grpc) in UPLOADS {
            let method = Arc::clone(methods.get(grpc).expect("a test loads the table"));
            let binding = Binding {
                method,
                body: BodyRule::Upload,
                response_body: None,
            };
            routes.push(route(http, path, Kind::Rest, Target::Call(binding)));
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.template.literals()));
        Self { routes }
    }

    /// All entries.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// All entries, for printing: by path, then method.
    #[must_use]
    pub fn infos(&self) -> Vec<RouteInfo> {
        let mut infos: Vec<RouteInfo> = self.routes.iter().map(Route::info).collect();
        infos.sort_by(|a, b| (&a.template, &a.method, &a.grpc_method).cmp(&(&b.template, &b.method, &b.grpc_method)));
        infos
    }

    /// Whether a browser can be sent to this address: a page that shows something.
    #[must_use]
    pub fn shows(&self, address: &str) -> bool {
        let path = address.split('?').next().and_then(Path::parse);
        path.is_some_and(
            |path| matches!(self.find(&HttpMethod::GET, &path), Found::Route(route, _) if route.kind == Kind::Page),
        )
    }

    /// Finds the route of a request.
    #[must_use]
    pub fn find(&self, http: &HttpMethod, path: &Path) -> Found<'_> {
        let matching = || {
            self.routes
                .iter()
                .filter_map(|route| Some((route, route.template.matches(path)?)))
        };
        // HEAD is GET without its body, which the connection leaves out by itself.
        let wanted = if *http == HttpMethod::HEAD {
            &HttpMethod::GET
        } else {
            http
        };
        let mut hits: Vec<(&Route, Bindings)> = matching().filter(|(route, _)| route.http == *wanted).collect();
        let most = hits.iter().map(|(route, _)| route.template.literals()).max();
        hits.retain(|(route, _)| Some(route.template.literals()) == most);
        match hits.len() {
            0 => {
                let mut others: Vec<&HttpMethod> = matching().map(|(route, _)| &route.http).collect();
                others.sort_by_key(|method| method.as_str());
                others.dedup();
                if others.is_empty() {
                    Found::Nothing
                } else {
                    Found::OtherMethods(others)
                }
            }
            1 => hits
                .pop()
                .map_or(Found::Nothing, |(route, bindings)| Found::Route(route, bindings)),
            _ => by_service(hits),
        }
    }
}

/// Several services declare `/v1/{name=operations/*}`: the id says whose it is (`operations/{service}-{id}`).
fn by_service(hits: Vec<(&Route, Bindings)>) -> Found<'_> {
    for (route, bindings) in hits {
        let Target::Call(binding) = &route.target else { continue };
        let id = bindings.last().and_then(|(_, value)| value.rsplit('/').next());
        let owner = id.and_then(|id| id.split_once('-')).map(|(owner, _)| owner);
        if owner == Some(binding.method.service.as_str()) {
            return Found::Route(route, bindings);
        }
    }
    Found::Nothing
}

impl Route {
    fn info(&self) -> RouteInfo {
        let grpc_method = match &self.target {
            Target::Call(binding) => Some(binding.method.path.clone()),
            Target::Fixed(_) | Target::Page(..) => None,
        };
        let page = match &self.target {
            Target::Page(_, page) => Some(page),
            _ => None,
        };
        RouteInfo {
            site: page.map(|page| page.site),
            least_role: page.map(|page| page.least),
            method: self.http.to_string(),
            template: self.template.text().to_owned(),
            grpc_method,
            kind: self.kind,
        }
    }
}

fn route(http: &str, path: &str, kind: Kind, target: Target) -> Route {
    let template = Template::parse(path).expect("a test loads the table");
    Route {
        http: http.parse().expect("a test loads the table"),
        template,
        target,
        kind,
    }
}

type Rule = (String, String, BodyRule, Option<String>);

fn rules(pool: &DescriptorPool, method: &Method) -> Vec<Rule> {
    let Some(extension) = pool.get_extension_by_name("google.api.http") else {
        return Vec::new();
    };
    let options = method.descriptor.options();
    if !options.has_extension(&extension) {
        return Vec::new();
    }
    let value = options.get_extension(&extension);
    let Some(rule) = value.as_message() else {
        return Vec::new();
    };
    let more = rule.get_field_by_name("additional_bindings");
    let more = more.as_ref().and_then(|value| value.as_list()).unwrap_or_default();
    std::iter::once(rule)
        .chain(more.iter().filter_map(Value::as_message))
        .filter_map(read)
        .collect()
}

fn read(rule: &DynamicMessage) -> Option<Rule> {
    let text = |name: &str| {
        rule.get_field_by_name(name)
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let (http, path) = ["get", "post", "put", "patch", "delete"].iter().find_map(|name| {
        let path = text(name);
        (!path.is_empty()).then(|| (name.to_ascii_uppercase(), path))
    })?;
    let body = match text("body").as_str() {
        "" => BodyRule::None,
        "*" => BodyRule::All,
        field => BodyRule::Field(field.to_owned()),
    };
    Some((
        http,
        path,
        body,
        Some(text("response_body")).filter(|field| !field.is_empty()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn found(http: &str, path: &str) -> String {
        let home = PageSpec {
            http: "GET",
            path: "/",
            site: Site::Any,
            least: 1,
        };
        let table = Table::load(&Methods::load(), &[home]);
        match table.find(&http.parse().expect("a method"), &Path::parse(path).expect("a path")) {
            Found::Route(
                Route {
                    target: Target::Call(binding),
                    ..
                },
                _,
            ) => binding.method.path.clone(),
            Found::Route(
                Route {
                    target: Target::Fixed(fixed),
                    ..
                },
                _,
            ) => format!("{fixed:?}"),
            Found::Route(
                Route {
                    target: Target::Page(at, _),
                    ..
                },
                _,
            ) => format!("page {at}"),
            Found::OtherMethods(others) => format!(
                "405 {}",
                others.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(",")
            ),
            Found::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn every_public_unary_or_server_streaming_method_has_a_route_and_no_internal_one_has() {
        let methods = Methods::load();
        let table = Table::load(&methods, &[]);
        let routed: HashSet<String> = table.infos().into_iter().filter_map(|info| info.grpc_method).collect();
        for method in methods.iter() {
            assert_eq!(
                routed.contains(&method.path),
                method.access != Access::Service,
                "{}",
                method.path
            );
        }
    }

    #[test]
    fn requests_find_their_method() {
        assert_eq!(
            found("GET", "/v1/objectTypes/t/records/1"),
            "/tenantry.business.v1.RecordService/GetRecord"
        );
        assert_eq!(
            found("GET", "/v1/sessions/current"),
            "/tenantry.auth.v1.SessionService/GetCurrentSession"
        );
        assert_eq!(
            found("POST", "/v1/auth:signIn"),
            "/tenantry.auth.v1.LoginService/SignIn"
        );
        assert_eq!(
            found("POST", "/v1/imports:upload"),
            "/tenantry.business.v1.ImportService/UploadImport"
        );
        assert_eq!(
            found("POST", "/v1/tenants/a/domains/b:verify"),
            "/tenantry.registry.v1.DomainService/VerifyDomain"
        );
        assert_eq!(
            found("GET", "/v1/tenants/acme"),
            "/tenantry.registry.v1.TenantService/GetTenant"
        );
        assert_eq!(found("HEAD", "/"), "page 0");
        assert_eq!(found("GET", "/errors/NOT_FOUND"), "ErrorPage");
        assert_eq!(found("GET", "/v1/nothing"), "404");
        assert_eq!(found("PUT", "/v1/objectTypes/t/records/1"), "405 DELETE,GET,PATCH");
        assert_eq!(found("GET", "/v1/auth:signIn"), "405 POST");
    }

    #[test]
    fn operations_go_to_the_service_in_their_name() {
        assert_eq!(
            found("GET", "/v1/operations/business-1"),
            "/tenantry.business.v1.OperationService/GetOperation"
        );
        assert_eq!(
            found("GET", "/v1/operations/registry-1"),
            "/tenantry.registry.v1.OperationService/GetOperation"
        );
        assert_eq!(
            found("POST", "/v1/operations/registry-1:wait"),
            "/tenantry.registry.v1.OperationService/WaitOperation"
        );
        for foreign in ["/v1/operations/auth-1", "/v1/operations/x", "/v1/operations/-1"] {
            assert_eq!(found("GET", foreign), "404", "{foreign}");
        }
    }
}
