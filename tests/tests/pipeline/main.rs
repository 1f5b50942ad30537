//! The pipeline end to end on the local stack: the real template, the real bootstraps, a real PostgreSQL.

mod concurrency;
mod failures;
mod loads;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_redshiftdata::types::StatusString;
use loader::rerun::again;
use redshift_data_local::faults::{Fault, FaultKind};
use redshift_local::demo::{announce, started};
use redshift_local::execution::{self, Ended, follow};
use redshift_local::notifications::{Inbox, Received, settle};
use redshift_local::stack::{CLUSTER, EVENT_SOURCE, Options, Stack, WORKGROUP};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use tests::{Any, Outcome, as_role, failed, run, tests};

use concurrency::*;
use failures::*;
use loads::*;

const LIMIT: Duration = Duration::from_secs(60);

struct Pipeline {
    stack: Stack,
    inbox: Inbox,
    sfn: aws_sdk_sfn::Client,
    redshift: aws_sdk_redshiftdata::Client,
    lambda: aws_sdk_lambda::Client,
}

async fn start() -> Pipeline {
    let parameters = ["SweepSeconds=3", "CancelGraceSeconds=4"].map(str::to_owned).to_vec();
    let options = Options { wait_scale: Some(0.02), parameters, ..Options::default() };
    let stack = Stack::start(&options, |_| ()).await.expect("the stack");
    let inbox = Inbox::subscribe(&stack.aws, stack.outputs.get("TopicArn")).await.expect("a queue");
    Pipeline {
        inbox,
        sfn: aws_sdk_sfn::Client::new(&stack.aws),
        redshift: aws_sdk_redshiftdata::Client::new(&stack.redshift),
        lambda: aws_sdk_lambda::Client::new(&stack.aws),
        stack,
    }
}

impl Pipeline {
    /// The sample orders, nothing loaded, nothing received.
    async fn fresh(&self) -> Outcome {
        self.stack.warehouse.reset().await?;
        settle().await;
        self.inbox.take(0).await?;
        Ok(())
    }

    async fn begin(&self, input: &Value) -> Any<String> {
        Ok(execution::start(&self.sfn, self.stack.outputs.get("StateMachineArn"), input).await?)
    }

    async fn end(&self, arn: &str) -> Any<Ended> {
        Ok(follow(&self.sfn, arn, LIMIT, |_| ()).await?)
    }

    /// Starts an execution and waits for its end.
    async fn execute(&self, input: &Value) -> Any<Ended> {
        let arn = self.begin(input).await?;
        self.end(&arn).await
    }

    /// Replaces or adds a procedure without arguments.
    async fn procedure(&self, name: &str, body: &str) -> Outcome {
        let sql = format!("CREATE OR REPLACE PROCEDURE dev.{name}() AS $$ BEGIN {body}; END; $$ LANGUAGE plpgsql");
        Ok(self.stack.warehouse.run(&sql).await?)
    }

    /// The status of every procedure's statement of an execution, by its name behind the execution's.
    async fn statements(&self, arn: &str) -> Any<Vec<(String, StatusString)>> {
        let prefix = shared::attempt::execution_prefix(arn);
        let list = self.redshift.list_statements().status(StatusString::All).statement_name(&prefix).send().await?;
        let mut all: Vec<_> = list
            .statements()
            .iter()
            .map(|s| {
                let name = s.statement_name().unwrap_or_default().trim_start_matches(&prefix).to_owned();
                (name, s.status().cloned().unwrap_or(StatusString::from("?")))
            })
            .filter(|(name, _): &(String, _)| !name.starts_with("notify/"))
            .collect();
        all.sort();
        Ok(all)
    }

    /// The Id of the first statement of an execution, once it runs.
    async fn running(&self, arn: &str) -> Any<String> {
        let prefix = shared::attempt::execution_prefix(arn);
        for _ in 0..300 {
            let list =
                self.redshift.list_statements().status(StatusString::Started).statement_name(&prefix).send().await?;
            if let Some(statement) = list.statements().first() {
                return Ok(statement.id().to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(failed("no statement runs"))
    }

    /// The failure notifications among what arrived; there must be `expected` messages.
    async fn received(&self, expected: usize) -> Any<Vec<Received>> {
        settle().await;
        let received = self.inbox.take(expected).await?;
        assert_eq!(received.len(), expected, "{received:?}");
        Ok(received)
    }

    /// Invokes a function; its answer, and whether it failed.
    async fn invoke(&self, output: &str, payload: &Value) -> Any<(Value, bool)> {
        let function = self.stack.outputs.get(output);
        let answer =
            self.lambda.invoke().function_name(function).payload(Blob::new(payload.to_string())).send().await?;
        let payload = answer.payload().map(|p| serde_json::from_slice(p.as_ref())).transpose()?.unwrap_or_default();
        Ok((payload, answer.function_error().is_some()))
    }

    /// Kills the processes of a function of this stack; how many there were.
    fn kill_function(&self, output: &str) -> Any<usize> {
        let marks = [
            format!("AWS_LAMBDA_FUNCTION_NAME={}", self.stack.outputs.get(output)),
            format!("TMPDIR={}", self.stack.dir.path().display()),
        ];
        let mut killed = 0;
        for process in std::fs::read_dir("/proc")?.flatten() {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment);
            let Ok(pid) = process.file_name().to_string_lossy().parse() else { continue };
            if marks.iter().all(|mark| environment.contains(mark)) {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?;
                killed += 1;
            }
        }
        Ok(killed)
    }

    async fn final_rows(&self) -> Any<i64> {
        Ok(self.stack.warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?)
    }
}

fn finished(names: &[&str]) -> Vec<(String, StatusString)> {
    names.iter().map(|n| ((*n).to_owned(), StatusString::Finished)).collect()
}

fn run_ids(received: &[Received]) -> Vec<&str> {
    let mut ids: Vec<_> = received.iter().filter_map(|m| m.attributes.get("run_id")?.as_str()).collect();
    ids.sort_unstable();
    ids
}

fn main() -> ExitCode {
    let tests = tests![
        an_event_runs_the_load_then_the_audit_then_notifies,
        the_event_of_a_statement_reaches_a_rule,
        an_empty_input_runs_the_default_list,
        the_detail_of_an_event_never_chooses_what_runs,
        a_list_of_one_procedure_runs_that_one,
        arguments_and_a_provisioned_cluster,
        what_is_no_input_is_refused,
        a_malformed_call_fails_by_name_and_runs_nothing,
        a_failing_load_is_reported_and_not_audited,
        an_aborted_statement_ends_the_execution,
        a_duplicate_event_loads_once,
        a_serialization_conflict_is_tried_again_with_a_new_token,
        past_its_time_a_statement_is_cancelled,
        a_cancel_that_is_not_confirmed_ends_the_execution,
        a_dry_run_says_what_would_run_and_runs_nothing,
        what_a_stopped_execution_left_running_is_cancelled,
        executions_queue_before_their_time_counts,
        one_that_waits_is_enough,
        the_next_execution_cancels_what_a_dead_one_left,
        a_singleton_waits_for_the_other_statement,
        a_failed_execution_is_run_again_after_each_step,
        a_killed_proc_runner_runs_the_procedure_once,
        proc_runner_run_twice_submits_once,
        bad_input_fails_each_function_by_name,
        the_audit_function_copes_with_what_the_table_holds,
        another_topic_is_refused,
        a_topic_that_does_not_exist_is_named,
    ];
    run(tests, start, async |p: Pipeline| p.stack.stop().await)
}
