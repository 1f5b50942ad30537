//! Running statements on PostgreSQL, each in a session of its own or in one that stays.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::config::Config;
use crate::dialect;
use crate::protocol::Execute;
use crate::query::{End, end, fail, not_loaded, query};
use crate::result::ResultSet;
use crate::statement::Statement;
use crate::status::Status;

/// Pause between two cancels of the same statement.
const CANCEL_AGAIN: Duration = Duration::from_millis(75);

/// Runs a statement to its end, whatever that is.
pub(crate) async fn run(config: &Config, statement: &Arc<Statement>) {
    if let Some(delay) = statement.run.slow_start {
        tokio::time::sleep(delay).await;
    }
    statement.state.send_modify(|s| s.whole.change(Status::Picked));
    // A statement that panics must not run for ever.
    let end = AssertUnwindSafe(execute(config, statement)).catch_unwind().await.unwrap_or_else(|_| {
        statement.session.as_ref().inspect(|session| session.close());
        Err(End::Failed("The local Data API has panicked: please report it with what it has logged.".to_owned()))
    });
    statement.state.send_modify(|s| {
        for part in &mut s.parts {
            part.pass_over();
        }
        match end {
            Ok(()) => s.whole.change(Status::Finished),
            Err(end) => s.whole.end(end),
        }
    });
}

/// A session of PostgreSQL that is open.
pub(crate) struct Connection {
    client: Client,
    driver: JoinHandle<Result<(), tokio_postgres::Error>>,
    pid: i32,
}

impl Connection {
    async fn open(config: &Config, request: &Execute) -> Result<Self, tokio_postgres::Error> {
        let mut postgres = config.postgres.clone();
        postgres.dbname(request.database.as_deref().unwrap_or_default());
        postgres.application_name(
            request.statement_name.as_deref().unwrap_or("redshift-data").chars().take(63).collect::<String>(),
        );
        let (client, connection) = postgres.connect(NoTls).await?;
        let driver = tokio::spawn(connection);
        // A statement ends with its client; otherwise an orphaned session keeps running.
        // PostgreSQL before 14 does not know the setting.
        let _ = client.batch_execute("SET client_connection_check_interval = '500ms'").await;
        dialect::prepare(&client).await?;
        let pid = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        Ok(Self { client, driver, pid })
    }

    /// Whether nothing can run in it any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether a statement before this one began a transaction that is still open, failed or not.
    async fn is_in_transaction(&self) -> bool {
        // Both are the same only in the first statement of a transaction.
        match self.client.simple_query("SELECT pg_catalog.now() = pg_catalog.statement_timestamp()").await {
            Ok(messages) => {
                !messages.iter().any(|m| matches!(m, SimpleQueryMessage::Row(row) if row.get(0) == Some("t")))
            }
            Err(_) => true,
        }
    }

    /// Ends it, and waits until it has ended.
    pub(crate) async fn close(self) {
        drop(self.client);
        let _ = self.driver.await;
    }
}

async fn execute(config: &Config, statement: &Arc<Statement>) -> Result<(), End> {
    let session = statement.session.as_ref();
    let connection = match session.and_then(|session| session.take()) {
        Some(connection) => connection,
        None => match Connection::open(config, &statement.request).await {
            Ok(connection) => connection,
            Err(error) => {
                session.inspect(|session| session.close());
                return Err(end(&error));
            }
        },
    };
    let outcome = run_on(config, statement, &connection).await;
    // It ends, or is given back, before the statement does, so that its locks are gone when the statement's end is seen.
    match session {
        Some(session) => session.give_back(connection).await,
        None => connection.close().await,
    }
    outcome
}

async fn run_on(config: &Config, statement: &Arc<Statement>, connection: &Connection) -> Result<(), End> {
    let (request, client, pid) = (&statement.request, &connection.client, connection.pid);
    let folder = match &config.s3 {
        // External tables stay as they are while a transaction is open.
        Some(_) if statement.session.is_some() && connection.is_in_transaction().await => None,
        folder => folder.as_deref(),
    };
    let wanted = statement.state.send_if_modified(|s| {
        if s.cancel_requested {
            return false;
        }
        s.pid = Some(pid);
        s.whole.change(Status::Started);
        true
    });
    if !wanted {
        return Err(End::Aborted);
    }
    let (ended, end) = oneshot::channel();
    let cancelling = tokio::spawn(cancel_when_asked(config.postgres.clone(), pid, statement.clone(), end));
    if let Some(delay) = statement.run.lose_after {
        let driver = connection.driver.abort_handle();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            driver.abort();
        });
    }
    if let Some(delay) = statement.run.kill_after {
        let postgres = config.postgres.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            signal(&postgres, "pg_terminate_backend", pid).await
        });
    }
    if let Some(delay) = statement.run.crash_after {
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        });
    }
    let refreshed = match folder {
        Some(folder) => {
            let sqls = request.sqls.iter().flatten().chain(&request.sql).map(String::as_str);
            dialect::files::refresh(client, folder, sqls, pin!(statement.cancelled())).await.map_err(|e| not_loaded(&e))
        }
        None => Ok(()),
    };
    let began = refreshed.is_err() || (request.sqls.is_some() && !request.commits_each());
    let outcome = match refreshed {
        Ok(()) => statements(config, client, statement).await,
        Err(end) => Err(end),
    };
    drop(ended);
    let _ = cancelling.await;
    if statement.state.borrow().cancel_requested {
        // A cancel that came too late strikes this, and nothing that follows in the session.
        let _ = client.simple_query("").await;
    }
    if outcome.is_err() && began {
        // A session that stays must not keep what the batch or the reading of files began.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    outcome
}

/// Runs what a request has.
async fn statements(config: &Config, client: &Client, statement: &Arc<Statement>) -> Result<(), End> {
    let request = &statement.request;
    match (&statement.run.fail_with, &request.sqls) {
        (Some(text), _) => Err(End::Failed(text.clone())),
        (None, None) => {
            let sql = request.sql.as_deref().unwrap_or_default();
            let sql = if statement.run.never_ends { "SELECT pg_sleep(86400)" } else { sql };
            let result = one(config, client, statement, None, sql).await?;
            statement.state.send_modify(|s| s.whole.result = Some(result));
            Ok(())
        }
        (None, Some(sqls)) => batch(config, client, statement, sqls).await,
    }
}

/// Runs the SQL of a statement, or of the part of a batch with this index.
async fn one(
    config: &Config,
    client: &Client,
    statement: &Statement,
    part: Option<usize>,
    sql: &str,
) -> Result<Arc<ResultSet>, End> {
    let result = query(config, client, statement, part, sql).await;
    if result.is_err() {
        fail(client).await;
    }
    result.map(Arc::new)
}

/// Cancels a statement once somebody has asked for it, again and again until it has ended: PostgreSQL drops a cancel that comes while
/// nothing runs, as before the first query and between two of a batch.
async fn cancel_when_asked(
    postgres: tokio_postgres::Config,
    pid: i32,
    statement: Arc<Statement>,
    mut end: oneshot::Receiver<()>,
) {
    tokio::select! {
        () = statement.cancelled() => {}
        _ = &mut end => return,
    }
    loop {
        // It is not broken off: it would strike what runs next in the session.
        if let Err(error) = signal(&postgres, "pg_cancel_backend", pid).await {
            tracing::warn!(statement_id = statement.id, "PostgreSQL did not take a cancel: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(CANCEL_AGAIN) => {}
            _ = &mut end => return,
        }
    }
}

/// Has PostgreSQL signal one of its sessions, and returns when it has: the protocol's own way of cancelling does not tell.
async fn signal(postgres: &tokio_postgres::Config, function: &str, pid: i32) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = postgres.connect(NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&format!("SELECT pg_catalog.{function}({pid})")).await
}

/// Ends a batch between two of its statements, where no cancel reaches it.
fn go_on(statement: &Statement) -> Result<(), End> {
    if statement.run.slow_cancel.is_none() && statement.state.borrow().cancel_requested {
        return Err(End::Aborted);
    }
    Ok(())
}

async fn batch(config: &Config, client: &Client, statement: &Arc<Statement>, sqls: &[String]) -> Result<(), End> {
    let one_transaction = !statement.request.commits_each();
    let mut first_failure = None;
    if one_transaction {
        client.batch_execute("BEGIN").await.map_err(|e| end(&e))?;
    }
    for (n, sql) in sqls.iter().enumerate() {
        go_on(statement)?;
        statement.state.send_modify(|s| s.parts[n].change(Status::Started));
        let result = one(config, client, statement, Some(n), sql).await;
        statement.state.send_modify(|s| {
            let part = &mut s.parts[n];
            match &result {
                Ok(_) => part.change(Status::Finished),
                Err(end) => part.end(end.clone()),
            }
        });
        let result = match result {
            Ok(result) => result,
            Err(End::Failed(text)) => {
                let failure = End::Failed(format!("Query #{} failed with {text}", n + 1));
                if one_transaction {
                    return Err(failure);
                }
                // What is committed by itself does not affect the others.
                first_failure.get_or_insert(failure);
                continue;
            }
            Err(aborted) => return Err(aborted),
        };
        statement.state.send_modify(|s| s.parts[n].result = Some(result));
    }
    if one_transaction {
        go_on(statement)?;
        client.batch_execute("COMMIT").await.map_err(|e| end(&e))?;
    }
    first_failure.map_or(Ok(()), Err)
}
