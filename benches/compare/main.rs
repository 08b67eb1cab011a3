//! `cargo bench --bench compare`: perfgraph on PostgreSQL beside the least that can answer the same questions (a plain endpoint)
//! and beside what a day's work with the same libraries gives (a textbook GraphQL server), on data of three shapes, with 32
//! connections. CPU time counts, of the server and of the database, because the clock says more about the machine. What rolling up
//! costs stands in the line about filling, not in those of the writes.
//!
//! `-- sparse` measures one shape, `-- rows=100000 seconds=0.5` a smaller copy to see that it works, `-- rows=10000000` the growth,
//! `-- dense only=W1,W8` some questions.

#![expect(clippy::disallowed_methods, reason = "a program of its own: it measures time and reads its own environment")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its figures are its output")]

#[path = "../load/client.rs"]
mod client;
#[path = "../load/cpu.rs"]
mod cpu;
#[path = "../load/durable_postgres.rs"]
mod durable_postgres;
mod figures;
mod plain;
mod questions;
#[path = "../load/round.rs"]
#[expect(dead_code, reason = "shared with another program, which reads more of it")]
mod round;
#[path = "../load/same.rs"]
mod same;
#[path = "../load/server.rs"]
mod server;
mod shape;
mod tables;
mod textbook;
mod world;

use std::{error::Error, process::ExitCode, time::Duration};

use shape::Shape;
use world::World;

/// Whatever went wrong, it ends the run with a sentence.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The data of a run, and its duration.
struct Plan {
    shapes: Vec<Shape>,
    /// Measurements of a shape.
    rows: usize,
    /// The length of a round.
    round: Duration,
    /// Names of the questions to ask; all of them if empty.
    only: Vec<String>,
}

impl Plan {
    fn of(words: &[String]) -> Outcome<Self> {
        let mut plan = Self { shapes: Vec::new(), rows: 1_000_000, round: Duration::from_secs(2), only: Vec::new() };
        for word in words.iter().map(String::as_str).filter(|word| *word != "--bench") {
            match word.split_once('=') {
                Some(("rows", rows)) => plan.rows = rows.parse()?,
                Some(("seconds", seconds)) => plan.round = Duration::try_from_secs_f64(seconds.parse()?)?,
                Some(("only", names)) => plan.only = names.split(',').map(str::to_owned).collect(),
                _ => plan.shapes.push(word.parse()?),
            }
        }
        if plan.shapes.is_empty() {
            plan.shapes = Shape::ALL.to_vec();
        }
        Ok(plan)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [plain::MODE, url] => plain::run(url),
        [textbook::MODE, url] => textbook::run(url),
        _ => Plan::of(&arguments).and_then(|plan| measure(&plan)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: &Plan) -> Outcome<()> {
    // One thread for all clients: the servers need the cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for shape in &plan.shapes {
            let world = World::make(*shape, plan.rows).await?;
            figures::measure(&world, plan.round, &plan.only).await?;
            world.close().await?;
        }
        Ok(())
    })
}
