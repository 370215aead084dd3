//! The branding editor: a draft with its preview and what its colour can carry, publishing or discarding it, and the way back.

use super::{
    console::{Chrome, Console, Form, Outcome, Trouble, address, id_of, machine_time, time},
    look,
};
use crate::{
    domain::theme::{self, Theme},
    edge::respond,
};
use askama::Template;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use tenantry_api::registry::{
    Branding, BrandingRevision, DiscardBrandingDraftRequest, DiscardBrandingDraftResponse, GetBrandingDraftRequest,
    GetBrandingDraftResponse, GetBrandingRequest, GetBrandingResponse, ListBrandingRevisionsRequest,
    ListBrandingRevisionsResponse, PublishBrandingRequest, PublishBrandingResponse, RollbackBrandingRequest,
    RollbackBrandingResponse, ThemeMode as Mode, UpdateBrandingDraftRequest, UpdateBrandingDraftResponse,
};
use tenantry_kernel::{Error, ThemeMode};
use tonic::Status;

const SERVICE: &str = "/tenantry.registry.v1.BrandingService/";

/// The values in the form.
struct Values {
    name: String,
    color: String,
    support: String,
    mode: &'static str,
}

impl Values {
    fn of(branding: &Branding) -> Self {
        Self {
            name: branding.display_name.clone(),
            color: branding.primary_color.clone(),
            support: branding.support_uri.clone(),
            mode: mode_text(branding.theme_mode()),
        }
    }
    fn sent(form: &Form) -> Self {
        Self {
            name: form.trimmed("display_name").to_owned(),
            color: form.trimmed("primary_color").to_owned(),
            support: form.trimmed("support_uri").to_owned(),
            mode: mode_text(mode(form.text("theme_mode"))),
        }
    }
    fn theme(&self) -> Theme {
        Theme::new(&self.color, ThemeMode::parse(self.mode).unwrap_or_default())
    }
}

fn mode(text: &str) -> Mode {
    match text {
        "light" => Mode::Light,
        "dark" => Mode::Dark,
        _ => Mode::Auto,
    }
}

fn mode_text(mode: Mode) -> &'static str {
    match mode {
        Mode::Light => "light",
        Mode::Dark => "dark",
        Mode::Auto | Mode::Unspecified => "auto",
    }
}

/// One publication in the history.
struct Revision {
    number: i64,
    at: String,
    at_machine: String,
    who: String,
    who_href: String,
    values: Values,
    current: bool,
}

impl Revision {
    fn of(one: &BrandingRevision, published: &Branding, console: &Console) -> Self {
        let (id, is_user) = (id_of(&one.publisher), one.publisher.starts_with("users/"));
        let branding = one.branding.clone().unwrap_or_default();
        Self {
            number: one.revision,
            at: time(one.publish_time),
            at_machine: machine_time(one.publish_time),
            who: if one.publisher == console.user.name {
                "you".to_owned()
            } else {
                id.to_owned()
            },
            who_href: if is_user {
                format!("/members/{id}")
            } else {
                String::new()
            },
            current: branding.etag == published.etag,
            values: Values::of(&branding),
        }
    }
}

/// Two colours that meet, in numbers.
#[derive(Serialize)]
struct Contrast {
    shade: &'static str,
    front: &'static str,
    back: &'static str,
    has: String,
    needs: String,
}

#[derive(Template)]
#[template(path = "branding.html")]
struct BrandingPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    values: Values,
    notes: Vec<String>,
    contrasts: Vec<Contrast>,
    /// Whether the draft says anything else than what is published.
    is_draft: bool,
    /// Whether the form shows what the draft says; what was refused is in no draft.
    is_saved: bool,
    etag: String,
    preview: String,
    revisions: Vec<Revision>,
    next: String,
    is_first: bool,
    request_id: String,
}

async fn drafted(console: &Console) -> Result<Branding, Status> {
    let answer: GetBrandingDraftResponse = console
        .ask(&format!("{SERVICE}GetBrandingDraft"), &GetBrandingDraftRequest {})
        .await?;
    Ok(answer.branding.unwrap_or_default())
}

async fn editor(console: &Console, sent: Option<&Form>, trouble: Option<Trouble>) -> Outcome {
    let draft = drafted(console).await?;
    let published: GetBrandingResponse = console
        .ask(&format!("{SERVICE}GetBranding"), &GetBrandingRequest {})
        .await?;
    let published = published.branding.unwrap_or_default();
    let question = ListBrandingRevisionsRequest {
        page_size: 10,
        page_token: console.parameter("page").to_owned(),
    };
    let history: ListBrandingRevisionsResponse = console
        .ask(&format!("{SERVICE}ListBrandingRevisions"), &question)
        .await?;
    let values = sent.map_or_else(|| Values::of(&draft), Values::sent);
    let theme = values.theme();
    let without_etag = |branding: &Branding| Branding {
        etag: String::new(),
        ..branding.clone()
    };
    let page = BrandingPage {
        chrome: console.chrome(),
        notes: noted(&theme),
        contrasts: contrasts(&theme),
        is_draft: without_etag(&draft) != without_etag(&published),
        is_saved: sent.is_none(),
        etag: draft.etag.clone(),
        preview: preview_address(&values),
        revisions: history
            .branding_revisions
            .iter()
            .map(|one| Revision::of(one, &published, console))
            .collect(),
        next: address("/branding", &[("page", &history.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
        request_id: console.fresh_id(),
        values,
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

/// What the colour cannot carry, or that it carries all.
fn noted(theme: &Theme) -> Vec<String> {
    let mut notes = theme.notes();
    if notes.is_empty() {
        notes.push("Buttons and links have exactly your colour.".to_owned());
    }
    notes
}

fn contrasts(theme: &Theme) -> Vec<Contrast> {
    let mut contrasts = Vec::new();
    for (shade, tokens) in theme.shown() {
        contrasts.extend(tokens.pairs().into_iter().map(|pair| Contrast {
            shade,
            front: pair.front,
            back: pair.back,
            has: format!("{:.1}", pair.ratio()),
            needs: format!("{}", pair.least),
        }));
    }
    contrasts
}

fn preview_address(values: &Values) -> String {
    address(
        "/branding/preview.css",
        &[("primary_color", &values.color), ("theme_mode", values.mode)],
    )
}

pub(super) async fn show(console: &Console) -> Outcome {
    editor(console, None, None).await
}

/// The theme of the values in the address; without them of the draft.
async fn previewed(console: &Console) -> Result<Theme, Status> {
    let color = console.parameter("primary_color");
    if theme::parse(color).is_none() {
        return Ok(Values::of(&drafted(console).await?).theme());
    }
    let values = Values {
        name: String::new(),
        color: color.to_owned(),
        support: String::new(),
        mode: mode_text(mode(console.parameter("theme_mode"))),
    };
    Ok(values.theme())
}

/// The style sheet of the preview.
pub(super) async fn preview(console: &Console) -> Outcome {
    let theme = previewed(console).await?;
    Ok(look::style(&theme.preview_css(), &HeaderMap::new()))
}

/// What the previewed colour can carry, for the script: the same that the editor says.
#[derive(Serialize)]
struct Measured {
    notes: Vec<String>,
    contrasts: Vec<Contrast>,
}

/// The words and numbers of the preview.
pub(super) async fn measured(console: &Console) -> Outcome {
    let theme = previewed(console).await?;
    let measured = Measured {
        notes: noted(&theme),
        contrasts: contrasts(&theme),
    };
    let body = serde_json::to_vec(&measured).map_err(|error| console.status(&Error::internal(error)))?;
    let mut response = respond::json(body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn save(console: &Console, form: Form) -> Outcome {
    let sent = Values::sent(&form);
    let question = UpdateBrandingDraftRequest {
        branding: Some(Branding {
            display_name: sent.name,
            primary_color: sent.color,
            support_uri: sent.support,
            theme_mode: mode(sent.mode).into(),
            etag: form.text("etag").to_owned(),
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: ["display_name", "primary_color", "support_uri", "theme_mode"]
                .map(str::to_owned)
                .into(),
        }),
        request_id: form.request_id(),
    };
    let answer: Result<UpdateBrandingDraftResponse, Status> =
        console.ask(&format!("{SERVICE}UpdateBrandingDraft"), &question).await;
    match answer {
        Ok(answer) if form.has("publish") => {
            let draft = answer.branding.unwrap_or_default();
            // The form's own id is the draft's: the second step of the same form has one that follows from it.
            let id = form.request_id() + "-publish";
            published(console, draft.etag, id).await
        }
        Ok(_) => console.done("/branding", "draft"),
        Err(status) => editor(console, Some(&form), Some(console.trouble(&status))).await,
    }
}

pub(super) async fn publish(console: &Console, form: Form) -> Outcome {
    published(console, form.text("etag").to_owned(), form.request_id()).await
}

async fn published(console: &Console, etag: String, request_id: String) -> Outcome {
    let question = PublishBrandingRequest { etag, request_id };
    let answer: Result<PublishBrandingResponse, Status> =
        console.ask(&format!("{SERVICE}PublishBranding"), &question).await;
    match answer {
        Ok(_) => console.done("/branding", "published"),
        Err(status) => editor(console, None, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn discard(console: &Console, form: Form) -> Outcome {
    let question = DiscardBrandingDraftRequest {
        etag: form.text("etag").to_owned(),
        request_id: form.request_id(),
    };
    let answer: Result<DiscardBrandingDraftResponse, Status> =
        console.ask(&format!("{SERVICE}DiscardBrandingDraft"), &question).await;
    match answer {
        Ok(_) => console.done("/branding", "discarded"),
        Err(status) => editor(console, None, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn rollback(console: &Console, form: Form) -> Outcome {
    let question = RollbackBrandingRequest {
        revision: form.text("revision").parse().unwrap_or_default(),
        request_id: form.request_id(),
    };
    let answer: Result<RollbackBrandingResponse, Status> =
        console.ask(&format!("{SERVICE}RollbackBranding"), &question).await;
    match answer {
        Ok(_) => console.done("/branding", "rolled-back"),
        Err(status) => editor(console, None, Some(console.trouble(&status))).await,
    }
}

/// The editor with `text` in everything that is typed, for tests.
#[cfg(test)]
pub(super) fn sample(text: &str) -> String {
    let values = || Values {
        name: text.to_owned(),
        color: text.to_owned(),
        support: text.to_owned(),
        mode: "auto",
    };
    let page = BrandingPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        notes: vec![text.to_owned()],
        contrasts: contrasts(&values().theme()),
        is_draft: true,
        is_saved: true,
        etag: text.to_owned(),
        preview: preview_address(&values()),
        revisions: vec![Revision {
            number: 1,
            at: String::new(),
            at_machine: String::new(),
            who: text.to_owned(),
            who_href: String::new(),
            values: values(),
            current: false,
        }],
        next: String::new(),
        is_first: true,
        request_id: "r-1".to_owned(),
        values: values(),
    };
    page.render().expect("a page")
}
