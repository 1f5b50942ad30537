//! Notifications, as people get them: by mail, and in a chat.

use maud::{Markup, html};
use serde_json::Value;

use super::labelled;
use super::markdown::markdown;
use crate::page::action::Message;

/// The inbox, the newest first. `scope` begins each id.
pub(crate) fn inbox(scope: &str, messages: &[Message]) -> Markup {
    html! {
        section aria-labelledby=(labelled(scope, &format!("{scope}inbox-heading"))) {
            h2 id=(format!("{scope}inbox-heading")) { "Inbox" }
            div id=(format!("{scope}inbox")) {
                @if messages.is_empty() { p { "No notification yet." } }
                @for thread in threads(messages).iter().rev() { (chat(thread)) }
                @for (number, message) in messages.iter().enumerate().filter(|(_, message)| !is_chat(message)).rev() { (mail(scope, number, message)) }
            }
        }
    }
}

fn mail(scope: &str, number: usize, message: &Message) -> Markup {
    html! {
        article id=(format!("{scope}m-{number}")) class="mail" {
            h3 { (message.subject) }
            @if let Some(at) = message.at { p class="when" { (at) " UTC" } }
            pre { (message.text.trim_end()) }
            @if !message.json.is_null() {
                details id=(format!("{scope}m-{number}-json")) {
                    summary { "What a machine gets" }
                    pre { (serde_json::to_string_pretty(&message.json).unwrap_or_default()) }
                }
            }
        }
    }
}

/// Whether it is a custom notification of Amazon Q Developer in chat applications, which Slack and Teams show as a card.
fn is_chat(message: &Message) -> bool {
    message.json["version"] == "1.0" && message.json["source"] == "custom" && message.json["content"].is_object()
}

/// Cards of one conversation.
struct Thread<'a> {
    id: &'a str,
    cards: Vec<&'a Message>,
}

/// The cards by conversation, in the order in which these began. A card without one stands alone.
fn threads(messages: &[Message]) -> Vec<Thread<'_>> {
    let mut all: Vec<Thread<'_>> = Vec::new();
    for message in messages.iter().filter(|message| is_chat(message)) {
        let id = message.json["metadata"]["threadId"].as_str().unwrap_or_default();
        match all.iter_mut().find(|thread| thread.id == id && !id.is_empty()) {
            Some(thread) => thread.cards.push(message),
            None => all.push(Thread { id, cards: vec![message] }),
        }
    }
    all
}

fn chat(thread: &Thread<'_>) -> Markup {
    html! {
        article class="chat" {
            p class="when" { "Chat" @if !thread.id.is_empty() { ", thread " code { (thread.id) } } }
            @for card in &thread.cards {
                @let content = &card.json["content"];
                div class="card" {
                    h3 { (markdown(content["title"].as_str().unwrap_or(&card.subject))) }
                    div class="text" { (markdown(content["description"].as_str().unwrap_or_default().trim_end())) }
                    @let steps: Vec<&str> = content["nextSteps"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                    @if !steps.is_empty() { ul { @for step in steps { li { (markdown(step)) } } } }
                    @if let Some(at) = card.at { p class="when" { (at) " UTC" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Moment;

    fn message(subject: &str, json: Value) -> Message {
        Message { subject: subject.to_owned(), text: "<b>text</b>".to_owned(), json, at: Some(Moment::now()) }
    }

    #[test]
    fn cards_of_a_thread_stand_together_and_mail_is_escaped() {
        let card = |title: &str, thread: Value| {
            let content = json!({"title": title, "description": "d", "nextSteps": ["<i>step</i>"]});
            message(
                "s",
                json!({"version": "1.0", "source": "custom", "content": content, "metadata": {"threadId": thread}}),
            )
        };
        let all = [
            card("one", json!("run 42")),
            message("mail", Value::Null),
            card("alone", Value::Null),
            card("two", json!("run 42")),
            message("no card", json!({"version": 1, "source": "custom"})),
        ];
        let titles = |thread: &Thread<'_>| {
            thread.cards.iter().map(|card| card.json["content"]["title"].as_str().unwrap_or("").to_owned()).collect()
        };
        let found: Vec<Vec<String>> = threads(&all).iter().map(titles).collect();
        assert_eq!(found, [vec!["one", "two"], vec!["alone"]]);
        let html = inbox("", &all).into_string();
        assert!(html.contains("&lt;b&gt;text&lt;/b&gt;") && html.contains("&lt;i&gt;step&lt;/i&gt;"), "{html}");
        assert_eq!((html.matches("class=\"mail\"").count(), html.matches("class=\"card\"").count()), (2, 3));
    }
}
