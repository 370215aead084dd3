//! Members: who is in the organisation, inviting, roles, locking out, one-time links.

use super::console::{Chrome, Console, Form, Outcome, Question, Trouble, id_of, machine_time, role_label, time};
use askama::Template;
use tenantry_api::auth::{
    CreateResetLinkRequest, CreateResetLinkResponse, CreateUserRequest, CreateUserResponse, DeleteUserRequest,
    DeleteUserResponse, DisableUserRequest, DisableUserResponse, EnableUserRequest, EnableUserResponse, GetUserRequest,
    GetUserResponse, ListUsersRequest, ListUsersResponse, Role, UpdateUserRequest, UpdateUserResponse, User, UserState,
};
use tenantry_kernel::{Error, Reason};
use tonic::Status;

const SERVICE: &str = "/tenantry.auth.v1.UserService/";

/// A role that can be given.
struct Choice {
    value: &'static str,
    label: &'static str,
    chosen: bool,
}

/// The roles the visitor may give; owners alone can make owners.
fn choices(console: &Console, chosen: &str) -> Vec<Choice> {
    let all = [
        ("viewer", "viewer: reads", Role::Viewer),
        ("member", "member: reads and writes records", Role::Member),
        ("admin", "admin: manages members, keys and types", Role::Admin),
        ("owner", "owner: everything", Role::Owner),
    ];
    all.into_iter()
        .filter(|(_, _, role)| console.is_at_least(*role))
        .map(|(value, label, _)| Choice {
            value,
            label,
            chosen: value == chosen,
        })
        .collect()
}

fn role(text: &str) -> Role {
    match text {
        "owner" => Role::Owner,
        "admin" => Role::Admin,
        "member" => Role::Member,
        "viewer" => Role::Viewer,
        _ => Role::Unspecified,
    }
}

struct Member {
    id: String,
    email: String,
    name: String,
    role: &'static str,
    state: &'static str,
    since: String,
    since_machine: String,
    is_self: bool,
    etag: String,
}

impl Member {
    fn of(user: &User, console: &Console) -> Self {
        Self {
            id: id_of(&user.name).to_owned(),
            email: user.email.clone(),
            name: user.display_name.clone(),
            role: role_label(user.role()),
            state: match user.state() {
                UserState::Invited => "invited",
                UserState::Disabled => "disabled",
                UserState::Active | UserState::Unspecified => "active",
            },
            since: time(user.create_time),
            since_machine: machine_time(user.create_time),
            is_self: user.name == console.user.name,
            etag: user.etag.clone(),
        }
    }
}

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    members: Vec<Member>,
    next: String,
    is_first: bool,
    may_manage: bool,
    email: &'a str,
    name: &'a str,
    choices: Vec<Choice>,
    request_id: String,
}

#[derive(Template)]
#[template(path = "member.html")]
struct MemberPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    member: Member,
    /// What is in the form: the present name, or what was typed.
    name: String,
    may_manage: bool,
    /// Whoever looks manages others, but not one of this role.
    is_above: bool,
    choices: Vec<Choice>,
    request_id: String,
}

/// Whether the member's role is larger than the visitor's: only an owner changes an owner.
fn is_above(console: &Console, user: &User) -> bool {
    user.role > console.user.role
}

async fn page_of(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let question = ListUsersRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
    };
    let answer: ListUsersResponse = console.ask(&format!("{SERVICE}ListUsers"), &question).await?;
    let chosen = if form.has("role") { form.text("role") } else { "member" };
    let page = MembersPage {
        chrome: console.chrome(),
        members: answer.users.iter().map(|user| Member::of(user, console)).collect(),
        next: super::console::address("/members", &[("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
        may_manage: console.is_at_least(Role::Admin),
        email: form.trimmed("email"),
        name: form.trimmed("name"),
        choices: choices(console, chosen),
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

pub(super) async fn invite(console: &Console, form: Form) -> Outcome {
    let user = User {
        email: form.trimmed("email").to_owned(),
        display_name: form.trimmed("name").to_owned(),
        role: role(form.text("role")).into(),
        ..User::default()
    };
    let question = CreateUserRequest {
        user: Some(user),
        request_id: form.request_id(),
    };
    let answer: Result<CreateUserResponse, Status> = console.ask(&format!("{SERVICE}CreateUser"), &question).await;
    match answer {
        Ok(answer) => console.secret(
            "Invitation made",
            &format!(
                "Pass this link on to {}. It works once, within 72 hours, and lets them choose a password.",
                answer.user.unwrap_or_default().email
            ),
            "Invitation link",
            &answer.invite_uri,
            "/members",
        ),
        Err(status) => page_of(console, &form, Some(console.trouble(&status))).await,
    }
}

async fn get(console: &Console) -> Result<User, Status> {
    let question = GetUserRequest { name: name(console) };
    let answer: GetUserResponse = console.ask(&format!("{SERVICE}GetUser"), &question).await?;
    Ok(answer.user.unwrap_or_default())
}

fn name(console: &Console) -> String {
    format!("users/{}", console.binding("member"))
}

fn at(console: &Console) -> String {
    format!("/members/{}", console.binding("member"))
}

async fn one(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let user = get(console).await?;
    let member = Member::of(&user, console);
    let chosen = if form.has("role") {
        form.text("role")
    } else {
        member.role
    };
    let manages = console.is_at_least(Role::Admin);
    let page = MemberPage {
        chrome: console.chrome(),
        name: if form.has("name") {
            form.trimmed("name").to_owned()
        } else {
            member.name.clone()
        },
        choices: choices(console, chosen),
        may_manage: manages && !is_above(console, &user),
        is_above: manages && is_above(console, &user),
        request_id: console.fresh_id(),
        member,
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn show(console: &Console) -> Outcome {
    one(console, &Form::default(), None).await
}

pub(super) async fn update(console: &Console, form: Form) -> Outcome {
    let user = User {
        name: name(console),
        display_name: form.trimmed("name").to_owned(),
        role: role(form.text("role")).into(),
        etag: form.text("etag").to_owned(),
        ..User::default()
    };
    let question = UpdateUserRequest {
        user: Some(user),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["display_name".to_owned(), "role".to_owned()],
        }),
        request_id: form.request_id(),
    };
    let answer: Result<UpdateUserResponse, Status> = console.ask(&format!("{SERVICE}UpdateUser"), &question).await;
    match answer {
        Ok(_) => console.done(&at(console), "saved"),
        Err(status) => one(console, &form, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn disable(console: &Console, form: Form) -> Outcome {
    let question = DisableUserRequest {
        name: name(console),
        request_id: form.request_id(),
    };
    let answer: Result<DisableUserResponse, Status> = console.ask(&format!("{SERVICE}DisableUser"), &question).await;
    match answer {
        Ok(_) => console.done(&at(console), "disabled"),
        Err(status) => one(console, &form, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn enable(console: &Console, form: Form) -> Outcome {
    let question = EnableUserRequest {
        name: name(console),
        request_id: form.request_id(),
    };
    let answer: Result<EnableUserResponse, Status> = console.ask(&format!("{SERVICE}EnableUser"), &question).await;
    match answer {
        Ok(_) => console.done(&at(console), "enabled"),
        Err(status) => one(console, &form, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn reset(console: &Console, form: Form) -> Outcome {
    let question = CreateResetLinkRequest {
        name: name(console),
        request_id: form.request_id(),
    };
    let answer: Result<CreateResetLinkResponse, Status> =
        console.ask(&format!("{SERVICE}CreateResetLink"), &question).await;
    match answer {
        Ok(answer) => console.secret(
            "Link to a new password",
            "Pass this link on to the member. It works once, within 15 minutes. Their sessions go on until it is used.",
            "Reset link",
            &answer.reset_uri,
            &at(console),
        ),
        Err(status) => one(console, &form, Some(console.trouble(&status))).await,
    }
}

async fn question(console: &Console, trouble: Option<Trouble>) -> Outcome {
    let user = get(console).await?;
    if is_above(console, &user) {
        let error = Error::new(Reason::PermissionDenied, "Only an owner can remove this member.");
        return Err(console.status(&error));
    }
    let question = Question {
        title: "Remove a member",
        text: &format!(
            "{} loses access at once: their sessions and API keys end. Records they made stay.",
            user.email
        ),
        word: &user.email,
        button: "Remove the member",
        back: &at(console),
        hidden: &[("etag", &user.etag)],
    };
    console.confirm(&question, trouble)
}

pub(super) async fn ask_delete(console: &Console) -> Outcome {
    question(console, None).await
}

pub(super) async fn delete(console: &Console, form: Form) -> Outcome {
    let user = get(console).await?;
    if form.trimmed("confirm") != user.email {
        let trouble = console.wrong("confirm", "is not the member's e-mail; nothing was removed");
        return question(console, Some(trouble)).await;
    }
    let request = DeleteUserRequest {
        name: name(console),
        etag: form.text("etag").to_owned(),
        request_id: form.request_id(),
    };
    let answer: Result<DeleteUserResponse, Status> = console.ask(&format!("{SERVICE}DeleteUser"), &request).await;
    match answer {
        Ok(_) => console.done("/members", "deleted"),
        Err(status) => question(console, Some(console.trouble(&status))).await,
    }
}
