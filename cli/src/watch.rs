//! `tenantctl records watch`: changes as they happen. A stream that breaks off is taken up where it was.

use crate::{Exit, Failure, http::Call, output, resource::Session, text};
use clap::Args;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Tries in a row that may fail: about two and a half minutes of a server that is away.
const ATTEMPTS: u32 = 20;
/// Before the first stream: who has mistyped the server is told soon.
const FIRST_ATTEMPTS: u32 = 4;
/// Doubled from try to try, up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A stream that ends sooner without a change has not worked.
const ALIVE: Duration = Duration::from_secs(5);

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
        pause: PAUSE,
    };
    let limit = args.timeout.map(Duration::from_secs);
    tokio::select! {
        result = watch.go() => result,
        // A quiet stream would be watched for nobody.
        () = output::reader_gone() => Ok(()),
        seconds = over(limit) => Err(Failure::new(Exit::Timeout, format!("not enough changes in {seconds} s"))),
    }
}

async fn over(limit: Option<Duration>) -> u64 {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
    limit.unwrap_or_default().as_secs()
}

struct Watch<'a> {
    session: &'a Session,
    parent: String,
    resume: String,
    left: Option<usize>,
    pause: Duration,
}

/// How a stream ended.
enum End {
    /// Enough was seen.
    Enough,
    /// By itself, or because the server went away: the next one goes on behind the last message.
    Broken(Option<Failure>),
    /// For a reason that stays.
    Failed(Failure),
}

impl Watch<'_> {
    async fn go(&mut self) -> Result<(), Failure> {
        let (mut broken, mut opened) = (0, false);
        loop {
            let (before, began) = (self.resume.clone(), Instant::now());
            let why = match self.stream(&mut opened).await {
                End::Enough => return Ok(()),
                End::Failed(failure) => return Err(failure),
                End::Broken(why) => why,
            };
            let lived = self.resume != before && began.elapsed() > ALIVE;
            broken = if lived { 1 } else { broken + 1 };
            if broken >= if opened { ATTEMPTS } else { FIRST_ATTEMPTS } {
                return Err(why.unwrap_or_else(|| Failure::other("the stream ends again and again; try later")));
            }
            if broken == 2 {
                let why = why
                    .map(|failure| format!(" ({})", failure.message()))
                    .unwrap_or_default();
                output::say(&format!(
                    "The stream has broken off{why}; it is taken up again where it was."
                ));
            }
            let longer = self.pause.saturating_mul(2_u32.saturating_pow(broken - 1));
            tokio::time::sleep(longer.min(LONGEST_PAUSE)).await;
        }
    }

    async fn stream(&mut self, opened: &mut bool) -> End {
        let call = Call::get("/v1/records:watch")
            .query("parent", self.parent.as_str())
            .query("resumeToken", self.resume.as_str());
        let mut lines = match self.session.api.lines(call).await {
            Ok(lines) => lines,
            Err(failure) if failure.is_passing() => return End::Broken(Some(failure)),
            Err(failure) => return End::Failed(failure),
        };
        *opened = true;
        while self.left != Some(0) {
            let message = match lines.next().await {
                Ok(Some(message)) => message,
                Ok(None) => return End::Broken(None),
                Err(failure) => return End::Broken(Some(failure)),
            };
            if let Some(error) = message.get("error") {
                let failure = Failure::from_problem(error);
                // An access token lives for minutes: the next call gets a new one, or says why not.
                let again = failure.is_passing() || failure.exit() == Exit::Denied;
                return if again {
                    End::Broken(Some(failure))
                } else {
                    End::Failed(failure)
                };
            }
            if let Err(failure) = self.show(&message) {
                return End::Failed(failure);
            }
            if let Some(token) = message["resumeToken"].as_str().filter(|token| !token.is_empty()) {
                token.clone_into(&mut self.resume);
            }
        }
        End::Enough
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
