//! Watchers in thousands, beside a raw axum WebSocket that broadcasts one text with the same buffers: what delivery costs
//! on top of the socket. Part of `make bench`.
//!
//! `cargo bench --bench live -- 200` runs a small round, to see that it works.

#![expect(clippy::disallowed_methods, reason = "a program of its own: it measures time and starts tasks")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its figures are its output")]

#[path = "../load/cpu.rs"]
#[expect(dead_code, reason = "shared with the other program, which reads more of it")]
mod cpu;
mod raw;
#[path = "../load/server.rs"]
#[expect(dead_code, reason = "shared with the other program, which asks it more")]
mod server;
mod watchers;

use std::{error::Error, path::Path, process::ExitCode, time::Duration};

use server::Server;
use watchers::{Figures, Target, Watchers};

/// Whatever went wrong, it ends the run with a sentence.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Messages a second over all clients in the paced round.
const PACED_MESSAGES: usize = 5_000;
const PACED: Duration = Duration::from_secs(10);
const FLOOD: Duration = Duration::from_secs(10);
/// The number of connections of a slow client, and the duration of each.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(4);
/// Descriptors besides the clients' own; both ends of a socket are counted in their own processes.
const SPARE_DESCRIPTORS: usize = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(raw::MODE) => raw::run(),
        Some(clients) => clients.parse().map_err(Into::into).and_then(|clients| measure(clients, clients)),
        None => measure(1_000, 8_000),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("live: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(paced: usize, flooded: usize) -> Outcome<()> {
    let descriptors = descriptors()?;
    let needed = flooded.max(paced) + SPARE_DESCRIPTORS;
    if descriptors < needed {
        return Err(format!(
            "{flooded} clients need {needed} descriptors, and there are {descriptors}: ulimit -n {needed}"
        )
        .into());
    }
    // One thread for all clients: the servers need the other core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        println!("{:<44} {:>12} {:>12} {:>8}", "", "perfgraph", "raw", "ratio");
        let [ours, raw] =
            [round(Kind::Perfgraph, paced, Some(PACED)).await?, round(Kind::Raw, paced, Some(PACED)).await?];
        let head = format!("{paced} clients, {PACED_MESSAGES} messages/s");
        row(&format!("{head}: CPU us a message"), ours.cpu_us, raw.cpu_us);
        row(&format!("{head}: p99 ms"), ours.p99_ms, raw.p99_ms);
        let [beside, alone] = beside_a_slow_one(paced).await?;
        println!("{:<44} {:>12} {:>12} {:>8}", "", "beside", "without", "ratio");
        row("one that reads a byte a second: p99 ms", beside, alone);
        println!("{:<44} {:>12} {:>12} {:>8}", "", "perfgraph", "raw", "ratio");
        let [ours, raw] = [round(Kind::Perfgraph, flooded, None).await?, round(Kind::Raw, flooded, None).await?];
        let head = format!("{flooded} clients on one core");
        row(&format!("{head}: messages/s"), ours.per_second, raw.per_second);
        row(&format!("{head}: KiB a client"), ours.kib_a_client, raw.kib_a_client);
        Ok(())
    })
}

fn row(what: &str, ours: f64, raw: f64) {
    println!("{what:<44} {ours:>12.2} {raw:>12.2} {:>8.2}", ours / raw);
}

/// The limit of open files of this process.
fn descriptors() -> Outcome<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).ok_or("no limit of open files")?;
    let soft = line.split_whitespace().next().ok_or("no limit of open files")?;
    Ok(soft.parse().unwrap_or(usize::MAX))
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Perfgraph,
    Raw,
}

/// One server with its clients, from start to end. Without a pace, the next message goes when all have the last.
async fn round(kind: Kind, clients: usize, pace: Option<Duration>) -> Outcome<Figures> {
    let folder = tempfile::tempdir()?;
    let server = start(kind, folder.path(), pace.is_none()).await?;
    let target = match kind {
        Kind::Perfgraph => Target::perfgraph(server.address).await?,
        Kind::Raw => Target::raw(server.address),
    };
    let empty = server.memory()?.resident;
    let mut watchers = Watchers::connect(&target, clients).await?;
    target.publish().await?;
    watchers.all_have(1).await?;
    let resident = server.memory()?.resident;
    let before = server.cpu()?;
    let mut figures = match pace {
        Some(duration) => watchers.paced(&target, duration, PACED_MESSAGES).await?,
        None => watchers.flooded(&target, FLOOD).await?,
    };
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    {
        figures.cpu_us = (server.cpu()? - before) * 1e6 / figures.delivered as f64;
        figures.kib_a_client = resident.saturating_sub(empty) as f64 / clients as f64;
    }
    server.stop().await?;
    Ok(figures)
}

/// The p99 of many clients with one among them that reads a byte a second, and without it, in turns on one server.
async fn beside_a_slow_one(clients: usize) -> Outcome<[f64; 2]> {
    let folder = tempfile::tempdir()?;
    let server = start(Kind::Perfgraph, folder.path(), false).await?;
    let target = Target::perfgraph(server.address).await?;
    let mut watchers = Watchers::connect(&target, clients).await?;
    target.publish().await?;
    watchers.all_have(1).await?;
    let mut p99 = [Vec::new(), Vec::new()];
    for turn in 0..2 * TURNS {
        let slow = if turn % 2 == 0 { Some(watchers::read_slowly(&target).await?) } else { None };
        let figures = watchers.paced(&target, TURN, PACED_MESSAGES).await?;
        p99[turn % 2].push(figures.p99_ms);
        if let Some(slow) = slow {
            slow.abort();
        }
    }
    server.stop().await?;
    Ok(p99.map(|mut turns| {
        turns.sort_by(f64::total_cmp);
        turns.get(turns.len() / 2).copied().unwrap_or(f64::NAN)
    }))
}

async fn start(kind: Kind, folder: &Path, on_one_core: bool) -> Outcome<Server> {
    let settings = "server.listen = '127.0.0.1:0'\nself_monitoring.enabled = false\n\
                    compaction.interval_ms = 86400000\nlive.heartbeat_interval_ms = 86400000\n\
                    server.ping_interval_ms = 86400000\n";
    std::fs::write(folder.join("perfgraph.toml"), settings)?;
    let own = std::env::current_exe()?;
    let own = own.to_str().ok_or("a path that is no text")?;
    let words = match kind {
        Kind::Perfgraph => vec![env!("CARGO_BIN_EXE_perfgraph"), "serve"],
        Kind::Raw => vec![own, raw::MODE],
    };
    if on_one_core {
        let words: Vec<&str> = ["-c", "0"].into_iter().chain(words).collect();
        return Server::start(Path::new("taskset"), &words, folder).await;
    }
    let [program, arguments @ ..] = words.as_slice() else { return Err("nothing to start".into()) };
    Server::start(Path::new(program), arguments, folder).await
}
