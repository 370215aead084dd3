//! One request is one tree of spans, from the gateway to the service that reads its event, at a real OTLP collector: the
//! test is the collector. A development instance exports to port base + 30, where normally nobody listens.

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value as Any},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tenantry_testkit::{World, eventually_within};
use tenantry_tests::{Operator, unique};
use tonic::{Request, Response, Status, transport::Server};

/// Spans leave every five seconds; a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
const OF_SERVICE: &str = "service.name";
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// A span as the collector got it.
#[derive(Clone, Debug)]
struct Span {
    id: String,
    parent: String,
    trace: String,
    name: String,
    kind: i32,
    attributes: BTreeMap<String, String>,
}

impl Span {
    fn is(&self, service: &str, kind: i32) -> bool {
        self.attributes.get(OF_SERVICE).is_some_and(|name| name == service) && self.kind == kind
    }
    fn has(&self, key: &str, value: &str) -> bool {
        self.attributes.get(key).is_some_and(|found| found == value)
    }
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().expect("not poisoned");
        for resource in request.into_inner().resource_spans {
            let service: Vec<_> = resource
                .resource
                .into_iter()
                .flat_map(|resource| resource.attributes)
                .collect();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                kept.push(Span {
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    trace: hex(&span.trace_id),
                    name: span.name,
                    kind: span.kind,
                    attributes: service.iter().chain(&span.attributes).map(text).collect(),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(attribute: &KeyValue) -> (String, String) {
    let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        Some(Any::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    (attribute.key.clone(), value)
}

impl Collector {
    async fn listen(world: &World) -> Self {
        let collector = Self::default();
        let address = ([127, 0, 0, 1], world.ports.gateway + 30).into();
        let server = Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(async move { server.serve(address).await.expect("port base + 30 is free") });
        collector
    }
    fn of(&self, trace: &str) -> Vec<Span> {
        let kept = self.0.lock().expect("not poisoned");
        kept.iter().filter(|span| span.trace == trace).cloned().collect()
    }
}

/// The one span below `parent` that fits; what there is instead, if there is none.
fn below<'a>(spans: &'a [Span], parent: &str, what: &str, fits: impl Fn(&Span) -> bool) -> Result<&'a Span, String> {
    let found = spans.iter().find(|span| span.parent == parent && fits(span));
    found.ok_or_else(|| {
        let names: Vec<_> = spans
            .iter()
            .map(|span| {
                format!(
                    "{} <- {} {}/{}",
                    span.id, span.parent, span.attributes[OF_SERVICE], span.name
                )
            })
            .collect();
        format!("no {what} below {parent} among\n{}", names.join("\n"))
    })
}

/// Gateway, its call, business, its SQL, its event on the wire, monitoring, monitoring's SQL.
fn tree(spans: &[Span], root: &str) -> Result<[Span; 7], String> {
    let edge = below(spans, root, "edge", |span| span.is("tenantry-gateway", SERVER))?;
    let call = below(spans, &edge.id, "call", |span| span.is("tenantry-gateway", CLIENT))?;
    let rpc = below(spans, &call.id, "rpc", |span| span.is("tenantry-business", SERVER))?;
    let sql = below(spans, &rpc.id, "INSERT", |span| {
        span.is("tenantry-business", CLIENT) && span.has("db.operation.name", "INSERT")
    })?;
    let publish = below(spans, &rpc.id, "publish", |span| span.is("tenantry-business", PRODUCER))?;
    let process = below(spans, &publish.id, "process", |span| {
        span.is("tenantry-monitoring", CONSUMER)
    })?;
    let kept = below(spans, &process.id, "monitoring's SQL", |span| {
        span.is("tenantry-monitoring", CLIENT) && span.has("db.operation.name", "INSERT")
    })?;
    Ok([edge, call, rpc, sql, publish, process, kept].map(Clone::clone))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_one_tree_from_the_gateway_to_the_reader_of_its_event() {
    let world = World::load();
    let collector = Collector::listen(&world).await;
    let tenant = Operator::sign_in(&world).await.tenant("trace").await;
    let (trace, root) = ("4bf92f3577b34da6".to_owned() + &hex(&fresh()), "00f067aa0ba902b7");
    let (type_id, request) = (unique("t"), unique("request-"));
    let body = json!({"name": format!("objectTypes/{type_id}"), "displayName": "Top secret label",
        "fields": [{"fieldId": "mail", "type": "FIELD_TYPE_STRING", "maxLength": 100}]});
    let traced = |id: &str| {
        let parent = format!("00-{trace}-{root}-01");
        tenant.rest().header("traceparent", &parent).header("x-request-id", id)
    };
    traced(&request).post("/v1/objectTypes", body).await.ok();
    let record = json!({"fields": {"mail": "nobody@secret.example"}});
    let path = format!("/v1/objectTypes/{type_id}/records");
    let second = unique("record-");
    traced(&second).post(&path, record).await.ok();

    let found = eventually_within(PATIENCE, "the tree is whole", || async {
        let spans = collector.of(&trace);
        let record = spans
            .iter()
            .any(|span| span.name.ends_with("RecordService/CreateRecord") && span.kind == SERVER);
        if !record {
            return Err("the second request has not arrived".to_owned());
        }
        tree(&spans, root)
    })
    .await;
    let [edge, call, rpc, sql, publish, process, kept] = &found;
    assert_eq!(edge.attributes["http.response.status_code"], "200", "{edge:?}");
    assert_eq!(edge.attributes["http.request.method"], "POST");
    assert!(edge.name.contains("objectTypes"), "the route's pattern: {edge:?}");
    assert_eq!(call.name, rpc.name);
    assert!(
        rpc.has("rpc.system", "grpc") && rpc.has("rpc.grpc.status_code", "0"),
        "{rpc:?}"
    );
    for span in [sql, kept] {
        assert!(span.has("db.system.name", "postgresql"), "{span:?}");
    }
    for span in [publish, process] {
        assert!(span.has("messaging.system", "rabbitmq"), "{span:?}");
        assert_eq!(
            span.attributes["messaging.message.id"],
            publish.attributes["messaging.message.id"]
        );
    }
    for span in [edge, call, rpc] {
        assert!(span.has("request.id", &request), "{span:?}");
    }
    for span in [edge, call, rpc, publish, process] {
        assert!(span.has("tenant.id", &tenant.id), "{span:?}");
    }
    // Making a type is DDL, which is nobody's; a record is written as its tenant.
    let spans = collector.of(&trace);
    let written = |span: &&Span| span.has("db.operation.name", "INSERT") && span.has("request.id", &second);
    let insert = spans.iter().find(written).expect("the record's INSERT");
    assert!(insert.has("tenant.id", &tenant.id), "{insert:?}");
    nothing_private(&collector, &world, &tenant.owner.token);
}

/// Over every span of every service since the collector began, sign-ins included.
fn nothing_private(collector: &Collector, world: &World, token: &str) {
    let mut private = vec![
        "@".to_owned(),      // e-mail
        "eyJ".to_owned(),    // tokens
        "secret".to_owned(), // labels and values of this test
        token.to_owned(),
        world.operator.password.clone(),
        "correct horse".to_owned(),
    ];
    private.extend(world.service_secrets.values().cloned());
    let kept = collector.0.lock().expect("not poisoned");
    assert!(kept.len() > 20, "{} spans", kept.len());
    for span in kept.iter() {
        for value in span.attributes.values().chain([&span.name]) {
            for private in &private {
                assert!(!value.contains(private.as_str()), "{span:?}");
            }
        }
    }
}

/// Half of a trace id.
fn fresh() -> [u8; 8] {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish().to_be_bytes()
}
