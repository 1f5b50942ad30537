//! The state machine on two engines with scripted answers: MiniStack, and the stricter interpreter of moto.
//!
//! One gateway plays the functions for both. Under MiniStack a function is a small real bootstrap that
//! asks the gateway; moto calls the gateway itself, since its interpreter calls every service at
//! `http://localhost:$MOTO_PORT`. Waits take no time and pauses between retries a second at most; their order and
//! number are those of the definition.
//!
//! EMR is scripted too: MiniStack answers its states from its mocked service integrations. moto has no
//! `elasticmapreduce:addStep.sync`, so its EMR states invoke scripted functions with the same parameters. MiniStack
//! repeats a mocked failure for ever: a scenario in which EMR fails and then answers is for moto alone.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, Runtime};
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::future::try_join_all;
use loader::tools;
use loader::tools::project;
use redshift_data_local::process::Folder;
use redshift_local::aws::{Cli, sdk_config};
use redshift_local::execution::history;
use redshift_local::gateway::Gateway as MiniStackGateway;
use redshift_local::ministack::MiniStack;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::moto::{Moto, Upstream};
use crate::{Any, failed};

const FUNCTIONS: [&str; 3] = ["proc-runner", "status-checker", "orders-audit-fn"];
/// The states that EMR answers.
const EMR: [&str; 3] = ["RunStep", "FindStep", "CancelStep"];
const ROLE: &str = "arn:aws:iam::123456789012:role/loader";
const LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// moto takes the most time, and one of it keeps one core busy.
const MOTOS: usize = 2;
/// What a hurried task has, and what a late answer takes.
const HURRIED_SECONDS: u64 = 3;
const LATE: Duration = Duration::from_secs(5);

/// What a function is to answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This.
    Give(Value),
    /// A failure with this `errorType`.
    Fail(&'static str),
    /// None before a hurried task has timed out.
    Late,
}

/// One path through the machine.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name: letters, digits and dashes.
    pub name: String,
    /// The execution's input.
    pub input: Value,
    /// What each function answers, in turn; EMR by the names of its states.
    pub answers: HashMap<&'static str, Vec<Reply>>,
    /// Whether the topic exists.
    pub topic: bool,
    /// Play it on moto alone: EMR fails, and then answers.
    pub only_moto: bool,
    /// The task that times out when its answer is late.
    pub hurried: Option<&'static str>,
}

impl Scenario {
    fn asks_emr(&self) -> bool {
        EMR.iter().any(|state| self.answers.contains_key(state))
    }

    /// Whether a machine of its own is needed, and not only an execution.
    fn needs_machine(&self) -> bool {
        self.asks_emr() || self.hurried.is_some()
    }

    /// The engines whose way means something.
    fn engines(&self) -> &'static [&'static str] {
        if self.only_moto { &["moto"] } else { &["MiniStack", "moto"] }
    }
}

/// What an engine made of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// The states in their order.
    pub states: Vec<String>,
    /// The calls of functions: name and payload.
    pub calls: Vec<(String, Value)>,
    /// How often each function, or state that EMR answers, was called.
    pub asked: HashMap<String, usize>,
    /// How the execution ended.
    pub status: String,
    /// Its error.
    pub error: Option<String>,
    /// The cause; a Lambda's as the JSON that it is.
    pub cause: Value,
    /// The output.
    pub output: Value,
    /// The cursor and the statement that the notification of a failure is made of.
    pub told: Value,
    /// What is sent of a failure: the payload, and what a chat gets.
    pub notice: Value,
    /// Whether the notification of the failure was sent; nothing if the execution did not come to it.
    pub notified: Option<bool>,
}

#[derive(Debug, Default)]
struct Scripts(Mutex<HashMap<String, Script>>);

#[derive(Debug, Default)]
struct Script {
    answers: HashMap<&'static str, std::vec::IntoIter<Reply>>,
    calls: Vec<(String, Value)>,
    asked: HashMap<String, usize>,
}

impl Scripts {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, Script>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next answer of a function or state, to this payload.
    fn answer(&self, name: &'static str, body: &[u8]) -> Option<Reply> {
        let payload: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = payload.to_string();
        // Every payload holds the execution's name: in its ARN, in the scripted Id, as the cluster's name.
        self.with(|scripts| {
            let (_, script) = scripts.iter_mut().find(|(name, _)| text.contains(name.as_str()))?;
            *script.asked.entry(name.to_owned()).or_default() += 1;
            if FUNCTIONS.contains(&name) {
                script.calls.push((name.to_owned(), payload));
            }
            script.answers.get_mut(name)?.next()
        })
    }
}

#[derive(Clone)]
struct Gateway {
    scripts: Arc<Scripts>,
    moto: Upstream,
}

async fn invoke(State(gateway): State<Gateway>, UrlPath(function): UrlPath<String>, body: Bytes) -> Response {
    let state = EMR.into_iter().find(|s| *s == function);
    let function = state.or(FUNCTIONS.into_iter().find(|f| function.contains(f))).unwrap_or_default();
    let answer = gateway.scripts.answer(function, &body);
    let request_id = [("x-amzn-RequestId", "11111111-2222-3333-4444-555555555555")];
    match answer {
        Some(Reply::Give(value)) => (request_id, value.to_string()).into_response(),
        Some(Reply::Fail(name)) => {
            let body = json!({"errorType": name, "errorMessage": format!("{name} on purpose")});
            (request_id, [("X-Amz-Function-Error", "Unhandled")], body.to_string()).into_response()
        }
        Some(Reply::Late) => {
            tokio::time::sleep(LATE).await;
            (request_id, "{}").into_response()
        }
        None => {
            let body = json!({"errorType": "NoMoreAnswers", "errorMessage": function});
            (request_id, [("X-Amz-Function-Error", "Unhandled")], body.to_string()).into_response()
        }
    }
}

/// What moto asks AWS for.
async fn call(State(gateway): State<Gateway>, request: Request) -> Response {
    gateway.moto.pass(request).await
}

/// Both engines, ready.
pub struct Engines {
    scripts: Arc<Scripts>,
    ministack: MiniStack,
    motos: Vec<Moto>,
    on_ministack: Engine,
    on_motos: Vec<Engine>,
    /// Whose turn it is.
    turn: AtomicUsize,
    mocks: tokio::sync::Mutex<Mocks>,
    _dir: Folder,
}

/// MiniStack's mocked service integrations: what answers the states of EMR.
#[derive(Debug, Default)]
struct Mocks {
    machines: Map<String, Value>,
    responses: Map<String, Value>,
}

impl Mocks {
    /// Adds the answers of a machine's states, as test case "scripted".
    fn add(&mut self, machine: &str, answers: &HashMap<&'static str, Vec<Reply>>) {
        let mut states = Map::new();
        for (state, answers) in answers.iter().filter(|(name, _)| !FUNCTIONS.contains(name)) {
            let response = format!("{machine}-{state}");
            let one = |answer: &Reply| match answer {
                Reply::Give(value) => json!({"Return": value}),
                Reply::Fail(name) => json!({"Throw": {"Error": name, "Cause": "on purpose"}}),
                Reply::Late => Value::Null,
            };
            let all = answers.iter().enumerate().map(|(n, answer)| (n.to_string(), one(answer)));
            self.responses.insert(response.clone(), Value::Object(all.collect()));
            states.insert((*state).to_owned(), json!(response));
        }
        self.machines.insert(machine.to_owned(), json!({"TestCases": {"scripted": states}}));
    }
}

#[derive(Debug)]
struct Engine {
    sfn: aws_sdk_sfn::Client,
    topic: String,
    /// The machine with a topic, and the one whose topic does not exist.
    machines: [String; 2],
}

impl Engines {
    /// Starts both.
    pub async fn start() -> Any<Self> {
        let dir = Folder::new()?;
        let scripts: Arc<Scripts> = Arc::default();
        let gateway = |moto| {
            Router::new()
                .route("/2015-03-31/functions/{name}/invocations", post(invoke))
                .fallback(call)
                .with_state(Gateway { scripts: scripts.clone(), moto })
        };
        let motos = try_join_all((0..MOTOS).map(|_| Moto::start(dir.path(), gateway))).await?;
        let on_moto = |moto: String| async move { Engine::make(&sdk_config(&moto).await).await };
        let on_motos = try_join_all(motos.iter().map(|moto| on_moto(moto.url.clone()))).await?;
        let door = MiniStackGateway::prepare(None, dir.path()).await?;
        let ministack = MiniStack::start(door, &[], Some(0.0), dir.path()).await?;
        let config = ministack.endpoint.sdk_config().await;
        make_role(&ministack.endpoint.cli()).await?;
        make_functions(&config, &motos[0].gateway, dir.path()).await?;
        let on_ministack = Engine::make(&config).await?;
        let (turn, mocks) = (AtomicUsize::default(), tokio::sync::Mutex::default());
        Ok(Self { scripts, ministack, motos, on_ministack, on_motos, turn, mocks, _dir: dir })
    }

    /// Plays a scenario: what each engine made of it.
    pub async fn play(&self, scenario: &Scenario) -> Any<Vec<(&'static str, Played)>> {
        self.mock(scenario).await?;
        let moto = &self.on_motos[self.turn.fetch_add(1, Ordering::Relaxed) % MOTOS];
        let on = |name: &'static str| async move {
            let engine = if name == "moto" { moto } else { &self.on_ministack };
            Ok((name, engine.play(&self.scripts, scenario, name).await?))
        };
        try_join_all(scenario.engines().iter().map(|name| on(name))).await
    }

    /// Tells MiniStack the answers of EMR, next to those of the scenarios before.
    async fn mock(&self, scenario: &Scenario) -> Any<()> {
        if !scenario.asks_emr() {
            return Ok(());
        }
        // Held until MiniStack has it: an older list must not replace a newer one.
        let mut mocks = self.mocks.lock().await;
        mocks.add(&format!("{}-on-MiniStack", scenario.name), &scenario.answers);
        let config = json!({"StateMachines": mocks.machines, "MockedResponses": mocks.responses});
        self.ministack.configure(&json!({"stepfunctions._sfn_mock_config": config})).await?;
        Ok(())
    }

    /// Ends them.
    pub async fn stop(self) {
        self.ministack.stop().await;
        for moto in self.motos {
            moto.stop().await;
        }
    }
}

/// With IAM enforced, a function needs a role that exists.
async fn make_role(cli: &Cli) -> Any<()> {
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    ]});
    let name = ROLE.rsplit('/').next().unwrap_or_default();
    let create = ["iam", "create-role", "--role-name", name, "--assume-role-policy-document", &trust.to_string()];
    cli.call(&create).await?;
    Ok(())
}

async fn make_functions(config: &SdkConfig, gateway: &str, dir: &Path) -> Any<()> {
    let zip = dir.join("bootstrap.zip");
    let bootstrap = project("tests/engines/bootstrap.py");
    let mut python = Command::new(tools::python_tool("python")?);
    // It runs under the project's own Python.
    let script = "import sys, zipfile\ninfo = zipfile.ZipInfo('bootstrap'); info.external_attr = 0o755 << 16\n\
                  text = f'#!{sys.executable}\\n' + open(sys.argv[2]).read()\n\
                  zipfile.ZipFile(sys.argv[1], 'w').writestr(info, text)";
    let zipped = python.args(["-c", script]).arg(&zip).arg(&bootstrap).status().await?;
    if !zipped.success() {
        return Err(failed("cannot zip the scripted function"));
    }
    let lambda = aws_sdk_lambda::Client::new(config);
    for function in FUNCTIONS {
        let code = FunctionCode::builder().zip_file(Blob::new(std::fs::read(&zip)?)).build();
        let create =
            lambda.create_function().function_name(function).runtime(Runtime::Providedal2023).handler("bootstrap");
        let environment = Environment::builder().variables("GATEWAY", gateway).build();
        create.role(ROLE).code(code).environment(environment).timeout(30).send().await?;
    }
    Ok(())
}

impl Engine {
    async fn make(config: &SdkConfig) -> Any<Self> {
        let topic =
            aws_sdk_sns::Client::new(config).create_topic().name("loader").send().await?.topic_arn.unwrap_or_default();
        let sfn = aws_sdk_sfn::Client::new(config);
        let mut machines = Vec::new();
        let missing = format!("{topic}-missing");
        for (name, topic, chat) in [("loader", &topic, topic.as_str()), ("loader-without-topic", &missing, "")] {
            let definition = hurried(definition(topic, chat)?).to_string();
            let create = sfn.create_state_machine().name(name).definition(definition).role_arn(ROLE);
            machines.push(create.send().await?.state_machine_arn);
        }
        let machines = machines.try_into().map_err(|_| failed("two machines"))?;
        Ok(Self { sfn, topic, machines })
    }

    /// The machine for a scenario: with EMR one of its own.
    async fn machine(&self, scenario: &Scenario, name: &str, engine: &str) -> Any<String> {
        if !scenario.needs_machine() {
            return Ok(self.machines[usize::from(!scenario.topic)].clone());
        }
        let mut definition = hurried(definition(&self.topic, &self.topic)?);
        if let Some(task) = scenario.hurried {
            let state = definition["States"][task].as_object_mut().ok_or("a task to hurry")?;
            state.remove("TimeoutSecondsPath");
            state.insert("TimeoutSeconds".into(), json!(HURRIED_SECONDS));
        }
        if engine == "moto" {
            definition = as_functions(definition, EMR);
        }
        let create = self.sfn.create_state_machine().name(name).definition(definition.to_string()).role_arn(ROLE);
        let arn = create.send().await?.state_machine_arn;
        Ok(if engine == "moto" { arn } else { format!("{arn}#scripted") })
    }

    async fn play(&self, scripts: &Scripts, scenario: &Scenario, engine: &str) -> Any<Played> {
        let name = format!("{}-on-{engine}", scenario.name);
        let answers = scenario.answers.iter().map(|(function, answers)| {
            let own = |answer: &Reply| match answer {
                Reply::Give(value) => {
                    Reply::Give(serde_json::from_str(&value.to_string().replace("{name}", &name)).unwrap_or_default())
                }
                other => other.clone(),
            };
            (*function, answers.iter().map(own).collect::<Vec<_>>().into_iter())
        });
        let script = Script { answers: answers.collect(), ..Script::default() };
        scripts.with(|all| all.insert(name.clone(), script));
        let machine = self.machine(scenario, &name, engine).await?;
        let start = self.sfn.start_execution().state_machine_arn(machine).name(&name).input(scenario.input.to_string());
        let arn = start.send().await?.execution_arn;
        let start = Instant::now();
        let ended = loop {
            let now = self.sfn.describe_execution().execution_arn(&arn).send().await?;
            if now.status != ExecutionStatus::Running {
                break now;
            }
            if start.elapsed() > LIMIT {
                return Err(failed(format!("{name} does not end")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let events = history(&self.sfn, &arn).await?;
        let entered: Vec<_> = events.iter().filter_map(HistoryEvent::state_entered_event_details).collect();
        let read = |text: Option<&str>| text.and_then(|t| serde_json::from_str::<Value>(t).ok()).unwrap_or_default();
        let input_of = |name: &str| entered.iter().find(|state| state.name() == name).and_then(|state| state.input());
        let (composed, told) = (read(input_of("ComposeFailure")), read(input_of("NotifyFailure")));
        let failed = input_of("Failed");
        let notified = failed.map(|input| read(Some(input)).get("NotNotified").is_none());
        let script = scripts.with(|all| all.remove(&name)).unwrap_or_default();
        // What differs by nature: names, ARNs and accounts.
        let common = |text: &str| {
            let text =
                text.replace(&name, "NAME").replace("000000000000", "ACCOUNT").replace("123456789012", "ACCOUNT");
            text.replace("loader-without-topic", "loader").replace("stateMachine:NAME", "stateMachine:loader")
        };
        let cause = ended.cause().unwrap_or_default();
        let same = |value: &Value| serde_json::from_str::<Value>(&common(&value.to_string())).unwrap_or_default();
        Ok(Played {
            states: entered.iter().map(|state| state.name().to_owned()).collect(),
            asked: script.asked,
            calls: script.calls.iter().map(|(function, payload)| (function.clone(), same(payload))).collect(),
            status: ended.status.to_string(),
            error: ended.error().map(str::to_owned),
            cause: lambda_cause(&common(cause)),
            output: if ended.status == ExecutionStatus::Succeeded { read(ended.output()) } else { Value::Null },
            notified,
            notice: notice(&same(&told)),
            told: json!({"Cursor": composed["Cursor"], "Statement": same(&composed["Statement"]["Payload"])}),
        })
    }
}

/// What is sent of a failure, without what differs by engine: the cause of a failed Lambda, and the hash of the execution's name.
fn notice(told: &Value) -> Value {
    let Some(payload) = told["Message"]["default"].as_str() else { return Value::Null };
    let mut payload: Value = serde_json::from_str(payload).unwrap_or_default();
    payload["text"] = json!("TEXT");
    payload["cause"] = json!("CAUSE");
    payload["left_running"] = json!("LEFT");
    let short: Value = serde_json::from_str(told["Short"]["default"].as_str().unwrap_or_default()).unwrap_or_default();
    let mut chat = told["Chat"].clone();
    chat["metadata"]["threadId"] = json!(chat["metadata"]["threadId"].as_str().map(str::len));
    json!({"Payload": payload, "Short": short, "Chat": chat})
}

/// The cause of a failed Lambda is a JSON string; engines add fields of their own.
fn lambda_cause(text: &str) -> Value {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(fields) if fields.contains_key("errorType") => {
            json!({"errorType": fields["errorType"], "errorMessage": fields["errorMessage"]})
        }
        _ => json!(text),
    }
}

/// The real definition, with its substitutions filled in; functions go by their names. An empty chat is none.
pub fn definition(topic: &str, chat: &str) -> Any<Value> {
    let mut text = std::fs::read_to_string(project("infra/statemachines/loader.asl.json"))?;
    for (name, value) in [
        ("ProcRunnerArn", "proc-runner"),
        ("StatusCheckerArn", "status-checker"),
        ("OrdersAuditFnArn", "orders-audit-fn"),
        ("TopicArn", topic),
        ("ChatTopicArn", chat),
        ("StackName", "loader"),
        ("DashboardUrl", "https://dashboard/"),
        ("DashboardLine", "Dashboard:  https://dashboard/\\n"),
        ("Partition", "aws"),
        ("ConsoleUrl", "https://console/"),
    ] {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    Ok(serde_json::from_str(&text)?)
}

/// A definition with its pauses shortened.
fn hurried(mut machine: Value) -> Value {
    for state in machine["States"].as_object_mut().into_iter().flat_map(|s| s.values_mut()) {
        if let Some(seconds) = state.get_mut("Seconds") {
            *seconds = json!(0);
        }
        for retry in state.get_mut("Retry").and_then(Value::as_array_mut).into_iter().flatten() {
            retry["IntervalSeconds"] = json!(1);
            retry["BackoffRate"] = json!(1.0);
        }
    }
    machine
}

/// The definition with some states as functions that get the states' parameters, and whose payload is the result.
fn as_functions(mut machine: Value, states: impl IntoIterator<Item = &'static str>) -> Value {
    for name in states {
        let state = &mut machine["States"][name];
        state["Resource"] = json!("arn:aws:states:::lambda:invoke");
        state["Parameters"] = json!({"FunctionName": name, "Payload": state["Parameters"]});
        if state["ResultPath"].is_string() {
            // Where the real answer has them.
            state["ResultSelector"] = json!({"Steps.$": "$.Payload.Steps"});
        }
    }
    machine
}
