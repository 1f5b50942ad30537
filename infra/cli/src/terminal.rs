//! What our programs show on a terminal: tables, and the progress of what takes long. Progress is shown on a terminal
//! alone, and colour only if NO_COLOR is not set.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

pub use comfy_table::Table;
use comfy_table::{CellAlignment, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// An empty table under these headers, without lines. Columns of numbers are aligned by [`numbers`].
pub fn table<const N: usize>(headers: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headers);
    table
}

/// Aligns all columns but the first to the right.
pub fn numbers(table: &mut Table) {
    let count = table.column_count();
    numbers_in(table, 1..count);
}

/// Aligns these columns to the right, from 0.
pub fn numbers_in(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for number in columns {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// The lines of a table without trailing blanks.
pub fn lines(table: &Table) -> impl Iterator<Item = String> {
    table.lines().map(|line| line.trim_end().to_owned())
}

/// A text of somebody's in one line: what would move the cursor is escaped.
pub fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// A bar over `total` rounds of something that takes minutes.
pub fn bar(total: usize, text: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}");
    let bar = ProgressBar::new(total as u64).with_message(text);
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}

/// A sequence of steps: on a terminal the one that runs with its time, and a line for each that is done; elsewhere a line
/// for each that begins.
pub struct Steps<P: FnMut(&str)> {
    print: P,
    total: usize,
    done: usize,
    current: Option<(String, Instant, ProgressBar)>,
}

impl<P: FnMut(&str)> Steps<P> {
    /// `print` gets the lines.
    pub fn new(total: usize, print: P) -> Self {
        Self { print, total, done: 0, current: None }
    }

    /// Begins the next step.
    pub fn next(&mut self, text: &str) {
        self.finish();
        self.done += 1;
        if !std::io::stderr().is_terminal() {
            return (self.print)(&format!("- {text}"));
        }
        let spinner = ProgressBar::new_spinner().with_message(format!("{}/{} {text}", self.done, self.total));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(Duration::from_millis(100));
        self.current = Some((text.to_owned(), Instant::now(), spinner));
    }

    /// Ends the last step.
    pub fn finish(&mut self) {
        if let Some((text, began, spinner)) = self.current.take() {
            spinner.finish_and_clear();
            (self.print)(&format!("- {text}: {:.1} s", began.elapsed().as_secs_f64()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_somebodys_moves_no_cursor() {
        assert_eq!(one_line("a\n\u{1b}[2Jü"), "a\\n\\u{1b}[2Jü");
    }

    #[test]
    fn a_table_is_plain_text_in_columns() {
        let mut table = table(["name", "count"]);
        table.add_row(["one", "1"]).add_row(["ten", "10"]);
        numbers(&mut table);
        let lines: Vec<_> = lines(&table).collect();
        assert_eq!(lines, [" name  count", " one       1", " ten      10"]);
    }
}
