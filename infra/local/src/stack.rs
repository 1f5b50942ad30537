//! The local stack: PostgreSQL, the Data API on it, MiniStack, and the real template deployed there.

use aws_config::SdkConfig;
use loader::terminal::Steps;
use loader::{Error, Place, Result, install};
use redshift_data_local::events::Events;
use redshift_data_local::postgres::Postgres;
use redshift_data_local::process::Folder;
use redshift_data_local::{Config, Running};
use serde_json::Value;

use crate::aws::{Cli, Endpoint, Keys, REGION};
use crate::deploy::{self, Outputs};
use crate::gateway::Gateway;
use crate::ministack::MiniStack;
use crate::postgres;
use crate::warehouse::Warehouse;

/// The workgroup that exists here.
pub const WORKGROUP: &str = "loader-workgroup";
/// Its id.
pub const WORKGROUP_ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
/// The cluster that exists here.
pub const CLUSTER: &str = "loader-cluster";
/// The source of the Data API's events: AWS alone may send those with an `aws.` source.
pub const EVENT_SOURCE: &str = "redshift-data-local";
/// The name of the stack.
pub const STACK_NAME: &str = "redshift-loader";
/// The last job of the Glue workflow.
pub const GLUE_JOB: &str = "new-orders-last-job";

/// How the stack is to be.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port of the local AWS; a free one if it is not given.
    pub port: Option<u16>,
    /// Your own PostgreSQL in place of ours. Its schemas dev and s3_staging_schema are dropped and recreated.
    pub database_url: Option<String>,
    /// Factor for the state machine's waiting: tests do not wait for real.
    pub wait_scale: Option<f64>,
    /// The URL of Glue, in place of the local AWS, which has no workflow runs.
    pub glue_url: Option<String>,
    /// SQL that is run before anything is installed: tables of your own.
    pub sql: Option<String>,
    /// Parameters of the template, `Name=value`, over those of the serverless variant with a secret.
    pub parameters: Vec<String>,
}

/// The stack while it runs. [`Stack::stop`] ends it in good order; dropping it ends the processes.
pub struct Stack {
    /// The database with the sample orders.
    pub warehouse: Warehouse,
    /// The stack's outputs.
    pub outputs: Outputs,
    /// The secret with the database user.
    pub secret_arn: String,
    /// Configuration for clients of the local AWS.
    pub aws: SdkConfig,
    /// Configuration for clients of the Data API.
    pub redshift: SdkConfig,
    /// The Data API on the warehouse.
    pub data_api: Running,
    ministack: MiniStack,
    cli: Cli,
    postgres: Option<Postgres>,
    /// Folder for what lives as long as the stack; last, so that it goes last.
    pub dir: Folder,
}

impl Stack {
    /// Starts everything, deploys the template and loads the sample orders. `say` receives each step.
    pub async fn start(options: &Options, mut say: impl FnMut(&str)) -> Result<Self> {
        let dir = Folder::new().map_err(|e| Error::doing("make a temporary folder", e))?;
        // Taken first, so that a port in use is said before anything is started.
        let gateway = Gateway::prepare(options.port, dir.path()).await?;
        let postgres = match &options.database_url {
            Some(_) => None,
            None => {
                say("starting PostgreSQL");
                Some(postgres::start(dir.path()).await?)
            }
        };
        let url = match (&options.database_url, &postgres) {
            (Some(url), _) => url.clone(),
            (None, Some(postgres)) => postgres.url(),
            (None, None) => return Err(Error::new("no PostgreSQL")),
        };
        let warehouse = Warehouse::new(&url)?;
        warehouse.prepare().await?;
        if let Some(sql) = &options.sql {
            warehouse.script(sql).await.map_err(|e| Error::doing("your SQL", e))?;
        }

        say("starting the Redshift Data API on it");
        let endpoints = vec![WORKGROUP.to_owned(), CLUSTER.to_owned()];
        let mut config = Config::new(warehouse.config().clone(), endpoints);
        config.access = Some(gateway.keys());
        config.events = Some(events(&gateway.endpoint)?);
        let data_api = Running::start(config).await;
        let data_api = data_api.map_err(|e| Error::doing("listen for the Data API", e))?;

        say("starting MiniStack");
        let mut endpoints = vec![("AWS_ENDPOINT_URL_REDSHIFT_DATA", data_api.url.as_str())];
        endpoints.extend(options.glue_url.as_deref().map(|url| ("AWS_ENDPOINT_URL_GLUE", url)));
        let ministack = MiniStack::start(gateway, &endpoints, options.wait_scale, dir.path()).await?;
        let cli = ministack.endpoint.cli();
        let secret_arn = deploy::secret(&cli).await?;
        let mut parameters = vec![
            format!("WorkgroupName={WORKGROUP}"),
            format!("WorkgroupId={WORKGROUP_ID}"),
            format!("SecretArn={secret_arn}"),
            format!("Database={}", warehouse.database()),
            format!("GlueJobName={GLUE_JOB}"),
        ];
        parameters.extend_from_slice(&options.parameters);
        say("installing the tables and procedures");
        let file = dir.path().join("parameters.txt");
        std::fs::write(&file, parameters.join("\n")).map_err(|e| Error::doing("write the parameters", e))?;
        let install = install::Options {
            place: Place { stack: STACK_NAME.to_owned(), parameters: Some(file) },
            ..install::Options::default()
        };
        install::install(&install, &environment(&cli, &data_api), |_| {}).await?;
        warehouse.fill().await?;
        say("deploying infra/template.yaml");
        deploy::package(&cli, dir.path()).await?;
        let outputs = deploy::deploy(&cli, dir.path(), STACK_NAME, &parameters).await?;
        let aws = ministack.endpoint.sdk_config().await;
        let redshift = ministack.endpoint.at(&data_api.url).sdk_config().await;
        Ok(Self { warehouse, outputs, secret_arn, aws, redshift, data_api, dir, ministack, cli, postgres })
    }

    /// The same, with the steps and their times on a terminal, or as lines.
    pub async fn start_watched(options: &Options, print: impl FnMut(&str)) -> Result<Self> {
        let total = if options.database_url.is_some() { 4 } else { 5 };
        let mut steps = Steps::new(total, print);
        let stack = Self::start(options, |step| steps.next(step)).await?;
        steps.finish();
        Ok(stack)
    }

    /// What a tool that finds AWS by its environment needs to find this one.
    pub fn environment(&self) -> Vec<(&str, &str)> {
        environment(&self.cli, &self.data_api)
    }

    /// The local AWS.
    pub fn endpoint(&self) -> &Endpoint {
        &self.ministack.endpoint
    }

    /// The aws CLI on it.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// Changes MiniStack's own settings, by their names.
    ///
    /// # Errors
    /// If it does not take them.
    pub async fn configure(&self, settings: &Value) -> Result<()> {
        self.ministack.configure(settings).await
    }

    /// Ends everything that was started, and removes what it left.
    pub async fn stop(self) {
        self.ministack.stop().await;
        self.data_api.stop().await;
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }
}

/// Where the events of `WithEvent` go.
fn events(endpoint: &Endpoint) -> Result<Events> {
    let events = Events::at(&endpoint.url).map_err(Error::new)?;
    let Keys { id: key, secret } = endpoint.keys.clone();
    Ok(Events { source: EVENT_SOURCE.to_owned(), region: REGION.to_owned(), key, secret, ..events })
}

fn environment<'a>(cli: &'a Cli, data_api: &'a Running) -> Vec<(&'a str, &'a str)> {
    [cli.environment(), vec![("AWS_ENDPOINT_URL_REDSHIFT_DATA", data_api.url.as_str())]].concat()
}
