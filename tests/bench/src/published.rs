//! What AWS shows for a cold start, as others have published it, beside what `make bench` measures on this machine.

/// Where the figures are from.
pub const SOURCE: &str = "github.com/maxday/lambda-perf, data/2026-08-22.json";

/// The mean `Init Duration` that Lambda reported for ten cold starts of a function that does nothing, 128 MB, from a zip.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// The processor's architecture.
    pub architecture: &'static str,
    /// Rust on provided.al2023, in milliseconds.
    pub rust: f64,
    /// Python 3.13, without an import, in milliseconds.
    pub python: f64,
}

/// All that was published for the functions' memory, runtime and package.
pub const STARTS: [Start; 2] = [
    Start { architecture: "x86_64", rust: 15.530, python: 91.072 },
    Start { architecture: "arm64", rust: 13.867, python: 80.570 },
];

/// The published starts beside how many times as long Python's init takes here.
pub fn beside(local_ratio: f64) -> String {
    let mut text = format!("AWS's own figures for a hello world of 128 MB ({SOURCE}):\n");
    for Start { architecture, rust, python } in STARTS {
        let ratio = python / rust;
        text += &format!(" {architecture:<6}  Rust {rust:.0} ms  Python 3.13 {python:.0} ms  {ratio:.1} times\n");
    }
    text + &format!(
        "The {local_ratio:.0} times above are not what AWS shows: here only the process is measured, and Python imports \
             boto3; on AWS most of a cold start is the sandbox, which no language shortens.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_starts_stand_beside_the_local_ratio() {
        let text = beside(170.3);
        for part in [
            "2026-08-22",
            "128 MB",
            "x86_64  Rust 16 ms  Python 3.13 91 ms  5.9 times",
            "arm64   Rust 14 ms  Python 3.13 81 ms  5.8 times",
            "The 170 times above are not what AWS shows",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
