//! What to do about a failure, by its name: the notification of a failure says it, and docs/OPERATING.md lists it.

/// By name: those of our functions, then those of Step Functions and Lambda.
pub const ADVICE: &[(&str, &str)] = &[
    ("InvalidInput", "Correct the input as the text says. {\"DryRun\": true} beside it shows what would run."),
    ("InvalidConfiguration", "Correct the parameter of the stack that the text names, and deploy again."),
    ("Throttled", "Find out what else uses the Data API in this account and region, then run the execution again."),
    ("AlreadyRunning", "Wait for the end of the other statement of the procedure, then run the execution again."),
    ("ServiceUnavailable", "Check the AWS Health Dashboard and the warehouse, then run the execution again."),
    (
        "StatementNotFound",
        "Run the execution again: the statement is older than 24 hours, or another role submitted it.",
    ),
    ("AccessDenied", "`make doctor` names the permission that is missing. Grant it, then run the execution again."),
    ("RequestRefused", "Check what the text names; a retry would be refused again. CloudTrail has the whole answer."),
    ("UnknownStatus", "Deploy the functions and the state machine again, both of one version."),
    (
        "AuditQueryFailed",
        "`make install` brings the audit table up to date and grants what is missing. Run the audit again.",
    ),
    ("TopicNotFound", "Set NotificationTopicArn or ChatTopic to a topic of this account and region, and deploy again."),
    ("NotificationsIncomplete", "Run the execution again: what was sent is marked, and the rest is sent."),
    ("StillRunning", "Cancel what the text names: aws redshift-data cancel-statement --id ..."),
    ("Internal", "Report it, with the lines of `loader logs`."),
    ("SerializationConflict", "Find out what else writes to these tables at that time, then run the execution again."),
    ("Deadlock", "Find out what else locks these tables at that time, then run the execution again."),
    ("ConnectionLost", "Check whether the warehouse was restarted or paused, then run the execution again."),
    ("AbortedBySystem", "Check the warehouse's events and its workload management, then run the execution again."),
    ("AbortedByUser", "Ask who cancelled it, or which query monitoring rule did, then run the execution again."),
    ("ExternalScanFailed", "Check whether the files in S3 were written at that time, then run the execution again."),
    ("DiskFull", "Make room in the warehouse, or give it more, then run the execution again."),
    ("PermissionDenied", "`make doctor` prints the GRANT that is missing. Grant it, then run the execution again."),
    (
        "ObjectNotFound",
        "`make install` makes what is missing of the loader's own. Otherwise correct the procedure or its name.",
    ),
    ("ConstraintViolation", "Correct the rows in staging, then run the execution again."),
    (
        "StatementTimedOut",
        "Find out what held it up (locks: SELECT * FROM svv_transactions), or raise StatementTimeoutSeconds.",
    ),
    (
        "CancelNotConfirmed",
        "Wait for the roll-back to end, then run the execution again. Raise CancelGraceSeconds if it is usual.",
    ),
    ("StatementAborted", "Check the warehouse's events and sys_query_history, then run the execution again."),
    ("StatementFailed", "Correct what the engine's text names, then run the execution again."),
    ("QueueTimedOut", "End what the text names: an execution, or a statement that an execution left."),
    ("WorkflowNotSucceeded", "Fix the workflow and run it again: its end starts a load by itself."),
    (
        "WorkflowNotFinished",
        "Nothing, if a later run is under way: its end starts a load of both. Otherwise check that GlueJobName is the workflow's \
         last job, and run the execution again when the run has ended.",
    ),
    (
        "WorkflowRunNotFound",
        "Name the run by an event of your own: the workflow was recreated, or the job also runs in another.",
    ),
    ("WorkflowLookupFailed", "Check GlueWorkflowName and the role's permission, then run the execution again."),
    ("EmrStepFailed", "Check the step on the cluster, then run the execution again. Nothing retries a step."),
    ("States.Timeout", "A function or EMR did not answer in time. Check `loader logs`, then run the execution again."),
    ("States.*, Lambda.*, Runtime.*", "A function crashed or was not reached. Check `loader logs` and `make doctor`."),
];

/// What to do about a failure of this name; nothing for a name that is not one of ours.
pub fn advice(name: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(known, _)| *known == name).map(|(_, advice)| *advice)
}

/// A cause, and on a line of its own what to do about it.
pub fn with_advice(cause: &str, name: &str) -> String {
    advice(name).map_or_else(|| cause.to_owned(), |advice| format!("{cause}\nWhat to do: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, FailureKind};

    #[test]
    fn every_name_has_its_advice_once() {
        let ours = ErrorKind::ALL.iter().map(|kind| kind.name()).chain(FailureKind::ALL.iter().map(|kind| kind.name()));
        for name in ours {
            assert!(advice(name).is_some(), "nobody says what to do about {name}");
        }
        for (n, (name, text)) in ADVICE.iter().enumerate() {
            assert!(ADVICE[..n].iter().all(|(other, _)| other != name), "{name} is there twice");
            assert!(text.ends_with('.'), "{name}: {text}");
        }
    }
}
