//! The load through the gateway, on the shared API host: the tenant is the API key's.

use crate::{
    args::Args,
    engine::Target,
    instance::Instance,
    plan::{Job, Kind},
    setup::{LoadTenant, TYPE},
};
use anyhow::{Context, Result, ensure};
use futures::future::BoxFuture;
use prost_types::{FieldMask, Struct, Value, value::Kind as ValueKind};
use reqwest::header::AUTHORIZATION;
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tenantry_api::business::{
    GetRecordRequest, ListRecordsRequest, Record, UpdateRecordRequest, record_service_client::RecordServiceClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

/// Records in a page of the list.
pub(crate) const PAGE: i32 = 20;
const FILTER: &str = "status = \"open\"";
const ORDER: &str = "priority desc";

/// gRPC on a few connections.
pub(crate) struct Grpc {
    tenants: Arc<[LoadTenant]>,
    tokens: Vec<MetadataValue<Ascii>>,
    clients: Vec<RecordServiceClient<Channel>>,
    next: AtomicUsize,
}

impl Grpc {
    /// Connects when first used.
    pub(crate) fn new(instance: &Instance, args: &Args, tenants: &Arc<[LoadTenant]>) -> Result<Self> {
        let endpoint = Endpoint::from_shared(instance.world.gateway_url.clone())?;
        let token = |tenant: &LoadTenant| {
            format!("Bearer {}", tenant.key)
                .parse()
                .context("the key is no header value")
        };
        Ok(Self {
            tokens: tenants.iter().map(token).collect::<Result<_>>()?,
            tenants: tenants.clone(),
            clients: (0..args.connections)
                .map(|_| RecordServiceClient::new(endpoint.connect_lazy()))
                .collect(),
            next: AtomicUsize::new(0),
        })
    }
}

impl Target for Grpc {
    fn ask(&self, job: Job) -> BoxFuture<'static, Result<()>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
        let (client, token) = (self.clients[turn].clone(), self.tokens[job.tenant].clone());
        let tenants = self.tenants.clone();
        Box::pin(async move { ask_grpc(client, token, &tenants[job.tenant], job).await })
    }
}

async fn ask_grpc(
    mut client: RecordServiceClient<Channel>,
    token: MetadataValue<Ascii>,
    tenant: &LoadTenant,
    job: Job,
) -> Result<()> {
    let name = tenant.record_name(job.record);
    match job.kind {
        Kind::Get => {
            let request = with(token, GetRecordRequest { name });
            let answer = client.get_record(request).await.map_err(|status| refused(&status))?;
            is_of(tenant, answer.into_inner().record.as_ref())
        }
        Kind::List => {
            let request = ListRecordsRequest {
                parent: format!("objectTypes/{TYPE}"),
                page_size: PAGE,
                filter: FILTER.to_owned(),
                order_by: ORDER.to_owned(),
                ..ListRecordsRequest::default()
            };
            let answer = client.list_records(with(token, request)).await;
            let records = answer.map_err(|status| refused(&status))?.into_inner().records;
            ensure!(!records.is_empty(), "an empty list");
            records.iter().try_for_each(|record| is_of(tenant, Some(record)))
        }
        Kind::Write => {
            let priority = Value {
                kind: Some(ValueKind::NumberValue(f64::from(job.priority))),
            };
            let fields = [("priority".to_owned(), priority)].into();
            let request = UpdateRecordRequest {
                record: Some(Record {
                    name,
                    fields: Some(Struct { fields }),
                    ..Record::default()
                }),
                update_mask: Some(FieldMask {
                    paths: vec!["fields.priority".to_owned()],
                }),
                request_id: String::new(),
            };
            let answer = client.update_record(with(token, request)).await;
            is_of(
                tenant,
                answer.map_err(|status| refused(&status))?.into_inner().record.as_ref(),
            )
        }
    }
}

fn with<T>(token: MetadataValue<Ascii>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", token);
    request
}

/// Without request ids, so that equal errors are counted as one.
fn refused(status: &Status) -> anyhow::Error {
    let reason = status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default();
    anyhow::anyhow!("{:?} {reason}: {}", status.code(), status.message())
}

fn is_of(tenant: &LoadTenant, record: Option<&Record>) -> Result<()> {
    let fields = record.and_then(|record| record.fields.as_ref());
    match fields.and_then(|fields| fields.fields.get("title")?.kind.as_ref()) {
        Some(ValueKind::StringValue(title)) => check_title(tenant, title),
        _ => anyhow::bail!("a record without a title"),
    }
}

/// Every title begins with its tenant's slug.
pub(crate) fn check_title(tenant: &LoadTenant, title: &str) -> Result<()> {
    let rest = title.strip_prefix(&tenant.slug);
    ensure!(
        rest.is_some_and(|rest| rest.starts_with(' ')),
        "A RECORD OF ANOTHER TENANT"
    );
    Ok(())
}

/// JSON over HTTP/1.1 with kept connections.
pub(crate) struct Rest {
    http: reqwest::Client,
    base: Arc<str>,
    tenants: Arc<[LoadTenant]>,
}

impl Rest {
    /// Connects when first used.
    pub(crate) fn new(instance: &Instance, tenants: &Arc<[LoadTenant]>) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().build()?,
            base: instance.world.gateway_url.as_str().into(),
            tenants: tenants.clone(),
        })
    }
}

impl Target for Rest {
    fn ask(&self, job: Job) -> BoxFuture<'static, Result<()>> {
        let (http, base, tenants) = (self.http.clone(), self.base.clone(), self.tenants.clone());
        Box::pin(async move { ask_rest(&http, &base, &tenants[job.tenant], job).await })
    }
}

async fn ask_rest(http: &reqwest::Client, base: &str, tenant: &LoadTenant, job: Job) -> Result<()> {
    let name = tenant.record_name(job.record);
    let request = match job.kind {
        Kind::Get => http.get(format!("{base}/v1/{name}")),
        Kind::List => http.get(format!("{base}/v1/objectTypes/{TYPE}/records")).query(&[
            ("pageSize", PAGE.to_string().as_str()),
            ("filter", FILTER),
            ("orderBy", ORDER),
        ]),
        Kind::Write => http
            .patch(format!("{base}/v1/{name}?updateMask=fields.priority"))
            .json(&json!({"fields": {"priority": job.priority}})),
    };
    let answer = request
        .header(AUTHORIZATION, format!("Bearer {}", tenant.key))
        .send()
        .await?;
    let status = answer.status();
    let body: serde_json::Value = answer.json().await.with_context(|| format!("{status} without JSON"))?;
    ensure!(status.is_success(), "{status} {}: {}", body["reason"], body["detail"]);
    let title = |record: &serde_json::Value| {
        let title = record["fields"]["title"].as_str().context("a record without a title")?;
        check_title(tenant, title)
    };
    match job.kind {
        Kind::List => {
            let records = body["records"].as_array().filter(|records| !records.is_empty());
            records.context("an empty list")?.iter().try_for_each(title)
        }
        Kind::Get | Kind::Write => title(&body),
    }
}
