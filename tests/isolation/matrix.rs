//! Runs the matrix and prints every cell that does not hold.

use crate::{
    attacks::{Attack, Tokens, on_operator_method, on_tenant_method},
    fixture::{PlatformSide, Side},
    rows::{self, Kind},
};
use serde_json::{Value, json};
use std::sync::Arc;
use tenantry_api::{Access, Method, Methods};
use tenantry_kernel::{Clock, SystemClock};
use tenantry_testkit::{World, eventually};
use tenantry_tests::{Call, HttpRule, Operator};

fn sorted(methods: &Methods) -> Vec<Arc<Method>> {
    let mut all: Vec<_> = methods.iter().cloned().collect();
    all.sort_by(|one, other| one.full_name.cmp(&other.full_name));
    all
}

/// No world needed: this fails as soon as a method is added to a proto.
#[test]
fn every_method_has_a_row_of_the_right_kind() {
    for method in sorted(&Methods::load()) {
        let kind = rows::kind(&method.full_name)
            .unwrap_or_else(|| panic!("{} has no row in the isolation matrix", method.full_name));
        let fits = match method.access {
            Access::Tenant => matches!(kind, Kind::Names | Kind::Own),
            Access::Operator => kind == Kind::Operator,
            Access::Public => kind == Kind::Public,
            Access::Service => kind == Kind::Internal,
        };
        assert!(
            fits,
            "{} is {:?} but its row says {kind:?}",
            method.full_name, method.access
        );
    }
}

struct Matrix {
    world: World,
    methods: Methods,
    cells: usize,
    broken: Vec<String>,
}

impl Matrix {
    fn new() -> Self {
        Self {
            world: World::load(),
            methods: Methods::load(),
            cells: 0,
            broken: Vec::new(),
        }
    }
    async fn rightful(&mut self, method: &Method, call: &Call, request: &Value) {
        let outcome = call.grpc(&self.world, &method.descriptor, request).await;
        self.cells += 1;
        if !outcome.is_ok() {
            self.broken.push(format!(
                "{} | rightful owner | {} {} | {request}",
                method.full_name,
                outcome.verdict(),
                outcome.message
            ));
        }
    }
    async fn attack(&mut self, method: &Method, attack: &Attack, request: &Value) {
        let outcome = attack.call.grpc(&self.world, &method.descriptor, request).await;
        self.judge(method, "gRPC", attack, &outcome);
    }
    async fn attack_rest(&mut self, method: &Method, attack: &Attack, request: &Value) {
        let Some(rule) = HttpRule::of(self.methods.pool(), &method.descriptor) else {
            return;
        };
        let outcome = attack.call.rest(&self.world, &rule, request).await;
        self.judge(method, "REST", attack, &outcome);
    }
    fn judge(&mut self, method: &Method, wire: &str, attack: &Attack, outcome: &tenantry_tests::Outcome) {
        self.cells += 1;
        if !attack.expect.holds(outcome) {
            let seen = format!("{} {} {}", outcome.verdict(), outcome.message, outcome.response);
            self.broken.push(format!(
                "{} | {wire} | {} | expected {} | saw {seen}",
                method.full_name,
                attack.name,
                attack.expect.text()
            ));
        }
    }
    #[expect(
        clippy::print_stdout,
        reason = "how many cells were tried is the point of the test's output"
    )]
    fn finish(self) {
        println!("{} cells, {} broken", self.cells, self.broken.len());
        assert!(
            self.broken.is_empty(),
            "{} of {} cells do not hold:\n{}",
            self.broken.len(),
            self.cells,
            self.broken.join("\n")
        );
    }
}

/// A rightful client-streaming or server-streaming call has no REST twin in the matrix: pages.rs covers its route.
fn has_rest_twin(method: &Method) -> bool {
    !method.client_streaming && !method.server_streaming
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_method_refuses_every_stranger() {
    let mut matrix = Matrix::new();
    let operator = Operator::sign_in(&matrix.world).await;
    let a = Side::new(&operator, "tickets_a").await;
    let b = Side::new(&operator, "tickets_b").await;
    for method in sorted(&matrix.methods) {
        let kind = rows::kind(&method.full_name).expect("checked above");
        if !matches!(kind, Kind::Names | Kind::Own) {
            continue;
        }
        let tokens = tokens(&operator, &a, &b, &method.scope).await;
        let request = rows::request(&method.full_name, &a).await;
        // SignOut and RevokeOtherSessions end sessions: they are called by members of their own.
        let ends_sessions = matches!(method.descriptor.name(), "SignOut" | "RevokeOtherSessions");
        let rightful = if ends_sessions {
            a.tenant.member("ROLE_OWNER").await.token
        } else {
            a.owner_token().await
        };
        matrix.rightful(&method, &a.call(Some(&rightful)), &request).await;
        let mut request = rows::request(&method.full_name, &a).await;
        for attack in on_tenant_method(kind, &method, &a, &b, &tokens) {
            if ends_sessions && attack.expect.text().starts_with("Ok") {
                let member = b.tenant.member("ROLE_OWNER").await;
                let fresh = Attack {
                    call: b.call(Some(&member.token)),
                    ..attack
                };
                matrix.attack(&method, &fresh, &request).await;
                continue;
            }
            if attack.expect.text().starts_with("Ok") {
                // A call that succeeds uses its names up.
                request = rows::request(&method.full_name, &a).await;
            }
            matrix.attack(&method, &attack, &request).await;
            if has_rest_twin(&method) && !attack.expect.text().starts_with("Ok") {
                matrix.attack_rest(&method, &attack, &request).await;
            }
        }
        // The attacks changed nothing: the thing is still there for its owner.
        if kind == Kind::Names {
            matrix
                .rightful(&method, &a.call(Some(&a.owner_token().await)), &request)
                .await;
        }
    }
    matrix.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_method_refuses_every_tenant() {
    let mut matrix = Matrix::new();
    let operator = Operator::sign_in(&matrix.world).await;
    let host = matrix.world.host("operator");
    let a = Side::new(&operator, "tickets_a").await;
    let platform = PlatformSide::new(&operator).await;
    for method in sorted(&matrix.methods)
        .into_iter()
        .filter(|method| method.access == Access::Operator)
    {
        let tokens = tokens(&operator, &a, &a, "").await;
        let request = rows::operator_request(&method.full_name, &platform).await;
        for attack in on_operator_method(&a, &host, &tokens) {
            matrix.attack(&method, &attack, &request).await;
            matrix.attack_rest(&method, &attack, &request).await;
        }
        matrix
            .rightful(
                &method,
                &Call::new(&host, Some(&platform.token(&matrix.world).await)),
                &request,
            )
            .await;
    }
    assert!(!platform.slug.is_empty());
    matrix.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_methods_do_not_exist_at_the_gateway() {
    let mut matrix = Matrix::new();
    let operator = Operator::sign_in(&matrix.world).await;
    let tenant = operator.tenant("int").await;
    for method in sorted(&matrix.methods)
        .into_iter()
        .filter(|method| method.access == Access::Service)
    {
        let forged = vec![
            ("x-tenantry-service", "gateway".to_owned()),
            (
                "x-tenantry-service-secret",
                matrix.world.service_secrets["gateway"].clone(),
            ),
        ];
        for (host, token) in [
            (&tenant.host, &tenant.owner.token),
            (&matrix.world.host("operator"), &operator.token),
        ] {
            let call = Call {
                headers: forged.clone(),
                ..Call::new(host, Some(token))
            };
            let expect = crate::attacks::Expect::Denied(&[
                "Unimplemented/UNIMPLEMENTED",
                "Unimplemented/",
                "NotFound/NOT_FOUND",
            ]);
            matrix
                .attack(
                    &method,
                    &Attack {
                        name: "through the gateway, even with the real service secret",
                        call,
                        expect,
                    },
                    &json!({}),
                )
                .await;
        }
    }
    matrix.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_one_tenant_open_nothing_at_another_without_a_token() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (a, b) = (operator.tenant("puba").await, operator.tenant("pubb").await);
    let at_b = tenantry_tests::Rest::new(&world, &b.host);
    let at_a = tenantry_tests::Rest::new(&world, &a.host);
    // Sign-in: works at home, the same words at the neighbour's are a wrong password.
    let words = json!({"email": a.owner.email, "password": a.owner.password});
    at_a.post("/v1/auth:signIn", words.clone()).await.ok();
    at_b.post("/v1/auth:signIn", words).await.refused(401, "SIGN_IN_FAILED");
    // Refresh: refused at the neighbour's, and the refusal does not use the token up.
    let refresh = json!({"refreshToken": a.owner.refresh});
    let refused = at_b.post("/v1/auth:refresh", refresh.clone()).await;
    assert!([401, 404].contains(&refused.status), "{refused:?}");
    at_a.post("/v1/auth:refresh", refresh).await.ok();
    // Links: the same.
    let invited = a
        .rest()
        .post("/v1/users", json!({"email": "x@y.example", "role": "ROLE_VIEWER"}))
        .await
        .ok();
    let link = invited["inviteUri"]
        .as_str()
        .unwrap()
        .split("token=")
        .nth(1)
        .unwrap()
        .to_owned();
    let accept = json!({"linkToken": link, "password": "a long enough password 9"});
    let refused = at_b.post("/v1/auth:acceptLink", accept.clone()).await;
    assert!([404, 409, 400].contains(&refused.status), "{refused:?}");
    at_a.post("/v1/auth:acceptLink", accept).await.ok();
    // Keys: disjoint.
    let (keys_a, keys_b) = (
        at_a.get("/v1/auth/jwks").await.ok(),
        at_b.get("/v1/auth/jwks").await.ok(),
    );
    assert_ne!(keys_a["keys"][0]["kid"], keys_b["keys"][0]["kid"]);
    assert!(keys_a["keys"][0]["kid"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_works_only_where_it_was_made() {
    let mut matrix = Matrix::new();
    let operator = Operator::sign_in(&matrix.world).await;
    // The same type name on both sides, so that only the token is foreign.
    let (a, b) = (
        Side::new(&operator, "tickets_a").await,
        Side::new(&operator, "tickets_a").await,
    );
    for side in [&a, &b] {
        for _ in 0..2 {
            side.new_domain().await;
            tenantry_tests::Member::sign_in(&side.tenant.world, &side.tenant.host, &side.tenant.owner.email, "").await;
        }
        let other = side.new_import().await;
        side.tenant
            .rest()
            .post(
                &format!("/v1/{other}:start"),
                json!({"objectType": "objectTypes/more", "createType": true}),
            )
            .await
            .ok();
        for _ in 0..2 {
            crate::rows_backup::ready_snapshot(side).await;
        }
    }
    for method in sorted(&matrix.methods) {
        let lists =
            method.access == Access::Tenant && method.descriptor.input().get_field_by_name("page_token").is_some();
        if !lists {
            continue;
        }
        let mut request = rows::request(&method.full_name, &a).await;
        let (owner_a, owner_b) = (
            a.call(Some(&a.owner_token().await)),
            b.call(Some(&b.owner_token().await)),
        );
        let own = owner_a.grpc(&matrix.world, &method.descriptor, &request).await;
        let token = own.response["nextPageToken"]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no second page: {own:?}", method.full_name))
            .to_owned();
        request["pageToken"] = json!(token);
        matrix.rightful(&method, &owner_a, &request).await;
        let expect = || crate::attacks::Expect::Denied(&["InvalidArgument/INVALID_PAGE_TOKEN"]);
        matrix
            .attack(
                &method,
                &Attack {
                    name: "foreign page token",
                    call: owner_b,
                    expect: expect(),
                },
                &request,
            )
            .await;
        let mut edited = token.into_bytes();
        let middle = edited.len() / 2;
        edited[middle] = if edited[middle] == b'A' { b'B' } else { b'A' };
        request["pageToken"] = json!(String::from_utf8(edited).unwrap());
        matrix
            .attack(
                &method,
                &Attack {
                    name: "edited page token",
                    call: owner_a,
                    expect: expect(),
                },
                &request,
            )
            .await;
    }
    matrix.finish();
}

/// Credentials that fit `scope`: fresh ones, an expired key, and those of a suspended and a deleted tenant that worked before.
async fn tokens(operator: &Operator, a: &Side, b: &Side, scope: &str) -> Tokens {
    let (suspended, deleted) = locked(operator).await;
    let expired = expired_key(a, if scope.is_empty() { "records.read" } else { scope }).await;
    Tokens {
        a: a.owner_token().await,
        b: b.owner_token().await,
        expired,
        suspended: suspended.1,
        suspended_host: suspended.0,
        deleted: deleted.1,
        deleted_host: deleted.0,
    }
}

/// A suspended and a deleted tenant, made once: `(host, owner's token)` each.
async fn locked(operator: &Operator) -> ((String, String), (String, String)) {
    static ONCE: tokio::sync::OnceCell<((String, String), (String, String))> = tokio::sync::OnceCell::const_new();
    let make = || async {
        let (suspended, deleted) = (operator.tenant("sus").await, operator.tenant("del").await);
        for tenant in [&suspended, &deleted] {
            tenant.rest().get("/v1/sessions/current").await.ok();
        }
        let operation = operator
            .rest
            .post(
                &format!("/v1/tenants/{}:suspend", suspended.id),
                json!({"reason": "matrix"}),
            )
            .await
            .ok();
        operator.wait(operation["name"].as_str().expect("a name")).await;
        let operation = operator.rest.delete(&format!("/v1/tenants/{}", deleted.id)).await.ok();
        operator.wait(operation["name"].as_str().expect("a name")).await;
        for tenant in [&suspended, &deleted] {
            eventually("the lock is in force", || async {
                let answer = tenant.rest().get("/v1/sessions/current").await;
                if answer.status == 200 { Err(answer.text) } else { Ok(()) }
            })
            .await;
        }
        (
            (suspended.host.clone(), suspended.owner.token.clone()),
            (deleted.host.clone(), deleted.owner.token.clone()),
        )
    };
    ONCE.get_or_init(make).await.clone()
}

/// A key with this scope that has expired. All scopes' keys are made at once, so that the wait is one wait. Each worked before.
async fn expired_key(a: &Side, scope: &str) -> String {
    type Keys = Vec<(String, String)>;
    static KEYS: tokio::sync::Mutex<Vec<(String, Keys)>> = tokio::sync::Mutex::const_new(Vec::new());
    let mut known = KEYS.lock().await;
    if !known.iter().any(|(slug, _)| *slug == a.tenant.slug) {
        known.push((a.tenant.slug.clone(), expired_keys(a).await));
    }
    let keys = known
        .iter()
        .find(|(slug, _)| *slug == a.tenant.slug)
        .map(|(_, keys)| keys.clone())
        .unwrap_or_default();
    keys.into_iter()
        .find(|(one, _)| one == scope)
        .map(|(_, secret)| secret)
        .expect("a key of every scope")
}

async fn expired_keys(a: &Side) -> Vec<(String, String)> {
    let methods = Methods::load();
    let mut scopes: Vec<String> = methods
        .iter()
        .map(|method| method.scope.clone())
        .filter(|scope| !scope.is_empty())
        .collect();
    scopes.sort();
    scopes.dedup();
    // Longer than it takes to make one key a scope and use each once, on a busy machine too.
    let soon = rfc3339_in(20);
    let (rest, mut keys) = (a.rest().await, Vec::new());
    for scope in scopes {
        let body = json!({"displayName": "short", "scopes": [scope, "sessions.read"], "expireTime": soon});
        let made = rest.post("/v1/apiKeys", body).await.ok();
        keys.push((scope, made["secret"].as_str().expect("a secret").to_owned()));
    }
    let whoami = |secret: &str| tenantry_tests::Rest::new(&a.tenant.world, &a.tenant.host).bearer(secret);
    for (_, secret) in &keys {
        whoami(secret).get("/v1/sessions/current").await.ok();
    }
    for (_, secret) in &keys {
        eventually("the key expires", || async {
            let answer = whoami(secret).get("/v1/sessions/current").await;
            if answer.status == 401 {
                Ok(())
            } else {
                Err(answer.status)
            }
        })
        .await;
    }
    keys
}

/// RFC 3339, some seconds from now.
fn rfc3339_in(seconds: i64) -> String {
    let seconds = SystemClock.now().timestamp() + seconds;
    prost_types::Timestamp { seconds, nanos: 0 }.to_string()
}
