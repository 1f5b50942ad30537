//! `make bench-pipeline`: what a state machine adds to the time of its procedures: ours, and the one that people
//! click together from the notes (SDK integrations, a fixed Wait of 5 s), on the same engine, warehouse and Data
//! API. The load takes so many seconds, the audit is the real one. Of our overhead, "before" is Plan and Turn: from
//! the start to the end of Turn. Figures: target/bench/pipeline.json.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::types::StatusString;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use loader::terminal::{bar, numbers, table};
use loader::tools::project;
use redshift_data_local::process::Folder;
use redshift_data_local::{Config, Running};
use redshift_local::aws::sdk_config;
use redshift_local::execution::follow;
use redshift_local::postgres;
use redshift_local::stack::WORKGROUP;
use redshift_local::warehouse::Warehouse;
use serde_json::{Value, json};
use tests::engines::definition;
use tests::host::{Function, release};
use tests::moto::{Moto, Upstream};
use tests::{Any, failed, until_interrupted};
use tokio::process::Command;

/// How long the load takes.
const SECONDS: [u64; 4] = [0, 1, 5, 30];
/// Executions of each.
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(300);
const ROLE: &str = "arn:aws:iam::123456789012:role/loader";

#[tokio::main]
async fn main() -> Any<()> {
    until_interrupted(run()).await
}

async fn run() -> Any<()> {
    let dir = Folder::new()?;
    let postgres = postgres::start(dir.path()).await?;
    let warehouse = Warehouse::new(&postgres.url())?;
    warehouse.reset().await?;
    for seconds in SECONDS {
        let body = format!("BEGIN PERFORM pg_sleep({seconds}); END");
        warehouse.run(&format!("CREATE PROCEDURE {}() LANGUAGE plpgsql AS $$ {body} $$", load(seconds))).await?;
    }
    let api = Running::start(Config::new(warehouse.config().clone(), vec![WORKGROUP.to_owned()])).await?;
    let outcome = measure(&warehouse, &api, &dir).await;
    api.stop().await;
    postgres.stop().await;
    outcome
}

fn load(seconds: u64) -> String {
    format!("dev.load_of_{seconds}_s_sp")
}

#[derive(Clone)]
struct Gateway {
    functions: Arc<OnceLock<HashMap<&'static str, Function>>>,
    data_api: Upstream,
    moto: Upstream,
}

async fn invoke(State(gateway): State<Gateway>, Path(name): Path<String>, body: Bytes) -> Response {
    let Some(function) = gateway.functions.get().and_then(|all| all.get(name.as_str())) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let payload = serde_json::from_slice(&body).unwrap_or_default();
    let request_id = [("x-amzn-RequestId", "11111111-2222-3333-4444-555555555555")];
    match function.invoke(payload, LIMIT).await {
        Ok(Ok(answer)) => (request_id, answer.to_string()).into_response(),
        Ok(Err(error)) => (request_id, [("X-Amz-Function-Error", "Unhandled")], error.to_string()).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, request_id, error.to_string()).into_response(),
    }
}

async fn call(State(gateway): State<Gateway>, request: Request) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|t| t.to_str().ok());
    if target.is_some_and(|t| t.starts_with("RedshiftData.")) {
        return gateway.data_api.pass(request).await;
    }
    gateway.moto.pass(request).await
}

/// What a machine made of a load.
struct Figures {
    execution_seconds: f64,
    overhead_seconds: f64,
    /// Until the turn has come; 0 if there is none.
    before_seconds: f64,
}

async fn measure(warehouse: &Warehouse, api: &Running, dir: &Folder) -> Any<()> {
    let bench = Bench::start(warehouse, api, dir).await?;
    let mut table = table(["load", "ours", "overhead", "before", "the notes'", "overhead", "ratio"]);
    let bar = bar(SECONDS.len() * ROUNDS * 2, "executions");
    let mut rows = Vec::new();
    for seconds in SECONDS {
        let (mut ours, mut notes) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let list = json!({"Procedures": [{"Procedure": load(seconds)}, {"Procedure": "dev.audit_orders_sp"}]});
            ours.push(bench.execute(&bench.ours, &list).await?);
            bar.inc(1);
            let calls = json!({
                "WorkgroupName": WORKGROUP, "Database": warehouse.database(),
                "Load": format!("call {}();", load(seconds)), "Audit": "call dev.audit_orders_sp();",
            });
            notes.push(bench.execute(&bench.notes, &calls).await?);
            bar.inc(1);
        }
        let (ours, notes) = (median(ours), median(notes));
        let ratio = ours.overhead_seconds / notes.overhead_seconds;
        let times = [
            ours.execution_seconds,
            ours.overhead_seconds,
            ours.before_seconds,
            notes.execution_seconds,
            notes.overhead_seconds,
        ];
        let times = times.map(|time| format!("{time:.2} s"));
        table.add_row([format!("{seconds} s")].into_iter().chain(times).chain([format!("{ratio:.3}")]));
        let figures = |f: &Figures| {
            json!({
                "execution_seconds": f.execution_seconds, "overhead_seconds": f.overhead_seconds,
                "before_seconds": f.before_seconds,
            })
        };
        rows.push(json!({"load_seconds": seconds, "ours": figures(&ours), "notes": figures(&notes), "ratio": ratio}));
    }
    bar.finish_and_clear();
    bench.moto.stop().await;
    numbers(&mut table);
    println!("{table}");
    let holds = rows.iter().all(|row| row["ratio"].as_f64().is_some_and(|ratio| ratio <= 0.25));
    let of_ours = |name: &str| rows[0]["ours"][name].as_f64().unwrap_or(f64::INFINITY);
    let before = of_ours("before_seconds") / (of_ours("overhead_seconds") - of_ours("before_seconds"));
    bench::report("bench/pipeline.json", &json!({"executions": ROUNDS, "rows": rows}))?;
    println!("Plan and Turn over the rest of the overhead, load of 0 s: {before:.2} (at most 0.5)");
    if !holds {
        return Err("not as claimed: at most a quarter of the notes' overhead".into());
    }
    if before <= 0.5 { Ok(()) } else { Err("not as claimed: Plan and Turn cost more than half of the rest".into()) }
}

fn median(mut all: Vec<Figures>) -> Figures {
    all.sort_by(|a, b| a.overhead_seconds.total_cmp(&b.overhead_seconds));
    let middle = all.len() / 2;
    all.swap_remove(middle)
}

struct Bench {
    moto: Moto,
    sfn: aws_sdk_sfn::Client,
    redshift: aws_sdk_redshiftdata::Client,
    ours: String,
    notes: String,
}

impl Bench {
    async fn start(warehouse: &Warehouse, api: &Running, dir: &Folder) -> Any<Self> {
        let functions: Arc<OnceLock<_>> = Arc::default();
        let gateway = |moto| {
            Router::new()
                .route("/2015-03-31/functions/{name}/invocations", post(invoke))
                .fallback(call)
                .with_state(Gateway { functions: functions.clone(), data_api: Upstream::new(&api.url), moto })
        };
        let moto = Moto::start(dir.path(), gateway).await?;
        let config = sdk_config(&moto.url).await;
        let topic = aws_sdk_sns::Client::new(&config).create_topic().name("loader").send().await?;
        let topic = topic.topic_arn.unwrap_or_default();
        let environment = [
            ("AWS_ENDPOINT_URL_REDSHIFT_DATA", api.url.as_str()),
            ("AWS_ENDPOINT_URL_SNS", &moto.url),
            ("AWS_ENDPOINT_URL_SFN", &moto.url),
            ("WORKGROUP_NAME", WORKGROUP),
            ("DATABASE", warehouse.database()),
            ("TOPIC_ARN", &topic),
        ];
        let mut started = HashMap::new();
        for name in ["proc-runner", "status-checker", "orders-audit-fn"] {
            let function = Function::start(Command::new(release(name)?), &environment).await?;
            function.ready(LIMIT).await?;
            started.insert(name, function);
        }
        functions.set(started).map_err(|_| failed("started twice"))?;

        let sfn = aws_sdk_sfn::Client::new(&config);
        // moto names services as boto3 does.
        let notes = std::fs::read_to_string(project("tests/bench/rivals/notes.asl.json"))?;
        let notes = notes.replace(":redshiftdata:", ":redshift-data:");
        let mut machines = Vec::new();
        for (name, definition) in [("ours", definition(&topic, "")?.to_string()), ("notes", notes)] {
            let create = sfn.create_state_machine().name(name).definition(definition).role_arn(ROLE);
            machines.push(create.send().await?.state_machine_arn);
        }
        let [ours, notes] = machines.try_into().map_err(|_| failed("two machines"))?;
        let redshift = aws_sdk_redshiftdata::Client::new(&sdk_config(&api.url).await);
        Ok(Self { moto, sfn, redshift, ours, notes })
    }

    async fn execute(&self, machine: &str, input: &Value) -> Any<Figures> {
        let begin = SystemTime::now();
        let name = format!("run-{}", begin.duration_since(SystemTime::UNIX_EPOCH)?.as_nanos());
        let start = self.sfn.start_execution().state_machine_arn(machine).name(name).input(input.to_string());
        let ended = follow(&self.sfn, &start.send().await?.execution_arn, LIMIT, |_| ()).await?;
        if ended.status.as_str() != "SUCCEEDED" {
            return Err(failed(format!("{machine}: {:?} {:?}", ended.error, ended.cause)));
        }
        let procedures = self.procedures_since(begin).await?;
        if procedures.len() != 2 {
            return Err(failed(format!("{} procedures ran, not 2", procedures.len())));
        }
        let taken: Duration = procedures.iter().sum();
        Ok(Figures {
            execution_seconds: ended.seconds,
            overhead_seconds: ended.seconds - taken.as_secs_f64(),
            before_seconds: self.seconds_before_load(&ended.arn).await?,
        })
    }

    /// From the start of an execution to the end of its state Turn.
    async fn seconds_before_load(&self, execution: &str) -> Any<f64> {
        let history = self.sfn.get_execution_history().execution_arn(execution).send().await?;
        let at = |event: &aws_sdk_sfn::types::HistoryEvent| event.timestamp().as_secs_f64();
        let is_turn = |event: &&aws_sdk_sfn::types::HistoryEvent| {
            event.state_exited_event_details().is_some_and(|state| state.name() == "Turn")
        };
        let turn = history.events().iter().find(is_turn).map(at);
        Ok(turn.zip(history.events().first().map(at)).map_or(0.0, |(turn, start)| turn - start))
    }

    /// What the procedures took that were called since then, as the Data API says.
    async fn procedures_since(&self, begin: SystemTime) -> Any<Vec<Duration>> {
        let mut pages = self.redshift.list_statements().status(StatusString::All).into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(statement) = pages.next().await {
            let statement = statement?;
            let recent = statement.created_at().is_some_and(|at| at.as_secs_f64() >= seconds_of(begin));
            if recent && statement.query_string().unwrap_or_default().to_lowercase().starts_with("call") {
                let described = self.redshift.describe_statement().id(statement.id()).send().await?;
                all.push(Duration::from_nanos(described.duration().try_into().unwrap_or(0)));
            }
        }
        Ok(all)
    }
}

fn seconds_of(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
