//! Sends notifications in batches, several at once, goes on after a failure, and counts.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::{BatchResultErrorEntry, MessageAttributeValue, PublishBatchRequestEntry};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use shared::runtime::Lazy;
use shared::{Error, ErrorKind, Result, shown};
use tracing::warn;

use crate::notification::{Filtered, Notification, to_json};

/// SNS's limit for the entries of a batch. [API model]
const MAX_ENTRIES: usize = 10;
/// SNS takes 256 KB for a whole batch, attributes included; some of it is kept for what is counted
/// differently. [API model]
const MAX_BATCH_BYTES: usize = 240 * 1024;
/// Calls at once.
const AT_ONCE: usize = 8;
/// Tries, the first included, for the entries of a batch that the service could not take.
const TRIES: u32 = 4;
/// The first pause between two tries; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Publishes to one topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publisher<'a> {
    /// The client.
    pub(crate) client: &'a Lazy<Client>,
    /// The topic, standard or FIFO.
    pub(crate) topic_arn: &'a str,
    /// Which audit the notifications are of; nothing for those about a load.
    pub(crate) audit: Option<&'a str>,
    /// Whether the topic gets those of other audits, too.
    pub(crate) several: bool,
    /// Whether a chat is subscribed to it, which takes a form of its own.
    pub(crate) is_chat: bool,
    /// No call is started after it.
    pub(crate) deadline: SystemTime,
}

/// What became of a notification, by its place.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The places of those that SNS took.
    pub(crate) sent: Vec<usize>,
    /// The places of those that it did not take, and why.
    pub(crate) failed: Vec<(usize, String)>,
    /// An error that every other notification would meet too; no further call was made.
    pub(crate) stopped: Option<Error>,
}

/// A notification on its way.
struct Entry {
    place: usize,
    run_id: String,
    bytes: usize,
    request: PublishBatchRequestEntry,
}

impl Publisher<'_> {
    /// Sends all, in batches of ten and several batches at once, until one meets what every other would meet too
    /// ([`Sent::stopped`]): `TopicNotFound`, `AccessDenied`, or `RequestRefused` for a key that the topic cannot use.
    ///
    /// # Errors
    /// `Internal` for a notification that is no request.
    pub(crate) async fn send<'n>(&self, notifications: impl Iterator<Item = &'n Notification>) -> Result<Sent> {
        let mut batches: Vec<Vec<Entry>> = Vec::new();
        for (place, notification) in notifications.enumerate() {
            let entry = self.entry(place, notification)?;
            match batches.last_mut() {
                Some(batch)
                    if batch.len() < MAX_ENTRIES
                        && batch.iter().map(|e| e.bytes).sum::<usize>() + entry.bytes <= MAX_BATCH_BYTES =>
                {
                    batch.push(entry);
                }
                _ => batches.push(vec![entry]),
            }
        }
        let stopped = AtomicBool::new(false);
        let send = |batch| async {
            let outcome = if stopped.load(Ordering::Relaxed) { Sent::default() } else { self.batch(batch).await };
            stopped.fetch_or(outcome.stopped.is_some(), Ordering::Relaxed);
            outcome
        };
        let mut outcomes = stream::iter(batches.into_iter().map(send)).buffer_unordered(AT_ONCE);
        let mut all = Sent::default();
        while let Some(outcome) = outcomes.next().await {
            all.sent.extend(outcome.sent);
            all.failed.extend(outcome.failed);
            all.stopped = all.stopped.or(outcome.stopped);
        }
        Ok(all)
    }

    /// Sends a batch; one that is refused whole, entry by entry, so that none keeps the others back.
    async fn batch(&self, batch: Vec<Entry>) -> Sent {
        let mut outcome = Sent::default();
        let all = async {
            for entry in self.together(batch, &mut outcome).await? {
                self.together(vec![entry], &mut outcome).await?;
            }
            Ok(())
        };
        outcome.stopped = all.await.err();
        outcome
    }

    /// Sends entries in one call, and retries if the service was at fault. Returns the entries of a batch of several
    /// that the service refused for its content.
    async fn together(&self, mut batch: Vec<Entry>, outcome: &mut Sent) -> Result<Vec<Entry>> {
        let mut pause = PAUSE;
        let mut why = "SNS could not take it".to_owned();
        for attempt in 1..=TRIES {
            if SystemTime::now() >= self.deadline {
                why = "out of time".to_owned();
                break;
            }
            for (id, entry) in batch.iter_mut().enumerate() {
                entry.request.id = id.to_string();
            }
            let entries = batch.iter().map(|e| e.request.clone()).collect();
            let request = self.client.publish_batch().topic_arn(self.topic_arn);
            match request.set_publish_batch_request_entries(Some(entries)).send().await {
                Ok(answer) => batch = settle(batch, answer.failed(), outcome)?,
                Err(error) if error.code().is_some_and(is_about_the_key) => {
                    return Err(Error::from_sdk("publish to the topic under its key", error));
                }
                Err(error) => {
                    let error = Error::from_sdk("publish to the topic", error);
                    why = error.to_string();
                    match error.kind() {
                        ErrorKind::TopicNotFound => {
                            return Err(error.map_text(|text| {
                                format!(
                                    "topic {} does not exist; check TOPIC_ARN, its account and region ({text})",
                                    self.topic_arn
                                )
                            }));
                        }
                        // The SDK does not retry every kind of throttling (KMS has its own), nor for long.
                        ErrorKind::Throttled => {}
                        ErrorKind::RequestRefused if batch.len() > 1 => {
                            warn!(entries = batch.len(), "a batch was refused and is sent one by one: {error}");
                            return Ok(batch);
                        }
                        // The SDK has already retried the first; the second is this entry's own fault. The others
                        // go out, and are marked.
                        ErrorKind::ServiceUnavailable | ErrorKind::RequestRefused => break,
                        _ => return Err(error),
                    }
                }
            }
            if batch.is_empty() {
                break;
            }
            if attempt < TRIES {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        outcome.failed.extend(batch.into_iter().map(|entry| (entry.place, why.clone())));
        Ok(Vec::new())
    }

    fn entry(&self, place: usize, notification: &Notification) -> Result<Entry> {
        let message = self.message(notification)?;
        let attributes: Vec<_> = self.attributes(notification)?;
        let bytes = message.len()
            + notification.subject.len()
            + attributes.iter().map(|(name, kind, value)| name.len() + kind.len() + value.len()).sum::<usize>();
        let mut entry = PublishBatchRequestEntry::builder().id("0").subject(&notification.subject).message(message);
        if !self.is_chat {
            entry = entry.message_structure("json");
        }
        for (name, kind, value) in attributes {
            entry = entry.message_attributes(name, attribute(kind, &value)?);
        }
        let name = notification.name();
        if self.topic_arn.ends_with(".fifo") {
            let audit = self.audit.filter(|_| self.several).map(|audit| format!("{audit}/")).unwrap_or_default();
            let group: String = format!("{audit}{name}").chars().filter(|c| c.is_ascii_graphic()).take(128).collect();
            entry = entry.message_group_id(if group.is_empty() { "none".to_owned() } else { group });
            // The payload names the execution and the audit that last changed the run: a repetition has the
            // same id, a run that has changed since another.
            entry = entry.message_deduplication_id(hex(&Sha256::digest(&notification.payload)));
        }
        let request = entry.build().map_err(|_| Error::internal("a notification is no request"))?;
        Ok(Entry { place, run_id: name.to_owned(), bytes, request })
    }

    /// People get the text, every other subscriber the JSON.
    fn message(&self, notification: &Notification) -> Result<String> {
        #[derive(Serialize)]
        struct ByProtocol<'a> {
            default: &'a str,
            email: &'a str,
            sms: &'a str,
        }
        match &notification.chat {
            Some(chat) if self.is_chat => Ok(chat.clone()),
            _ => to_json(&ByProtocol {
                default: &notification.payload,
                email: &notification.text,
                sms: &notification.subject,
            }),
        }
    }

    fn attributes<'n>(
        &'n self,
        notification: &'n Notification,
    ) -> Result<Vec<(&'static str, &'static str, Cow<'n, str>)>> {
        let text = |name, value: &'n str| (name, "String", Cow::Borrowed(value));
        let mut attributes =
            vec![text("event", notification.event.name()), text("severity", notification.severity.as_str())];
        attributes.extend(self.audit.map(|audit| text("audit", audit)));
        match &notification.filtered {
            Filtered::Run { run_id, mismatches, kinds } => {
                attributes.push(text("run_id", run_id));
                attributes.push(("kind", "String.Array", Cow::Owned(to_json(kinds)?)));
                attributes.push(("mismatches", "Number", Cow::Owned(mismatches.to_string())));
            }
            Filtered::Load { error } => attributes.push(text("error", error)),
        }
        Ok(attributes)
    }
}

/// Whether the topic's key cannot be used, which no other notification would fare better with. KMS's throttling passes.
/// [API model, `PublishBatch`]
fn is_about_the_key(code: &str) -> bool {
    code.starts_with("KMS") && !code.starts_with("KMSThrottling")
}

/// Sorts a batch by the service's answer; what failed by its own fault is left for the next try.
fn settle(batch: Vec<Entry>, failed: &[BatchResultErrorEntry], outcome: &mut Sent) -> Result<Vec<Entry>> {
    let mut left = Vec::new();
    for entry in batch {
        match failed.iter().find(|f| f.id() == entry.request.id()) {
            None => outcome.sent.push(entry.place),
            Some(f) if f.sender_fault() => {
                let code = shown::error_code(f.code()).unwrap_or("an unknown code");
                warn!(run_id = entry.run_id, code, "notification refused");
                outcome.failed.push((entry.place, code.to_owned()));
            }
            Some(_) => left.push(entry),
        }
    }
    match failed.iter().map(BatchResultErrorEntry::code).find(|code| is_about_the_key(code)) {
        None => Ok(left),
        Some(code) => {
            let code = shown::error_code(code).unwrap_or("KMS");
            Err(Error::new(ErrorKind::RequestRefused, format!("failed to publish to the topic under its key: {code}")))
        }
    }
}

fn attribute(data_type: &str, value: &str) -> Result<MessageAttributeValue> {
    let builder = MessageAttributeValue::builder().data_type(data_type).string_value(value);
    builder.build().map_err(|_| Error::internal("an attribute is incomplete"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
