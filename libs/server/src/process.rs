//! The life of a service's process around its work: configuration, log, work, exit code.

use std::{fmt::Display, io::Write as _, process::ExitCode};
use tenantry_config::{ConfigError, EX_USAGE, Telemetry};

/// Opens the log as `service`, does the work and says how it ended. `EX_USAGE` where the configuration cannot be used.
pub async fn process<C, E: Display>(
    service: &'static str,
    loaded: Result<C, ConfigError>,
    telemetry: impl FnOnce(&C) -> &Telemetry,
    work: impl AsyncFnOnce(&C) -> Result<(), E>,
) -> ExitCode {
    let config = match loaded {
        Ok(config) => config,
        Err(error) => return unusable(&error),
    };
    let guard = match tenantry_telemetry::init(service, telemetry(&config)) {
        Ok(guard) => guard,
        Err(error) => return unusable(&error),
    };
    let done = work(&config).await;
    if let Err(error) = &done {
        tracing::error!(cause = format!("{error:#}"), "stopped");
    }
    guard.shutdown().await;
    if done.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The error with its causes. There is no log yet; a closed standard error leaves the exit code.
fn unusable(error: &dyn std::error::Error) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    drop(writeln!(std::io::stderr(), "{text}"));
    ExitCode::from(EX_USAGE)
}
