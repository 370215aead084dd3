//! Makes the tenants as customers are made: by the operator through the public API, each with an owner, an API key (it
//! does not expire while the load runs), one object type and some records.

use crate::{args::Args, instance::Instance, progress::Progress};
use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tenantry_tests::{Answer, Rest, unique};
use tokio::sync::Mutex;
use uuid::Uuid;

/// The object type of the load.
pub(crate) const TYPE: &str = "tickets";
const PASSWORD: &str = "correct horse battery staple 7";
const BATCH: u32 = 100;
const POLL: Duration = Duration::from_millis(50);
/// A new tenant's route reaches everybody within two seconds; a busy machine may need more.
const PATIENCE: Duration = Duration::from_secs(120);
/// The operator signs in again before the access token ends.
const SIGN_IN_EVERY: Duration = Duration::from_secs(240);

/// A tenant to be asked.
#[derive(Clone, Debug)]
pub(crate) struct LoadTenant {
    /// Its id.
    pub(crate) id: Uuid,
    /// In the title of each of its records: an answer with another tenant's record is noticed.
    pub(crate) slug: String,
    /// API key.
    pub(crate) key: String,
    /// Ids of its records.
    pub(crate) records: Vec<Uuid>,
}

impl LoadTenant {
    /// Schema of its data.
    pub(crate) fn schema(&self) -> String {
        format!("t_{}", self.id.simple())
    }
    /// `objectTypes/tickets/records/{id}`
    pub(crate) fn record_name(&self, index: usize) -> String {
        format!("objectTypes/{TYPE}/records/{}", self.records[index])
    }
    #[cfg(test)]
    pub(crate) fn example(n: u128) -> Self {
        Self {
            id: Uuid::from_u128(n),
            slug: format!("load{n}"),
            key: String::new(),
            records: vec![Uuid::nil(); 10],
        }
    }
}

/// How long onboarding took: from CreateTenant to the end of its operation, which is polled.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Onboarding {
    /// How many.
    pub(crate) tenants: u32,
    /// How many at a time.
    pub(crate) concurrency: u32,
    /// All of it, sign-in and example data included.
    pub(crate) wall_seconds: f64,
    /// Of the operation.
    pub p50_ms: f64,
    /// Of the operation.
    pub p95_ms: f64,
    /// Of the operation.
    pub(crate) max_ms: f64,
}

/// Creates the tenants.
pub(crate) async fn tenants(instance: &Instance, args: &Args) -> Result<(Onboarding, Vec<LoadTenant>)> {
    let setup = Setup::new(instance, args, unique("load"));
    let (started, progress) = (Instant::now(), Progress::new("tenants", u64::from(args.tenants)));
    let made: Vec<(Duration, LoadTenant)> = stream::iter(0..args.tenants)
        .map(|n| setup.tenant(n, &progress))
        .buffered(args.setup_concurrency as usize)
        .try_collect()
        .await?;
    let wall = started.elapsed();
    let mut times = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).context("no histogram")?;
    for (time, _) in &made {
        times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
    let ms = |micros: u64| micros as f64 / 1000.0;
    let onboarding = Onboarding {
        tenants: args.tenants,
        concurrency: args.setup_concurrency,
        wall_seconds: wall.as_secs_f64(),
        p50_ms: ms(times.value_at_quantile(0.5)),
        p95_ms: ms(times.value_at_quantile(0.95)),
        max_ms: ms(times.max()),
    };
    Ok((onboarding, made.into_iter().map(|(_, tenant)| tenant).collect()))
}

/// One more tenant: its slug.
pub(crate) async fn single(instance: &Instance, args: &Args) -> Result<String> {
    let setup = Setup::new(instance, args, unique("snap"));
    let (_, tenant) = setup.make(&format!("{}-0", setup.run)).await?;
    Ok(tenant.slug)
}

/// The owner of a tenant made here, with a new access token.
pub(crate) async fn sign_in(instance: &Instance, slug: &str) -> Result<Rest> {
    let guest = Rest::new(&instance.world, &instance.world.host(slug));
    let body = json!({"email": format!("owner@{slug}.example"), "password": PASSWORD});
    let session = call(&guest, "POST", "/v1/auth:signIn", Some(&body)).await?;
    Ok(guest.bearer(text(&session, "accessToken")?))
}

struct Setup<'a> {
    instance: &'a Instance,
    args: &'a Args,
    /// On the operator's host, without a credential.
    rest: Rest,
    operator: Mutex<Option<(Instant, Arc<Rest>)>>,
    run: String,
}

impl<'a> Setup<'a> {
    fn new(instance: &'a Instance, args: &'a Args, run: String) -> Self {
        Self {
            instance,
            args,
            rest: Rest::new(&instance.world, &instance.world.host("operator")),
            operator: Mutex::default(),
            run,
        }
    }

    async fn tenant(&self, n: u32, progress: &Progress) -> Result<(Duration, LoadTenant)> {
        let slug = format!("{}-{n}", self.run);
        let tenant = self.make(&slug).await.with_context(|| format!("tenant {slug}"))?;
        progress.step();
        Ok(tenant)
    }

    async fn make(&self, slug: &str) -> Result<(Duration, LoadTenant)> {
        let email = format!("owner@{slug}.example");
        let started = Instant::now();
        let result = self.onboard(slug, &email).await?;
        let onboarded = started.elapsed();
        let host = self.instance.world.host(slug);
        let guest = self.rest.clone().on(&host);
        let link = text(&result, "inviteUri")?;
        let link = link.split("token=").nth(1).context("no token in the invite link")?;
        accept(&guest, &json!({"linkToken": link, "password": PASSWORD})).await?;
        let sign_in = json!({"email": email, "password": PASSWORD});
        let session = call(&guest, "POST", "/v1/auth:signIn", Some(&sign_in)).await?;
        let owner = guest.bearer(text(&session, "accessToken")?);
        let key = json!({"displayName": "load", "scopes": ["records.read", "records.write"]});
        let key = call(&owner, "POST", "/v1/apiKeys", Some(&key)).await?;
        call(&owner, "POST", "/v1/objectTypes", Some(&object_type())).await?;
        let tenant = LoadTenant {
            id: text(&result["tenant"], "tenantId")?
                .parse()
                .context("the tenant's id")?,
            slug: slug.to_owned(),
            key: text(&key, "secret")?.to_owned(),
            records: self.fill(&owner, slug).await?,
        };
        Ok((onboarded, tenant))
    }

    async fn onboard(&self, slug: &str, email: &str) -> Result<Value> {
        let operator = self.operator().await?;
        let body = json!({"slug": slug, "displayName": slug, "plan": format!("plans/{}", self.args.plan)});
        let path = format!("/v1/tenants?adminEmail={email}&adminDisplayName=Olga");
        let operation = call(&operator, "POST", &path, Some(&body)).await?;
        let path = format!("/v1/{}", text(&operation, "name")?);
        let until = Instant::now() + PATIENCE;
        loop {
            let operation = call(&*self.operator().await?, "GET", &path, None).await?;
            if operation["done"] == json!(true) {
                let response = &operation["response"];
                return match response.is_object() {
                    true => Ok(response.clone()),
                    false => bail!("onboarding failed: {operation}"),
                };
            }
            if Instant::now() > until {
                bail!("onboarding takes longer than {} s: {operation}", PATIENCE.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn operator(&self) -> Result<Arc<Rest>> {
        let mut operator = self.operator.lock().await;
        if let Some((since, rest)) = operator.as_ref()
            && since.elapsed() < SIGN_IN_EVERY
        {
            return Ok(rest.clone());
        }
        let sign_in = &self.instance.world.operator;
        let body = json!({"email": sign_in.email, "password": sign_in.password});
        let session = call(&self.rest, "POST", "/v1/auth:signIn", Some(&body)).await?;
        let rest = Arc::new(self.rest.clone().bearer(text(&session, "accessToken")?));
        *operator = Some((Instant::now(), rest.clone()));
        Ok(rest)
    }

    async fn fill(&self, owner: &Rest, slug: &str) -> Result<Vec<Uuid>> {
        let mut ids = Vec::new();
        for first in (0..self.args.records).step_by(BATCH as usize) {
            let requests: Vec<Value> = (first..self.args.records.min(first + BATCH))
                .map(|n| {
                    let status = if n % 2 == 0 { "open" } else { "closed" };
                    json!({"record": {"fields": {"title": format!("{slug} {n}"), "status": status, "priority": n}}})
                })
                .collect();
            let path = format!("/v1/objectTypes/{TYPE}/records:batchCreate");
            let made = call(owner, "POST", &path, Some(&json!({"requests": requests}))).await?;
            for record in made["records"].as_array().context("no records in the answer")? {
                let id = text(record, "name")?.rsplit('/').next().unwrap_or_default();
                ids.push(id.parse().context("a record's id")?);
            }
        }
        Ok(ids)
    }
}

fn object_type() -> Value {
    json!({"name": format!("objectTypes/{TYPE}"), "displayName": "Tickets", "fields": [
        {"fieldId": "title", "type": "FIELD_TYPE_STRING", "required": true, "maxLength": 100},
        {"fieldId": "status", "type": "FIELD_TYPE_ENUM", "enumValues": ["open", "closed"], "indexed": true},
        {"fieldId": "priority", "type": "FIELD_TYPE_INT64", "indexed": true}]})
}

/// Sends JSON, demands success.
pub(crate) async fn call(rest: &Rest, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let answer = send(rest, method, path, body).await?;
    match answer.status {
        200..300 => Ok(answer.json()),
        status => bail!("{method} {path}: {status} {}", answer.text),
    }
}

async fn send(rest: &Rest, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
    let bytes = body.map(|body| ("application/json", body.to_string().into_bytes()));
    let answer = rest.try_send(method, path, bytes).await;
    answer.with_context(|| format!("{method} {path}"))
}

/// The gateway does not know at once that the new tenant's host is there and active.
async fn accept(guest: &Rest, body: &Value) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = send(guest, "POST", "/v1/auth:acceptLink", Some(body)).await?;
        match answer.status {
            200..300 => return Ok(()),
            404 | 409 if Instant::now() < until => tokio::time::sleep(POLL).await,
            status => bail!("the invite link: {status} {}", answer.text),
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("no {name} in {value}"))
}
