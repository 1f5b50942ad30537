//! The events of WithEvent.

use super::*;

use std::net::Ipv4Addr;
use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use redshift_data_local::events::{Events, SOURCE};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Bus = (UnboundedSender<(HeaderMap, Value)>, std::sync::Arc<Mutex<Vec<Value>>>);

/// As EventBridge answers, after it was in trouble.
async fn put(State((sender, troubles)): State<Bus>, headers: HeaderMap, body: String) -> String {
    if let Some(trouble) = troubles.lock().expect("no panic").pop() {
        return trouble.to_string();
    }
    let _ = sender.send((headers, serde_json::from_str(&body).expect("JSON")));
    json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}).to_string()
}

pub(crate) async fn the_end_of_a_statement_is_an_event(api: &Api) -> Outcome {
    let (sender, mut events) = unbounded_channel();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let troubles = vec![
        json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}),
        json!({"message": "something else than EventBridge"}),
    ];
    let app = Router::new().route("/", post(put)).with_state((sender, std::sync::Arc::new(Mutex::new(troubles))));
    let bus = tokio::spawn(async move { axum::serve(listener, app).await });
    let mut config = Config::new(api.database.warehouse.config().clone(), vec![]);
    config.events = Some(Events::at(&url)?);
    let own = Running::start(config).await?;
    let client = Client::new(&sdk_config(&own.url).await);
    let execute = |sql: &str| client.execute_statement().database("ecommerce_db").sql(sql).statement_name("m/e/0/1");
    let mut next = async || -> Any<(HeaderMap, Value)> {
        let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await?;
        Ok(event.ok_or("no event")?)
    };

    execute("SELECT 1").workgroup_name("w-1").send().await?;
    let done = execute("SELECT 1").workgroup_name("w-1").with_event(true).send().await?;
    let (headers, body) = next().await?;
    assert_eq!(headers["x-amz-target"], "AWSEvents.PutEvents");
    let entry = &body["Entries"][0];
    assert_eq!(
        (&entry["Source"], &entry["DetailType"]),
        (&json!(SOURCE), &json!("Redshift Data Statement Status Change"))
    );
    let workgroup = "arn:aws:redshift-serverless:us-east-1:000000000000:workgroup/w-1";
    assert_eq!(entry["Resources"], json!([workgroup]));
    let mut detail: Value = serde_json::from_str(entry["Detail"].as_str().ok_or("no detail")?)?;
    let expires = detail["expireAt"].take().as_i64().ok_or("no time")?;
    let created = done.created_at().ok_or("no time")?.secs();
    assert_eq!(expires - created, 24 * 3600);
    assert_eq!(
        detail,
        json!({"principal": "arn:aws:iam::000000000000:root", "statementName": "m/e/0/1", "statementId": done.id(),
               "state": "FINISHED", "rows": 1, "expireAt": null})
    );

    let batch = client.batch_execute_statement().database("ecommerce_db").cluster_identifier("c-1").with_event(true);
    batch.sqls("SELECT 1").sqls("SELECT 1/0").send().await?;
    let (_, body) = next().await?;
    assert_eq!(body["Entries"][0]["Resources"], json!(["arn:aws:redshift:us-east-1:000000000000:cluster:c-1"]));
    let detail: Value = serde_json::from_str(body["Entries"][0]["Detail"].as_str().ok_or("no detail")?)?;
    assert_eq!((&detail["state"], &detail["rows"]), (&json!("FAILED"), &json!(-1)));

    let refused = code(api.execute("SELECT 1").with_event(true).send().await);
    assert!(refused.0 == "ValidationException" && refused.1.contains("WithEvent"), "{refused:?}");
    own.stop().await;
    bus.abort();

    let mut config = Config::new(api.database.warehouse.config().clone(), vec![]);
    config.events = Some(Events::at(&url)?);
    let own = Running::start(config).await?;
    let client = Client::new(&sdk_config(&own.url).await);
    let lost = client.execute_statement().workgroup_name("w-1").database("ecommerce_db").sql("SELECT 1");
    let done = lost.with_event(true).wait_time_seconds(20).send().await?;
    assert_eq!(done.status().map(|s| s.as_str()), Some("FINISHED"), "whether anybody listens or not");
    own.stop().await;
    Ok(())
}
