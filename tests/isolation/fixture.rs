//! Two tenants with one of everything, and the operator's things.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tenantry_testkit::{World, eventually};
use tenantry_tests::{Call, Member, Operator, Rest, Tenant, unique};

/// One tenant with one of everything.
pub(crate) struct Side {
    pub(crate) tenant: Tenant,
    pub(crate) viewer: Member,
    pub(crate) record: String,
    pub(crate) api_key: String,
    pub(crate) import: String,
    pub(crate) operation: String,
    pub(crate) resume_token: String,
    /// Keys of one scope each: for a method, the one that does not fit.
    keys: [String; 2],
    /// The owner's current token and when it was made.
    owner: tokio::sync::Mutex<Option<(Instant, String)>>,
    /// A session that was signed out.
    pub(crate) signed_out: String,
}

impl Side {
    pub(crate) async fn new(operator: &Operator, type_name: &str) -> Self {
        let tenant = operator.tenant("iso").await;
        let viewer = tenant.member("ROLE_VIEWER").await;
        let rest = tenant.rest();
        let object_type = json!({"name": format!("objectTypes/{type_name}"), "fields": [{"fieldId": "title", "type": "FIELD_TYPE_STRING"}]});
        rest.post("/v1/objectTypes", object_type).await.ok();
        rest.post(
            "/v1/objectTypes",
            json!({"name": "objectTypes/second", "fields": [{"fieldId": "x", "type": "FIELD_TYPE_STRING"}]}),
        )
        .await
        .ok();
        let resume_token = first_resume_token(&tenant).await;
        let parent = format!("/v1/objectTypes/{type_name}/records");
        let mut record = Value::Null;
        for n in 0..3 {
            record = rest
                .post(
                    &parent,
                    json!({"fields": {"title": format!("secret of {} {n}", tenant.slug)}}),
                )
                .await
                .ok();
        }
        let key = rest
            .post("/v1/apiKeys", json!({"displayName": "k", "scopes": ["records.read"]}))
            .await
            .ok();
        rest.post("/v1/apiKeys", json!({"displayName": "k2", "scopes": ["records.read"]}))
            .await
            .ok();
        let keys = [
            tenant.api_key(&["branding.read"]).await,
            tenant.api_key(&["domains.read"]).await,
        ];
        for color in ["#aa0011", "#aa0022"] {
            let brand = json!({"displayName": format!("Brand of {}", tenant.slug), "primaryColor": color});
            rest.patch("/v1/branding", brand).await.ok();
        }
        let (import, operation) = one_import(&tenant).await;
        let gone = tenant.member("ROLE_OWNER").await;
        tenant.as_member(&gone).post("/v1/auth:signOut", json!({})).await.ok();
        Self {
            viewer,
            record: text(&record["name"]),
            api_key: text(&key["apiKey"]["name"]),
            import,
            operation,
            resume_token,
            keys,
            owner: tokio::sync::Mutex::new(None),
            signed_out: gone.token,
            tenant,
        }
    }
    pub(crate) fn fresh(&self, prefix: &str) -> String {
        unique(prefix)
    }
    pub(crate) async fn object_type(&self) -> String {
        let name = format!("objectTypes/{}", unique("t"));
        let body = json!({"name": name, "fields": [{"fieldId": "x", "type": "FIELD_TYPE_STRING"}]});
        text(&self.rest().await.post("/v1/objectTypes", body).await.ok()["name"])
    }
    pub(crate) async fn new_record(&self) -> String {
        let answer = self
            .rest()
            .await
            .post("/v1/objectTypes/tickets_a/records", json!({"fields": {"title": "t"}}))
            .await
            .ok();
        text(&answer["name"])
    }
    pub(crate) async fn new_import(&self) -> String {
        upload(&self.tenant).await
    }
    pub(crate) async fn new_domain(&self) -> String {
        let name = format!("domains/{}.example", unique("d"));
        text(&self.rest().await.post("/v1/domains", json!({"name": name})).await.ok()["name"])
    }
    pub(crate) async fn new_session(&self) -> String {
        let owner = &self.tenant.owner;
        let member = Member::sign_in(&self.tenant.world, &self.tenant.host, &owner.email, &owner.name).await;
        let answer = self.tenant.as_member(&member).get("/v1/sessions/current").await.ok();
        text(&answer["session"]["name"])
    }
    pub(crate) async fn new_user(&self) -> String {
        let body = json!({"email": format!("{}@x.example", unique("u")), "role": "ROLE_VIEWER"});
        text(&self.rest().await.post("/v1/users", body).await.ok()["user"]["name"])
    }
    pub(crate) async fn new_api_key(&self) -> String {
        let answer = self
            .rest()
            .await
            .post("/v1/apiKeys", json!({"displayName": "k", "scopes": ["records.read"]}))
            .await
            .ok();
        text(&answer["apiKey"]["name"])
    }
    /// A token of the owner; a new sign-in every two minutes, because a matrix outlives an access token.
    pub(crate) async fn owner_token(&self) -> String {
        let mut known = self.owner.lock().await;
        if let Some((made, token)) = known.as_ref()
            && made.elapsed() < Duration::from_secs(120)
        {
            return token.clone();
        }
        let owner = &self.tenant.owner;
        let token = Member::sign_in(&self.tenant.world, &self.tenant.host, &owner.email, &owner.name)
            .await
            .token;
        *known = Some((Instant::now(), token.clone()));
        token
    }
    pub(crate) async fn rest(&self) -> Rest {
        Rest::new(&self.tenant.world, &self.tenant.host).bearer(&self.owner_token().await)
    }
    /// A key without `scope`.
    pub(crate) fn key_without(&self, scope: &str) -> &str {
        &self.keys[usize::from(scope == "branding.read")]
    }
    pub(crate) fn call(&self, token: Option<&str>) -> Call {
        Call::new(&self.tenant.host, token)
    }
}

async fn first_resume_token(tenant: &Tenant) -> String {
    let methods = tenantry_api::Methods::load();
    let watch = methods
        .get("/tenantry.business.v1.RecordService/WatchRecords")
        .expect("the method")
        .descriptor
        .clone();
    let opened = Call::new(&tenant.host, Some(&tenant.owner.token))
        .grpc(&tenant.world, &watch, &json!({}))
        .await;
    assert!(opened.is_ok(), "{opened:?}");
    text(&opened.response["resumeToken"])
}

async fn upload(tenant: &Tenant) -> String {
    let csv = ("text/csv", b"x,y\n1,2\n3,4\n".to_vec());
    let answer = tenant
        .rest()
        .try_send("POST", "/v1/imports:upload?filename=a.csv", Some(csv))
        .await
        .expect("an answer");
    text(&answer.ok()["import"]["name"])
}

async fn one_import(tenant: &Tenant) -> (String, String) {
    let import = upload(tenant).await;
    let rest = tenant.rest();
    let operation = rest
        .post(
            &format!("/v1/{import}:start"),
            json!({"objectType": "objectTypes/imported", "createType": true}),
        )
        .await
        .ok();
    let operation = text(&operation["name"]);
    eventually("the import is done", || async {
        let now = rest.get(&format!("/v1/{operation}")).await.ok();
        if now["done"] == json!(true) { Ok(()) } else { Err(now) }
    })
    .await;
    (import, operation)
}

/// The operator's things.
pub(crate) struct PlatformSide {
    pub(crate) operator: Operator,
    pub(crate) tenant: String,
    pub(crate) slug: String,
    pub(crate) plan: String,
    pub(crate) operation: String,
    owner: Rest,
}

impl PlatformSide {
    pub(crate) async fn new(operator: &Operator) -> Self {
        let tenant = operator.tenant("plat").await;
        let plan = format!("plans/{}", unique("p"));
        operator
            .rest
            .post(
                "/v1/plans",
                json!({"name": plan, "displayName": "x", "limits": {"requestsPerSecond": 1000}}),
            )
            .await
            .ok();
        let operations = operator.rest.get("/v1/platform/operations?pageSize=1").await.ok();
        let owner = tenant.rest();
        Self {
            operator: operator.clone(),
            tenant: format!("tenants/{}", tenant.id),
            slug: tenant.slug,
            plan,
            operation: text(&operations["operations"][0]["name"]),
            owner,
        }
    }
    pub(crate) fn fresh(&self, prefix: &str) -> String {
        unique(prefix)
    }
    pub(crate) async fn active(&self) -> String {
        format!("tenants/{}", self.operator.tenant("m").await.id)
    }
    pub(crate) async fn suspended(&self) -> String {
        let tenant = self.active().await;
        let operation = self
            .operator
            .rest
            .post(&format!("/v1/{tenant}:suspend"), json!({"reason": "test"}))
            .await
            .ok();
        self.operator.wait(operation["name"].as_str().expect("a name")).await;
        tenant
    }
    pub(crate) async fn deleted(&self) -> String {
        let tenant = self.active().await;
        let operation = self.operator.rest.delete(&format!("/v1/{tenant}")).await.ok();
        self.operator.wait(operation["name"].as_str().expect("a name")).await;
        tenant
    }
    pub(crate) async fn new_domain(&self) -> String {
        let domain = format!("domains/{}.example", unique("d"));
        self.owner.post("/v1/domains", json!({"name": domain})).await.ok();
        format!("{}/{domain}", self.tenant)
    }
    pub(crate) async fn token(&self, world: &World) -> String {
        Operator::sign_in(world).await.token
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
