//! SQLSTATE to the errors of our catalogue. What PostgreSQL says goes to the log as the source, never to the caller.

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};
use tenantry_kernel::{Error, Reason};

/// Maps a driver error. The constraint name travels as metadata `constraint`, so that an app layer can name the field.
#[must_use]
pub fn map_error(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(db) => from_database(db.as_ref()).because(error),
        sqlx::Error::RowNotFound => Error::not_found(),
        sqlx::Error::PoolTimedOut => overloaded().because(error),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            Error::unavailable(error)
        }
        _ => Error::internal(error),
    }
}

pub(crate) fn overloaded() -> Error {
    Error::new(
        Reason::Overloaded,
        "Too many requests are waiting for the database. Try again in a moment.",
    )
    .retry_after(std::time::Duration::from_secs(1))
}

pub(crate) fn deadline_exceeded() -> Error {
    Error::new(
        Reason::DeadlineExceeded,
        "The request took longer than its deadline. Try again with a longer deadline or a smaller request.",
    )
}

fn from_database(db: &dyn DatabaseError) -> Error {
    let code = db.code().unwrap_or_default();
    let constraint = |error: Error| match db.constraint() {
        Some(name) => error.meta("constraint", name),
        None => error,
    };
    match code.as_ref() {
        "23505" => constraint(Error::new(
            Reason::UniqueViolation,
            "A unique value is already taken. Choose another value.",
        )),
        "23503" if db.message().starts_with("update or delete") => still_referenced(constraint),
        "23001" => still_referenced(constraint),
        "23503" => constraint(Error::new(
            Reason::ReferenceNotFound,
            "A reference names a record that does not exist. Create it first or correct the reference.",
        )),
        "23514" | "23502" | "22001" | "22003" | "22007" | "22008" => constraint(Error::new(
            Reason::InvalidArgument,
            "A value is outside of what its field accepts. Correct it and repeat the call.",
        )),
        "40001" | "40P01" | "55P03" => Error::new(Reason::Conflict, "A concurrent change won. Repeat the call."),
        "57014" => deadline_exceeded(),
        // Also a session that sat idle, in a transaction (25P03) or outside of one (57P05), for longer than is allowed.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" => {
            Error::unavailable("connection ended by the server")
        }
        code if code.starts_with("08") => Error::unavailable("connection failed"),
        // A refused context, a missing grant and an unknown table are bugs or attacks: the caller learns nothing.
        _ => Error::internal("statement refused"),
    }
}

fn still_referenced(constraint: impl Fn(Error) -> Error) -> Error {
    constraint(Error::new(
        Reason::StillReferenced,
        "Other records still refer to this one. Delete or change them first.",
    ))
}

/// The SQLSTATE behind an error, for retries and tests.
#[must_use]
pub fn sqlstate(error: &Error) -> Option<String> {
    let source = std::error::Error::source(error)?;
    match source.downcast_ref::<sqlx::Error>()? {
        sqlx::Error::Database(db) => db.try_downcast_ref::<PgDatabaseError>().map(|pg| pg.code().to_owned()),
        _ => None,
    }
}
