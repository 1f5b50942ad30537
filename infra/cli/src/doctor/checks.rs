//! What the answers mean: one pure function for each check.

use serde_json::Value;

use super::facts::{Facts, NEWEST_COLUMN, Rows, Rule};
use crate::Error;
use crate::aws::Response;
use crate::finding::{Finding, failure, ok, warning};
use crate::grants::grants;
use crate::name::Qualified;
use crate::stack::Stack;

/// Whether the stack exists and its last deployment has succeeded.
pub(super) fn stack(name: &str, described: &Response) -> Finding {
    let status = match described {
        Ok(described) => described["Stacks"][0]["StackStatus"].as_str().unwrap_or_default(),
        Err(error) => {
            let fix = "Name the stack (make doctor STACK=...), and check this shell's region and credentials.";
            return failure("stack", error.to_string(), fix);
        }
    };
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => ok("stack", format!("{name} is {status}")),
        _ => {
            let fix = format!("See why: aws cloudformation describe-stack-events --stack-name {name}");
            failure("stack", format!("{name} is {status}"), fix)
        }
    }
}

/// Every check of what is in the stack.
pub(super) fn all(stack: &Stack, facts: &Facts) -> Vec<Finding> {
    let mut all = vec![functions(stack, facts), role(facts)];
    all.extend(facts.rules.iter().map(|rule| trigger(stack, rule)));
    all.extend(facts.workflow.as_ref().map(|answer| workflow(stack, answer)));
    all.extend(facts.secret.as_ref().map(|answer| secret(stack, answer, &facts.secret_allowed)));
    let (caller, auditor) = stack.users(facts.secret.as_ref());
    all.push(procedures(stack, &facts.procedures, &caller));
    all.extend(facts.tables.iter().map(|(name, answer)| table(name, answer, &auditor)));
    match &facts.audits {
        Ok((audits, catalog)) => all.extend(audits.iter().flat_map(|audit| match catalog {
            Ok(catalog) => {
                let told = stack.audit_tables().iter().any(|(name, _)| is_name_of(name, &audit.table()));
                let untold = (!told).then(|| {
                    let text = format!("{}: runs, and nobody is told of {}", audit.name(), audit.table());
                    warning("audit", text, "Deploy with it in AuditTables, as loader audit parameters prints it.")
                });
                audit.check_against(catalog).into_iter().chain(untold).collect()
            }
            Err(error) => vec![warning("audit", format!("{}: cannot be looked at: {error}", audit.name()), "")],
        })),
        Err(error) => all.push(failure("audit", error.to_string(), "")),
    }
    all.push(subscriptions("topic", stack.output("TopicArn"), &facts.subscriptions));
    let runs = facts.run_subscriptions.as_ref();
    all.extend(runs.map(|answer| subscriptions("topic of runs", stack.parameter("NotificationTopicArn"), answer)));
    all.extend([missed_events(stack, &facts.queue), execution(&facts.execution)]);
    all
}

fn is_name_of(name: &str, table: &Qualified) -> bool {
    Qualified::parse(name).is_some_and(|(named, rest)| rest.is_empty() && named.raw() == table.raw())
}

fn functions(stack: &Stack, facts: &Facts) -> Finding {
    const CHECK: &str = "functions";
    let redeploy = format!("Deploy again: make deploy STACK={} ...", stack.name);
    for (output, answer) in &facts.functions {
        let name = stack.output(output);
        match answer {
            Err(error) => return failure(CHECK, format!("{name}: {error}"), redeploy),
            Ok(function) => {
                let is = |field: &str, good: &str| function[field].as_str().is_none_or(|state| state == good);
                if function["State"] == "Pending" || function["LastUpdateStatus"] == "InProgress" {
                    return warning(CHECK, format!("{name} is being updated"), "Ask again in a moment.");
                }
                if !is("State", "Active") || !is("LastUpdateStatus", "Successful") {
                    let text =
                        format!("{name} is {} and its update {}", function["State"], function["LastUpdateStatus"]);
                    return failure(CHECK, text, redeploy);
                }
            }
        }
    }
    ok(CHECK, "all three are there and active")
}

fn role(facts: &Facts) -> Finding {
    const CHECK: &str = "role";
    let roles: Vec<_> =
        facts.functions[..2].iter().map(|(_, f)| f.as_ref().ok().and_then(|f| f["Role"].as_str())).collect();
    match roles[..] {
        [Some(runner), Some(checker)] if runner == checker => ok(CHECK, "proc-runner and status-checker share one"),
        [Some(runner), Some(checker)] => failure(
            CHECK,
            format!("proc-runner runs as {runner}, status-checker as {checker}"),
            "A statement belongs to the role that ran it: give both the stack's StatementRole (deploy again).",
        ),
        _ => warning(CHECK, "cannot be checked without both functions", ""),
    }
}

fn trigger(stack: &Stack, Rule { check, rule, targets }: &Rule) -> Finding {
    let check = *check;
    let rule = match rule {
        Ok(rule) => rule,
        Err(error) => {
            return failure(check, error.to_string(), "Without the rule nothing starts it: deploy again.");
        }
    };
    let name = rule["Name"].as_str().unwrap_or_default();
    if rule["State"] != "ENABLED" {
        return failure(check, format!("{name} is {}", rule["State"]), format!("aws events enable-rule --name {name}"));
    }
    let targets = targets.as_ref().ok().and_then(|t| t["Targets"].as_array());
    let machine = stack.output("StateMachineArn");
    if !targets.into_iter().flatten().any(|target| target["Arn"] == *machine) {
        return failure(check, format!("{name} does not start the state machine"), "Deploy again: its target is gone.");
    }
    match (rule["ScheduleExpression"].as_str().filter(|schedule| !schedule.is_empty()), stack.parameter("GlueJobName"))
    {
        (Some(schedule), _) if check == "full audit" => {
            ok(check, format!("{name} starts {} at {schedule}", stack.parameter("FullAuditProcedures")))
        }
        (Some(schedule), _) => ok(check, format!("{name} starts a load at {schedule}")),
        (None, "") => ok(check, format!("{name} waits for our own event \"Glue Workflow Completed\"")),
        (None, job) => ok(check, format!("{name} waits for job {job}")),
    }
}

fn workflow(stack: &Stack, answer: &Response) -> Finding {
    const CHECK: &str = "workflow";
    let (name, job) = (stack.parameter("GlueWorkflowName"), stack.parameter("GlueJobName"));
    let jobs: Vec<_> = match answer {
        Ok(jobs) => jobs.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        Err(error) => return failure(CHECK, format!("{name}: {error}"), "Deploy with the right GlueWorkflowName."),
    };
    match () {
        () if job.is_empty() => ok(CHECK, format!("{name} is there; our own event reports its end")),
        () if jobs.is_empty() => {
            warning(CHECK, format!("no trigger of {name} starts a job"), "Look at the workflow's triggers.")
        }
        () if jobs.contains(&job) => ok(CHECK, format!("{job} is a job of {name}")),
        () => failure(
            CHECK,
            format!("{job} is no job of {name}; it has {}", jobs.join(", ")),
            "The rule waits for a job that never runs: deploy with the workflow's last job as GlueJobName.",
        ),
    }
}

pub(super) fn secret(stack: &Stack, answer: &Response, allowed: &[(&str, Response)]) -> Finding {
    const CHECK: &str = "secret";
    let arn = stack.parameter("SecretArn");
    match answer {
        Err(error) => {
            return failure(CHECK, format!("{arn}: {error}"), "Restore it, or deploy with another SecretArn.");
        }
        Ok(user) if !user.is_string() => {
            return failure(CHECK, format!("{arn} has no username"), "It has to hold JSON with username and password.");
        }
        Ok(_) => {}
    }
    let mut verdict = ok(CHECK, "is there, and both roles that submit statements may read it");
    for (role, answer) in allowed {
        match answer.as_ref().ok().and_then(|a| a["EvaluationResults"][0]["EvalDecision"].as_str()) {
            Some("allowed") => {}
            Some(decision) => {
                let text = format!("{}: {decision}", stack.output(role));
                return failure(CHECK, text, "Deploy again with this SecretArn.");
            }
            None => {
                let text = "is there; whether the roles may read it cannot be simulated with these credentials";
                verdict = warning(CHECK, text, "");
            }
        }
    }
    verdict
}

/// A privilege in a row; what is neither true nor false is not granted.
fn granted(field: &Value) -> bool {
    field["booleanValue"] == true
}

/// Why the database did not answer.
fn unanswered(check: &'static str, error: &Error, user: &str, grants: String) -> Finding {
    let text = error.to_string();
    if text.contains(&format!("\"{user}\" does not exist")) {
        let fix = format!(
            "An IAMR: user exists after its role's first call; create others. Then:\nCREATE USER \"{user}\" PASSWORD DISABLE;\n{grants}"
        );
        return failure(check, format!("the database user {user} does not exist"), fix);
    }
    if text.contains("has_function_privilege") || text.contains("has_schema_privilege") {
        return warning(check, format!("the warehouse does not report privileges: {text}"), grants);
    }
    failure(check, text, "The warehouse did not answer: check workgroup or cluster, database and credentials.")
}

pub(super) fn procedures(stack: &Stack, answer: &Rows, user: &str) -> Finding {
    const CHECK: &str = "procedures";
    let names = stack.procedures();
    let found = match answer {
        Ok(found) => found,
        Err(error) => return unanswered(CHECK, error, user, grants(user, &names, None)),
    };
    let row = |name: &str| {
        let name = name.replace('"', "");
        found.iter().find(|row| row[0]["stringValue"] == *name)
    };
    let missing: Vec<_> = names.iter().copied().filter(|name| row(name).is_none()).collect();
    if !missing.is_empty() {
        let fix = "make install STACK=... makes those of this project; otherwise deploy with the names of yours.";
        return failure(CHECK, format!("not in the warehouse: {}", missing.join(", ")), fix);
    }
    let refused: Vec<_> =
        names.iter().copied().filter(|name| row(name).is_some_and(|row| !row[1..].iter().all(granted))).collect();
    if refused.is_empty() {
        return ok(CHECK, format!("{user} may call {}", names.join(", ")));
    }
    failure(CHECK, format!("{user} may not call {}", refused.join(", ")), grants(user, &refused, None))
}

pub(super) fn table(name: &str, answer: &Rows, user: &str) -> Finding {
    const CHECK: &str = "audit table";
    let found = match answer {
        Ok(found) => found,
        Err(error) => return unanswered(CHECK, error, user, grants(user, &[], Some(name))),
    };
    match found.first() {
        None => failure(CHECK, format!("{name} is not in the warehouse"), "make install STACK=..."),
        Some(row) if !row[..3].iter().all(granted) => {
            failure(CHECK, format!("{user} may not read and mark {name}"), grants(user, &[], Some(name)))
        }
        Some(row) if !granted(&row[3]) => failure(
            CHECK,
            format!("{name} has no column {}: it is older than infra/sql", NEWEST_COLUMN),
            match name {
                "dev.orders_audit" => "As its owner: CALL dev.migrate_orders_audit_sp();",
                _ => "Give it the columns that dev.orders_audit has in infra/sql/audits/orders.sql.",
            },
        ),
        Some(row) if row.get(4).is_some_and(|count| count["longValue"] != 2) => failure(
            CHECK,
            format!("{name} has no columns of the names that AuditTables has for its run and time"),
            "Deploy with AuditTables=schema.table:run_column:time_column, as loader audit parameters prints it.",
        ),
        Some(_) => ok(CHECK, format!("{user} may read and mark {name}")),
    }
}

pub(super) fn subscriptions(check: &'static str, topic: &str, answer: &Response) -> Finding {
    let subscribe =
        format!("aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint you@example.com");
    let list = match answer {
        Ok(list) => list["Subscriptions"].as_array().cloned().unwrap_or_default(),
        Err(error) => {
            return failure(check, error.to_string(), "Without this topic nobody is notified: deploy again with one.");
        }
    };
    // In place of the ARN it says PendingConfirmation. [SNS API reference, "Subscription"]
    let confirmed = list.iter().filter(|s| s["SubscriptionArn"].as_str().is_some_and(|arn| arn.starts_with("arn:")));
    match (confirmed.count(), list.len()) {
        (0, 0) => failure(check, "nobody is subscribed", subscribe),
        (0, n) => {
            failure(check, format!("none of {n} subscriptions is confirmed"), "Open the link in the confirmation mail.")
        }
        (n, _) => ok(check, format!("{n} confirmed {}", if n == 1 { "subscription" } else { "subscriptions" })),
    }
}

fn missed_events(stack: &Stack, answer: &Response) -> Finding {
    const CHECK: &str = "missed events";
    let queue = stack.output("MissedEventsUrl");
    let messages = match answer {
        Ok(answer) => answer["Attributes"]["ApproximateNumberOfMessages"].as_str().unwrap_or("0").to_owned(),
        Err(error) => {
            return failure(CHECK, error.to_string(), "Deploy again: events that miss their target are lost.");
        }
    };
    match messages.as_str() {
        "0" => ok(CHECK, "none"),
        n => {
            let fix = format!(
                "Look: aws sqs receive-message --queue-url {queue} --message-attribute-names All\n\
                 With ERROR_MESSAGE: an event that did not reach its target. Fix what it names, and put the event again \
                 under our own source.\n\
                 Without: what {checker} failed on; responsePayload in the body says why, requestPayload is the event.\n\
                 Nobody may put an event of aws.states. Hand it to the function: aws lambda invoke --function-name \
                 {checker} --invocation-type Event --cli-binary-format raw-in-base64-out --payload '<event>' /dev/null\n\
                 Then delete the message.",
                checker = stack.output("StatusCheckerName")
            );
            failure(CHECK, format!("{n} did not reach their target"), fix)
        }
    }
}

fn execution(answer: &Response) -> Finding {
    const CHECK: &str = "last execution";
    let execution = match answer {
        Ok(execution) => execution,
        Err(error) => return failure(CHECK, error.to_string(), "Deploy again: the state machine is gone."),
    };
    let text = |field: &str| execution[field].as_str().unwrap_or_default();
    match text("status") {
        "" => warning(CHECK, "none yet", "Try it: start the state machine with {\"DryRun\": true}, then with {}."),
        status @ ("SUCCEEDED" | "RUNNING") => ok(CHECK, format!("{status}, of {}", text("startDate"))),
        status => {
            let text = format!("{status}: {}: {}", text("error"), shared::error::cut(text("cause"), 500));
            let arn = execution["executionArn"].as_str().unwrap_or_default();
            failure(CHECK, text, format!("Fix the cause, then: make rerun EXECUTION={arn}"))
        }
    }
}
