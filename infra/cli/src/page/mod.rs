//! `loader page`: one page for the one who looks on. The state machine as a graph, live; executions and where their time went;
//! unresolved runs and their rows; on the local stack the inbox, and buttons.
//!
//! It listens on loopback, and answers whoever has the address that it prints. Against AWS it only reads.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `server` | the routes |
//! | `guard` | who is answered |
//! | `data` | what is shown, read from AWS |
//! | `kept` | answers that are kept for a while |
//! | `action` | what the local stack adds |
//! | `graph` | where each state stands |
//! | `drawing` | the graph as SVG |
//! | `views` | the HTML |
//! | `report` | executions as one file |
//! | `words` | numbers and times as text |

mod action;
mod data;
mod drawing;
mod graph;
mod guard;
mod kept;
mod report;
mod server;
mod views;
mod words;

pub use action::{Action, Choice, Doing, Local, Message};
pub use report::{Part, report};
pub use server::{Options, Page};

use crate::{Place, Result};

/// Serves the page of a stack until the process ends, read only; prints its address.
///
/// # Errors
/// If a tool is missing, or the port is in use.
pub async fn page(
    place: &Place,
    port: Option<u16>,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let page = Page::start(Options { place: place.clone(), port, environment, local: None }).await?;
    print(&format!("{}\nCtrl-C ends it; who has the address can read the page on this machine", page.url));
    page.served().await
}
