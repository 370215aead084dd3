//! API keys: for programs, narrower than the person who makes them. The secret is shown once.

use super::console::{Chrome, Console, Form, Outcome, Question, Trouble, id_of, machine_time, time};
use askama::Template;
use chrono::Duration;
use tenantry_api::auth::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyRequest, DeleteApiKeyResponse, GetApiKeyRequest,
    GetApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse,
};
use tonic::Status;

const SERVICE: &str = "/tenantry.auth.v1.ApiKeyService/";
/// Days a key may live, the default first.
const LIVES: [i64; 4] = [90, 7, 30, 365];

struct Key {
    id: String,
    name: String,
    scopes: String,
    expires: String,
    expires_machine: String,
    used: String,
    is_over: bool,
}

/// How long a key works, as the second it ends: the same form sent twice must say the same.
struct Life {
    end: String,
    label: String,
    chosen: bool,
}

struct Scope {
    name: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    keys: Vec<Key>,
    next: String,
    is_first: bool,
    name: &'a str,
    scopes: Vec<Scope>,
    lives: Vec<Life>,
    is_operator: bool,
    request_id: String,
}

async fn page_of(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let question = ListApiKeysRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
    };
    let answer: ListApiKeysResponse = console.ask(&format!("{SERVICE}ListApiKeys"), &question).await?;
    let now = console.edge.clock.now();
    let keys = answer.api_keys.iter().map(|key| Key {
        id: id_of(&key.name).to_owned(),
        name: key.display_name.clone(),
        scopes: key.scopes.join(", "),
        expires: time(key.expire_time),
        expires_machine: machine_time(key.expire_time),
        used: time(key.last_used_time),
        is_over: super::console::moment(key.expire_time).is_some_and(|end| end <= now),
    });
    let chosen: Vec<&str> = form.all("scope").collect();
    let lives = LIVES.iter().map(|days| {
        // A little less than the days: the longest life is counted from the service's own clock.
        let end = now + Duration::days(*days) - Duration::minutes(1);
        Life {
            chosen: form.text("end").split('.').next() == Some(&days.to_string()),
            label: format!("{days} days, until {}", end.format("%Y-%m-%d")),
            end: format!("{days}.{}", end.timestamp()),
        }
    });
    let page = KeysPage {
        chrome: console.chrome(),
        keys: keys.collect(),
        next: super::console::address("/keys", &[("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
        name: form.trimmed("name"),
        scopes: super::roles::scopes(&console.edge.methods, console.is_operator())
            .into_iter()
            .map(|name| Scope {
                chosen: chosen.contains(&name.as_str()),
                name,
            })
            .collect(),
        lives: lives.collect(),
        is_operator: console.is_operator(),
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn list(console: &Console) -> Outcome {
    page_of(console, &Form::default(), None).await
}

pub(super) async fn create(console: &Console, form: Form) -> Outcome {
    let end = form.text("end").rsplit('.').next().and_then(|end| end.parse().ok());
    let key = ApiKey {
        display_name: form.trimmed("name").to_owned(),
        scopes: form.all("scope").map(str::to_owned).collect(),
        expire_time: end.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
        ..ApiKey::default()
    };
    if key.scopes.is_empty() {
        let trouble = console.wrong("scopes", "need at least one: a key without a scope can do nothing");
        return page_of(console, &form, Some(trouble)).await;
    }
    let question = CreateApiKeyRequest {
        api_key: Some(key),
        request_id: form.request_id(),
    };
    let answer: Result<CreateApiKeyResponse, Status> = console.ask(&format!("{SERVICE}CreateApiKey"), &question).await;
    match answer {
        Ok(answer) => console.secret(
            "API key made",
            "A program sends it as “Authorization: Bearer” to this address. Keep it where it keeps its other secrets.",
            "Secret",
            &answer.secret,
            "/keys",
        ),
        Err(status) => page_of(console, &form, Some(console.trouble(&status))).await,
    }
}

fn name(console: &Console) -> String {
    format!("apiKeys/{}", console.binding("key"))
}

async fn question(console: &Console, trouble: Option<Trouble>) -> Outcome {
    let request = GetApiKeyRequest { name: name(console) };
    let answer: GetApiKeyResponse = console.ask(&format!("{SERVICE}GetApiKey"), &request).await?;
    let key = answer.api_key.unwrap_or_default();
    let question = Question {
        title: "Revoke an API key",
        text: &format!(
            "Programs that use the key “{}” are refused everywhere within two seconds. It cannot be undone.",
            key.display_name
        ),
        word: "",
        button: "Revoke the key",
        back: "/keys",
        hidden: &[],
    };
    console.confirm(&question, trouble)
}

pub(super) async fn ask_revoke(console: &Console) -> Outcome {
    question(console, None).await
}

pub(super) async fn revoke(console: &Console, form: Form) -> Outcome {
    let request = DeleteApiKeyRequest {
        name: name(console),
        request_id: form.request_id(),
    };
    let answer: Result<DeleteApiKeyResponse, Status> = console.ask(&format!("{SERVICE}DeleteApiKey"), &request).await;
    match answer {
        Ok(_) => console.done("/keys", "revoked"),
        Err(status) => question(console, Some(console.trouble(&status))).await,
    }
}
