//! Makes tenants and members the way a customer would: through the public API.

use crate::Rest;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use tenantry_kernel::{Clock, SystemClock};
use tenantry_testkit::{World, eventually};

const PASSWORD: &str = "correct horse battery staple 7";

/// A name no other test of this or another run uses.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let micros = SystemClock.now().timestamp_micros();
    format!(
        "{prefix}{:x}{:x}{:x}",
        micros & 0xff_ffff_ffff,
        std::process::id() & 0xffff,
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

/// The signed-in operator.
#[derive(Clone)]
pub struct Operator {
    /// A client on the operator host.
    pub rest: Rest,
    /// Access token.
    pub token: String,
    world: World,
}

/// A member with their token.
#[derive(Clone, Debug)]
pub struct Member {
    /// `users/{id}`
    pub name: String,
    /// E-mail.
    pub email: String,
    /// Password.
    pub password: String,
    /// Access token.
    pub token: String,
    /// Refresh token.
    pub refresh: String,
}

/// A tenant with its owner.
#[derive(Clone)]
pub struct Tenant {
    /// The instance.
    pub world: World,
    /// Tenant id.
    pub id: String,
    /// Slug.
    pub slug: String,
    /// `<slug>.localhost:<port>`
    pub host: String,
    /// The owner.
    pub owner: Member,
}

impl Operator {
    /// Signs in as the bootstrapped operator.
    pub async fn sign_in(world: &World) -> Self {
        let host = world.host("operator");
        let rest = Rest::new(world, &host);
        let answer = rest
            .post(
                "/v1/auth:signIn",
                json!({"email": world.operator.email, "password": world.operator.password}),
            )
            .await
            .ok();
        let token = answer["accessToken"].as_str().expect("a token").to_owned();
        Self {
            rest: rest.bearer(&token),
            token,
            world: world.clone(),
        }
    }
    /// Starts onboarding and returns the operation's name and the slug.
    pub async fn start(&self, slug: &str, plan: &str) -> Value {
        let body = json!({"slug": slug, "displayName": format!("Test {slug}"), "plan": format!("plans/{plan}")});
        self.rest
            .send(
                "POST",
                &format!("/v1/tenants?adminEmail=owner@{slug}.example&adminDisplayName=Olga"),
                Some(&body),
            )
            .await
            .ok()
    }
    /// Waits for an operation and returns it.
    pub async fn wait(&self, operation: &str) -> Value {
        eventually(operation, || async {
            let now = self.rest.get(&format!("/v1/{operation}")).await.ok();
            if now["done"] == json!(true) { Ok(now) } else { Err(now) }
        })
        .await
    }
    /// Creates a tenant on the business plan with its owner signed in.
    pub async fn tenant(&self, prefix: &str) -> Tenant {
        let slug = unique(prefix);
        let operation = self.start(&slug, "enterprise").await;
        let done = self.wait(operation["name"].as_str().expect("a name")).await;
        assert!(done["response"].is_object(), "onboarding failed: {done}");
        let tenant = &done["response"]["tenant"];
        let link = done["response"]["inviteUri"].as_str().expect("an invite link");
        let host = self.world.host(&slug);
        let email = format!("owner@{slug}.example");
        let owner = Member::accept(&self.world, &host, &email, link).await;
        Tenant {
            world: self.world.clone(),
            id: tenant["tenantId"].as_str().expect("an id").to_owned(),
            slug,
            host,
            owner,
        }
    }
}

impl Member {
    /// Uses an invite link and signs in.
    pub async fn accept(world: &World, host: &str, email: &str, link: &str) -> Self {
        let token = link.split("token=").nth(1).expect("a token in the link");
        let rest = Rest::new(world, host);
        let accept = || async {
            let answer = rest
                .post("/v1/auth:acceptLink", json!({"linkToken": token, "password": PASSWORD}))
                .await;
            // The route of a new tenant reaches the gateway within two seconds.
            if answer.status == 200 {
                Ok(answer.json())
            } else {
                Err(answer.text)
            }
        };
        let accepted = eventually("the invite link works", accept).await;
        let name = accepted["user"]["name"].as_str().expect("a user").to_owned();
        Self::sign_in(world, host, email, &name).await
    }
    /// Signs in with the password every test member has.
    pub async fn sign_in(world: &World, host: &str, email: &str, name: &str) -> Self {
        let answer = Rest::new(world, host)
            .post("/v1/auth:signIn", json!({"email": email, "password": PASSWORD}))
            .await
            .ok();
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Self {
            name: name.to_owned(),
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            token: text("accessToken"),
            refresh: text("refreshToken"),
        }
    }
}

impl Tenant {
    /// A client as the owner on the tenant's host.
    #[must_use]
    pub fn rest(&self) -> Rest {
        self.as_member(&self.owner)
    }
    /// A client as any member.
    #[must_use]
    pub fn as_member(&self, member: &Member) -> Rest {
        Rest::new(&self.world, &self.host).bearer(&member.token)
    }
    /// Invites a member with a role (`ROLE_VIEWER`) and signs them in.
    pub async fn member(&self, role: &str) -> Member {
        let email = format!("{}@{}.example", unique("m"), self.slug);
        let answer = self
            .rest()
            .post("/v1/users", json!({"email": email, "role": role, "displayName": "Mia"}))
            .await
            .ok();
        let link = answer["inviteUri"].as_str().expect("an invite link");
        Member::accept(&self.world, &self.host, &email, link).await
    }
    /// Makes an API key with these scopes and returns its secret.
    pub async fn api_key(&self, scopes: &[&str]) -> String {
        let answer = self
            .rest()
            .post("/v1/apiKeys", json!({"displayName": "test", "scopes": scopes}))
            .await
            .ok();
        answer["secret"].as_str().expect("a secret").to_owned()
    }
    /// Makes the types `people` and `tickets` (a ticket refers to a person; e-mail is unique).
    pub async fn help_desk(&self) {
        let people = json!({"name": "objectTypes/people", "displayName": "People", "fields": [
            {"fieldId": "email", "type": "FIELD_TYPE_STRING", "maxLength": 200, "required": true, "unique": true},
            {"fieldId": "born", "type": "FIELD_TYPE_DATE"}]});
        self.rest().post("/v1/objectTypes", people).await.ok();
        let tickets = json!({"name": "objectTypes/tickets", "displayName": "Tickets", "fields": [
            {"fieldId": "title", "type": "FIELD_TYPE_STRING", "required": true, "maxLength": 100},
            {"fieldId": "status", "type": "FIELD_TYPE_ENUM", "enumValues": ["open", "closed"], "indexed": true},
            {"fieldId": "priority", "type": "FIELD_TYPE_INT64", "indexed": true},
            {"fieldId": "cost", "type": "FIELD_TYPE_DECIMAL", "scale": 2},
            {"fieldId": "ratio", "type": "FIELD_TYPE_DOUBLE"},
            {"fieldId": "urgent", "type": "FIELD_TYPE_BOOL"},
            {"fieldId": "due", "type": "FIELD_TYPE_TIMESTAMP"},
            {"fieldId": "extra", "type": "FIELD_TYPE_JSON"},
            {"fieldId": "requester", "type": "FIELD_TYPE_REFERENCE", "referenceType": "objectTypes/people"}]});
        self.rest().post("/v1/objectTypes", tickets).await.ok();
    }
    /// Adds a ticket and returns it.
    pub async fn ticket(&self, title: &str) -> Value {
        self.rest()
            .post(
                "/v1/objectTypes/tickets/records",
                json!({"fields": {"title": title, "status": "open", "priority": 1}}),
            )
            .await
            .ok()
    }
}
