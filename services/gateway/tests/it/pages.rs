//! Pages of the console over real sockets: what a role sees, what nobody can get into a page, where one who is not signed
//! in is led.

use crate::world::{ACME, GLOBEX, Gateway, Services, start, token};
use tenantry_api::business::{
    self, Field, GetObjectTypeRequest, GetObjectTypeResponse, ListObjectTypesRequest, ListObjectTypesResponse,
    ObjectType, object_type_service_server::ObjectTypeService,
};
use tonic::{Request, Response, Status};

/// What a tenant could try to get into a page.
const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

fn evil_type(name: &str) -> ObjectType {
    ObjectType {
        name: name.to_owned(),
        display_name: EVIL.into(),
        description: EVIL.into(),
        fields: vec![Field {
            field_id: "title".into(),
            r#type: business::FieldType::Enum.into(),
            display_name: EVIL.into(),
            description: EVIL.into(),
            enum_values: vec![EVIL.into()],
            ..Field::default()
        }],
        ..ObjectType::default()
    }
}

#[tonic::async_trait]
impl ObjectTypeService for Services {
    async fn get_object_type(
        &self,
        request: Request<GetObjectTypeRequest>,
    ) -> Result<Response<GetObjectTypeResponse>, Status> {
        Ok(Response::new(GetObjectTypeResponse {
            object_type: Some(evil_type(&request.get_ref().name)),
        }))
    }
    async fn list_object_types(
        &self,
        _request: Request<ListObjectTypesRequest>,
    ) -> Result<Response<ListObjectTypesResponse>, Status> {
        Ok(Response::new(ListObjectTypesResponse {
            object_types: vec![evil_type("objectTypes/evil")],
            ..ListObjectTypesResponse::default()
        }))
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn cookie(tenant: &str) -> String {
    format!("Cookie: __Host-sid={}", token(tenant))
}

/// Paths of every page that shows something, with a plain id for each variable.
fn shown() -> Vec<String> {
    let pages = tenantry_gateway::routes()
        .into_iter()
        .filter(|route| route.least_role.is_some());
    pages
        .filter(|route| route.method == "GET")
        .map(|route| route.template.replace(['{', '}'], ""))
        .collect()
}

fn assert_nothing_inline(path: &str, body: &str) {
    assert!(
        !body.contains("<script>") && !body.contains("<style") && !body.contains("javascript:"),
        "{path}: {body}"
    );
    assert!(!body.contains("<img"), "{path}: what people type is text: {body}");
    for tag in body
        .split('<')
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap_or_default())
    {
        let outside = tag.split('"').step_by(2).collect::<String>();
        let handler = outside
            .split_whitespace()
            .any(|word| word.starts_with("on") && word.ends_with('='));
        assert!(!handler && !outside.contains("style="), "{path}: <{tag}>");
    }
}

#[tokio::test]
async fn no_page_holds_anything_inline_whatever_a_tenant_typed() {
    let gateway = start().await;
    let paths = shown();
    assert!(paths.len() > 25, "only {} pages", paths.len());
    let mut evil = 0;
    for path in paths {
        let answer = gateway
            .send(&format!("GET {path}"), "acme.localhost", &[&cookie(ACME)], "")
            .await;
        let id = answer.header("x-request-id").expect("a request id").to_owned();
        // Most services are away in this world: their pages say so, with the request's id.
        assert!([200, 400, 403, 404, 501].contains(&answer.status), "{path}: {answer:?}");
        if answer.header("content-type") == Some("text/html; charset=utf-8") {
            assert!(answer.body.contains(&id), "{path} does not name its request");
            assert_nothing_inline(&path, &answer.body);
            evil += usize::from(answer.body.contains("alert(1)"));
        }
    }
    assert!(evil >= 5, "only {evil} pages showed what the tenant typed");
}

async fn home(gateway: &Gateway, host: &str, tenant: &str) -> String {
    let answer = gateway.send("GET /", host, &[&cookie(tenant)], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn a_page_shows_what_the_role_is_for() {
    let gateway = start().await;
    let (admin, viewer) = (
        home(&gateway, "acme.localhost", ACME).await,
        home(&gateway, "globex.localhost", GLOBEX).await,
    );
    for (path, shown) in [
        ("/members", true),
        ("/types", true),
        ("/keys", false),
        ("/imports", false),
    ] {
        let link = format!("href=\"{path}\"");
        assert!(admin.contains(&link), "{path} for an admin: {admin}");
        assert_eq!(viewer.contains(&link), shown, "{path} for a viewer: {viewer}");
    }
    gateway.forget();
    for line in [
        "GET /keys",
        "GET /types/new",
        "POST /types/new",
        "POST /keys",
        "GET /imports",
    ] {
        let own = "Origin: http://globex.localhost";
        let answer = gateway
            .send(
                line,
                "globex.localhost",
                &[&cookie(GLOBEX), own, FORM],
                "name=x&scope=y",
            )
            .await;
        assert!(
            answer.status == 403 && answer.body.contains("PERMISSION_DENIED"),
            "{line}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn one_who_is_not_signed_in_is_led_to_the_sign_in_page_and_back() {
    let gateway = start().await;
    let host = "acme.localhost";
    for (line, back) in [
        ("GET /members", "/sign-in?return_to=%2Fmembers"),
        (
            "GET /types/a/records?filter=x%20%3D%201",
            "/sign-in?return_to=%2Ftypes%2Fa%2Frecords%3Ffilter%3Dx%2520%253D%25201",
        ),
        // What a form held is gone: the page says so.
        (
            "POST /members/1/disable",
            "/sign-in?return_to=%2Fmembers%2F1&notice=unsaved",
        ),
        ("GET /", "/sign-in"),
    ] {
        let answer = gateway
            .send(line, host, &["Origin: http://acme.localhost", FORM], "")
            .await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(back)), "{line}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let ended = gateway
        .send("GET /members", host, &["Cookie: __Host-sid=e30.e30.x"], "")
        .await;
    assert_eq!(
        (ended.status, ended.header("location")),
        (303, Some("/sign-in?return_to=%2Fmembers&notice=ended")),
        "{ended:?}"
    );
    for (notice, text) in [("unsaved", "nothing was saved"), ("ended", "Your session ended")] {
        let page = gateway
            .send(&format!("GET /sign-in?notice={notice}"), host, &[], "")
            .await;
        assert!(page.body.contains(text), "{page:?}");
    }
    assert!(
        ended
            .header("set-cookie")
            .is_some_and(|cookie| cookie.starts_with("__Host-sid=;")),
        "{ended:?}"
    );
    let foreign = gateway.send("GET /members", host, &[&cookie(GLOBEX)], "").await;
    assert_eq!(foreign.status, 303, "{foreign:?}");
    let forged = gateway
        .send(
            "POST /members",
            host,
            &[&cookie(ACME), "Origin: http://evil.test", FORM],
            "email=x",
        )
        .await;
    assert_eq!(forged.status, 403, "{forged:?}");
    // Also without a cookie: a form of another site is no form of ours.
    let foreign_form = gateway
        .send("POST /members", host, &["Origin: http://evil.test", FORM], "email=x")
        .await;
    assert_eq!(foreign_form.status, 403, "{foreign_form:?}");
    let frozen = gateway.send("GET /members", "frozen.localhost", &[], "").await;
    assert!(frozen.status == 403 && frozen.body.contains("suspended"), "{frozen:?}");
}

#[tokio::test]
async fn the_console_files_are_the_same_for_everybody_and_kept() {
    let gateway = start().await;
    let page = home(&gateway, "acme.localhost", ACME).await;
    for (start, media) in [
        ("/console.css?v=", "text/css; charset=utf-8"),
        ("/console.js?v=", "text/javascript; charset=utf-8"),
    ] {
        let at = page.find(start).expect("a link");
        let href = page[at..].split('"').next().expect("an end");
        let file = gateway.send(&format!("GET {href}"), "acme.localhost", &[], "").await;
        assert_eq!((file.status, file.header("content-type")), (200, Some(media)));
        assert!(
            file.header("cache-control")
                .is_some_and(|text| text.contains("immutable")),
            "{file:?}"
        );
        assert_eq!(
            gateway
                .send(&format!("GET {href}"), "globex.localhost", &[], "")
                .await
                .body,
            file.body
        );
    }
}
