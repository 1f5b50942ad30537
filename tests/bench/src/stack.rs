//! What a stack costs a month, by part: what stands in the template, and what a typical load uses.

use std::time::Duration;

use ::tests::Any;
use loader::tools::project;
use shared::metrics::Metric;
use shared::polling::Simulation;

use crate::cost::Load;
use crate::definition::{Definition, Usage};
use crate::prices;

const TEMPLATE: &str = "infra/template.yaml";
/// What an invocation writes to its log, generously: Lambda's own lines at its start and end (some 800 bytes), a line of ours
/// or two, and one of metrics (some 700 each).
const LOG_BYTES_AN_INVOCATION: f64 = 3000.0;
/// LogRetentionDays, as the template has it by default.
const DAYS_THAT_LOGS_ARE_KEPT: f64 = 30.0;
/// What people are told.
const MESSAGES_A_DAY: f64 = 1.0;
/// People who are told by mail.
const SUBSCRIBERS: f64 = 5.0;
/// What SNS asks the key for each message: to encrypt it, and to decrypt it.
const KEY_REQUESTS_A_MESSAGE: f64 = 2.0;
const BYTES_A_GB: f64 = 1e9;

/// A part of a stack and what it costs a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// US dollars a month.
    pub dollars: f64,
    /// Which parameter of the template leaves it out, if one does.
    pub left_out_by: Option<&'static str>,
}

/// The resources of a template, by their types. Read as text: the short forms of functions (`!Ref`) are beyond a plain parser.
#[derive(Debug)]
pub struct Resources(Vec<String>);

impl Resources {
    /// Of this repository's template.
    pub fn read() -> Any<Self> {
        Ok(Self::of(&std::fs::read_to_string(project(TEMPLATE))?))
    }

    /// A resource is two blanks in, its type four.
    fn of(template: &str) -> Self {
        let resources = template.lines().skip_while(|line| *line != "Resources:").skip(1);
        let section = resources.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
        Self(section.filter_map(|line| line.strip_prefix("    Type: ")).map(str::to_owned).collect())
    }

    fn count(&self, kind: &str) -> f64 {
        self.0.iter().filter(|other| *other == kind).count() as f64
    }
}

/// By what a metric is told apart.
enum By {
    Procedure,
    Audit,
}

/// Each metric is a custom metric for each value of its dimension.
fn by(metric: Metric) -> By {
    match metric {
        Metric::LoadSeconds | Metric::Attempts => By::Procedure,
        Metric::AuditMismatches | Metric::UnresolvedRuns | Metric::UnresolvedHours | Metric::Notifications => By::Audit,
    }
}

const METRICS: [Metric; 6] = [
    Metric::LoadSeconds,
    Metric::Attempts,
    Metric::AuditMismatches,
    Metric::UnresolvedRuns,
    Metric::UnresolvedHours,
    Metric::Notifications,
];

/// Custom metrics of a stack with one audit table.
fn metrics(load: &Load) -> usize {
    METRICS.into_iter().map(|metric| if let By::Procedure = by(metric) { load.procedures.len() } else { 1 }).sum()
}

/// Hours of a day in which a load's metrics are written: each load writes each of them once.
fn hours_a_day(load: &Load) -> f64 {
    load.a_day.min(24.0)
}

/// What one execution uses that succeeds at the first attempt, with the gate.
///
/// # Errors
/// Our definition no longer takes this way.
pub fn execution(load: &Load) -> Any<Usage> {
    let definition = Definition::read("infra/statemachines/loader.asl.json")?;
    let mut used = definition.walk(None, &["Plan", "IsDryRun", "Turn", "HasTurn", "Gate", "IsOpen"])?;
    let mut before = "IsOpen";
    for seconds in load.procedures {
        let simulation = Simulation::of(Duration::from_secs_f64(seconds), Duration::MAX);
        let submit: &[_] = if before == "IsOpen" { &["Submit", "HasEnded"] } else { &["Next", "Submit", "HasEnded"] };
        let turn = definition.walk(Some("HasEnded"), &["Wait", "Check", "HasEnded"])?;
        let polled = Usage { polled: simulation.polled.as_secs_f64(), ..Usage::default() };
        used = used + definition.walk(Some(before), submit)? + turn * simulation.loops + polled;
        before = "HasEnded";
    }
    Ok(used + definition.walk(Some(before), &["Notify"])?)
}

/// The parts of a stack as the template's defaults have it, in a month without failures.
///
/// # Errors
/// The template cannot be read, or our definition no longer takes the way that is counted.
pub fn parts(resources: &Resources, load: &Load) -> Any<Vec<Part>> {
    let used = execution(load)?;
    let executions = load.a_day * prices::DAYS_A_MONTH;
    let messages = MESSAGES_A_DAY * prices::DAYS_A_MONTH;
    let alarms = resources.count("AWS::CloudWatch::Alarm");
    let metrics = metrics(load) as f64;
    let log_gb = used.invocations as f64 * executions * LOG_BYTES_AN_INVOCATION / BYTES_A_GB;
    let kept_log_gb = log_gb * DAYS_THAT_LOGS_ARE_KEPT / prices::DAYS_A_MONTH;
    let keys = resources.count("AWS::KMS::Key");
    // The alarm of missed events reads the queue's own metric, which is free; nothing is sent in a month without failures.
    let queue_requests = 0.0;
    let part = |name: String, dollars| Part { name, dollars, left_out_by: None };
    Ok(vec![
        Part {
            left_out_by: Some("WithDashboard=false, or an account's first three"),
            ..part("dashboard".to_owned(), resources.count("AWS::CloudWatch::Dashboard") * prices::DASHBOARD)
        },
        Part {
            left_out_by: Some("TopicKmsKeyArn=none"),
            ..part(
                "the topic's key".to_owned(),
                keys * (prices::KEY + messages * KEY_REQUESTS_A_MESSAGE * prices::KEY_REQUEST),
            )
        },
        part(format!("{alarms} alarms"), alarms * prices::ALARM),
        part(
            format!("{metrics} custom metrics"),
            metrics * prices::METRIC * hours_a_day(load) * prices::DAYS_A_MONTH / prices::HOURS_A_MONTH,
        ),
        part("logs".to_owned(), log_gb * prices::LOG_GB + kept_log_gb * prices::KEPT_LOG_GB),
        part("traces".to_owned(), executions * prices::TRACE),
        part("Step Functions".to_owned(), used.transitions as f64 * executions * prices::TRANSITION),
        part("Lambda".to_owned(), used.lambda() * executions),
        part("SNS, by mail".to_owned(), messages * (prices::PUBLISH + SUBSCRIBERS * prices::MAIL)),
        part("SQS".to_owned(), queue_requests * prices::QUEUE_REQUEST),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::LOADS;

    const SMALL: &str = "Parameters:\n  A:\n    Type: String\nResources:\n  # One.\n  One:\n    Type: AWS::CloudWatch::Alarm\n    \
                         Properties:\n      Type: AWS::CloudWatch::Alarm\n\n  Key:\n    Type: AWS::KMS::Key\nOutputs:\n  B:\n    Type: no\n";

    fn dollars(resources: &Resources, load: &Load, name: &str) -> f64 {
        let parts = parts(resources, load).expect("the template and our definition");
        parts.iter().find(|part| part.name.ends_with(name)).expect("the part").dollars
    }

    #[test]
    fn resources_are_counted_by_the_templates_text() {
        let small = Resources::of(SMALL);
        assert_eq!(small.0, ["AWS::CloudWatch::Alarm", "AWS::KMS::Key"]);
        let more = Resources::of(&SMALL.replace("  Key:", "  Two:\n    Type: AWS::CloudWatch::Alarm\n  Key:"));
        let [daily, _] = &LOADS;
        assert!((dollars(&small, daily, "alarms") - 0.1).abs() < 1e-9);
        assert!((dollars(&more, daily, "alarms") - 0.2).abs() < 1e-9);
        assert_eq!(dollars(&small, daily, "dashboard"), 0.0);
    }

    #[test]
    fn the_template_has_what_the_documentation_counts() {
        let resources = Resources::read().expect("the template");
        for (kind, count) in [
            ("AWS::CloudWatch::Alarm", 6.0),
            ("AWS::CloudWatch::Dashboard", 1.0),
            ("AWS::KMS::Key", 1.0),
            ("AWS::SQS::Queue", 1.0),
        ] {
            assert_eq!(resources.count(kind), count, "{kind}");
        }
    }

    #[test]
    fn a_metric_costs_by_the_hour_in_which_it_is_written() {
        let resources = Resources::read().expect("the template");
        let [daily, often] = &LOADS;
        assert_eq!(metrics(daily), 8);
        let (daily, often) = (dollars(&resources, daily, "metrics"), dollars(&resources, often, "metrics"));
        assert!((often - 8.0 * 0.30).abs() < 1e-9, "{often}");
        assert!((often / daily - 24.0).abs() < 1e-9, "{daily}");
    }

    /// Plan, IsDryRun, Turn, HasTurn, Gate, IsOpen, (Submit, HasEnded), Next, (Submit, HasEnded), Notify.
    #[test]
    fn an_execution_uses_what_its_way_through_the_definition_does() {
        let [_, often] = &LOADS;
        let used = execution(often).expect("our definition");
        assert_eq!((used.transitions, used.invocations), (12, 6));
        assert!((used.polled - 70.0).abs() < 1e-9, "{used:?}");
        let longer = execution(&Load { procedures: [120.0, 10.0], ..*often }).expect("our definition");
        let loops = Simulation::of(Duration::from_secs(120), Duration::MAX).loops;
        assert!(loops > 0);
        assert_eq!(longer.transitions, used.transitions + 3 * loops);
    }
}
