//! The identity of one logical attempt: what makes a submit repeatable without running twice.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::shown;

/// The Data API's limit for a StatementName. [API model]
const MAX_STATEMENT_NAME_CHARS: usize = 2048;
/// An ARN has some 300 bytes. The audit table remembers an execution in 512, with a separator.
const MAX_EXECUTION_ID_BYTES: usize = 500;

/// Stands for the state machine where there is none.
const DIRECT: &str = "direct";

/// One try of one step of one execution. Only the state machine's choice loop raises `attempt`; a
/// repeated Lambda invocation of the same attempt has the same identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalAttempt {
    execution_id: String,
    step: u32,
    attempt: u32,
    workflow_run: Option<String>,
}

/// What makes ExecuteStatement idempotent for 8 hours: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken(String);

impl ClientToken {
    /// The token as the Data API takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the id of an execution: names, logs and marks in the audit table are made of it.
///
/// # Errors
/// `InvalidInput` for a text that is empty, too long, or no id.
pub fn check_execution_id(text: &str) -> Result<&str> {
    let why = match text {
        "" => "is empty; pass $$.Execution.Id, or leave it out",
        _ if text.len() > MAX_EXECUTION_ID_BYTES => "is too long; it has to have at most 500 bytes",
        _ if shown::id(text).is_none() && ExecutionArn::parse(text).is_none() => {
            "is no id; pass $$.Execution.Id, or letters, digits and -_.:/+=@!%"
        }
        _ => return Ok(text),
    };
    Err(Error::invalid_input(format!("ExecutionId {why}")))
}

impl LogicalAttempt {
    /// `execution_id` is the execution's ARN, or any unique text if there is no execution (the
    /// request id of a hand-made invocation).
    ///
    /// # Errors
    /// `InvalidInput` for an execution id that is empty, too long, or none: it is shown wherever the statement is.
    pub fn new(execution_id: impl Into<String>, step: u32, attempt: u32) -> Result<Self> {
        let execution_id = check_execution_id(&execution_id.into())?.to_owned();
        Self { execution_id, step, attempt, workflow_run: None }.checked()
    }

    /// The same attempt, with the Glue workflow run that it belongs to in its statement's name.
    ///
    /// # Errors
    /// `InvalidInput` if that makes the name too long.
    pub fn of_workflow_run(self, id: Option<String>) -> Result<Self> {
        Self { workflow_run: id, ..self }.checked()
    }

    fn checked(self) -> Result<Self> {
        if self.statement_name().chars().count() > MAX_STATEMENT_NAME_CHARS {
            return Err(Error::invalid_input(format!(
                "ExecutionId or WorkflowRunId is too long: a statement name holds at most {MAX_STATEMENT_NAME_CHARS} characters"
            )));
        }
        Ok(self)
    }

    /// The number of the call in its list, from 0.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// SHA-256 over the identity. The parts are separated by a character that no ARN holds, so that
    /// no two identities share their bytes.
    pub fn client_token(&self) -> ClientToken {
        let text = format!("{}\n{}\n{}", self.execution_id, self.step, self.attempt);
        ClientToken(Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// `<machine>/<execution name>/<step>/<attempt>`, and behind it the workflow run if there is one.
    pub fn statement_name(&self) -> String {
        let run = self.workflow_run.as_ref().map(|id| format!("/{}", one_part(id))).unwrap_or_default();
        format!("{}{}/{}{run}", execution_prefix(&self.execution_id), self.step, self.attempt)
    }
}

/// What the names of an execution's statements begin with: `<machine>/<execution name>/`. It ends in a
/// separator because ListStatements matches by prefix, where `abc` also hits `abc1`.
///
/// An id that is no execution's ARN becomes one part, whatever it holds: the prefix of `nightly` is no prefix of
/// what belongs to `nightly/eu`. A state machine that is called `direct` has a sign more, which no such name holds.
pub fn execution_prefix(execution_id: &str) -> String {
    match ExecutionArn::parse(execution_id) {
        Some(ExecutionArn { machine: DIRECT, name, .. }) => format!("{DIRECT}%/{name}/"),
        Some(arn) => format!("{}/{}/", arn.machine, arn.name),
        None => format!("{DIRECT}/{}/", one_part(execution_id)),
    }
}

/// Whether a statement's name is that of a procedure call of this execution, and not merely begins like one.
pub fn is_statement_of(name: &str, execution_id: &str) -> bool {
    let Some(rest) = name.strip_prefix(&execution_prefix(execution_id)) else { return false };
    let number = |part: Option<&str>| part.is_some_and(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()));
    let mut parts = rest.splitn(3, '/');
    number(parts.next()) && number(parts.next())
}

/// A text as one part of a statement's name, whose separator it may hold.
fn one_part(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

/// An execution's ARN, `arn:PARTITION:states:REGION:ACCOUNT:execution:MACHINE:NAME`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionArn<'a> {
    /// All up to the resource: `arn:PARTITION:states:REGION:ACCOUNT`.
    account: &'a str,
    /// The state machine's name.
    pub machine: &'a str,
    /// The execution's name.
    pub name: &'a str,
}

impl<'a> ExecutionArn<'a> {
    /// Reads an ARN; nothing if the text is none of an execution, whose name Step Functions takes. [Step Functions API reference,
    /// `StartExecution`]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (account, resource) = text.split_once(":execution:")?;
        let (machine, name) = resource.split_once(':')?;
        let parts: Vec<_> = account.split(':').collect();
        let is_states = matches!(parts.as_slice(), ["arn", _, "states", _, _]);
        let refused = |c: char| c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
        let are_names = [machine, name].iter().all(|name| !name.is_empty() && !name.contains(refused));
        (is_states && are_names && shown::id(machine).is_some()).then_some(Self { account, machine, name })
    }

    /// The state machine's ARN.
    pub fn machine_arn(&self) -> String {
        format!("{}:stateMachine:{}", self.account, self.machine)
    }

    /// The ARN of the execution of the same machine that has this name.
    pub fn sibling(&self, name: &str) -> String {
        format!("{}:execution:{}:{name}", self.account, self.machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:loader:run-1";

    fn attempt(step: u32, attempt: u32) -> LogicalAttempt {
        LogicalAttempt::new(ARN, step, attempt).expect("valid")
    }

    #[test]
    fn the_same_attempt_has_the_same_token_and_every_other_another() {
        assert_eq!(attempt(0, 1).client_token(), attempt(0, 1).client_token());
        let tokens: Vec<_> = [(0, 1), (0, 2), (1, 1), (1, 2), (0, 11), (1, 11), (11, 1)]
            .into_iter()
            .map(|(s, a)| attempt(s, a).client_token().to_string())
            .collect();
        for (i, token) in tokens.iter().enumerate() {
            assert_eq!(token.len(), 64);
            assert!(!tokens[..i].contains(token));
        }
    }

    #[test]
    fn the_token_is_pinned() {
        // A change here would run procedures twice for executions that are under way during a deploy.
        assert_eq!(
            attempt(0, 1).client_token().as_str(),
            "5d8955227c3cb8bb4b093cf94c03eeec9065c7df33b3e932aa0838fc9d73ea65"
        );
    }

    #[test]
    fn statements_are_named_after_the_execution() {
        assert_eq!(attempt(1, 2).statement_name(), "loader/run-1/1/2");
        let of_run = attempt(1, 2).of_workflow_run(Some("wr_1".into())).expect("valid");
        assert_eq!(of_run.statement_name(), "loader/run-1/1/2/wr_1");
        assert_eq!(of_run.client_token(), attempt(1, 2).client_token(), "it is the same attempt");
        assert_eq!(execution_prefix(ARN), "loader/run-1/");
        assert_eq!(execution_prefix("b5c1"), "direct/b5c1/");
    }

    #[test]
    fn an_identity_is_no_prefix_of_another() {
        let name = |id: &str, run: Option<&str>| {
            let attempt = LogicalAttempt::new(id, 0, 1).expect("valid").of_workflow_run(run.map(str::to_owned));
            attempt.expect("valid").statement_name()
        };
        let ids = [
            "nightly",
            "nightly/eu",
            "nightly/0",
            "nightly/0/1",
            "nightly/0/1/eu",
            "nightly%2Feu",
            "n",
            "0",
            "0/1",
            "%",
            ARN,
            &format!("{ARN}/0/1"),
            &format!("{ARN}/0"),
            &ARN.replace("loader", "direct").replace("run-1", "nightly"),
            &ARN.replace("run-1", "run-1(2)"),
            &ARN.replace("run-1", "run-1’s"),
        ];
        for one in ids {
            for other in ids {
                for run in [None, Some("wr_1"), Some("0/1"), Some("eu/0/1")] {
                    assert_eq!(is_statement_of(&name(other, run), one), one == other, "{one} {other} {run:?}");
                }
            }
        }
        assert!(!is_statement_of("loader/run-1/notify/1", ARN), "the query of the notifications ends by itself");
        assert!(!is_statement_of("loader/run-1/0/", ARN) && !is_statement_of("loader/run-1/0", ARN));
    }

    #[test]
    fn an_arn_is_taken_apart() {
        let arn = ExecutionArn::parse(ARN).expect("an ARN");
        assert_eq!((arn.machine, arn.name), ("loader", "run-1"));
        assert_eq!(arn.machine_arn(), "arn:aws:states:eu-west-1:123456789012:stateMachine:loader");
        assert_eq!(arn.sibling("run-2"), ARN.replace("run-1", "run-2"));
        for other in [
            "",
            "nightly",
            "arn:aws:states:eu-west-1:123456789012:stateMachine:loader",
            "arn:aws:states:r:a:execution:m",
            "arn:aws:sns:r:a:execution:m:n",
            "arn:aws:states:r:a:execution:m:n/1",
            "arn:aws:states:r:a:execution:m/1:n",
            "arn:aws:states:r:a:execution:m:n:1",
            "arn:aws:states:r:a:execution:m:n%",
        ] {
            assert_eq!(ExecutionArn::parse(other), None, "{other}");
        }
    }

    #[test]
    fn an_empty_or_overlong_execution_id_is_refused() {
        assert!(LogicalAttempt::new(" ", 0, 1).is_err());
        // Step Functions takes these names of executions; by hand they are no ids.
        for name in ["backfill(2)", "o'brien-1", "läuft"] {
            assert!(LogicalAttempt::new(format!("{}:{name}", ARN.rsplit_once(':').expect("an ARN").0), 0, 1).is_ok());
        }
        assert!(LogicalAttempt::new("dev.p('x')", 0, 1).is_err());
        assert!(LogicalAttempt::new("x".repeat(3000), 0, 1).is_err());
        assert!(attempt(0, 1).of_workflow_run(Some("x".repeat(3000))).is_err());
    }
}
