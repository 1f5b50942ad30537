//! A query and its rows, page by page: memory is bounded by one page.

use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::types::Field;
use shared::error::cut;
use shared::statement::{self, Query};
use shared::{Error, ErrorKind, FailureKind, Result, StatementId, Status, Target, polling};
use tracing::{Span, field, info, warn};

/// What the engine's text is cut to in an error of [`run`].
const MAX_ENGINE_CHARS: usize = 2_000;

/// The pauses between the tries of a query that fails in a way that a new try can cure: what it conflicts
/// with must end first.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Runs a query and waits for its end, at most until `deadline`; past it the query is cancelled. A
/// conflict with another transaction, or a lost session, is tried three times in all.
///
/// # Errors
/// With the engine's text: `ServiceUnavailable` if the last try too failed in a way that passes by itself,
/// `AuditQueryFailed` if it failed in another; `NotificationsIncomplete` if it takes too long; otherwise as
/// for every call.
pub(crate) async fn run(
    client: &Client,
    target: &Target,
    query: Query<'_>,
    deadline: SystemTime,
) -> Result<StatementId> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let (id, status) = once(client, target, query, deadline).await?;
        if status == Status::Finished {
            return Ok(id);
        }
        let described = statement::describe(client, &id, None).await?;
        let text = described.error.unwrap_or_else(|| "no reason given".to_owned());
        let failed = format!("{} (statement {id}) is {status}: {}", query.name, cut(&text, MAX_ENGINE_CHARS));
        if !described.failure.is_some_and(FailureKind::is_retryable) {
            return Err(Error::new(ErrorKind::AuditQueryFailed, failed));
        }
        let Some(pause) = pauses.next().filter(|pause| SystemTime::now() + *pause < deadline) else {
            return Err(Error::new(ErrorKind::ServiceUnavailable, failed));
        };
        warn!(statement_id = %id, "trying again: {text}");
        tokio::time::sleep(pause).await;
    }
}

async fn once(
    client: &Client,
    target: &Target,
    query: Query<'_>,
    deadline: SystemTime,
) -> Result<(StatementId, Status)> {
    let left = || deadline.duration_since(SystemTime::now()).unwrap_or_default();
    let submitted = statement::submit_query(client, target, query, polling::long_poll(left())).await?;
    let id = submitted.id;
    Span::current().record("statement_id", field::display(&id));
    info!(statement_id = %id, statement_name = query.name, "submitted");
    let mut status = submitted.status;
    while !status.has_ended() {
        let Some(wait) = polling::long_poll(left()) else {
            statement::cancel(client, &id).await?;
            // Most likely it waits for the lock of an audit: the next try finds that ended.
            return Err(Error::new(
                ErrorKind::NotificationsIncomplete,
                format!(
                    "{} (statement {id}) was still {status} shortly before the function's deadline and was cancelled; \
                 it waits for an audit that runs, or needs more time",
                    query.name
                ),
            ));
        };
        status = statement::describe(client, &id, Some(wait)).await?.status;
    }
    Ok((id, status))
}

/// Reads the result of one statement.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    client: &'a Client,
    id: &'a StatementId,
    next: Option<String>,
    started: bool,
}

/// One row of a result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row(Vec<Field>);

impl<'a> Pages<'a> {
    /// The pages of a statement that has FINISHED; before its end the service knows no result.
    pub(crate) fn of(client: &'a Client, id: &'a StatementId) -> Self {
        Self { client, id, next: None, started: false }
    }

    /// The next page, or nothing after the last.
    ///
    /// # Errors
    /// `StatementNotFound` if the result has expired (24 hours); otherwise as for every call.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        if self.started && self.next.is_none() {
            return Ok(None);
        }
        self.started = true;
        let answer =
            self.client.get_statement_result().id(self.id.as_str()).set_next_token(self.next.take()).send().await;
        let answer = answer.map_err(|e| Error::from_sdk(&format!("read the result of statement {}", self.id), e))?;
        self.next = answer.next_token.filter(|token| !token.is_empty());
        Ok(Some(answer.records.into_iter().map(Row).collect()))
    }
}

impl Row {
    /// A value as text: DECIMAL, date and time arrive as strings, whole numbers do not. Nothing for
    /// NULL and for a column that is not there.
    pub(crate) fn text(&self, column: usize) -> Option<String> {
        match self.0.get(column)? {
            Field::StringValue(text) => Some(text.clone()),
            Field::LongValue(number) => Some(number.to_string()),
            Field::DoubleValue(number) => Some(number.to_string()),
            Field::BooleanValue(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// A whole number, also where it arrives as a string.
    pub(crate) fn integer(&self, column: usize) -> Option<i64> {
        match self.0.get(column)? {
            Field::LongValue(number) => Some(*number),
            Field::StringValue(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl From<Vec<Field>> for Row {
    fn from(fields: Vec<Field>) -> Self {
        Self(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
    use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
    use aws_sdk_redshiftdata::operation::get_statement_result::GetStatementResultOutput;
    use aws_sdk_redshiftdata::types::{StatementStatusString, StatusString};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use shared::testing::{ID, id, target};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn every_page_is_read_once() {
        let page = |n: i64, next: Option<&'static str>| {
            move || {
                GetStatementResultOutput::builder()
                    .records(vec![Field::LongValue(n)])
                    .set_next_token(next.map(str::to_owned))
                    .build()
                    .expect("complete")
            }
        };
        let first = mock!(Client::get_statement_result)
            .match_requests(|r| r.next_token().is_none())
            .then_output(page(1, Some("t")));
        let last = mock!(Client::get_statement_result)
            .match_requests(|r| r.next_token() == Some("t"))
            .then_output(page(2, None));
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&first, &last]);
        let id = id();
        let mut pages = Pages::of(&client, &id);
        let mut seen = Vec::new();
        while let Some(rows) = pages.next().await.expect("page") {
            seen.extend(rows.iter().filter_map(|r| r.integer(0)));
        }
        assert_eq!(seen, [1, 2]);
        assert_eq!((first.num_calls(), last.num_calls()), (1, 1));
    }

    /// A warehouse whose first `failures` statements fail with `text`; what a query becomes, how many
    /// statements it took, and how long.
    async fn query(failures: usize, text: &'static str) -> (Result<StatementId>, usize, Duration) {
        let submitted = Arc::new(AtomicUsize::new(0));
        let count = submitted.clone();
        let execute = mock!(Client::execute_statement).then_output(move || {
            let ended = if count.fetch_add(1, Ordering::Relaxed) < failures {
                StatementStatusString::Failed
            } else {
                StatementStatusString::Finished
            };
            ExecuteStatementOutput::builder().id(ID).status(ended).build()
        });
        let describe = mock!(Client::describe_statement).then_output(move || {
            let output = DescribeStatementOutput::builder().id(ID).status(StatusString::Failed);
            output.error(text).build().expect("complete")
        });
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&execute, &describe]);
        let query = Query { sql: "UPDATE t SET a = 1", parameters: &[], name: "mark" };
        let begin = tokio::time::Instant::now();
        let deadline = SystemTime::now() + Duration::from_secs(60);
        let outcome = run(&client, &target(), query, deadline).await;
        (outcome, submitted.load(Ordering::Relaxed), begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_conflict_is_tried_again_after_a_pause_and_is_repeatable_in_the_end() {
        const CONFLICT: &str = "ERROR: 1023 Detail: Serializable isolation violation on table - 1";
        for (failures, text, outcome, statements, seconds) in [
            (0, CONFLICT, "", 1, 0),
            (1, CONFLICT, "", 2, 1),
            (2, CONFLICT, "", 3, 4),
            (3, CONFLICT, "ServiceUnavailable", 3, 4),
            (1, "ERROR: permission denied for relation t", "AuditQueryFailed", 1, 0),
        ] {
            let (ended, submitted, passed) = query(failures, text).await;
            let ended = ended.map_or_else(|e| e.name(), |_| "");
            assert_eq!((ended, submitted, passed.as_secs()), (outcome, statements, seconds), "{failures} x {text}");
        }
    }

    #[test]
    fn values_are_read_by_what_they_mean() {
        let row = Row(vec![
            Field::StringValue("42".into()),
            Field::LongValue(42),
            Field::IsNull(true),
            Field::StringValue("x".into()),
        ]);
        assert_eq!((row.integer(0), row.integer(1), row.integer(2), row.integer(3)), (Some(42), Some(42), None, None));
        assert_eq!((row.text(1).as_deref(), row.text(2), row.text(9)), (Some("42"), None, None));
    }
}
