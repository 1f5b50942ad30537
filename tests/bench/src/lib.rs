//! Benchmarks, the figures that they draw, and the cost model. Each program of `src/bin` is a `make` target of the same
//! name; timings are compared within one run, and a program fails if a claim of the documentation does not hold.

pub mod cost;
pub mod tls;
