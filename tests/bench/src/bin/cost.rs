//! `make cost`: prints what waiting costs, writes target/cost/report.json, draws tests/bench/figures/cost.svg.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::Path;

use bench::cost::{self, DURATIONS, ways};
use loader::terminal::{numbers, table};
use loader::tools::project;
use plotters::prelude::*;
use tests::Any;

fn main() -> Any<()> {
    let mut table = table(["duration", "way", "interval", "transitions", "events", "dollars", "mean lag", "worst lag"]);
    let report = cost::report();
    for row in report["rows"].as_array().into_iter().flatten() {
        let number = |field: &str| row[field].as_f64().unwrap_or_default();
        let name = DURATIONS.iter().find(|(s, _)| row["seconds"] == *s).map_or("", |(_, name)| name);
        table.add_row([
            name.to_owned(),
            row["way"].as_str().unwrap_or_default().to_owned(),
            row["interval_seconds"].as_f64().map_or("-".to_owned(), |i| format!("{i:.1} s")),
            row["transitions"].to_string(),
            row["events"].to_string(),
            format!("{:.6}", number("dollars")),
            format!("{:.2} s", number("mean_lag_seconds")),
            format!("{:.2} s", number("worst_lag_seconds")),
        ]);
    }
    numbers(&mut table);
    println!("{table}");
    bench::report("cost/report.json", &report)?;
    draw(&project("tests/bench/figures/cost.svg"))?;
    println!("figure: tests/bench/figures/cost.svg");
    Ok(())
}

const COLOURS: [RGBColor; 4] =
    [RGBColor(200, 80, 60), RGBColor(220, 150, 40), RGBColor(120, 120, 120), RGBColor(30, 100, 180)];

/// Two charts side by side: dollars and mean lag over the duration, both logarithmic.
fn draw(path: &Path) -> Any<()> {
    let area = SVGBackend::new(path, (1000, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(500);
    let seconds = |n: usize| DURATIONS[n].0 as f64;
    for (panel, title, range, mean_lag) in [
        (&left, "Dollars for one statement", 0.00003..4.0, false),
        (&right, "Mean lag in seconds (at least 0.01)", 0.01..30.0, true),
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
            let points = (0..DURATIONS.len()).map(|n| {
                let (_, way) = ways(seconds(n))[way];
                let lag = way.lag(seconds(n)).mean.max(0.01);
                (seconds(n), if mean_lag { lag } else { way.cost(seconds(n)).dollars })
            });
            let style = ShapeStyle { color: colour.to_rgba(), filled: true, stroke_width: 2 };
            let series = chart.draw_series(LineSeries::new(points, style))?;
            if !mean_lag {
                series.label(ways(1.0)[way].0).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
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
