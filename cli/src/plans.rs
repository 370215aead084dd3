//! `tenantctl plans`

use crate::{
    Failure,
    args::Globals,
    http::Call,
    output::{Column, text},
    resource::{Limit, Resource, Session, given},
    text as paths,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

const PLANS: Resource = Resource {
    path: "/v1/plans",
    items: "plans",
    shape: "plans/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("PLAN", "/name"),
    text("NAME", "/displayName"),
    text("REQUESTS/S", "/limits/requestsPerSecond"),
    text("BURST", "/limits/burst").wide(),
    text("MEMBERS", "/limits/users"),
    text("TYPES", "/limits/objectTypes"),
    text("RECORDS", "/limits/records"),
    text("KEYS", "/limits/apiKeys").wide(),
    text("REQUESTS/MONTH", "/limits/requestsPerMonth").wide(),
    text("FEATURES", "/features"),
];

/// `tenantctl plans`
#[derive(Debug, Subcommand)]
pub(crate) enum PlansCommand {
    /// All plans with their limits
    #[command(after_help = "Example:\n  tenantctl plans list -o wide")]
    List,
    /// One plan
    #[command(after_help = "Example:\n  tenantctl plans get team")]
    Get {
        /// Its name
        #[arg(value_name = "PLAN")]
        name: String,
    },
    /// Make a plan
    #[command(
        after_help = "Example:\n  tenantctl plans create small --display-name Small --requests-per-second 50 --burst 100 --members 10 --types 5 --records 10000 --keys 5 --feature import"
    )]
    Create(PlanArgs),
    /// Change a plan; tenants on it follow within two seconds
    #[command(
        after_help = "Examples:\n  tenantctl plans update small --records 20000\n  tenantctl plans update small --feature import --feature watch"
    )]
    Update(PlanArgs),
}

/// The values of a plan.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// 3 to 40 characters of a-z, 0-9 and '-'
    #[arg(value_name = "PLAN")]
    name: String,
    /// Name for people
    #[arg(long)]
    display_name: Option<String>,
    /// A feature: custom_domain, import, custom_types, watch; may be repeated. An update replaces them all
    #[arg(long, value_name = "FEATURE")]
    feature: Vec<String>,
    /// Requests a second, sustained
    #[arg(long, value_name = "N")]
    requests_per_second: Option<u32>,
    /// Requests that may come at once
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Requests in a calendar month; 0 for no limit
    #[arg(long, value_name = "N")]
    requests_per_month: Option<u64>,
    /// Members
    #[arg(long, value_name = "N")]
    members: Option<u32>,
    /// Object types
    #[arg(long, value_name = "N")]
    types: Option<u32>,
    /// Records of all types together
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// API keys
    #[arg(long, value_name = "N")]
    keys: Option<u32>,
}

impl PlanArgs {
    fn limits(&self, into: &mut Value) {
        let small = [
            ("requestsPerSecond", self.requests_per_second),
            ("burst", self.burst),
            ("users", self.members),
            ("objectTypes", self.types),
            ("apiKeys", self.keys),
        ];
        for (key, value) in small.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            into[key] = json!(value);
        }
        let large = [("records", self.records), ("requestsPerMonth", self.requests_per_month)];
        for (key, value) in large.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            into[key] = json!(value.to_string());
        }
    }
    /// What is given, on top of the limits that there are.
    fn body(&self, mut limits: Value) -> Value {
        let before = limits.clone();
        self.limits(&mut limits);
        let mut body = given(&[("displayName", self.display_name.as_deref())]);
        if !self.feature.is_empty() {
            body["features"] = json!(self.feature);
        }
        if limits != before {
            body["limits"] = limits;
        }
        body
    }
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: PlansCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        PlansCommand::List => session.list(&PLANS, &[], Limit::ALL).await,
        PlansCommand::Get { name } => session.get(&PLANS, &name).await,
        PlansCommand::Create(args) => {
            let mut body = args.body(json!({}));
            body["name"] = json!(paths::full_name("plans", &args.name));
            session.create(&PLANS, &body).await
        }
        PlansCommand::Update(args) => {
            let path = PLANS.at(&args.name, "")?;
            // Limits are one value for the API: the ones that are not named stay, unless somebody else was faster.
            let mut now = session.api.send(Call::get(&path)).await?;
            let mut body = args.body(now["limits"].take());
            body["etag"] = now["etag"].take();
            session.patch(&path, &body).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PlanArgs,
    }

    #[test]
    fn limits_that_are_not_named_stay() {
        let args = Line::parse_from(["x", "small", "--records", "7"]).args;
        let body = args.body(json!({"users": 3, "records": "5"}));
        assert_eq!(body, json!({"limits": {"users": 3, "records": "7"}}));
        let args = Line::parse_from(["x", "small", "--display-name", "S"]).args;
        assert_eq!(args.body(json!({"users": 3})), json!({"displayName": "S"}));
    }
}
