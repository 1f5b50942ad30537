//! `make cost`: prints what waiting and a stack cost, writes target/cost/report.json, draws tests/bench/figures/cost.svg.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::Path;

use bench::cost::{self, CURVE, DURATIONS, LOADS, Load, Ways};
use bench::stack::{Part, Resources, parts};
use loader::terminal::{Table, lines, numbers, table};
use loader::tools::project;
use plotters::prelude::*;
use serde_json::{Value, json};
use tests::Any;

fn main() -> Any<()> {
    let ways = Ways::new()?;
    let resources = Resources::read()?;
    let [daily, often] = LOADS;
    let months = [parts(&resources, &daily)?, parts(&resources, &often)?];
    println!("One statement\n");
    statements(&ways);
    println!("\nThe ways, and what waiting costs a year in dollars\n");
    rivals(&ways);
    println!("\nA stack, in dollars a month\n");
    stack(&months);
    let mut report = cost::report(&ways);
    report["stack"] = LOADS.iter().zip(&months).map(|(load, month)| (load.name.to_owned(), json(month))).collect();
    bench::report("cost/report.json", &report)?;
    draw(&ways, &project("tests/bench/figures/cost.svg"))?;
    println!("figure: tests/bench/figures/cost.svg");
    Ok(())
}

fn print(mut table: Table) {
    numbers(&mut table);
    lines(&table).for_each(|line| println!("{line}"));
}

fn statements(ways: &Ways) {
    let mut table =
        table(["duration", "way", "interval", "transitions", "events", "requests", "dollars", "mean lag", "worst lag"]);
    for (seconds, duration) in DURATIONS {
        for way in ways.with_same_lag(seconds as f64) {
            let (cost, lag) = (way.cost(seconds as f64), way.lag(seconds as f64));
            table.add_row([
                duration.to_owned(),
                way.name.to_owned(),
                way.interval().map_or("-".to_owned(), |interval| format!("{interval:.1} s")),
                cost.used.transitions.to_string(),
                cost.used.events.to_string(),
                cost.used.invocations.to_string(),
                format!("{:.6}", cost.dollars),
                format!("{:.2} s", lag.mean),
                format!("{:.2} s", lag.worst),
            ]);
        }
    }
    print(table);
}

/// From and until which duration a way costs less than ours, what a lost event does to it, when its history is full, and a
/// year of it for two loads.
fn rivals(ways: &Ways) {
    let [daily, often] = LOADS;
    let header = |load: &Load| format!("a year, {}", load.name);
    let (daily_name, often_name) = (header(&daily), header(&often));
    let mut table =
        table(["way", "cheaper than ours", "lag without event", "history is full after", &daily_name, &often_name]);
    for way in ways.all() {
        let cheaper = way.cheaper_than(&ways.ours).map(|(from, until)| format!("{} to {}", time(from), time(until)));
        let year = |load: &Load| format!("{:.2}", load.waiting_a_year(&way));
        table.add_row([
            way.name.to_owned(),
            cheaper.unwrap_or("-".to_owned()),
            way.lag_without_event()
                .map_or("-".to_owned(), |lag| if lag.is_finite() { time(lag as u64) } else { "no end".to_owned() }),
            way.dies_after().map_or("-".to_owned(), time),
            year(&daily),
            year(&often),
        ]);
    }
    print(table);
}

/// A duration in its largest unit.
fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{:.1} min", seconds as f64 / 60.0),
        _ => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

fn stack([daily, often]: &[Vec<Part>; 2]) {
    let [name_of_daily, name_of_often] = LOADS.map(|load| load.name);
    let mut table = table(["part", name_of_daily, name_of_often, "none with"]);
    for (daily, often) in daily.iter().zip(often) {
        let without = daily.left_out_by.unwrap_or_default();
        table.add_row([&daily.name, &format!("{:.3}", daily.dollars), &format!("{:.3}", often.dollars), without]);
    }
    let total = |parts: &[Part], all: bool| -> f64 {
        parts.iter().filter(|part| all || part.left_out_by.is_none()).map(|part| part.dollars).sum()
    };
    for (name, all) in [("all", true), ("what no parameter leaves out", false)] {
        table.add_row([name, &format!("{:.3}", total(daily, all)), &format!("{:.3}", total(often, all)), ""]);
    }
    print(table);
}

fn json(parts: &[Part]) -> Value {
    parts.iter().map(|part| (part.name.clone(), json!(part.dollars))).collect()
}

const COLOURS: [RGBColor; 7] = [
    RGBColor(200, 80, 60),
    RGBColor(220, 150, 40),
    RGBColor(150, 110, 40),
    RGBColor(60, 150, 90),
    RGBColor(120, 200, 140),
    RGBColor(150, 90, 180),
    RGBColor(30, 100, 180),
];

/// Two charts side by side: dollars and mean lag over the duration, both logarithmic.
fn draw(ways: &Ways, path: &Path) -> Any<()> {
    let area = SVGBackend::new(path, (1000, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(500);
    let seconds = |n: usize| CURVE[n] as f64;
    for (panel, title, range, mean_lag) in [
        (&left, "Dollars for one statement", 0.00001..4.0, false),
        (&right, "Mean lag in seconds (at least 0.01)", 0.01..200.0, true),
    ] {
        let mut chart = ChartBuilder::on(panel)
            .caption(title, ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(64)
            .build_cartesian_2d((1.0..86_400.0).log_scale(), range.log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("duration of the statement in seconds")
            .x_label_formatter(&|x| format!("{x}"))
            .y_label_formatter(&|y| format!("{y}"))
            .draw()?;
        for (way, colour) in COLOURS.iter().enumerate() {
            let points = (0..CURVE.len()).map(|n| {
                let way = ways.all()[way];
                let lag = way.lag(seconds(n)).mean.max(0.01);
                (seconds(n), if mean_lag { lag } else { way.cost(seconds(n)).dollars })
            });
            let style = ShapeStyle { color: colour.to_rgba(), filled: true, stroke_width: 2 };
            let series = chart.draw_series(LineSeries::new(points, style))?;
            if !mean_lag {
                series.label(ways.all()[way].name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            }
        }
        if !mean_lag {
            let labels = chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .border_style(BLACK.mix(0.3))
                .background_style(WHITE)
                .draw();
            labels?;
        }
    }
    area.present()?;
    Ok(())
}
