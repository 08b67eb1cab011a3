//! Ten million measurements through `perfgraph import`: how long, and how much memory at its worst.

use std::{fs, path::Path, process::Stdio, time::Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, LogNormal};
use tempfile::TempDir;
use tokio::{
    io::{AsyncWriteExt, BufWriter},
    process::Command,
};

use crate::{
    Outcome,
    databases::{Direct, Kind, Place, Project},
    server,
};

const ROWS: u64 = 10_000_000;
/// Over five days, so that every row is inside the window that is taken.
const STEP_MICROS: i64 = 5 * 24 * 3_600 * 1_000_000 / 10_000_000;
const RNG_SEED: u64 = 7;
/// The number of rows between two samples of the child's memory.
const LOOK: u64 = 50_000;
const PROJECT: &str = "SELECT organization_id, id FROM project ORDER BY organization_id, id LIMIT 1";

/// Imports and prints.
pub async fn run() -> Outcome<()> {
    let folder: TempDir = tempfile::tempdir()?;
    let place = Place::make(Kind::Sqlite, folder.path()).await?;
    let program = Path::new(env!("CARGO_BIN_EXE_perfgraph"));
    let url = place.url();
    server::run(program, &["--database-url", url, "migrate", "up"], folder.path()).await?;
    let seed = ["--database-url", url, "seed", "--size", "small", "--rng-seed", "1"];
    server::run(program, &seed, folder.path()).await?;
    let project = Direct::open(url).await?.pairs(PROJECT, &[]).await?.first().copied().ok_or("no project")?;
    let id = Project::from(project).node_id();
    let mut child = Command::new(program)
        .args(["--database-url", url, "import", "-", "--project", &id])
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().ok_or("the import ended at once")?;
    let mut input = BufWriter::new(child.stdin.take().ok_or("no standard input")?);
    let started = Instant::now();
    let latency = LogNormal::new(4.0, 0.8)?;
    let mut random = StdRng::seed_from_u64(RNG_SEED);
    let from = jiff::Timestamp::now().as_microsecond() - STEP_MICROS * i64::try_from(ROWS)?;
    let mut peak = 0;
    for number in 0..ROWS {
        let at = jiff::Timestamp::from_microsecond(from + STEP_MICROS * i64::try_from(number)?)?;
        let endpoint = random.random_range(0..40_u32);
        let line = format!(
            "{{\"type\":\"API_RESPONSE\",\"value\":{:.3},\"endpoint\":\"GET /items/{endpoint}x\",\"statusCode\":200,\
             \"timestamp\":\"{at}\"}}\n",
            latency.sample(&mut random)
        );
        input.write_all(line.as_bytes()).await?;
        if number % LOOK == 0 {
            peak = peak.max(peak_kib(pid).unwrap_or(0));
        }
    }
    input.flush().await?;
    peak = peak.max(peak_kib(pid).unwrap_or(0));
    drop(input);
    let status = child.wait().await?;
    if !status.success() {
        return Err(format!("the import failed: {status}").into());
    }
    let seconds = started.elapsed().as_secs_f64();
    let sql = "SELECT COUNT(*), COUNT(*) FROM metric_event WHERE organization_id = $1 AND project_id = $2 AND ts >= $3";
    let bound = [project.0, project.1, from];
    let (stored, _) = Direct::open(url).await?.pairs(sql, &bound).await?.first().copied().ok_or("no count")?;
    if u64::try_from(stored)? < ROWS {
        return Err(format!("{stored} of {ROWS} rows were stored").into());
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate to read")]
    let rate = ROWS as f64 / seconds;
    println!("\nimport of {ROWS} rows: {seconds:.0} s, {rate:.0} rows/s, peak {} MiB", peak / 1024);
    place.remove().await
}

/// The most memory that a process ever held, in KiB.
fn peak_kib(pid: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
