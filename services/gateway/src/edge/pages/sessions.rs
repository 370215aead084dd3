//! The visitor's own sessions: where they are signed in, and ending that.

use super::console::{Chrome, Console, Form, Outcome, id_of, time};
use askama::Template;
use tenantry_api::auth::{
    ListSessionsRequest, ListSessionsResponse, RevokeOtherSessionsRequest, RevokeOtherSessionsResponse,
    RevokeSessionRequest, RevokeSessionResponse,
};

const SERVICE: &str = "/tenantry.auth.v1.SessionService/";

struct Row {
    id: String,
    agent: String,
    began: String,
    used: String,
    ends: String,
    is_this: bool,
    /// For its form.
    request_id: String,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    chrome: Chrome,
    email: String,
    sessions: Vec<Row>,
    next: String,
    is_first: bool,
    request_id: String,
}

pub(super) async fn list(console: &Console) -> Outcome {
    let question = ListSessionsRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
    };
    let answer: ListSessionsResponse = console.ask(&format!("{SERVICE}ListSessions"), &question).await?;
    let rows = answer.sessions.iter().map(|session| Row {
        id: id_of(&session.name).to_owned(),
        agent: if session.user_agent.is_empty() {
            "unnamed client".to_owned()
        } else {
            session.user_agent.clone()
        },
        began: time(session.create_time),
        used: time(session.last_used_time),
        ends: time(session.expire_time),
        is_this: session.name == console.session,
        request_id: console.fresh_id(),
    });
    console.page(&SessionsPage {
        chrome: console.chrome(),
        email: console.user.email.clone(),
        sessions: rows.collect(),
        next: super::console::address("/sessions", &[("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
        request_id: console.fresh_id(),
    })
}

pub(super) async fn revoke(console: &Console, form: Form) -> Outcome {
    let question = RevokeSessionRequest {
        name: format!("sessions/{}", console.binding("session")),
        request_id: form.request_id(),
    };
    let _: RevokeSessionResponse = console.ask(&format!("{SERVICE}RevokeSession"), &question).await?;
    console.done("/sessions", "revoked")
}

pub(super) async fn revoke_others(console: &Console, form: Form) -> Outcome {
    let question = RevokeOtherSessionsRequest {
        request_id: form.request_id(),
    };
    let _: RevokeOtherSessionsResponse = console.ask(&format!("{SERVICE}RevokeOtherSessions"), &question).await?;
    console.done("/sessions", "revoked")
}
