//! `tenantctl branding`

use crate::{
    Failure,
    args::Globals,
    http::Call,
    output::{Column, text, time, word},
    resource::{Limit, Resource, Session, given},
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

const REVISIONS: Resource = Resource {
    path: "/v1/branding/revisions",
    items: "brandingRevisions",
    shape: "branding/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("REVISION", "/revision"),
    text("NAME", "/branding/displayName"),
    text("COLOUR", "/branding/primaryColor"),
    word("THEME", "/branding/themeMode", "THEME_MODE_"),
    text("SUPPORT", "/branding/supportUri"),
    time("PUBLISHED", "/publishTime"),
    text("BY", "/publisher"),
];

/// `tenantctl branding`
#[derive(Debug, Subcommand)]
pub(crate) enum BrandingCommand {
    /// What pages show now, or the draft
    #[command(after_help = "Examples:\n  tenantctl branding get\n  tenantctl branding get --draft")]
    Get {
        /// The values that are not published yet
        #[arg(long)]
        draft: bool,
    },
    /// The values that are not published yet
    #[command(after_help = "Example:\n  tenantctl branding draft -o yaml")]
    Draft,
    /// Change what pages show, at once or in the draft
    #[command(
        after_help = "Examples:\n  tenantctl branding set --primary-color '#0b6e4f'\n  tenantctl branding set --draft --display-name 'Acme Help' --theme-mode dark"
    )]
    Set(SetArgs),
    /// Show the draft to everybody
    #[command(after_help = "Example:\n  tenantctl branding publish")]
    Publish,
    /// Throw the draft away; what is published stays
    #[command(after_help = "Example:\n  tenantctl branding discard")]
    Discard,
    /// What was published, newest first
    #[command(after_help = "Example:\n  tenantctl branding history --limit 5")]
    History {
        #[command(flatten)]
        limit: Limit,
    },
    /// Publish the values of an earlier revision again
    #[command(after_help = "Example:\n  tenantctl branding rollback 3")]
    Rollback {
        /// As `branding history` shows it
        revision: u32,
    },
}

/// `tenantctl branding set`
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Change the draft only; `branding publish` shows it
    #[arg(long)]
    draft: bool,
    /// Name on pages; empty for the tenant's own
    #[arg(long)]
    display_name: Option<String>,
    /// `#rrggbb`
    #[arg(long, value_name = "COLOUR")]
    primary_color: Option<String>,
    /// https link shown as "Support"; empty for none
    #[arg(long, value_name = "URL")]
    support_uri: Option<String>,
    /// Light, dark, or as the reader's system says
    #[arg(long, value_enum)]
    theme_mode: Option<Theme>,
}

/// Light or dark.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Theme {
    /// As the reader's system says.
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "THEME_MODE_AUTO",
            Self::Light => "THEME_MODE_LIGHT",
            Self::Dark => "THEME_MODE_DARK",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: BrandingCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        BrandingCommand::Get { draft } => session.send(Call::get(path(draft))).await,
        BrandingCommand::Draft => session.send(Call::get(path(true))).await,
        BrandingCommand::Set(args) => {
            let body = given(&[
                ("displayName", args.display_name.as_deref()),
                ("primaryColor", args.primary_color.as_deref()),
                ("supportUri", args.support_uri.as_deref()),
                ("themeMode", args.theme_mode.map(Theme::name)),
            ]);
            session.patch(path(args.draft), &body).await
        }
        BrandingCommand::Publish => session.send(Call::post("/v1/branding:publish", &json!({}))).await,
        BrandingCommand::Discard => session.send(Call::post("/v1/branding:discardDraft", &json!({}))).await,
        BrandingCommand::History { limit } => session.list(&REVISIONS, &[], limit).await,
        BrandingCommand::Rollback { revision } => {
            let body = json!({"revision": revision.to_string()});
            session.send(Call::post("/v1/branding:rollback", &body)).await
        }
    }
}

const fn path(draft: bool) -> &'static str {
    if draft { "/v1/branding/draft" } else { "/v1/branding" }
}
