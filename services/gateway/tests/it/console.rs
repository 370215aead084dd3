//! What pages of the console say: to whom a plan that is used up is closed, what is under way, what a role may do, what
//! went wrong and what to quote.

use crate::world::{ACME, GLOBEX, Gateway, INITECH, Services, id, start, token};
use prost::Message;
use prost_types::{Any, Timestamp};
use tenantry_api::{
    auth::{self, GetUserRequest, GetUserResponse, UpdateUserRequest, UpdateUserResponse, User},
    backup::{
        self, ListSnapshotsRequest, ListSnapshotsResponse, Snapshot, SnapshotState,
        snapshot_service_server::SnapshotService,
    },
    business,
    common::OperationMetadata,
    google::{
        longrunning::{Operation, operation::Result as Ended},
        rpc,
    },
    monitoring::QuotaState,
    registry::{ListBrandingRevisionsRequest, ListBrandingRevisionsResponse, branding_service_server::BrandingService},
};
use tenantry_kernel::{Clock, Error, SystemClock};
use tonic::{Request, Response, Status};

const HTML: &str = "Accept: text/html";
const OWN: &str = "Origin: http://acme.localhost";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn cookie(tenant: &str) -> String {
    format!("Cookie: __Host-sid={}", token(tenant))
}

/// `verb` of a service, asked for at a second of the epoch.
fn operation(name: &str, verb: &str, second: i64, result: Option<Ended>) -> Operation {
    let metadata = OperationMetadata {
        verb: verb.to_owned(),
        target: "snapshots/s".to_owned(),
        step: verb.to_owned(),
        progress_percent: 40,
        create_time: Some(Timestamp {
            seconds: second,
            nanos: 0,
        }),
        ..OperationMetadata::default()
    };
    Operation {
        name: format!("operations/{name}"),
        metadata: Some(Any {
            type_url: "type.googleapis.com/tenantry.common.v1.OperationMetadata".to_owned(),
            value: metadata.encode_to_vec(),
        }),
        done: result.is_some(),
        result,
    }
}

fn failed() -> Option<Ended> {
    let status = tenantry_server::status_of(
        &Error::invalid_field("line 3", "is no number"),
        &tenantry_kernel::RequestId::parse("of-then").expect("an id"),
    );
    Some(Ended::Error(rpc::Status::decode(status.details()).expect("a status")))
}

fn whole() -> Option<Ended> {
    ended_with(&Snapshot {
        name: "snapshots/s".to_owned(),
        state: SnapshotState::Ready.into(),
        records: 7,
        ..Snapshot::default()
    })
}

/// What the service says of a snapshot that was removed.
fn gone() -> Option<Ended> {
    ended_with(&Snapshot {
        name: "snapshots/s".to_owned(),
        ..Snapshot::default()
    })
}

fn stopped() -> Option<Ended> {
    Some(Ended::Error(rpc::Status {
        code: tonic::Code::Cancelled.into(),
        message: "It was stopped.".to_owned(),
        details: Vec::new(),
    }))
}

fn ended_with(snapshot: &Snapshot) -> Option<Ended> {
    Some(Ended::Response(Any {
        type_url: "type.googleapis.com/tenantry.backup.v1.Snapshot".to_owned(),
        value: snapshot.encode_to_vec(),
    }))
}

#[tonic::async_trait]
impl business::operation_service_server::OperationService for Services {
    async fn get_operation(
        &self,
        request: Request<business::GetOperationRequest>,
    ) -> Result<Response<business::GetOperationResponse>, Status> {
        let operation = match request.into_inner().name.as_str() {
            "operations/business-running" => operation("business-running", "import_records", 20, None),
            _ => operation("business-failed", "import_records", 40, failed()),
        };
        Ok(Response::new(business::GetOperationResponse {
            operation: Some(operation),
        }))
    }
    async fn list_operations(
        &self,
        request: Request<business::ListOperationsRequest>,
    ) -> Result<Response<business::ListOperationsResponse>, Status> {
        let is_first = request.into_inner().page_token.is_empty();
        let operations = if is_first {
            vec![
                operation("business-failed", "import_records", 40, failed()),
                operation("business-running", "import_records", 20, None),
            ]
        } else {
            vec![operation("business-older", "import_records", 5, failed())]
        };
        Ok(Response::new(business::ListOperationsResponse {
            operations,
            next_page_token: if is_first { "more".to_owned() } else { String::new() },
        }))
    }
}

#[tonic::async_trait]
impl backup::operation_service_server::OperationService for Services {
    async fn get_operation(
        &self,
        request: Request<backup::GetOperationRequest>,
    ) -> Result<Response<backup::GetOperationResponse>, Status> {
        let operation = match request.into_inner().name.as_str() {
            "operations/backup-verified" => operation("backup-verified", "verify_snapshot", 30, whole()),
            "operations/backup-gone" => operation("backup-gone", "create_snapshot", 30, gone()),
            "operations/backup-stopped" => operation("backup-stopped", "create_snapshot", 30, stopped()),
            _ => operation("backup-running", "create_snapshot", 30, None),
        };
        Ok(Response::new(backup::GetOperationResponse {
            operation: Some(operation),
        }))
    }
    async fn list_operations(
        &self,
        _request: Request<backup::ListOperationsRequest>,
    ) -> Result<Response<backup::ListOperationsResponse>, Status> {
        Ok(Response::new(backup::ListOperationsResponse {
            operations: vec![operation("backup-verified", "verify_snapshot", 30, whole())],
            ..backup::ListOperationsResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl SnapshotService for Services {
    async fn list_snapshots(
        &self,
        _request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        let of = |records, seconds, state: SnapshotState| Snapshot {
            name: format!("snapshots/{records}"),
            state: state.into(),
            operation: "operations/backup-running".to_owned(),
            snapshot_time: Some(Timestamp { seconds, nanos: 0 }),
            types: vec![backup::SnapshotType {
                object_type: "evil".to_owned(),
                records,
            }],
            ..Snapshot::default()
        };
        Ok(Response::new(ListSnapshotsResponse {
            snapshots: vec![
                of(0, 180, SnapshotState::Running),
                of(0, 120, SnapshotState::Failed),
                of(4321, 60, SnapshotState::Ready),
            ],
            ..ListSnapshotsResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl BrandingService for Services {
    async fn list_branding_revisions(
        &self,
        _request: Request<ListBrandingRevisionsRequest>,
    ) -> Result<Response<ListBrandingRevisionsResponse>, Status> {
        Ok(Response::new(ListBrandingRevisionsResponse::default()))
    }
}

#[tonic::async_trait]
impl auth::user_service_server::UserService for Services {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let name = request.into_inner().name;
        let role = if name.ends_with("boss") {
            auth::Role::Owner
        } else {
            auth::Role::Member
        };
        Ok(Response::new(GetUserResponse {
            user: Some(User {
                name,
                email: "mia@acme.example".to_owned(),
                display_name: "Mia".to_owned(),
                role: role.into(),
                state: auth::UserState::Active.into(),
                ..User::default()
            }),
        }))
    }
    async fn update_user(&self, _request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        let id = tenantry_kernel::RequestId::parse("r").expect("an id");
        Err(tenantry_server::status_of(&Error::etag_mismatch(), &id))
    }
}

/// A page as the tenant's person sees it.
async fn page(gateway: &Gateway, tenant: &str, path: &str, status: u16) -> String {
    let host = match tenant {
        ACME => "acme.localhost",
        INITECH => "initech.localhost",
        _ => "globex.localhost",
    };
    let line = format!("GET {path}");
    let answer = gateway.send(&line, host, &[&cookie(tenant), HTML], "").await;
    assert_eq!(answer.status, status, "{path}: {answer:?}");
    answer.body
}

#[tokio::test]
async fn a_plan_that_is_used_up_refuses_programs_and_leaves_pages_open() {
    let gateway = start().await;
    let reset = SystemClock.now() + chrono::Duration::days(3);
    gateway.quotas.apply(
        vec![QuotaState {
            tenant_id: id(ACME).to_string(),
            within: false,
            limit: "requests_per_month".to_owned(),
            plan: "small".to_owned(),
            allowed: 0,
            reset_time: Some(Timestamp {
                seconds: reset.timestamp(),
                nanos: 0,
            }),
        }],
        None,
    );
    let host = "acme.localhost";
    let refused = gateway.get("/v1/objectTypes/t/records/1", host, ACME).await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "QUOTA_EXCEEDED"));
    for path in ["/", "/types", "/backups", "/operations", "/members/1"] {
        let body = page(&gateway, ACME, path, if path == "/backups" { 501 } else { 200 }).await;
        assert!(!body.contains("QUOTA_EXCEEDED"), "{path}: {body}");
    }
    // Asked for by the script of a page.
    let progress = "GET /v1/operations/business-running";
    assert_eq!(gateway.send(progress, host, &[&cookie(ACME)], "").await.status, 200);
    // A program is one with a session's cookie, too, and when it reads pages with its token.
    let list = gateway
        .send("GET /v1/objectTypes/t/records", host, &[&cookie(ACME)], "")
        .await;
    assert_eq!(list.status, 429, "{list:?}");
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let read = gateway.send("GET /types", host, &[&bearer, HTML], "").await;
    let until = format!("Plan used up until {} UTC", reset.format("%Y-%m-%d %H:%M"));
    assert!(read.status == 429 && read.body.contains(&until), "{until}: {read:?}");
    assert!(!read.body.contains("Too much at once"), "{read:?}");
}

#[tokio::test]
async fn every_refused_page_has_a_reason_a_request_id_and_a_way_home() {
    let gateway = start().await;
    for (path, host, reason, has_home) in [
        ("/nothing-here", "acme.localhost", "NOT_FOUND", true),
        (
            "/types/a/records?filter=%ff",
            "acme.localhost",
            "MALFORMED_REQUEST",
            true,
        ),
        ("/errors/NOPE", "acme.localhost", "NOT_FOUND", true),
        ("/members", "frozen.localhost", "TENANT_SUSPENDED", false),
        ("/", "gone.localhost", "NOT_FOUND", false),
    ] {
        let answer = gateway
            .send(&format!("GET {path}"), host, &[&cookie(ACME), HTML], "")
            .await;
        let id = answer.header("x-request-id").expect("a request id");
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        assert!(answer.body.contains(&format!(">{reason}</a>")), "{path}: {answer:?}");
        assert!(
            answer.body.contains(&format!("<code>{id}</code>")),
            "{path}: {answer:?}"
        );
        assert_eq!(answer.body.contains("href=\"/\""), has_home, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn where_only_a_form_is_sent_a_browser_is_led_to_the_page_with_the_form() {
    let gateway = start().await;
    let host = "acme.localhost";
    for (path, parent) in [
        ("/members/x/disable", "/members/x"),
        ("/branding/publish", "/branding"),
        ("/sign-out", "/"),
    ] {
        let answer = gateway
            .send(&format!("GET {path}"), host, &[&cookie(ACME), HTML], "")
            .await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(parent)),
            "{path}: {answer:?}"
        );
        let program = gateway.send(&format!("GET {path}"), host, &[&cookie(ACME)], "").await;
        assert_eq!(
            (program.status, program.header("allow"), program.reason().as_str()),
            (405, Some("POST"), "METHOD_NOT_ALLOWED"),
            "{path}"
        );
    }
    let answer = gateway
        .send("DELETE /usage", host, &[&cookie(ACME), OWN, HTML], "")
        .await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    assert!(answer.body.contains(">METHOD_NOT_ALLOWED</a>"), "{answer:?}");
}

#[tokio::test]
async fn operations_of_both_services_are_one_list_by_time() {
    let gateway = start().await;
    let body = page(&gateway, GLOBEX, "/operations", 200).await;
    let at = |name: &str| {
        body.find(&format!("href=\"/operations/{name}\""))
            .unwrap_or_else(|| panic!("{name}: {body}"))
    };
    assert!(at("business-failed") < at("backup-verified") && at("backup-verified") < at("business-running"));
    assert!(body.contains("href=\"/operations?business=more\""), "{body}");
    // The end of one list does not bring the other one back to its beginning.
    let second = page(&gateway, GLOBEX, "/operations?business=more", 200).await;
    assert!(
        second.contains("business-older") && !second.contains("backup-verified"),
        "{second}"
    );
    assert!(
        second.contains("href=\"/operations\"") && !second.contains("rel=\"next\""),
        "{second}"
    );
    // Home has what runs first.
    let home = page(&gateway, GLOBEX, "/", 200).await;
    let (running, failed) = (home.find("business-running"), home.find("business-failed"));
    assert!(running.is_some() && running < failed, "{home}");
}

#[tokio::test]
async fn a_failed_operation_is_quoted_by_its_name_and_a_verification_says_that_it_matches() {
    let gateway = start().await;
    let body = page(&gateway, ACME, "/operations/business-failed", 200).await;
    let problem = body.split("id=\"problem\"").nth(1).expect("a problem");
    let problem = problem.split("</section>").next().expect("an end");
    assert!(
        problem.contains("operations/business-failed") && !problem.contains("Request"),
        "{problem}"
    );
    let body = page(&gateway, ACME, "/operations/backup-verified", 200).await;
    assert!(body.contains("Every record was read and matches."), "{body}");
    assert!(!body.contains("are in the snapshot"), "{body}");
}

#[tokio::test]
async fn what_was_stopped_did_not_fail_and_a_snapshot_that_is_gone_has_no_link() {
    let gateway = start().await;
    let body = page(&gateway, ACME, "/operations/backup-stopped", 200).await;
    assert!(body.contains("was stopped") && body.contains(">Stopped<"), "{body}");
    assert!(!body.contains("Failed"), "{body}");
    let body = page(&gateway, ACME, "/operations/backup-gone", 200).await;
    assert!(body.contains("has been removed since"), "{body}");
    assert!(
        !body.contains("are in the snapshot") && !body.contains(">The snapshot<"),
        "{body}"
    );
}

#[tokio::test]
async fn stopping_is_offered_to_whom_the_methods_policy_allows_it() {
    let gateway = start().await;
    let stop = "/cancel\"";
    for (tenant, name, offered) in [
        (ACME, "backup-running", true),
        (INITECH, "backup-running", false),
        (INITECH, "business-running", true),
        (GLOBEX, "business-running", false),
    ] {
        let body = page(&gateway, tenant, &format!("/operations/{name}"), 200).await;
        assert_eq!(body.contains(stop), offered, "{tenant} {name}: {body}");
    }
}

#[tokio::test]
async fn an_admin_is_not_offered_what_only_an_owner_may_do_and_keeps_what_was_typed() {
    let gateway = start().await;
    let boss = page(&gateway, ACME, "/members/boss", 200).await;
    assert!(boss.contains("Only an owner can change this member."), "{boss}");
    let main = |body: &str| body.split("<main").nth(1).map(str::to_owned).expect("a main part");
    assert!(
        !main(&boss).contains("<form") && !main(&boss).contains("/delete"),
        "{boss}"
    );
    let other = page(&gateway, ACME, "/members/mia", 200).await;
    assert!(
        main(&other).contains("<form") && !other.contains("Only an owner"),
        "{other}"
    );
    let asked = page(&gateway, ACME, "/members/boss/delete", 403).await;
    assert!(asked.contains("Only an owner can remove this member."), "{asked}");
    let sent = gateway
        .send(
            "POST /members/mia",
            "acme.localhost",
            &[&cookie(ACME), OWN, FORM],
            "name=Mia+Typed&role=viewer&etag=old",
        )
        .await;
    assert!(
        sent.status == 412 && sent.body.contains("value=\"Mia Typed\""),
        "{sent:?}"
    );
    assert!(sent.body.contains("value=\"viewer\" selected"), "{sent:?}");
}

#[tokio::test]
async fn home_tells_what_is_so() {
    let gateway = start().await;
    let body = page(&gateway, ACME, "/", 200).await;
    // The brand has a colour from its first day on; nobody has chosen it.
    assert!(body.contains("<a href=\"/branding\">Choose your colour</a>"), "{body}");
    // The newest that is whole, with its numbers, and beside it the one that is being taken.
    assert!(
        body.contains("1970-01-01 00:01") && body.contains("4\u{202f}321"),
        "{body}"
    );
    assert!(
        body.contains("One is being taken") && !body.contains("not in one yet"),
        "{body}"
    );
}

#[tokio::test]
async fn what_a_plan_does_not_include_is_said_and_not_offered() {
    let gateway = start().await;
    let types = page(&gateway, INITECH, "/types", 200).await;
    assert!(types.contains("Your plan does not include imports;"), "{types}");
    assert!(!types.contains("Import a file"), "{types}");
    let asked = page(&gateway, INITECH, "/imports", 403).await;
    assert!(
        asked.contains("<h1>Not in your plan</h1>") && !asked.contains("type=\"file\""),
        "{asked}"
    );
    let types = page(&gateway, ACME, "/types", 200).await;
    assert!(
        types.contains("Import a file") && types.contains("New type") && !types.contains("does not include"),
        "{types}"
    );
}
