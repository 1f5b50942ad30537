//! What the page shows, read from AWS or the local stack.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::kept::{Kept, KeptBy};
use crate::aws::Calls;
use crate::executions::{Execution, describe, list, read};
use crate::runs::{Unresolved, unresolved};
use crate::show::{Show, Shown, shown};
use crate::stack::{Place, Stack};
use crate::{Moment, Result};

/// Executions on the page.
const LAST: usize = 10;
/// Executions in memory.
const MOST_KEPT: usize = 64;
/// Rows of each kind of a run.
const ROWS: usize = 20;
/// How long a stack's parameters count as known.
const STACK_FRESH: Duration = Duration::from_secs(60);
/// After so many seconds the history of an execution that has ended is complete everywhere.
const SETTLED_SECONDS: f64 = 10.0;
const NEVER: Duration = Duration::MAX;
/// A person who opens the page waits for it; what comes later, the page fetches.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_WITH_A_WAREHOUSE: Duration = Duration::from_secs(2);

/// What a browser asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The name of an execution; the newest, if there is none.
    pub(super) execution: Option<String>,
    /// An audit table and a run of it.
    pub(super) run: Option<(String, String)>,
    /// Whether the page asks by itself, every second.
    pub(super) live: bool,
}

/// An answer, if there is one yet.
pub(super) type Answer<T> = Option<std::result::Result<T, String>>;

/// What there is to show.
pub(super) struct Found {
    /// The newest first.
    pub(super) executions: Answer<Vec<Arc<Execution>>>,
    pub(super) chosen: Answer<Arc<Execution>>,
    pub(super) runs: Answer<Vec<Unresolved>>,
    pub(super) rows: Answer<Vec<Shown>>,
}

/// How often is looked at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    executions: Duration,
    /// A question wakes a warehouse, which costs: the page alone never asks one on AWS.
    runs: Duration,
    live_runs: Duration,
}

impl Pace {
    pub(super) fn of(is_local: bool) -> Self {
        let seconds = Duration::from_secs;
        match is_local {
            true => Self { executions: seconds(1), runs: seconds(1), live_runs: seconds(2) },
            false => Self { executions: seconds(5), runs: seconds(10), live_runs: NEVER },
        }
    }

    /// How old an answer of the warehouse may be.
    fn of_runs(self, live: bool, may_query: bool) -> Duration {
        match (may_query, live) {
            (false, _) => NEVER,
            (true, true) => self.live_runs,
            (true, false) => self.runs,
        }
    }
}

/// One sequence of questions.
struct Reader {
    aws: Calls,
    place: Place,
    stack: Option<(Instant, Arc<Stack>)>,
    /// Executions that will not change any more, by ARN.
    ended: HashMap<String, Arc<Execution>>,
}

pub(super) struct Data {
    pace: Pace,
    /// Executions do not wait behind a warehouse.
    machine: Arc<Mutex<Reader>>,
    warehouse: Arc<Mutex<Reader>>,
    executions: Kept<Vec<Arc<Execution>>>,
    older: KeptBy<Arc<Execution>>,
    runs: Kept<Vec<Unresolved>>,
    rows: KeptBy<Vec<Shown>>,
}

impl Data {
    pub(super) fn start(place: &Place, environment: &[(&str, &str)], pace: Pace) -> Result<Self> {
        let reader = || -> Result<_> {
            let aws = Calls::start(environment)?;
            Ok(Arc::new(Mutex::new(Reader { aws, place: place.clone(), stack: None, ended: HashMap::new() })))
        };
        Ok(Self {
            pace,
            machine: reader()?,
            warehouse: reader()?,
            executions: Kept::new(),
            older: KeptBy::new(),
            runs: Kept::new(),
            rows: KeptBy::new(),
        })
    }

    /// What was asked for. The warehouse is left alone if it is not `may_query`.
    pub(super) async fn find(&self, asked: &Asked, may_query: bool) -> Found {
        let (executions, runs, rows) =
            tokio::join!(self.executions(), self.runs(asked.live, may_query), self.rows(asked, may_query));
        let newest = executions.clone().map(|all| all.map(|all| all.first().cloned()));
        let chosen = match (&asked.execution, newest) {
            (None, newest) => newest.and_then(std::result::Result::transpose),
            (Some(name), _) => match executions.iter().flatten().flatten().find(|e| e.summary.name == *name) {
                Some(found) => Some(Ok(found.clone())),
                None => self.older(name).await,
            },
        };
        Found { executions, chosen, runs, rows }
    }

    /// Everything is asked for anew: something was done.
    pub(super) fn is_old(&self) {
        self.executions.is_old();
        self.runs.is_old();
        self.rows.forget();
    }

    async fn executions(&self) -> Answer<Vec<Arc<Execution>>> {
        let machine = self.machine.clone();
        let ask = || async move { machine.lock().await.executions().await };
        self.executions.get(self.pace.executions, PATIENCE, ask).await
    }

    async fn older(&self, name: &str) -> Answer<Arc<Execution>> {
        let (machine, owned) = (self.machine.clone(), name.to_owned());
        let ask = || async move { machine.lock().await.execution(&owned).await };
        self.older.of(name).get(self.pace.executions, PATIENCE, ask).await
    }

    async fn runs(&self, live: bool, may_query: bool) -> Answer<Vec<Unresolved>> {
        let warehouse = self.warehouse.clone();
        let ask = || async move {
            let mut reader = warehouse.lock().await;
            let stack = reader.stack().await?;
            unresolved(&mut reader.aws, &stack).await
        };
        self.runs.get(self.pace.of_runs(live, may_query), PATIENCE_WITH_A_WAREHOUSE, ask).await
    }

    async fn rows(&self, asked: &Asked, may_query: bool) -> Answer<Vec<Shown>> {
        let (audit, run) = asked.run.clone()?;
        let kept = self.rows.of(&format!("{audit} {run}"));
        let warehouse = self.warehouse.clone();
        let ask = || async move {
            let mut reader = warehouse.lock().await;
            let stack = reader.stack().await?;
            let show = Show { run, audit: Some(audit), limit: ROWS, as_json: false };
            shown(&mut reader.aws, &stack, &show).await
        };
        kept.get(self.pace.of_runs(asked.live, may_query), PATIENCE_WITH_A_WAREHOUSE, ask).await
    }
}

impl Reader {
    async fn stack(&mut self) -> Result<Arc<Stack>> {
        if let Some((at, stack)) = &self.stack
            && at.elapsed() < STACK_FRESH
        {
            return Ok(stack.clone());
        }
        let stack = Arc::new(self.place.stack(&mut self.aws).await?);
        self.stack = Some((Instant::now(), stack.clone()));
        Ok(stack)
    }

    async fn executions(&mut self) -> Result<Vec<Arc<Execution>>> {
        let stack = self.stack().await?;
        let mut all = Vec::new();
        for summary in list(&mut self.aws, &stack, None, LAST).await? {
            all.push(self.read(&summary.arn).await?);
        }
        Ok(all)
    }

    async fn execution(&mut self, name: &str) -> Result<Arc<Execution>> {
        let stack = self.stack().await?;
        let summary = describe(&mut self.aws, &stack, name).await?;
        self.read(&summary.arn).await
    }

    async fn read(&mut self, arn: &str) -> Result<Arc<Execution>> {
        if let Some(ended) = self.ended.get(arn) {
            return Ok(ended.clone());
        }
        let execution = Arc::new(read(&mut self.aws, arn).await?);
        let settled = |end| Moment::now().seconds_since(end) > SETTLED_SECONDS;
        if execution.summary.ended.is_some_and(settled) {
            if self.ended.len() >= MOST_KEPT {
                self.ended.clear();
            }
            self.ended.insert(arn.to_owned(), execution.clone());
        }
        Ok(execution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_left_open_wakes_no_warehouse_on_aws() {
        let seconds = Duration::from_secs;
        for (is_local, live, may_query, age) in [
            (false, true, true, NEVER),
            (false, false, true, seconds(10)),
            (true, true, true, seconds(2)),
            (true, false, true, seconds(1)),
            (true, false, false, NEVER),
        ] {
            assert_eq!(Pace::of(is_local).of_runs(live, may_query), age, "{is_local} {live} {may_query}");
        }
    }
}
