//! Boot-time linter: a service refuses to serve tenants from a database that breaks the rules isolation rests on
//! (data plane, section 2). It reads catalogs only.

use crate::{Statements, error::map_error, query};
use sqlx::Row;
use std::fmt;
use tenantry_kernel::{Error, Reason, Result};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Short stable name of the rule.
    pub rule: String,
    /// The table, role, function or setting.
    pub object: String,
    /// What is wrong and what to do.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {}", self.rule, self.object, self.detail)
    }
}

/// Checks the schemas that match one of `schemas` (`LIKE` patterns: `business`, `t\_%`), the service roles and the
/// server.
///
/// # Errors
/// As every statement. Findings are not errors.
pub async fn lint(tx: &mut impl Statements, schemas: &[&str]) -> Result<Vec<Finding>> {
    let rows = tx.fetch_all(query(include_str!("lint.sql")).bind(schemas)).await?;
    let decode = |row: &sqlx::postgres::PgRow| {
        Ok(Finding {
            rule: row.try_get("rule")?,
            object: row.try_get("object")?,
            detail: row.try_get("detail")?,
        })
    };
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(map_error)
}

/// What `run` asks before it serves tenants: logs every finding and refuses if there is one.
///
/// # Errors
/// `FAILED_PRECONDITION` with the first findings; else as every statement.
pub async fn ensure_clean(tx: &mut impl Statements, schemas: &[&str]) -> Result<()> {
    let findings = lint(tx, schemas).await?;
    for finding in &findings {
        tracing::error!(
            rule = finding.rule,
            object = finding.object,
            detail = finding.detail,
            "the database breaks an isolation rule"
        );
    }
    if findings.is_empty() {
        return Ok(());
    }
    let first = findings
        .iter()
        .take(5)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    Err(Error::new(
        Reason::FailedPrecondition,
        format!("The database breaks {} isolation rules: {first}", findings.len()),
    ))
}
