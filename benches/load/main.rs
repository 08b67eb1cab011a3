//! `make bench`: perfgraph beside a hand-written endpoint that returns the same JSON from the same database, as ratios
//! in one run. Both are child processes on loopback; rounds alternate, and medians count.
//!
//! `cargo bench --bench load -- sqlite` measures one database only; `-- volume sqlite` asks the same questions at a
//! million and at ten million measurements.

#![expect(clippy::disallowed_methods, reason = "a program of its own: it measures time and reads its own environment")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its figures are its output")]

mod bare;
mod client;
mod cpu;
mod databases;
mod durable_postgres;
mod handwritten;
mod ingest;
mod reads;
mod report;
mod round;
mod same;
mod server;
mod volume;
mod workload;

use std::{error::Error, process::ExitCode, time::Instant};

use databases::{Bench, Kind};
use report::Report;

/// Whatever went wrong, it ends the run with a sentence.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [handwritten::MODE, url] => handwritten::run(url),
        // cargo adds `--bench` by itself.
        ref words => measure(&words.iter().copied().filter(|word| *word != "--bench").collect::<Vec<_>>()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(wanted: &[&str]) -> Outcome<()> {
    let (is_volume, wanted) = match wanted {
        ["volume", kinds @ ..] => (true, kinds),
        kinds => (false, kinds),
    };
    let kinds = match wanted {
        [] => vec![Kind::Sqlite, Kind::Postgres],
        names => names.iter().map(|name| name.parse()).collect::<Result<Vec<Kind>, _>>()?,
    };
    // One thread for all clients: the servers need the cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if is_volume {
        return kinds.into_iter().try_for_each(|kind| runtime.block_on(volume::run(kind)));
    }
    let mut report = Report::default();
    for kind in kinds {
        runtime.block_on(one(kind, &mut report))?;
    }
    report.print();
    Ok(())
}

async fn one(kind: Kind, report: &mut Report) -> Outcome<()> {
    let start = Instant::now();
    let bench = Bench::prepare(kind).await?;
    eprintln!("load: {kind} is ready after {:.1} s", start.elapsed().as_secs_f64());
    reads::run(&bench, report).await?;
    report.memory(&bench, "after reads")?;
    ingest::run(&bench, report).await?;
    report.memory(&bench, "after ingest")?;
    bare::run(&bench, report).await?;
    bench.close().await?;
    eprintln!("load: {kind} took {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
