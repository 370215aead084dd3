//! The members of a tenant: invited by the owner, each accepting the one-time link with a password of its own.

use super::{
    declared::{self, Member, Tenant},
    report::Report,
    state::{Logins, World},
};
use crate::{
    Failure,
    http::{Api, Call},
};
use reqwest::{Method, Url};
use serde_json::{Value, json};

/// Makes the members that are missing.
///
/// # Errors
/// What the server said.
pub(crate) async fn load(
    world: &World,
    owner: &Api,
    declared: &Tenant,
    logins: &mut Logins,
    report: &mut Report,
) -> Result<(), Failure> {
    let users = owner.list("/v1/users", "users", &[]).await?;
    for member in declared.members.iter().skip(1) {
        let user = users.iter().find(|user| user["email"] == member.email.as_str());
        if load_one(world, owner, declared, member, user, logins).await? {
            report.changed(&format!("{}: {} ({})", declared.slug, member.email, member.role));
        }
    }
    Ok(())
}

/// Whether something was changed.
async fn load_one(
    world: &World,
    owner: &Api,
    declared: &Tenant,
    member: &Member,
    user: Option<&Value>,
    logins: &mut Logins,
) -> Result<bool, Failure> {
    let known = logins
        .of(&declared.slug)
        .is_some_and(|tenant| tenant.members.iter().any(|login| login.email == member.email));
    let password = logins.password(&declared.slug, &member.email, &member.role)?;
    let link = match user {
        Some(user) if user["state"] == "USER_STATE_ACTIVE" && known => return Ok(false),
        // Somebody else's password is on it: a reset link sets ours.
        Some(user) if user["state"] == "USER_STATE_ACTIVE" => reset(owner, user).await?,
        // The link of the last run is lost: a new invitation takes its place.
        Some(user) => {
            owner.send(Call::new(Method::DELETE, &path(user, ""))).await?;
            invite(owner, member).await?
        }
        None => invite(owner, member).await?,
    };
    accept(world, &declared.slug, &link, &password).await?;
    Ok(true)
}

async fn invite(owner: &Api, member: &Member) -> Result<String, Failure> {
    let role = declared::role(&member.role).unwrap_or_default();
    let body = json!({"email": member.email, "displayName": member.display_name, "role": role});
    link(&owner.send(Call::post("/v1/users", &body)).await?, "inviteUri")
}

async fn reset(owner: &Api, user: &Value) -> Result<String, Failure> {
    link(
        &owner
            .send(Call::post(&path(user, ":createResetLink"), &json!({})))
            .await?,
        "resetUri",
    )
}

fn link(answer: &Value, key: &str) -> Result<String, Failure> {
    answer[key]
        .as_str()
        .filter(|link| !link.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| Failure::other(format!("the server answered without {key}")))
}

fn path(user: &Value, verb: &str) -> String {
    format!("/v1/{}{verb}", user["name"].as_str().unwrap_or_default())
}

/// Uses a one-time link.
///
/// # Errors
/// What the server said; a link without a token.
pub(crate) async fn accept(world: &World, slug: &str, link: &str, password: &str) -> Result<(), Failure> {
    let token = token(link).ok_or_else(|| Failure::other("the invite link has no token"))?;
    let body = json!({"linkToken": token, "password": password});
    world
        .anonymous(slug)?
        .send(Call::post("/v1/auth:acceptLink", &body))
        .await?;
    Ok(())
}

/// The token of a link: in its query or its fragment, or the last part of its path.
fn token(link: &str) -> Option<String> {
    let url = Url::parse(link)
        .or_else(|_| Url::parse("http://localhost/").and_then(|base| base.join(link)))
        .ok()?;
    let is_token = |name: &str| matches!(name, "token" | "link_token" | "linkToken");
    if let Some((_, token)) = url.query_pairs().find(|(name, _)| is_token(name)) {
        return Some(token.into_owned());
    }
    if let Some(fragment) = url.fragment() {
        return Some(
            fragment
                .split_once('=')
                .filter(|(name, _)| is_token(name))
                .map_or(fragment, |(_, token)| token)
                .to_owned(),
        );
    }
    url.path_segments()?
        .next_back()
        .filter(|last| !last.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_wherever_the_link_has_it() {
        for link in [
            "http://acme.localhost:8080/accept?token=abc",
            "/accept?token=abc",
            "https://x/accept#token=abc",
            "https://x/accept#abc",
            "https://x/accept/abc",
        ] {
            assert_eq!(token(link).as_deref(), Some("abc"), "{link}");
        }
        assert_eq!(token(""), None);
    }
}
