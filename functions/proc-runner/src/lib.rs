#![doc = include_str!("../README.md")]

use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::call::{ArgumentFields, CallFields};
use shared::error::cut;
use shared::progress::{Progress, Ticket, check_timeout, decide};
use shared::runtime::{parse, var_parsed, within};
use shared::{
    Error, LogicalAttempt, ProcedureCall, Result, Target, TargetFields, WorkflowRun, metrics, polling, statement,
};
use tracing::{Span, field, info, info_span};

/// What a procedure gets where neither the request nor the environment says: 2 hours.
const DEFAULT_TIMEOUT_SECONDS: u64 = 7200;
/// By then the pauses between them have grown to five minutes: somebody had better look.
const MOST_ATTEMPTS: u32 = 10;
/// What the attempts of one procedure may add to the history of an execution, which dies at 25,000 events: the
/// rest is for the other steps, for pauses and for what Step Functions repeats.
const MOST_EVENTS: u64 = 20_000;
/// Attempts where neither the request nor the environment says.
const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// The function's environment.
#[derive(Debug)]
pub struct Config {
    target: TargetFields,
    timeout_seconds: u64,
    max_attempts: u32,
}

impl Config {
    /// Reads the variables of the target, `STATEMENT_TIMEOUT_SECONDS` and `MAX_ATTEMPTS`.
    ///
    /// # Errors
    /// `InvalidConfiguration` naming the variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Ok(Self {
            timeout_seconds: var_parsed(&var, "STATEMENT_TIMEOUT_SECONDS", "whole seconds", DEFAULT_TIMEOUT_SECONDS)?,
            max_attempts: var_parsed(&var, "MAX_ATTEMPTS", "a whole number", DEFAULT_MAX_ATTEMPTS)?,
            target: TargetFields::from_env(var),
        })
    }
}

/// One item of a list of procedures: what to call, where, and within which bounds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Item {
    procedure: Option<String>,
    arguments: Option<Vec<ArgumentFields>>,
    sql: Option<String>,
    workgroup_name: Option<String>,
    cluster_identifier: Option<String>,
    database: Option<String>,
    secret_arn: Option<String>,
    db_user: Option<String>,
    timeout_seconds: Option<u64>,
    max_attempts: Option<u32>,
    singleton: bool,
}

/// A checked item.
#[derive(Debug)]
struct Job {
    call: ProcedureCall,
    target: Target,
    timeout_seconds: u64,
    max_attempts: u32,
    singleton: bool,
}

/// Who asks: which logical attempt this is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    execution_id: Option<String>,
    #[serde(default)]
    step: u32,
    #[serde(default = "first")]
    attempt: u32,
    #[serde(default)]
    dry_run: bool,
    /// What people are told it belongs to.
    #[serde(default)]
    context: WorkflowRun,
}

fn first() -> u32 {
    1
}

/// What would run.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Plan {
    sql: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workgroup_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_identifier: Option<String>,
    database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    db_user: Option<String>,
    statement_name: String,
    client_token: String,
    timeout_seconds: u64,
    max_attempts: u32,
}

impl Item {
    fn check(self, config: &Config) -> Result<Job> {
        let target = TargetFields {
            workgroup_name: self.workgroup_name,
            cluster_identifier: self.cluster_identifier,
            database: self.database,
            secret_arn: self.secret_arn,
            db_user: self.db_user,
        };
        let max_attempts = self.max_attempts.unwrap_or(config.max_attempts);
        if !(1..=MOST_ATTEMPTS).contains(&max_attempts) {
            let text = format!("MaxAttempts is {max_attempts}; it has to be 1 to {MOST_ATTEMPTS}");
            return Err(Error::InvalidInput(text));
        }
        let timeout_seconds = check_timeout(self.timeout_seconds.unwrap_or(config.timeout_seconds))?;
        let events = u64::from(max_attempts) * polling::events(Duration::from_secs(timeout_seconds));
        if events > MOST_EVENTS {
            return Err(Error::InvalidInput(format!(
                "{max_attempts} attempts (MaxAttempts) of {timeout_seconds} s (TimeoutSeconds) may take {events} events \
                 of an execution's history, and {MOST_EVENTS} are left for them: lower one of the two"
            )));
        }
        Ok(Job {
            call: CallFields { procedure: self.procedure, arguments: self.arguments, sql: self.sql }.try_into()?,
            target: target.or(&config.target).try_into()?,
            timeout_seconds,
            max_attempts,
            singleton: self.singleton,
        })
    }
}

impl Job {
    fn plan(&self, attempt: &LogicalAttempt) -> Plan {
        Plan {
            sql: self.call.sql_with_placeholders().to_owned(),
            workgroup_name: self.target.workgroup().map(str::to_owned),
            cluster_identifier: self.target.cluster().map(str::to_owned),
            database: self.target.database().to_owned(),
            secret_arn: self.target.secret_arn().map(str::to_owned),
            db_user: self.target.db_user().map(str::to_owned),
            statement_name: attempt.statement_name(),
            client_token: attempt.client_token().to_string(),
            timeout_seconds: self.timeout_seconds,
            max_attempts: self.max_attempts,
        }
    }
}

/// Splits a payload into who asks and what for.
///
/// The call is given flat, as in the SDK integration that this replaces; or as `Call`, an item of the
/// state machine's list; or, for a dry run of a whole execution, as the list itself.
fn read(payload: Value) -> Result<(Identity, Vec<Value>)> {
    let Value::Object(mut fields) = payload else {
        return Err(Error::InvalidInput("the payload has to be a JSON object".into()));
    };
    let mut identity = Map::new();
    for name in ["ExecutionId", "Step", "Attempt", "DryRun", "Context"] {
        if let Some(value) = fields.remove(name) {
            identity.insert(name.to_owned(), value);
        }
    }
    let identity: Identity = parse(Value::Object(identity))?;
    let items = match (fields.remove("Call"), fields.remove("Procedures")) {
        (None, None) => return Ok((identity, vec![Value::Object(fields)])),
        (Some(call), None) => vec![call],
        (None, Some(Value::Array(list))) if identity.dry_run && !list.is_empty() => list,
        _ => {
            return Err(Error::InvalidInput(
                "Procedures has to be a list of at least one call, and a list is for the state machine or a DryRun"
                    .into(),
            ));
        }
    };
    if let Some(name) = fields.keys().next() {
        return Err(Error::InvalidInput(format!("{name:?} belongs inside of Call, or does not belong here at all")));
    }
    Ok((identity, items))
}

/// Submits the call and waits for its end as long as two long polls allow.
///
/// `request_id` stands for the execution where there is none: the retries of an asynchronous invocation
/// share it, so they too run the procedure once.
///
/// # Errors
/// `InvalidInput` before anything is sent; else as [`statement::submit`].
pub async fn handle(client: &Client, config: &Config, payload: Value, request_id: &str) -> Result<Value> {
    let workflow = WorkflowRun::of(&payload);
    let execution = payload.get("ExecutionId").and_then(Value::as_str).unwrap_or(request_id);
    // Made of what was not checked yet, so that a refusal has its ids too.
    let span = info_span!(
        "submit",
        execution,
        procedure = field::Empty,
        statement_name = field::Empty,
        statement_id = field::Empty,
        workflow_name = workflow.workflow_name,
        workflow_run_id = workflow.workflow_run_id
    );
    within(span, answer(client, config, payload, request_id)).await
}

async fn answer(client: &Client, config: &Config, payload: Value, request_id: &str) -> Result<Value> {
    let (identity, items) = read(payload)?;
    let execution = identity.execution_id.as_deref().unwrap_or(request_id);
    let step = |offset: usize| identity.step.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
    let mut jobs = Vec::new();
    for (offset, item) in items.into_iter().enumerate() {
        let step = step(offset);
        let procedure = item.get("Procedure").and_then(Value::as_str);
        let procedure = procedure.map(|name| format!(" ({})", cut(name, 100))).unwrap_or_default();
        let job = parse::<Item>(item).and_then(|item| item.check(config));
        let job = job.map_err(|e| e.about(&format!("step {step}{procedure}")))?;
        let attempt = LogicalAttempt::new(execution, step, identity.attempt)?;
        jobs.push((job, attempt.of_workflow_run(identity.context.workflow_run_id.clone())?));
    }
    if identity.dry_run {
        let plans: Vec<_> = jobs.iter().map(|(job, attempt)| job.plan(attempt)).collect();
        return Ok(serde_json::json!({"DryRun": true, "Statements": plans}));
    }
    let Some((job, attempt)) = jobs.pop() else {
        return Err(Error::InvalidInput("nothing to call".into()));
    };
    Span::current().record("procedure", field::display(&job.call)).record("statement_name", attempt.statement_name());
    // Where the first submit fails, the state machine has nothing else that names the procedure.
    let progress = run(client, &job, &attempt).await;
    let mut progress = progress.map_err(|e| e.about(&job.call.to_string()))?;
    progress.ticket.execution_id = identity.execution_id;
    progress.ticket.context = identity.context;
    metrics::statement_ended(&progress);
    serde_json::to_value(progress).map_err(|e| Error::InvalidInput(e.to_string()))
}

async fn run(client: &Client, job: &Job, attempt: &LogicalAttempt) -> Result<Progress> {
    let timeout = Duration::from_secs(job.timeout_seconds);
    if job.singleton {
        statement::check_alone(client, &job.target, &job.call, attempt).await?;
    }
    let submitted = statement::submit(client, &job.target, &job.call, attempt, polling::long_poll(timeout)).await?;
    Span::current().record("statement_id", field::display(&submitted.id));
    info!(status = %submitted.status, "submitted");
    let ticket = Ticket {
        procedure: Some(job.call.to_string()),
        statement_name: Some(attempt.statement_name()),
        attempt: attempt.attempt(),
        max_attempts: job.max_attempts,
        ..Ticket::new(&submitted.id, job.timeout_seconds, submitted.created_at)
    };
    // A repeated submit finds the statement of the first time, perhaps long under way; and only a
    // description says how a statement ended. One that has not is waited for once more: the poll costs less
    // than the turn of the loop that it saves.
    let wait = polling::long_poll(ticket.left(SystemTime::now())).filter(|_| !submitted.status.has_ended());
    let description = statement::describe(client, &submitted.id, wait).await?;
    let now = SystemTime::now();
    // A statement past its time is cancelled by the status-checker, which comes next.
    let decision = decide(&ticket, &description, Duration::MAX, now);
    Ok(Progress::new(ticket, &description, decision, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
    use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
    use aws_sdk_redshiftdata::types::{StatementStatusString, StatusString};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use serde_json::json;
    use std::sync::{Arc, Mutex};

    const ID: &str = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b";
    const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:loader:run-1";

    fn config() -> Config {
        Config::from_env(|name| match name {
            "WORKGROUP_NAME" => Some("w".into()),
            "DATABASE" => Some("d".into()),
            "SECRET_ARN" => Some("s".into()),
            _ => None,
        })
        .expect("valid")
    }

    fn described(status: StatusString, error: &'static str) -> Rule {
        mock!(Client::describe_statement).then_output(move || {
            DescribeStatementOutput::builder()
                .id(ID)
                .status(status.clone())
                .error(error)
                .created_at(SystemTime::now().into())
                .build()
                .expect("complete")
        })
    }

    /// Answers every submit, and keeps what was sent.
    fn accepting(seen: &Arc<Mutex<Vec<String>>>) -> Rule {
        let seen = seen.clone();
        mock!(Client::execute_statement)
            .match_requests(move |r| {
                seen.lock().expect("lock").push(format!("{r:?}"));
                true
            })
            .then_output(|| {
                ExecuteStatementOutput::builder()
                    .id(ID)
                    .status(StatementStatusString::Started)
                    .created_at(SystemTime::now().into())
                    .build()
            })
    }

    async fn submit(payload: Value, end: (StatusString, &'static str)) -> (Result<Value>, Vec<String>) {
        let seen = Arc::default();
        let (accept, describe) = (accepting(&seen), described(end.0, end.1));
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&accept, &describe]);
        let answer = handle(&client, &config(), payload, "request-1").await;
        let seen = seen.lock().expect("lock").clone();
        (answer, seen)
    }

    #[tokio::test]
    async fn a_running_statement_is_reported_with_what_the_loop_needs() {
        let payload = json!({"Call": {"Procedure": "dev.p"}, "ExecutionId": ARN, "Step": 1, "Attempt": 2});
        let (answer, _) = submit(payload, (StatusString::Started, "")).await;
        let answer = answer.expect("submitted");
        for (field, value) in [
            ("Id", json!(ID)),
            ("Status", json!("STARTED")),
            ("WaitSeconds", json!(1)),
            ("Attempt", json!(2)),
            ("MaxAttempts", json!(3)),
            ("TimeoutSeconds", json!(7200)),
            ("Procedure", json!("dev.p")),
            ("StatementName", json!("loader/run-1/1/2")),
        ] {
            assert_eq!(answer[field], value, "{field}");
        }
        assert!(answer.get("Error").is_none());
    }

    #[tokio::test]
    async fn a_failure_inside_the_long_poll_is_reported_at_once() {
        let (answer, _) = submit(json!({"Procedure": "dev.p"}), (StatusString::Failed, "ERROR: 1023 Detail: x")).await;
        let answer = answer.expect("submitted");
        assert_eq!(
            (answer["Status"].as_str(), answer["Error"].as_str()),
            (Some("FAILED"), Some("SerializationConflict"))
        );
        assert_eq!((&answer["Retryable"], &answer["RetryAfterSeconds"]), (&json!(true), &json!(10)));
    }

    #[tokio::test]
    async fn the_same_attempt_sends_the_same_bytes() {
        let payload = |attempt| json!({"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": "x"}], "ExecutionId": ARN, "Attempt": attempt});
        let first = submit(payload(1), (StatusString::Started, "")).await.1;
        assert_eq!(first, submit(payload(1), (StatusString::Finished, "")).await.1);
        assert_ne!(first, submit(payload(2), (StatusString::Finished, "")).await.1);
    }

    #[tokio::test]
    async fn without_an_execution_the_request_id_is_the_identity() {
        let (answer, _) = submit(json!({"Sql": "call dev.p();"}), (StatusString::Finished, "")).await;
        assert_eq!(answer.expect("submitted")["StatementName"], "direct/request-1/0/1");
    }

    #[tokio::test]
    async fn bad_input_submits_nothing() {
        for payload in [
            json!(null),
            json!({}),
            json!({"Call": {"Procedure": "dev.p"}, "Procedure": "dev.p"}),
            json!({"Call": 1}),
            json!({"Procedures": [{"Procedure": "dev.p"}]}),
            json!({"DryRun": true, "Procedures": []}),
            json!({"DryRun": true, "Procedures": "dev.p"}),
            json!({"Sql": "SELECT 1"}),
            json!({"Procedure": "dev.p", "ClusterIdentifier": "c", "SecretArn": "s", "DbUser": "u"}),
            json!({"Procedure": "dev.p", "TimeoutSeconds": 0}),
            json!({"Procedure": "dev.p", "MaxAttempts": 0}),
            json!({"Procedure": "dev.p", "MaxAttempts": 11}),
            // 3 x 8,719 events.
            json!({"Procedure": "dev.p", "TimeoutSeconds": 86_400}),
            json!({"Procedure": "dev.p", "TimeoutSeconds": 43_200, "MaxAttempts": 5}),
            json!({"Procedure": "dev.p", "TimeoutSecond": 5}),
            json!({"Procedure": "dev.p", "Step": -1}),
        ] {
            let (answer, seen) = submit(payload.clone(), (StatusString::Finished, "")).await;
            assert_eq!(answer.expect_err(&payload.to_string()).name(), "InvalidInput");
            assert!(seen.is_empty());
        }
    }

    #[tokio::test]
    async fn bounds_that_fit_into_a_history_are_taken() {
        for (timeout, attempts) in [(7200, 3), (7200, 10), (43_200, 4), (86_400, 2)] {
            let payload = json!({"Procedure": "dev.p", "TimeoutSeconds": timeout, "MaxAttempts": attempts});
            submit(payload, (StatusString::Finished, "")).await.0.expect("submitted");
        }
        let payload = json!({"Call": {"Procedure": "dev.p", "TimeoutSeconds": 86_400}, "Step": 1});
        let said = submit(payload, (StatusString::Finished, "")).await.0.expect_err("too much").to_string();
        assert!(said.starts_with("step 1 (dev.p): 3 attempts") && said.contains("26157 events"), "{said}");
    }

    #[tokio::test]
    async fn whatever_fails_names_the_procedure_and_no_argument() {
        let seen = Arc::default();
        let unknown = described(StatusString::from("HIBERNATING"), "");
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&accepting(&seen), &unknown]);
        let payload = json!({"Sql": "CALL dev.p('hunter2')"});
        let error = handle(&client, &config(), payload, "request-1").await.expect_err("unknown");
        assert_eq!(error.name(), "UnknownStatus");
        assert!(error.to_string().starts_with("dev.p: ") && !error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_wrong_environment_is_named() {
        let error = Config::from_env(|name| (name == "MAX_ATTEMPTS").then(|| "many".into())).expect_err("wrong");
        assert_eq!(error.name(), "InvalidConfiguration");
        assert!(error.to_string().contains("MAX_ATTEMPTS"));
    }

    #[tokio::test]
    async fn a_dry_run_shows_placeholders_and_runs_nothing() {
        let payload = json!({"DryRun": true, "ExecutionId": ARN, "Procedures": [
            {"Sql": "CALL dev.p('hunter2')"}, {"Procedure": "dev.q", "Database": "other"},
            {"Procedure": "dev.r", "ClusterIdentifier": "c", "DbUser": "u"}
        ]});
        let (answer, seen) = submit(payload, (StatusString::Finished, "")).await;
        let answer = answer.expect("planned");
        assert!(seen.is_empty());
        assert_eq!(answer["Statements"][0]["Sql"], "CALL dev.p(:literal_1);");
        assert_eq!(answer["Statements"][1]["Database"], "other");
        assert_eq!(answer["Statements"][1]["SecretArn"], "s");
        assert_eq!(
            (&answer["Statements"][2]["DbUser"], &answer["Statements"][2]["SecretArn"]),
            (&json!("u"), &json!(null))
        );
        assert_eq!(answer["Statements"][1]["StatementName"], "loader/run-1/1/1");
        assert!(!answer.to_string().contains("hunter2"));
    }
}
