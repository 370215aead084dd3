//! The keys that data is sealed with, asked for over gRPC with the real credential of each service: a service that is taken
//! over opens what it seals itself, and nothing that another one keeps.

use tenantry_api::auth::{GetDataKeyRequest, key_service_client::KeyServiceClient};
use tenantry_testkit::World;
use tenantry_tests::Operator;
use tonic::{Code, Request, Status, transport::Endpoint};
use tonic_types::StatusExt;

/// Who seals what. Written out here once more: a purpose that is added to a service's must be added on purpose.
const PURPOSES: &[(&str, &[&str])] = &[
    ("business", &["cache", "page_token", "field", "file"]),
    ("registry", &["cache", "page_token", "field"]),
    ("backup", &["backup", "page_token"]),
    ("monitoring", &["page_token"]),
    ("gateway", &[]),
];
const ALL: [&str; 5] = ["backup", "cache", "page_token", "field", "file"];

async fn ask(world: &World, service: &str, tenant: &str, purpose: &str) -> Result<Vec<u8>, Status> {
    let auth = Endpoint::from_shared(world.grpc_urls["auth"].clone()).expect("a URL");
    let mut request = Request::new(GetDataKeyRequest {
        tenant_id: tenant.to_owned(),
        purpose: purpose.to_owned(),
        version: 0,
    });
    let headers = request.metadata_mut();
    headers.insert("x-tenantry-service", service.parse().expect("a word"));
    let secret = world.service_secrets[service].parse().expect("hexadecimal");
    headers.insert("x-tenantry-service-secret", secret);
    let answer = KeyServiceClient::new(auth.connect_lazy()).get_data_key(request).await?;
    Ok(answer.into_inner().key)
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_the_keys_of_its_own_purposes_and_no_others() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("keys").await;
    let mut refusals = 0;
    for (service, own) in PURPOSES {
        for purpose in ALL {
            let what = format!("{service} asks for {purpose}");
            match ask(&world, service, &tenant.id, purpose).await {
                Ok(key) => assert!(own.contains(&purpose) && key.len() == 32, "{what}"),
                Err(status) => {
                    assert!(!own.contains(&purpose), "{what}: {status:?}");
                    let refused = (status.code(), reason(&status));
                    assert_eq!(
                        refused,
                        (Code::PermissionDenied, "PERMISSION_DENIED".to_owned()),
                        "{what}"
                    );
                    let text = "Keys of this purpose belong to another service.";
                    assert_eq!(status.message(), text, "{what}");
                    refusals += 1;
                }
            }
        }
    }
    let own: usize = PURPOSES.iter().map(|(_, own)| own.len()).sum();
    assert_eq!(refusals, PURPOSES.len() * ALL.len() - own);
}
