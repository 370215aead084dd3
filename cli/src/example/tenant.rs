//! One tenant from nothing to full: onboarding, owner, members, brand, types, records, imports.

use super::{
    declared::Tenant,
    imports, members, records,
    report::Report,
    state::{Logins, World},
    types,
};
use crate::{
    Exit, Failure,
    http::{Api, Call},
    operations,
};
use serde_json::{Value, json};
use std::time::Duration;
use tenantry_kernel::{Ids, SystemIds};

/// Onboarding is a saga over three services; it is retried inside and takes about a second.
const ONBOARDING: Duration = Duration::from_secs(120);
/// A resumed tenant or a new plan is known everywhere within two seconds; asked for a little longer.
const KNOWN_EVERYWHERE: u32 = 50;

/// What there is in the end.
pub(crate) struct Loaded {
    /// Object types.
    pub(crate) types: usize,
    /// Records that the files declare.
    pub(crate) records: usize,
}

/// Loads one tenant.
///
/// # Errors
/// What the server said; a tenant of that name that somebody else has made.
pub(crate) async fn load(
    world: &World,
    operator: &Api,
    declared: &Tenant,
    logins: &mut Logins,
    report: &mut Report,
) -> Result<Loaded, Failure> {
    report.step(&format!("{}: tenant", declared.slug), 0);
    onboard(operator, declared, logins, report).await?;
    let owner = sign_in_owner(world, operator, declared, logins, report).await?;
    members::load(world, &owner, declared, logins, report).await?;
    brand(&owner, declared, report).await?;
    types::load(&owner, declared, report).await?;
    let mut count = records::load(&owner, declared, report).await?;
    count += imports::load(&owner, declared, report).await?;
    Ok(Loaded {
        types: declared.types.len() + declared.imports.len(),
        records: count,
    })
}

/// Makes the tenant if it is not there. One that is there must be one of ours: of another we have no login.
async fn onboard(operator: &Api, declared: &Tenant, logins: &mut Logins, report: &mut Report) -> Result<(), Failure> {
    let slug = &declared.slug;
    let known = logins.of(slug).cloned();
    match (operator.send(Call::get(&format!("/v1/tenants/{slug}"))).await, known) {
        // The last run ended before it knew the operation.
        (Ok(_), Some(known)) if known.operation.is_empty() => {
            create(operator, declared, &known.request_id, logins, report).await
        }
        (Ok(tenant), Some(_)) => update(operator, declared, &tenant, report).await,
        (Ok(_), None) => {
            let logins = logins.path().display();
            let message = format!(
                "a tenant of this name exists, and {logins} has no login for it. Delete it (`tenantctl tenants delete {slug} \
                 --purge --yes-destroy {slug}`) or start with a new instance."
            );
            Err(Failure::new(Exit::Conflict, message))
        }
        (Err(failure), _) if failure.exit() == Exit::NotFound => {
            // Written before it is used: whatever happens, the next run asks for the same creation.
            let request_id = SystemIds.new_v7().to_string();
            logins.begin(slug, &request_id)?;
            create(operator, declared, &request_id, logins, report).await
        }
        (Err(failure), _) => Err(failure),
    }
}

async fn create(
    operator: &Api,
    declared: &Tenant,
    request_id: &str,
    logins: &mut Logins,
    report: &mut Report,
) -> Result<(), Failure> {
    let (owner, plan) = (&declared.members[0], format!("plans/{}", declared.plan));
    let body = json!({"slug": declared.slug, "displayName": declared.display_name, "plan": plan});
    let call = Call::post("/v1/tenants", &body).once(request_id);
    let call = call.query("adminEmail", owner.email.as_str());
    let operation = operator
        .send(call.query("adminDisplayName", owner.display_name.as_str()))
        .await?;
    logins.begun(&declared.slug, operation["name"].as_str().unwrap_or_default())?;
    report.changed(&format!("{}: tenant on plan {}", declared.slug, declared.plan));
    Ok(())
}

async fn update(operator: &Api, declared: &Tenant, tenant: &Value, report: &mut Report) -> Result<(), Failure> {
    let plan = format!("plans/{}", declared.plan);
    if tenant["state"] == "TENANT_STATE_CREATING"
        || (tenant["plan"] == plan.as_str() && tenant["displayName"] == declared.display_name.as_str())
    {
        return Ok(());
    }
    let path = format!("/v1/{}", tenant["name"].as_str().unwrap_or_default());
    let body = json!({"displayName": declared.display_name, "plan": plan, "etag": tenant["etag"]});
    operator
        .send(Call::patch(&path, &body).query("updateMask", "displayName,plan"))
        .await?;
    report.changed(&format!(
        "{}: plan {} and name {}",
        declared.slug, declared.plan, declared.display_name
    ));
    Ok(())
}

/// Signs the first owner in; the first time through the invite link in the operation's response.
async fn sign_in_owner(
    world: &World,
    operator: &Api,
    declared: &Tenant,
    logins: &mut Logins,
    report: &mut Report,
) -> Result<Api, Failure> {
    let owner = &declared.members[0];
    let known = logins
        .of(&declared.slug)
        .is_some_and(|tenant| tenant.members.iter().any(|member| member.email == owner.email));
    let password = logins.password(&declared.slug, &owner.email, &owner.role)?;
    let name = logins
        .of(&declared.slug)
        .map(|tenant| tenant.operation.clone())
        .unwrap_or_default();
    if known {
        match world.member_api(&declared.slug, &owner.email, &password).await {
            // The link may not have been used yet when the last run ended.
            Err(failure) if failure.exit() == Exit::Denied && !name.is_empty() => {}
            other => return other,
        }
    }
    let operation = operations::wait(operator, json!({"name": name}), ONBOARDING, &report.operation_bar()).await?;
    let link = operation["response"]["inviteUri"].as_str().unwrap_or_default();
    routed(world, &declared.slug).await?;
    members::accept(world, &declared.slug, link, &password).await?;
    report.changed(&format!("{}: {} ({})", declared.slug, owner.email, owner.role));
    world.member_api(&declared.slug, &owner.email, &password).await
}

/// Waits until the gateway knows the new tenant: routes are pushed, which takes a moment.
async fn routed(world: &World, slug: &str) -> Result<(), Failure> {
    let api = world.anonymous(slug)?;
    let mut last = None;
    for _ in 0..KNOWN_EVERYWHERE {
        match api.send(Call::get("/v1/auth/jwks")).await {
            Ok(_) => return Ok(()),
            Err(failure) if matches!(failure.exit(), Exit::NotFound | Exit::Conflict) => last = Some(failure),
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(last.unwrap_or_else(|| Failure::other("the gateway does not know the tenant")))
}

async fn brand(owner: &Api, declared: &Tenant, report: &mut Report) -> Result<(), Failure> {
    let now = owner.send(Call::get("/v1/branding")).await?;
    if declared.brand.iter().all(|(key, value)| now[key] == value.as_str()) {
        return Ok(());
    }
    let mut body = json!(declared.brand);
    body["etag"] = now["etag"].clone();
    let mask: Vec<&str> = declared.brand.keys().map(String::as_str).collect();
    owner
        .send(Call::patch("/v1/branding", &body).query("updateMask", mask.join(",")))
        .await?;
    report.changed(&format!("{}: brand", declared.slug));
    Ok(())
}
