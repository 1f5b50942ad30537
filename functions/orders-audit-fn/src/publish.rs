//! Sends notifications in batches, goes on after a failure, and counts.

use std::time::{Duration, SystemTime};

use aws_sdk_sns::Client;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use shared::error::cut;
use shared::{Error, Result};
use tracing::warn;

use crate::message::{Notification, SUBJECT};

/// SNS's limit for the entries of a batch. [API model]
const MAX_ENTRIES: usize = 10;
/// Tries for the entries of a batch that the service could not take.
const TRIES: u32 = 4;
/// The first pause between two tries; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// What the list of runs in an error is cut to.
const MAX_LIST_CHARS: usize = 4_000;

/// Publishes to one topic.
#[derive(Debug)]
pub struct Publisher<'a> {
    client: &'a Client,
    topic_arn: &'a str,
    deadline: SystemTime,
    batch: Vec<Entry>,
    report: Report,
}

#[derive(Debug)]
struct Entry {
    run_id: String,
    request: PublishBatchRequestEntry,
}

/// What became of the notifications.
#[derive(Debug, Default)]
pub struct Report {
    /// How many there were.
    pub seen: usize,
    /// How many SNS took.
    pub notified: usize,
    /// Which it did not take, and why.
    failed: Vec<(String, String)>,
}

impl<'a> Publisher<'a> {
    /// A publisher that starts no call after `deadline`.
    pub fn new(client: &'a Client, topic_arn: &'a str, deadline: SystemTime) -> Self {
        Self { client, topic_arn, deadline, batch: Vec::new(), report: Report::default() }
    }

    /// Queues a notification; sends when a batch is full.
    ///
    /// # Errors
    /// Only those that would meet every other notification too: `TopicNotFound`, `AccessDenied`.
    pub async fn add(&mut self, notification: &Notification) -> Result<()> {
        self.report.seen += 1;
        self.batch.push(Entry { run_id: notification.run_id.clone(), request: entry(self.batch.len(), notification)? });
        if self.batch.len() == MAX_ENTRIES { self.send().await } else { Ok(()) }
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// As [`Publisher::add`].
    pub async fn finish(mut self) -> Result<Report> {
        self.send().await?;
        Ok(self.report)
    }

    async fn send(&mut self) -> Result<()> {
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            if self.batch.is_empty() {
                return Ok(());
            }
            if SystemTime::now() >= self.deadline {
                return self.give_up("out of time");
            }
            let entries = self.batch.iter().map(|e| e.request.clone()).collect();
            let request = self.client.publish_batch().topic_arn(self.topic_arn);
            match request.set_publish_batch_request_entries(Some(entries)).send().await {
                Ok(answer) => self.settle(answer.failed()),
                Err(error) => match Error::from_sdk("publish to the topic", error) {
                    Error::TopicNotFound(text) => {
                        return Err(Error::TopicNotFound(format!(
                            "topic {} does not exist; check TOPIC_ARN, its account and region ({text})",
                            self.topic_arn
                        )));
                    }
                    // The SDK has already repeated what passes by itself.
                    Error::ServiceUnavailable(text) | Error::Throttled(text) => return self.give_up(&text),
                    other => return Err(other),
                },
            }
            if !self.batch.is_empty() && attempt < TRIES {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        self.give_up("SNS could not take it")
    }

    /// Sorts a batch by the service's answer: what failed by its own fault stays for the next try.
    fn settle(&mut self, failed: &[aws_sdk_sns::types::BatchResultErrorEntry]) {
        for (index, entry) in std::mem::take(&mut self.batch).into_iter().enumerate() {
            let id = index.to_string();
            match failed.iter().find(|f| f.id() == id) {
                None => self.report.notified += 1,
                Some(f) if f.sender_fault() => {
                    let why = format!("{}: {}", f.code(), f.message().unwrap_or_default());
                    warn!(run_id = entry.run_id, code = f.code(), "notification refused");
                    self.report.failed.push((entry.run_id, why));
                }
                Some(_) => self.batch.push(entry),
            }
        }
        for (index, entry) in self.batch.iter_mut().enumerate() {
            entry.request.id = index.to_string();
        }
    }

    fn give_up(&mut self, why: &str) -> Result<()> {
        let failed = self.batch.drain(..).map(|entry| (entry.run_id, why.to_owned()));
        self.report.failed.extend(failed);
        Ok(())
    }
}

impl Report {
    /// The report, or `NotificationsIncomplete` naming the runs that were not sent.
    ///
    /// # Errors
    /// `NotificationsIncomplete`.
    pub fn into_result(self) -> Result<Self> {
        let Some((_, why)) = self.failed.first() else { return Ok(self) };
        let runs: Vec<_> = self.failed.iter().map(|(run, _)| run.as_str()).collect();
        Err(Error::NotificationsIncomplete(format!(
            "sent {} of {} notifications; not sent for the run ids {} ({why})",
            self.notified,
            self.seen,
            cut(&runs.join(", "), MAX_LIST_CHARS)
        )))
    }
}

fn entry(index: usize, notification: &Notification) -> Result<PublishBatchRequestEntry> {
    let text = |value: &str| attribute("String", value);
    PublishBatchRequestEntry::builder()
        .id(index.to_string())
        .subject(SUBJECT)
        .message(&notification.text)
        .message_attributes("run_id", text(&notification.run_id)?)
        .message_attributes("mismatches", attribute("Number", &notification.mismatches.to_string())?)
        .message_attributes("kinds", text(&notification.kinds.join(","))?)
        .build()
        .map_err(|e| Error::InvalidInput(e.to_string()))
}

fn attribute(data_type: &str, value: &str) -> Result<MessageAttributeValue> {
    let builder = MessageAttributeValue::builder().data_type(data_type).string_value(value);
    builder.build().map_err(|e| Error::InvalidInput(e.to_string()))
}
