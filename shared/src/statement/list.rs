//! Finds statements.

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::types::StatusString;

use super::StatementId;
use crate::attempt::LogicalAttempt;
use crate::call::{ProcedureCall, QualifiedName};
use crate::error::{Error, ErrorKind, Result};
use crate::status::Status;
use crate::target::Target;

/// A statement as ListStatements shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its Id.
    pub id: StatementId,
    /// Its name.
    pub name: String,
    /// Where it stands; nothing if the service's word is unknown, which counts as not ended: what still
    /// runs must be found whatever it is called.
    pub status: Option<Status>,
    /// Its SQL text.
    pub sql: String,
}

impl Listed {
    /// Whether it may still run.
    pub fn is_active(&self) -> bool {
        !self.status.is_some_and(Status::has_ended)
    }
}

/// Every statement of this role whose name begins with `prefix`, of all statuses, from all pages.
///
/// ListStatements shows only FINISHED ones by default, and only the caller's own role's.
/// [API model]
pub async fn find_by_name_prefix(client: &Client, target: &Target, prefix: &str) -> Result<Vec<Listed>> {
    list(client, target, prefix, StatusString::All).await
}

/// Every active statement of this role whose name begins with `prefix`, which may be empty.
///
/// Asks for one active status after the other: a list of all statuses over a day of statements can time out. In the
/// order in which a statement goes through them, so that one which moves on meanwhile is seen later. A status that
/// this version does not know is not seen.
pub async fn find_active(client: &Client, target: &Target, prefix: &str) -> Result<Vec<Listed>> {
    let mut found: Vec<Listed> = Vec::new();
    for status in [StatusString::Submitted, StatusString::Picked, StatusString::Started] {
        let listed = list(client, target, prefix, status).await?;
        found.extend(listed.into_iter().filter(Listed::is_active));
    }
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

async fn list(client: &Client, target: &Target, prefix: &str, status: StatusString) -> Result<Vec<Listed>> {
    let mut pages = client
        .list_statements()
        .set_statement_name((!prefix.is_empty()).then(|| prefix.to_owned()))
        .status(status)
        .database(target.database())
        .set_workgroup_name(target.workgroup().map(str::to_owned))
        .set_cluster_identifier(target.cluster().map(str::to_owned))
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Error::from_sdk("list statements", e))?;
        for statement in page.statements() {
            let name = statement.statement_name().unwrap_or_default();
            if !name.starts_with(prefix) {
                continue;
            }
            found.push(Listed {
                id: StatementId::of_answer(statement.id())?,
                name: name.to_owned(),
                status: statement.status().and_then(|s| Status::parse(s.as_str()).ok()),
                sql: statement.query_string().unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(found)
}

/// Refuses to go on while *another* statement of the same procedure is active; this attempt's own one,
/// known by its name, is not another.
///
/// Looking and submitting are two steps, so two that look at once both go on: this saves the warehouse
/// work, and the procedure's own table lock is the guarantee.
///
/// # Errors
/// `AlreadyRunning` naming the other statement.
pub async fn check_alone(
    client: &Client,
    target: &Target,
    call: &ProcedureCall,
    attempt: &LogicalAttempt,
) -> Result<()> {
    let own = attempt.statement_name();
    let is_other = |s: &Listed| {
        let same = QualifiedName::called_by(&s.sql).is_some_and(|name| name.same_as(call.procedure()));
        same && s.name != own
    };
    match find_active(client, target, "").await?.into_iter().find(is_other) {
        None => Ok(()),
        Some(other) => Err(Error::new(
            ErrorKind::AlreadyRunning,
            format!("{call} is running already as statement {} ({})", other.id, other.name),
        )),
    }
}
