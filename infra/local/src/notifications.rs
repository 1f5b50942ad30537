//! A queue on the topic: what a subscriber would have got.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use loader::{Error, Result};
use serde_json::{Map, Value, json};

/// A queue that is subscribed to the topic.
#[derive(Debug, Clone)]
pub struct Inbox {
    client: Client,
    /// The queue's URL.
    pub url: String,
}

/// A message of the topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Its subject.
    pub subject: String,
    /// What a person reads.
    pub message: String,
    /// What a machine reads; null where the message is text alone.
    pub payload: Value,
    /// Its attributes.
    pub attributes: Map<String, Value>,
}

impl Inbox {
    /// Makes the queue and subscribes it.
    pub async fn subscribe(aws: &SdkConfig, topic_arn: &str) -> Result<Self> {
        Self::subscribe_as("redshift-loader-notifications", aws, topic_arn).await
    }

    /// The same with a queue of another name: each gets all messages.
    pub async fn subscribe_as(name: &str, aws: &SdkConfig, topic_arn: &str) -> Result<Self> {
        let client = Client::new(aws);
        let created = client.create_queue().queue_name(name).send().await;
        let url = created.map_err(|e| Error::sdk("create a queue", e))?.queue_url.unwrap_or_default();
        let attributes = client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
        let attributes = attributes.send().await.map_err(|e| Error::sdk("read the queue's attributes", e))?;
        let arn = attributes.attributes().and_then(|a| a.get(&QueueAttributeName::QueueArn)).cloned();
        let arn = arn.ok_or_else(|| Error::new("the queue has no ARN"))?;
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
            }],
        });
        let allow = client.set_queue_attributes().queue_url(&url);
        let allow = allow.attributes(QueueAttributeName::Policy, policy.to_string());
        allow.send().await.map_err(|e| Error::sdk("set the queue's policy", e))?;
        let topic = aws_sdk_sns::Client::new(aws);
        let subscribe = topic.subscribe().topic_arn(topic_arn).protocol("sqs").endpoint(arn);
        subscribe.send().await.map_err(|e| Error::sdk("subscribe the queue", e))?;
        Ok(Self { client, url })
    }

    /// Takes what has arrived, waiting up to a second for more until `expected` messages are there.
    pub async fn take(&self, expected: usize) -> Result<Vec<Received>> {
        let mut all = Vec::new();
        loop {
            let wait = i32::from(all.len() < expected);
            let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let batch = receive.wait_time_seconds(wait).send().await.map_err(|e| Error::sdk("receive", e))?;
            if batch.messages().is_empty() {
                return Ok(all);
            }
            for message in batch.messages() {
                all.push(read(message.body().unwrap_or_default()));
                let receipt = message.receipt_handle().unwrap_or_default();
                let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt);
                delete.send().await.map_err(|e| Error::sdk("delete", e))?;
            }
        }
    }
}

/// The envelope that SNS puts around a message for a queue.
fn read(body: &str) -> Received {
    let envelope: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |key: &str| envelope[key].as_str().unwrap_or_default().to_owned();
    let attributes = envelope["MessageAttributes"].as_object().into_iter().flatten();
    // A queue gets the JSON, which holds what people get.
    let payload: Value = serde_json::from_str(&text("Message")).unwrap_or_default();
    Received {
        subject: text("Subject"),
        message: payload["text"].as_str().map_or_else(|| text("Message"), str::to_owned),
        payload,
        attributes: attributes.map(|(name, value)| (name.clone(), value["Value"].clone())).collect(),
    }
}

/// A pause for what arrives late.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}
