//! `make bench`: starts real release bootstraps, beside one that does nothing but answer and beside the same
//! functions in Python on AWS's own runtime client, and measures them from outside: the start of the process to
//! its first request for an event (init), the first invoke (cold), later ones (warm), peak memory, size of the
//! zip. Services answer over TLS, as on AWS. Figures: target/bench/report.json, tests/bench/figures/bench.svg.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bench::published;
use bench::tls::Authority;
use loader::terminal::{bar, numbers, table};
use loader::tools;
use loader::tools::project;
use plotters::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::host::{Function, python_function, release};
use tests::sink::Sink;
use tests::{Any, failed, until_interrupted};
use tokio::process::Command;

/// Starts of each subject, one subject after the other in every round.
const ROUNDS: usize = 81;
/// Invokes after the first, of one process.
const WARM: usize = 10;
/// The longest time-out of a function in the template.
const TIME: Duration = Duration::from_secs(300);
const FUNCTIONS: [&str; 3] = ["proc-runner", "status-checker", "orders-audit-fn"];
const FLOOR: &str = "hello-world";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:topic";

/// What is measured.
struct Subject {
    name: String,
    program: Program,
    event: Value,
    zip_bytes: u64,
}

enum Program {
    Bootstrap(PathBuf),
    Python(String),
}

impl Program {
    fn command(&self) -> Any<Command> {
        match self {
            Self::Bootstrap(path) => Ok(Command::new(path)),
            Self::Python(module) => python_function(module),
        }
    }

    /// What is in its zip.
    fn file(&self) -> PathBuf {
        match self {
            Self::Bootstrap(path) => path.clone(),
            Self::Python(module) => project("tests/bench/rivals").join(format!("{module}.py")),
        }
    }
}

/// One start of it; times in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Sample {
    init: f64,
    cold: f64,
    warm: f64,
    peak_kib: f64,
}

/// Median and quartiles.
#[derive(Debug, Clone, Copy)]
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |quarter: usize| sorted[(sorted.len() - 1) * quarter / 4];
        Self { low: at(1), median: at(2), high: at(3) }
    }

    fn text(self) -> String {
        format!("{:.2} ({:.2}-{:.2})", self.median, self.low, self.high)
    }
}

/// What came of all starts of a subject.
struct Row {
    subject: String,
    init: Spread,
    cold: Spread,
    warm: Spread,
    peak_kib: f64,
    zip_bytes: u64,
}

#[tokio::main]
async fn main() -> Any<()> {
    until_interrupted(run()).await
}

async fn run() -> Any<()> {
    let dir = TempDir::new()?;
    let subjects = subjects(dir.path()).await?;
    let services = Services::start(dir.path()).await?;
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); subjects.len()];
    let bar = bar(ROUNDS * subjects.len(), "starts");
    for round in 0..ROUNDS {
        for (n, subject) in subjects.iter().enumerate() {
            let sample = services.measure(subject).await.map_err(|e| failed(format!("{}: {e}", subject.name)))?;
            // The first round fills the caches of the file system.
            if round > 0 {
                samples[n].push(sample);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let rows: Vec<_> = subjects.iter().zip(&samples).map(|(subject, samples)| row(subject, samples)).collect();
    print(&rows);
    bench::report("bench/report.json", &json(&rows))?;
    draw(&rows, &project("tests/bench/figures/bench.svg"))?;
    println!("figure: tests/bench/figures/bench.svg\n");
    let holds = claims(&rows);
    if let Some(ratio) = ratio_of_inits(&rows) {
        println!("\n{}", published::beside(ratio));
    }
    if holds { Ok(()) } else { Err("not as claimed".into()) }
}

async fn subjects(dir: &Path) -> Any<Vec<Subject>> {
    let events = [
        json!({"Procedure": "dev.enriched_orders_sp"}),
        json!({"Id": "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b", "TimeoutSeconds": 7200}),
        json!({"ExecutionId": "bench"}),
    ];
    let mut programs = vec![(FLOOR.to_owned(), Program::Bootstrap(release(FLOOR)?), json!({}))];
    for (name, event) in FUNCTIONS.iter().zip(&events) {
        programs.push(((*name).to_owned(), Program::Bootstrap(release(name)?), event.clone()));
    }
    for (name, event) in FUNCTIONS.iter().zip(&events) {
        programs.push((format!("{name} in Python"), Program::Python(name.replace('-', "_")), event.clone()));
    }
    let mut subjects = Vec::new();
    for (name, program, event) in programs {
        let zip_bytes = zipped(&program.file(), dir).await?;
        subjects.push(Subject { name, program, event, zip_bytes });
    }
    Ok(subjects)
}

/// The size of a zip with this one file, packed as `aws cloudformation package` does.
async fn zipped(file: &Path, dir: &Path) -> Any<u64> {
    let zip = dir.join("bootstrap.zip");
    let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED).write(sys.argv[2], 'f')";
    let done = Command::new(tools::python_tool("python")?).args(["-c", script]).arg(&zip).arg(file).status().await?;
    if !done.success() {
        return Err(failed(format!("cannot zip {}", file.display())));
    }
    Ok(std::fs::metadata(zip)?.len())
}

/// The Data API and SNS, each at an address of its own, as on AWS.
struct Services {
    redshift: String,
    sns: String,
    certificates: String,
}

impl Services {
    async fn start(dir: &Path) -> Any<Self> {
        let authority = Authority::new()?;
        let sink = Sink::default();
        sink.answer_queries_with(1);
        // Whoever verifies has as much to read as on AWS: its roots, and this run's one.
        let certificates = dir.join("roots.pem");
        std::fs::write(&certificates, format!("{}{}", shared::runtime::AMAZON_ROOTS, authority.pem))?;
        Ok(Self {
            redshift: authority.serve(sink.app()).await?,
            sns: authority.serve(sink.app()).await?,
            certificates: certificates.to_string_lossy().into_owned(),
        })
    }

    async fn measure(&self, subject: &Subject) -> Any<Sample> {
        let environment = [
            ("AWS_ENDPOINT_URL_REDSHIFT_DATA", self.redshift.as_str()),
            ("AWS_ENDPOINT_URL_SNS", &self.sns),
            ("SSL_CERT_FILE", &self.certificates),
            ("AWS_CA_BUNDLE", &self.certificates),
            ("WORKGROUP_NAME", "w-1"),
            ("DATABASE", "d"),
            ("TOPIC_ARN", TOPIC),
        ];
        let function = Function::start(subject.program.command()?, &environment).await?;
        let init = millis(function.ready(TIME).await?);
        let invoke = async || -> Any<f64> {
            let begin = Instant::now();
            let answer = function.invoke(subject.event.clone(), TIME).await?;
            let took = millis(begin.elapsed());
            answer.map(|_| took).map_err(|e| failed(e.to_string()))
        };
        let cold = invoke().await?;
        let mut warm = Vec::new();
        for _ in 0..WARM {
            warm.push(invoke().await?);
        }
        let sample =
            Sample { init, cold, warm: Spread::of(warm.into_iter()).median, peak_kib: function.peak_kib() as f64 };
        function.kill().await;
        Ok(sample)
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn row(subject: &Subject, samples: &[Sample]) -> Row {
    Row {
        subject: subject.name.clone(),
        init: Spread::of(samples.iter().map(|s| s.init)),
        cold: Spread::of(samples.iter().map(|s| s.cold)),
        warm: Spread::of(samples.iter().map(|s| s.warm)),
        peak_kib: Spread::of(samples.iter().map(|s| s.peak_kib)).median,
        zip_bytes: subject.zip_bytes,
    }
}

fn print(rows: &[Row]) {
    println!("milliseconds as median (quartiles) of {} starts\n", ROUNDS - 1);
    let mut table = table(["subject", "init", "cold invoke", "warm invoke", "peak KiB", "zip bytes"]);
    for row in rows {
        table.add_row([
            row.subject.clone(),
            row.init.text(),
            row.cold.text(),
            row.warm.text(),
            row.peak_kib.to_string(),
            row.zip_bytes.to_string(),
        ]);
    }
    numbers(&mut table);
    println!("{table}");
}

fn json(rows: &[Row]) -> Value {
    let quartiles = |spread: Spread| json!([spread.low, spread.high]);
    let rows = rows.iter().map(|row| {
        json!({
            "subject": row.subject,
            "init_ms": row.init.median, "init_ms_quartiles": quartiles(row.init),
            "cold_ms": row.cold.median, "cold_ms_quartiles": quartiles(row.cold),
            "warm_ms": row.warm.median, "warm_ms_quartiles": quartiles(row.warm),
            "peak_kib": row.peak_kib, "zip_bytes": row.zip_bytes,
        })
    });
    json!({"starts": ROUNDS - 1, "rows": rows.collect::<Vec<_>>()})
}

/// How many times as long the init of the Python functions takes as that of ours, at the median of the functions.
fn ratio_of_inits(rows: &[Row]) -> Option<f64> {
    let init = |name: &str| rows.iter().find(|row| row.subject == name).map(|row| row.init.median);
    let ratio = |name: &&str| Some(init(&format!("{name} in Python"))? / init(name)?);
    let ratios: Option<Vec<f64>> = FUNCTIONS.iter().map(ratio).collect();
    ratios.map(|ratios| Spread::of(ratios.into_iter()).median)
}

/// Prints what is claimed of each function beside what was measured; whether all of it holds.
fn claims(rows: &[Row]) -> bool {
    let find = |name: &str| rows.iter().find(|row| row.subject == name);
    let Some(floor) = find(FLOOR) else { return false };
    let mut all = true;
    let mut table = table(["function", "claim", "measured", ""]);
    for name in FUNCTIONS {
        let (Some(ours), Some(python)) = (find(name), find(&format!("{name} in Python"))) else { return false };
        let first = |row: &Row| row.init.median + row.cold.median;
        for (claim, measured, most, holds) in [
            ("init over the floor's: at most 1.6", ours.init.median / floor.init.median, 1.6, true),
            ("cold over warm invoke: at most 10 ms", ours.cold.median - ours.warm.median, 10.0, true),
            ("Python's init over ours: at least 40", python.init.median / ours.init.median, 40.0, false),
            ("Python's init + cold over ours: at least 25", first(python) / first(ours), 25.0, false),
            ("peak memory: at most 10 MiB", ours.peak_kib / 1024.0, 10.0, true),
            ("Python's peak memory over ours: at least 5", python.peak_kib / ours.peak_kib, 5.0, false),
            ("zip: at most 2.5 MB", ours.zip_bytes as f64 / 1e6, 2.5, true),
        ] {
            let holds = if holds { measured <= most } else { measured >= most };
            all &= holds;
            let failed = if holds { "" } else { "does not hold" };
            table.add_row([name, claim, &format!("{measured:.2}"), failed]);
        }
    }
    println!("{table}");
    all
}

const COLOURS: [(&str, RGBColor); 2] = [("init", RGBColor(30, 100, 180)), ("first invoke", RGBColor(220, 150, 40))];

/// One bar a subject: init, and the first invoke on top of it, on a logarithmic scale.
fn draw(rows: &[Row], path: &Path) -> Any<()> {
    let area = SVGBackend::new(path, (1000, 380)).into_drawing_area();
    area.fill(&WHITE)?;
    let most = rows.iter().map(|row| row.init.median + row.cold.median).fold(1.0, f64::max) * 2.0;
    let count = rows.len() as f64;
    let mut chart = ChartBuilder::on(&area)
        .caption("From the start of the process to the end of its first invoke, in milliseconds", ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(200)
        .build_cartesian_2d((1.0..most).log_scale(), 0.0..count)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(WHITE)
        .x_label_formatter(&|x| format!("{x}"))
        .draw()?;
    for (part, (name, colour)) in COLOURS.iter().enumerate() {
        let bars = rows.iter().enumerate().map(|(n, row)| {
            let (from, to) = match part {
                0 => (1.0, row.init.median.max(1.0)),
                _ => (row.init.median.max(1.0), (row.init.median + row.cold.median).max(1.0)),
            };
            let y = count - n as f64;
            Rectangle::new([(from, y - 0.8), (to, y - 0.2)], colour.filled())
        });
        let series = chart.draw_series(bars)?;
        series.label(*name).legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
    }
    let style = ("sans-serif", 13).into_font().color(&BLACK);
    for (n, row) in rows.iter().enumerate() {
        let (_, y) = chart.backend_coord(&(1.0, count - n as f64 - 0.5));
        area.draw(&Text::new(row.subject.clone(), (16, y - 6), style.clone()))?;
        let end = (row.init.median + row.cold.median).max(1.0);
        let (x, _) = chart.backend_coord(&(end, 0.0));
        area.draw(&Text::new(format!("{end:.1}"), (x + 6, y - 6), style.clone()))?;
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperRight).border_style(BLACK.mix(0.3)).background_style(WHITE).draw()?;
    area.present()?;
    Ok(())
}
