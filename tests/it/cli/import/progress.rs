//! What an import says while it runs, and what it takes: a bar with a rate and the time that is left on a terminal, plain
//! lines elsewhere, and no more memory for a long text than for a short one.

use std::{fmt::Write as _, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::timeout,
};

use super::{PROJECT, import, seeded};
use crate::{
    harness::{TestDatabase, process::PATIENCE, wait},
    ingest::http_api::{gzip, rows, stored},
};

/// On a terminal of its own, which `script` makes; it writes down whatever is drawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_shows_a_bar_with_rate_and_time_left() {
    let database = seeded(TestDatabase::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.ndjson"), rows(0..20_000)).unwrap();
    let drawn = folder.path().join("drawn");
    let import =
        format!("stty cols 120 rows 20; exec {} import a.ndjson --project {PROJECT}", env!("CARGO_BIN_EXE_perfgraph"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--return", "--command", &import]).arg(&drawn).current_dir(folder.path());
    script.env("TERM", "xterm").env("DATABASE_URL", &database.url).env("PERFGRAPH_INGEST__PART_ROWS", "100");
    script.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let ended = timeout(PATIENCE, script.status()).await.expect("it ends").unwrap();
    let text = std::fs::read_to_string(&drawn).unwrap();
    assert!(ended.success(), "{text}");
    let text = console::strip_ansi_codes(&text);
    let bars: Vec<_> = text.split(['\r', '\n']).filter(|line| line.contains(" left")).collect();
    assert!(bars.len() > 2, "{text}");
    let mut before = 0;
    for bar in &bars {
        let percent = bar.split(" %").next().unwrap().rsplit(' ').next().unwrap();
        let percent: u32 = percent.parse().unwrap_or_else(|_| panic!("no share in {bar:?}"));
        assert!(percent >= before && percent <= 100, "{bars:?}");
        before = percent;
    }
    let told = bars.iter().filter(|bar| bar.contains(" rows in ") && bar.contains(" a second, ")).count();
    assert!(told > 0 && bars.iter().any(|bar| bar.trim_end().ends_with("s left")), "{bars:?}");
    assert!(text.contains("20000 metrics imported, 0 refused, 20000 rows in "), "{text}");
    assert_eq!(stored(&database).await, 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_without_a_terminal_is_printed_as_lines() {
    let database = seeded(TestDatabase::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = import(&database, folder.path(), &["-", "--format", "ndjson", "--project", PROJECT]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    // A part every now and then, until it says how far it is.
    let mut sent = 0;
    let line = loop {
        stdin.write_all(rows(0..100).as_bytes()).await.unwrap();
        sent += 100;
        if let Ok(line) = timeout(Duration::from_millis(100), said.next_line()).await {
            break line.unwrap().unwrap();
        }
        assert!(sent < 100_000, "it says nothing");
    };
    let words: Vec<_> = line.split(' ').collect();
    let [count, "rows", "in", seconds, "s,", rate, "a", "second"] = words[..] else { panic!("{line:?}") };
    let (count, seconds): (f64, f64) = (count.parse().unwrap(), seconds.parse().unwrap());
    assert!(seconds >= 5.0 && count > 0.0 && count <= f64::from(sent), "{line}");
    let rate: f64 = rate.parse().unwrap();
    assert!((rate - count / seconds).abs() <= 1.0 + 0.02 * rate, "{line}");
    drop(stdin);
    let end = timeout(PATIENCE, said.next_line()).await.expect("it ends").unwrap().unwrap();
    assert!(end.starts_with(&format!("{sent} metrics imported, 0 refused, {sent} rows in ")), "{end}");
    assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), Some(0));
}

/// The most memory that the system has ever given to a process, in KiB.
async fn peak(mut command: Command) -> u64 {
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut peak = 0;
    let ended = async {
        loop {
            if let Some(ended) = child.try_wait().unwrap() {
                return ended;
            }
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = line.map_or(peak, |line| line.trim_end_matches("kB").trim().parse().unwrap());
            wait::step().await;
        }
    };
    assert!(timeout(2 * PATIENCE, ended).await.expect("it ends").success());
    peak
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_packed_text_takes_no_more_memory_than_a_short_one() {
    const RECORD: usize = 60_000;
    let database = seeded(TestDatabase::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    // Not the same rows twice, which would be known. Long records of which little is kept: what is read counts here, not
    // what the database does with it.
    let mut peaks = Vec::new();
    for (name, count) in [("short.ndjson.gz", 200), ("long.ndjson.gz", 1_400)] {
        let text = (count..2 * count).fold(String::new(), |mut text, number| {
            writeln!(text, r#"{{"type":"CUSTOM","value":{number},"endpoint":"a"{:RECORD$}}}"#, "").unwrap();
            text
        });
        let packed = gzip(text.as_bytes()).await;
        assert!(packed.len() * 50 < text.len());
        std::fs::write(folder.path().join(name), packed).unwrap();
        peaks.push(peak(import(&database, folder.path(), &[name, "--project", PROJECT])).await);
    }
    assert_eq!(stored(&database).await, 1_600);
    // Unpacked, the long one is 70 MiB more.
    assert!(peaks[0] > 0 && peaks[1] < peaks[0] + 20 * 1_024, "{peaks:?} KiB");
}
