//! One snapshot: what is in it, checking it, and bringing it back, in place or as a new organisation.

use super::{
    backups::{SERVICE, View},
    console::{Chrome, Console, Form, Outcome, Question, Trouble, id_of},
};
use crate::edge::respond;
use askama::Template;
use tenantry_api::{
    auth::Role,
    backup::{
        DeleteSnapshotRequest, DeleteSnapshotResponse, GetSnapshotRequest, GetSnapshotResponse, NewTenant,
        RestoreSnapshotRequest, RestoreSnapshotResponse, Snapshot, VerifySnapshotRequest, VerifySnapshotResponse,
        restore_snapshot_request::Target,
    },
};
use tonic::Status;

fn name(console: &Console) -> String {
    format!("snapshots/{}", console.binding("snapshot"))
}

fn at(console: &Console) -> String {
    format!("/backups/{}", console.binding("snapshot"))
}

async fn get(console: &Console) -> Result<Snapshot, Status> {
    let question = GetSnapshotRequest { name: name(console) };
    let answer: GetSnapshotResponse = console.ask(&format!("{SERVICE}GetSnapshot"), &question).await?;
    Ok(answer.snapshot.unwrap_or_default())
}

#[derive(Template)]
#[template(path = "snapshot.html")]
struct SnapshotPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    snapshot: View,
    may_verify: bool,
    may_restore: bool,
    request_id: String,
}

async fn one(console: &Console, trouble: Option<Trouble>) -> Outcome {
    let snapshot = get(console).await?;
    let page = SnapshotPage {
        chrome: console.chrome(),
        snapshot: View::of(&snapshot),
        may_verify: console.is_at_least(Role::Admin),
        may_restore: console.is_at_least(Role::Owner),
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn show(console: &Console) -> Outcome {
    one(console, None).await
}

pub(super) async fn verify(console: &Console, form: Form) -> Outcome {
    let question = VerifySnapshotRequest {
        name: name(console),
        request_id: form.request_id(),
    };
    let answer: Result<VerifySnapshotResponse, Status> =
        console.ask(&format!("{SERVICE}VerifySnapshot"), &question).await;
    match answer {
        Ok(answer) => {
            let operation = answer.operation.unwrap_or_default();
            Ok(respond::see_other(&format!("/operations/{}", id_of(&operation.name))))
        }
        Err(status) => one(console, Some(console.trouble(&status))).await,
    }
}

#[derive(Template)]
#[template(path = "restore.html")]
struct RestorePage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    snapshot: View,
    own_slug: String,
    slug: &'a str,
    display_name: &'a str,
    request_id: String,
    clone_request_id: String,
}

async fn restore_page(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let snapshot = get(console).await?;
    let page = RestorePage {
        chrome: console.chrome(),
        snapshot: View::of(&snapshot),
        own_slug: console.route.slug.clone(),
        slug: form.trimmed("slug"),
        display_name: form.trimmed("name"),
        request_id: console.fresh_id(),
        clone_request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn ask_restore(console: &Console) -> Outcome {
    restore_page(console, &Form::default(), None).await
}

pub(super) async fn restore(console: &Console, form: Form) -> Outcome {
    let target = if form.text("target") == "new" {
        Target::NewTenant(NewTenant {
            slug: form.trimmed("slug").to_owned(),
            display_name: form.trimmed("name").to_owned(),
        })
    } else {
        if form.trimmed("confirm") != console.route.slug {
            let trouble = console.wrong("confirm", "is not this organisation's short name; nothing was replaced");
            return restore_page(console, &form, Some(trouble)).await;
        }
        Target::InPlace(true)
    };
    let question = RestoreSnapshotRequest {
        name: name(console),
        target: Some(target),
        request_id: form.request_id(),
    };
    let answer: Result<RestoreSnapshotResponse, Status> =
        console.ask(&format!("{SERVICE}RestoreSnapshot"), &question).await;
    match answer {
        Ok(answer) => {
            let operation = answer.operation.unwrap_or_default();
            Ok(respond::see_other(&format!("/operations/{}", id_of(&operation.name))))
        }
        Err(status) => restore_page(console, &form, Some(console.trouble(&status))).await,
    }
}

async fn question(console: &Console, trouble: Option<Trouble>) -> Outcome {
    let snapshot = View::of(&get(console).await?);
    let question = Question {
        title: "Delete a snapshot",
        text: &format!(
            "The snapshot of {} UTC and its {} records cannot be restored any more.",
            snapshot.at, snapshot.records
        ),
        word: "",
        button: "Delete the snapshot",
        back: &at(console),
        hidden: &[],
    };
    console.confirm(&question, trouble)
}

pub(super) async fn ask_delete(console: &Console) -> Outcome {
    question(console, None).await
}

pub(super) async fn delete(console: &Console, form: Form) -> Outcome {
    let request = DeleteSnapshotRequest {
        name: name(console),
        request_id: form.request_id(),
    };
    let answer: Result<DeleteSnapshotResponse, Status> =
        console.ask(&format!("{SERVICE}DeleteSnapshot"), &request).await;
    match answer {
        Ok(_) => console.done("/backups", "deleted"),
        Err(status) => question(console, Some(console.trouble(&status))).await,
    }
}
