//! What is revoked is refused everywhere: at the edge over REST and gRPC, and by a service that is called directly with
//! a transaction token from before. The contract says two seconds; the test prints how long it took.

use crate::{customers::tenant, lab::Lab};
use serde_json::json;
use std::time::{Duration, Instant};
use tenantry_api::{
    Methods,
    auth::{ExchangeCredentialRequest, token_service_client::TokenServiceClient},
    business::{GetRecordRequest, record_service_client::RecordServiceClient},
};
use tenantry_testkit::{World, eventually_within};
use tenantry_tests::{Call, Tenant};
use tonic::{Code, Request, transport::Endpoint};

/// A credential in use on three ways.
struct Use<'a> {
    tenant: &'a Tenant,
    record: String,
    credential: String,
    transaction_token: String,
}

async fn exchange(world: &World, tenant: &Tenant, credential: &str) -> String {
    let channel = Endpoint::from_shared(world.grpc_urls["auth"].clone())
        .expect("a URL")
        .connect_lazy();
    let mut request = Request::new(ExchangeCredentialRequest {
        credential: credential.to_owned(),
        audience: "business".to_owned(),
        tenant_id: tenant.id.clone(),
    });
    let secret = world.service_secrets["gateway"].parse().expect("hexadecimal");
    request
        .metadata_mut()
        .insert("x-tenantry-service", "gateway".parse().expect("a word"));
    request.metadata_mut().insert("x-tenantry-service-secret", secret);
    let answer = TokenServiceClient::new(channel).exchange_credential(request).await;
    answer.expect("the credential is good").into_inner().transaction_token
}

impl<'a> Use<'a> {
    async fn new(lab: &Lab, tenant: &'a Tenant, credential: &str) -> Self {
        let record = tenant.ticket("kept").await;
        let new = Self {
            tenant,
            record: record["name"].as_str().expect("a name").to_owned(),
            credential: credential.to_owned(),
            transaction_token: exchange(&lab.world, tenant, credential).await,
        };
        assert_eq!(new.rest().await, "200");
        assert_eq!(new.grpc().await, "Ok");
        assert_eq!(new.direct().await, "Ok");
        new
    }
    async fn rest(&self) -> String {
        let client = tenantry_tests::Rest::new(&self.tenant.world, &self.tenant.host).bearer(&self.credential);
        client.get(&format!("/v1/{}", self.record)).await.status.to_string()
    }
    async fn grpc(&self) -> String {
        let methods = Methods::load();
        let get = methods
            .get("/tenantry.business.v1.RecordService/GetRecord")
            .expect("the method");
        let call = Call::new(&self.tenant.host, Some(&self.credential));
        call.grpc(&self.tenant.world, &get.descriptor, &json!({"name": self.record}))
            .await
            .code
    }
    async fn direct(&self) -> String {
        let channel = Endpoint::from_shared(self.tenant.world.grpc_urls["business"].clone())
            .expect("a URL")
            .connect_lazy();
        let mut request = Request::new(GetRecordRequest {
            name: self.record.clone(),
        });
        let bearer = format!("Bearer {}", self.transaction_token);
        request
            .metadata_mut()
            .insert("authorization", bearer.parse().expect("a token"));
        match RecordServiceClient::new(channel).get_record(request).await {
            Ok(_) => "Ok".to_owned(),
            Err(status) => format!("{:?}", status.code()),
        }
    }
    /// Refused on all three ways.
    async fn becomes_refused(&self, what: &str) {
        let started = Instant::now();
        let refused = format!("{:?}", Code::Unauthenticated);
        // Far less than the life of a transaction token: it does not just run out.
        eventually_within(Duration::from_secs(20), what, || async {
            let seen = [self.rest().await, self.grpc().await, self.direct().await];
            if seen == ["401".to_owned(), refused.clone(), refused.clone()] {
                Ok(())
            } else {
                Err(seen)
            }
        })
        .await;
        println!("{what}: refused everywhere after {:?}", started.elapsed());
        // And it stays so.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!([self.rest().await, self.direct().await], ["401".to_owned(), refused]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_out_session_is_refused_everywhere() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let member = tenant.member("ROLE_MEMBER").await;
    let used = Use::new(&lab, &tenant, &member.token).await;
    tenant.as_member(&member).post("/v1/auth:signOut", json!({})).await.ok();
    used.becomes_refused("sign-out").await;
    assert!(
        tenant.rest().get("/v1/users").await.status == 200,
        "the owner is still signed in"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_member_is_refused_everywhere() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let member = tenant.member("ROLE_MEMBER").await;
    let used = Use::new(&lab, &tenant, &member.token).await;
    let path = format!("/v1/{}:disable", member.name);
    tenant.rest().post(&path, json!({})).await.ok();
    used.becomes_refused("disabled member").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_api_key_is_refused_everywhere() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let made = tenant
        .rest()
        .post("/v1/apiKeys", json!({"displayName": "k", "scopes": ["records.read"]}))
        .await
        .ok();
    let used = Use::new(&lab, &tenant, made["secret"].as_str().expect("a secret")).await;
    let path = format!("/v1/{}", made["apiKey"]["name"].as_str().expect("a name"));
    tenant.rest().delete(&path).await.ok();
    used.becomes_refused("deleted API key").await;
}

/// A revocation is not forgotten by a service that was dead when it happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_dead_during_the_revocation_refuses_too() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let member = tenant.member("ROLE_MEMBER").await;
    let used = Use::new(&lab, &tenant, &member.token).await;
    lab.hold("business").await;
    tenant.as_member(&member).post("/v1/auth:signOut", json!({})).await.ok();
    lab.release("business");
    lab.ready(&["business"]).await;
    used.becomes_refused("sign-out while business was dead").await;
}
