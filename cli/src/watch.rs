//! `tenantctl records watch`: changes as they happen. A stream that breaks off is taken up where it was.

use crate::{
    Exit, Failure,
    http::{Call, Lines},
    output,
    resource::Session,
    text,
};
use clap::Args;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Streams that may break off one after the other without a single message.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// `tenantctl records watch`
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Only this type; all if left out
    object_type: Option<String>,
    /// End after so many changes
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Give up after this many seconds (exit code 124)
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Go on behind this message's resumeToken; from now on if left out
    #[arg(long = "resume", value_name = "RESUME", default_value = "")]
    resume: String,
}

/// Watches until enough was seen.
///
/// # Errors
/// What the server said; 124 where it takes too long.
pub(crate) async fn run(session: &Session, args: WatchArgs) -> Result<(), Failure> {
    let parent = args.object_type.as_deref().map(|id| text::full_name("objectTypes", id));
    let mut watch = Watch {
        session,
        parent: parent.unwrap_or_default(),
        resume: args.resume,
        left: args.count,
    };
    let Some(seconds) = args.timeout else {
        return watch.go().await;
    };
    match tokio::time::timeout(Duration::from_secs(seconds), watch.go()).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(
            Exit::Timeout,
            format!("not enough changes in {seconds} s"),
        )),
    }
}

struct Watch<'a> {
    session: &'a Session,
    parent: String,
    resume: String,
    left: Option<usize>,
}

impl Watch<'_> {
    async fn go(&mut self) -> Result<(), Failure> {
        let mut broken = 0;
        while self.left != Some(0) {
            let call = Call::get("/v1/records:watch")
                .query("parent", self.parent.as_str())
                .query("resumeToken", self.resume.as_str());
            let mut lines = self.session.api.lines(call).await?;
            let began = Instant::now();
            match self.read(&mut lines).await {
                Ok(()) => {}
                // A stream that lived is taken up again; one that never did says why.
                Err(failure) if broken >= ATTEMPTS => return Err(failure),
                Err(_) => {}
            }
            broken = if began.elapsed() > Duration::from_secs(5) {
                0
            } else {
                broken + 1
            };
            if self.left != Some(0) {
                if broken > ATTEMPTS {
                    return Err(Failure::other("the stream ends again and again; try later"));
                }
                tokio::time::sleep(PAUSE * broken).await;
            }
        }
        Ok(())
    }

    async fn read(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        while self.left != Some(0) {
            let Some(message) = lines.next().await? else {
                return Ok(());
            };
            if let Some(error) = message.get("error") {
                return Err(Failure::from_problem(error));
            }
            self.show(&message)?;
            if let Some(token) = message["resumeToken"].as_str().filter(|token| !token.is_empty()) {
                token.clone_into(&mut self.resume);
            }
        }
        Ok(())
    }

    /// A line for each change; programs get each message as it came, in one line.
    fn show(&mut self, message: &Value) -> Result<(), Failure> {
        let changes = message["changes"].as_array().map_or(&[][..], Vec::as_slice);
        if changes.is_empty() {
            return Ok(()); // a heartbeat
        }
        if self.session.output.is_table() {
            for change in changes {
                let kind = change["kind"].as_str().unwrap_or_default();
                let kind = kind.trim_start_matches("CHANGE_KIND_").to_lowercase();
                let part = |value: Option<&Value>| output::line(value);
                output::print(&format!(
                    "{}  {kind:<8}  {}  {}",
                    part(change.get("changeTime")),
                    part(change.pointer("/record/name")),
                    part(change.pointer("/record/fields"))
                ))?;
            }
        } else if self.session.output == output::Format::Name {
            for change in changes {
                output::print(&output::line(change.pointer("/record/name")))?;
            }
        } else if self.session.output == output::Format::Json {
            output::print(&message.to_string())?;
        } else {
            output::print("---")?;
            self.session.output.one(message)?;
        }
        self.left = self.left.map(|left| left.saturating_sub(changes.len()));
        Ok(())
    }
}
