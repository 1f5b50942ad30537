//! The page of the local stack: what its buttons do, and its inbox.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use loader::page::{Action, Choice, Doing, Local, Message, Options, Page};
use loader::runs::{Change, change};
use loader::{Error, Moment, Place, Result, rerun};
use redshift_data_local::Service;
use redshift_data_local::faults::{Fault, FaultKind};
use tokio::task::JoinSet;

use crate::demo::{FIX, FIXED, announce_to};
use crate::notifications::{Inbox, Received};
use crate::stack::{STACK_NAME, Stack};
use crate::warehouse::Warehouse;

/// Notifications that the page has at most: a stack may be up for days.
const MOST_MESSAGES: usize = 200;
/// Statements of executions have names with this in them, and the page's own have none.
const OF_EXECUTIONS: &str = "/";

/// The page, and what keeps its inbox. Dropping it ends both.
pub struct LocalPage {
    page: Page,
    _readers: JoinSet<()>,
}

impl LocalPage {
    /// Serves the page of a stack.
    ///
    /// # Errors
    /// If the queue cannot be made, or a tool is missing.
    pub async fn start(stack: &Stack) -> Result<Self> {
        let messages = Arc::new(Mutex::new(Vec::new()));
        let mut readers = JoinSet::new();
        for (queue, topic) in [("redshift-loader-page", "TopicArn"), ("redshift-loader-page-chat", "ChatTopicArn")] {
            let topic = stack.outputs.get(topic);
            if !topic.is_empty() {
                let inbox = Inbox::subscribe_as(queue, &stack.aws, topic).await?;
                readers.spawn(keep(inbox, messages.clone()));
            }
        }
        let environment: Vec<_> =
            stack.environment().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let buttons = Buttons {
            aws: stack.aws.clone(),
            warehouse: stack.warehouse.clone(),
            data_api: stack.data_api.service.clone(),
            environment: environment.clone(),
            messages,
        };
        let options = Options { place: place(), port: None, environment, local: Some(Arc::new(buttons)) };
        Ok(Self { page: Page::start(options).await?, _readers: readers })
    }

    /// Its address, with the key.
    pub fn url(&self) -> &str {
        &self.page.url
    }
}

fn place() -> Place {
    Place { stack: STACK_NAME.to_owned(), parameters: None }
}

/// Takes what arrives in a queue of the page's own.
async fn keep(inbox: Inbox, messages: Arc<Mutex<Vec<Message>>>) {
    loop {
        let Ok(received) = inbox.take(1).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let mut messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.extend(received.into_iter().map(|received| message(received, Some(Moment::now()))));
        let too_many = messages.len().saturating_sub(MOST_MESSAGES);
        messages.drain(..too_many);
    }
}

/// A notification for a reader.
pub(crate) fn message(received: Received, at: Option<Moment>) -> Message {
    let Received { subject, message, payload, .. } = received;
    Message { subject, text: message, json: payload, at }
}

struct Buttons {
    aws: SdkConfig,
    warehouse: Warehouse,
    data_api: Arc<Service>,
    environment: Vec<(String, String)>,
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Local for Buttons {
    fn act(&self, action: Action) -> Doing<'_> {
        Box::pin(self.perform(action))
    }

    fn faults(&self) -> Vec<Choice> {
        let choice = |known: &Known| Choice { name: known.name.to_owned(), text: known.text.to_owned() };
        KNOWN.iter().map(choice).collect()
    }

    fn correction(&self) -> String {
        format!("Correct run {FIXED}")
    }

    fn waiting(&self) -> Vec<String> {
        let left = self.data_api.faults().left();
        let name = |fault: &Fault| KNOWN.iter().find(|known| (known.kind)() == fault.kind).map(|known| known.text);
        left.iter().map(|fault| name(fault).map_or_else(|| format!("{:?}", fault.kind), str::to_owned)).collect()
    }

    fn inbox(&self) -> Vec<Message> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Buttons {
    async fn perform(&self, action: Action) -> Result<String> {
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut said = Vec::new();
        let say = |line: &str| said.push(line.to_owned());
        match action {
            Action::Event => {
                announce_to(&self.aws).await?;
                Ok("The event was put: the workflow's last job has succeeded.".to_owned())
            }
            Action::Fault(name) => {
                let known = KNOWN.iter().find(|known| known.name == name);
                let known = known.ok_or_else(|| Error::new(format!("there is no fault {name}")))?;
                self.data_api.faults().set(vec![known.fault()]);
                Ok(format!("Set for the next execution: {}.", known.text))
            }
            Action::Mend => {
                self.data_api.faults().set(Vec::new());
                self.data_api.cancel_all().await;
                Ok("No fault is set any more, and no statement runs.".to_owned())
            }
            Action::Correct => {
                self.warehouse.run(FIX).await?;
                Ok(format!("Run {FIXED} was corrected; the next audit finds it: {FIX}"))
            }
            Action::Again(execution) => {
                let arn = rerun::again(&execution, &environment).await?;
                Ok(format!("Started again as {}.", arn.rsplit(':').next().unwrap_or_default()))
            }
            Action::Resolve { audit, run } => {
                change(&place(), &run, Some(&audit), Change::Resolve, false, &environment, say).await?;
                Ok(said.join("\n"))
            }
            Action::Silence { audit, run, days } => {
                change(&place(), &run, Some(&audit), Change::Silence(days), false, &environment, say).await?;
                Ok(said.join("\n"))
            }
        }
    }
}

/// A fault of the Data API on the page.
struct Known {
    name: &'static str,
    text: &'static str,
    kind: fn() -> FaultKind,
    /// The call that it is about; a statement, if it is about none.
    operation: Option<&'static str>,
    times: u32,
}

impl Known {
    fn fault(&self) -> Fault {
        let fault = Fault::new((self.kind)()).times(self.times);
        match self.operation {
            Some(operation) => fault.on(operation),
            None => fault.of(OF_EXECUTIONS),
        }
    }
}

const SUBMIT: Option<&str> = Some("ExecuteStatement");
const LOOK: Option<&str> = Some("DescribeStatement");

/// Those that show on statements as short as the sample's.
const KNOWN: [Known; 13] = [
    known(
        "fail",
        "The statement fails: division by zero",
        || FaultKind::FailWith("ERROR: division by zero".to_owned()),
        None,
        1,
    ),
    known(
        "conflict",
        "The statement fails in a conflict, once",
        || FaultKind::FailWith("ERROR: 1023 Detail: Serializable isolation violation on table - 115561".to_owned()),
        None,
        1,
    ),
    known("slow-start", "The statement queues for 5 s", || FaultKind::SlowStart(5.0), None, 1),
    known("never-ends", "The statement never ends", || FaultKind::NeverEnds, None, 1),
    known("lose-session", "The connection to the session is lost", || FaultKind::LoseSession(0.0), None, 1),
    known("crash", "The database crashes and recovers", || FaultKind::CrashServer(0.0), None, 1),
    known("expire", "The statement is not known any more", || FaultKind::Expire, None, 1),
    known(
        "unknown-status",
        "The statement has an unknown status",
        || FaultKind::UnknownStatus("PAUSED".to_owned()),
        None,
        1,
    ),
    known("throttle", "Submitting is throttled 3 times", || FaultKind::Throttle, SUBMIT, 3),
    known("too-many", "Too many statements are active, 3 times", || FaultKind::TooManyStatements, SUBMIT, 3),
    known("internal", "The service fails on submit, twice", || FaultKind::InternalError, SUBMIT, 2),
    known("lose-response", "The answer to a submit is lost, twice", || FaultKind::LoseResponse, SUBMIT, 2),
    known("lose-look", "The answer to a look is lost, twice", || FaultKind::LoseResponse, LOOK, 2),
];

const fn known(
    name: &'static str,
    text: &'static str,
    kind: fn() -> FaultKind,
    operation: Option<&'static str>,
    times: u32,
) -> Known {
    Known { name, text, kind, operation, times }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_executions_and_is_named_once() {
        for (place, known) in KNOWN.iter().enumerate() {
            let fault = known.fault();
            assert!(fault.operation.is_some() != (fault.statement_name.as_deref() == Some(OF_EXECUTIONS)));
            let same = |other: &Known| other.name == known.name || other.text == known.text;
            assert!(!KNOWN[..place].iter().any(same), "{}", known.name);
        }
    }
}
