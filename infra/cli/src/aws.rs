//! Asks AWS, through boto3, which the local stack's tools bring: a dozen services for a dozen questions are minutes of
//! compiling as crates.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::tools::{project, python_tool};
use crate::{Error, Result};

/// What was found out, each by its own question.
pub(crate) type Response = Result<Value>;

/// AWS, with the region, endpoint and credentials of the environment.
pub(crate) struct Calls {
    _python: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Calls {
    pub(crate) fn start(environment: &[(&str, &str)]) -> Result<Self> {
        let mut python = Command::new(python_tool("python")?);
        python.arg(project("infra/cli/src/aws_calls.py")).envs(environment.iter().copied());
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut python = python.spawn().map_err(|e| Error::doing("start Python", e))?;
        let (Some(requests), Some(answers)) = (python.stdin.take(), python.stdout.take()) else {
            return Err(Error::new("Python takes no input"));
        };
        Ok(Self { _python: python, requests, answers: BufReader::new(answers).lines() })
    }

    pub(crate) async fn call(&mut self, service: &str, operation: &str, parameters: Value) -> Response {
        let request = format!("{}\n", json!([service, operation, parameters]));
        let failed = |e: std::io::Error| Error::doing("ask AWS", e);
        self.requests.write_all(request.as_bytes()).await.map_err(failed)?;
        let line = self.answers.next_line().await.map_err(failed)?.unwrap_or_default();
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_default();
        match answer["error"].as_str() {
            Some(error) => Err(Error::new(error)),
            None => Ok(answer["ok"].take()),
        }
    }
}
