//! The local Data API and what others wrote for the service: botocore's model, AWS SDK for pandas, Airflow, and moto beside it.
//! The checks are in tests/clients, by pytest.

use std::process::ExitCode;
use std::time::Duration;

use loader::tools::project;
use redshift_data_local::{Config, Running};
use tests::database::Database;
use tests::{Outcome, failed, run, tests};
use tokio::process::Command;
use tokio::time::timeout;

/// Many times what a file takes.
const LIMIT: Duration = Duration::from_secs(300);

struct Api {
    api: Running,
    database: Database,
}

async fn start() -> Api {
    let database = Database::start().await;
    let config = Config::new(database.warehouse.config().clone(), vec!["w-1".into(), "c-1".into()]);
    let api = Running::start(config).await.expect("the Data API");
    Api { api, database }
}

/// Passes the checks of a file.
async fn pytest(api: &Api, file: &str) -> Outcome {
    let mut pytest = Command::new(project(".tools/clients/bin/python"));
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", file]).current_dir(project("tests/clients"));
    pytest.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("PYTHONDONTWRITEBYTECODE", "1");
    pytest.env("AWS_ENDPOINT_URL_REDSHIFT_DATA", &api.api.url).env("AWS_DEFAULT_REGION", "us-east-1");
    pytest.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    // Airflow writes a configuration of its own.
    pytest.env("AIRFLOW_HOME", api.database.path().join("airflow")).env("HOME", api.database.path());
    pytest.env("MOTO_SERVER", project(".tools/venv/bin/moto_server")).kill_on_drop(true);
    let done = timeout(LIMIT, pytest.output()).await.map_err(|_| failed("it has not ended"))??;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))))
}

async fn every_answer_is_of_the_model(api: &Api) -> Outcome {
    pytest(api, "test_model.py").await
}

async fn aws_sdk_for_pandas_reads(api: &Api) -> Outcome {
    pytest(api, "test_awswrangler.py").await
}

async fn airflow_runs(api: &Api) -> Outcome {
    pytest(api, "test_airflow.py").await
}

async fn moto_differs_where_it_is_written(api: &Api) -> Outcome {
    pytest(api, "test_moto.py").await
}

fn main() -> ExitCode {
    let tests =
        tests![every_answer_is_of_the_model, aws_sdk_for_pandas_reads, airflow_runs, moto_differs_where_it_is_written];
    let stop = async |api: Api| {
        api.api.stop().await;
        api.database.stop().await;
    };
    run(tests, start, stop)
}
