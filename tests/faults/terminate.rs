//! SIGTERM, as every deployment sends it: what is in flight is finished, streams are cut, the process ends in time.

use crate::{
    customers::{ask_for_tenant, done, moves_in, tenant},
    lab::{Lab, SERVICES},
    patient::Patient,
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;
use tenantry_api::business::{WatchRecordsRequest, record_service_client::RecordServiceClient};
use tenantry_tests::{Answer, Rest, Tenant, channel_for, unique};
use tokio::task::JoinHandle;
use tonic::Request;

/// The contract is 10 s from SIGTERM; the rest is the supervisor's own time.
const DRAIN: Duration = Duration::from_secs(12);

/// A stream that never ends by itself.
async fn endless(tenant: &Tenant) -> JoinHandle<()> {
    let mut request = Request::new(WatchRecordsRequest::default());
    let bearer = format!("Bearer {}", tenant.owner.token);
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().expect("a token"));
    let mut stream = RecordServiceClient::new(channel_for(&tenant.world, &tenant.host))
        .watch_records(request)
        .await
        .expect("the stream opens")
        .into_inner();
    tokio::spawn(async move { while let Ok(Some(_)) = stream.message().await {} })
}

const ROWS: usize = 2_000;

/// An upload over a slow line: two seconds, whatever the machine.
pub(crate) async fn slow_upload(tenant: Tenant) -> Answer {
    let file = crate::customers::csv(ROWS);
    let parts: Vec<Vec<u8>> = file.chunks(file.len() / 20 + 1).map(<[u8]>::to_vec).collect();
    let body = futures::stream::iter(parts).then(|part| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, std::io::Error>(part)
    });
    let sent = reqwest::Client::new()
        .post(format!(
            "{}/v1/imports:upload?filename=slow.csv",
            tenant.world.gateway_url
        ))
        .header("host", &tenant.host)
        .header("content-type", "text/csv")
        .bearer_auth(&tenant.owner.token)
        .body(reqwest::Body::wrap_stream(body))
        .send();
    let answer = sent.await.expect("an answer");
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        text: answer.text().await.expect("a text"),
    }
}

/// Sends SIGTERM while `in_flight` waits and a stream is open.
async fn drains(lab: &Lab, service: &str, tenant: &Tenant, in_flight: JoinHandle<Answer>) -> Value {
    let stream = endless(tenant).await;
    // The request has to be in the process's hands before the signal.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        !in_flight.is_finished(),
        "the request is over already: it proves nothing"
    );
    let old = lab.signal(service, "TERM").await;
    let answer = in_flight.await.expect("the request did not panic");
    assert_eq!(answer.status, 200, "{service} dropped a request: {}", answer.text);
    lab.replaced(service, old, DRAIN).await;
    stream.abort();
    lab.ready(&SERVICES).await;
    answer.json()
}

/// An onboarding that cannot end while business is held gives a request that waits as long as it is told to.
async fn wait_for_stuck(operator: &Rest, operation: &str) -> JoinHandle<Answer> {
    let (operator, path) = (operator.clone(), format!("/v1/{operation}:wait"));
    tokio::spawn(async move { operator.post(&path, json!({"timeout": "2s"})).await })
}

async fn drains_a_waiting_request(service: &str) {
    let lab = Lab::enter().await;
    let operator = lab.operator().await;
    let patient = Patient::operator(&lab.world);
    let tenant = tenant(&operator).await;
    let stream_first = endless(&tenant).await;
    // Not business: that is where the stream ends. Without auth the onboarding cannot end either.
    let held = "auth";
    // Both tokens are exchanged and cached before auth goes away.
    operator.rest.get("/v1/tenants?pageSize=1").await.ok();
    let slug = unique("drain");
    lab.arm("auth.create_realm.before", "abort").await;
    std::fs::File::create(lab.world.pid_dir.join(format!("{held}.hold"))).expect("a hold file");
    let operation = ask_for_tenant(&patient, &slug).await;
    let waiting = wait_for_stuck(&operator.rest, &operation).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "nothing waits");
    let old = lab.signal(service, "TERM").await;
    let answer = waiting.await.expect("the request did not panic");
    assert_eq!(answer.status, 200, "{service} dropped a request: {}", answer.text);
    lab.replaced(service, old, DRAIN).await;
    stream_first.abort();
    lab.release(held);
    lab.ready(&SERVICES).await;
    let finished = done(&patient, &operation).await;
    moves_in(&lab.world, &slug, &finished).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_finishes_what_is_in_flight_and_ends() {
    drains_a_waiting_request("gateway").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_finishes_what_is_in_flight_and_ends() {
    drains_a_waiting_request("registry").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn business_finishes_what_is_in_flight_and_ends() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let upload = tokio::spawn(slow_upload(tenant.clone()));
    let answer = drains(&lab, "business", &tenant, upload).await;
    assert_eq!(answer["import"]["rowCount"], json!(ROWS.to_string()), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_finishes_what_is_in_flight_and_ends() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    // Passwords are checked by few workers: the last of these waits long enough to be in flight.
    let sign_ins: Vec<JoinHandle<Answer>> = (0..12)
        .map(|_| {
            let rest = Rest::new(&lab.world, &tenant.host);
            let body = json!({"email": tenant.owner.email, "password": tenant.owner.password});
            tokio::spawn(async move { rest.post("/v1/auth:signIn", body).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let old = lab.signal("auth", "TERM").await;
    let mut finished = 0;
    for sign_in in sign_ins {
        let answer = sign_in.await.expect("the request did not panic");
        // A request that arrived behind the signal may be told to come again, and nothing else.
        assert!(matches!(answer.status, 200 | 503), "{} {}", answer.status, answer.text);
        finished += usize::from(answer.status == 200);
    }
    assert!(finished > 0, "auth finished none of the requests in flight");
    lab.replaced("auth", old, DRAIN).await;
    lab.ready(&SERVICES).await;
    println!("auth finished {finished} of 12 sign-ins after SIGTERM");
}
