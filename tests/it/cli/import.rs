//! `perfgraph import`: logs and files into a project, once, however often and however it is stopped.

mod logs;
mod progress;
mod running_server;

use std::{fmt::Write as _, path::Path, process::Stdio};

use perfgraph::{db::Backend, entity::metric_event, model::Timestamp};
use sea_orm::EntityTrait;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::{
    harness::{
        Server, TestDatabase, books,
        process::{Ended, PATIENCE, command, run},
    },
    ingest::http_api::gzip,
    on_both_databases,
};

pub const PROJECT: &str = "organization-1/project-1";

/// A database with a project, and no server on it.
async fn seeded(database: TestDatabase) -> TestDatabase {
    let server = Server::start(database, perfgraph::clock::Clock::system(), "self_monitoring.enabled = false").await;
    server.seed("organizations=1 projects=2").await;
    server.stop().await
}

pub fn import(database: &TestDatabase, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, &[&["import"], arguments].concat());
    command.env("DATABASE_URL", &database.url).env("PERFGRAPH_INGEST__PART_ROWS", "100");
    command
}

async fn imported(database: &TestDatabase, folder: &Path, arguments: &[&str]) -> Ended {
    run(import(database, folder, arguments)).await
}

async fn stored(database: &TestDatabase) -> usize {
    metric_event::Entity::find().all(&database.reader()).await.unwrap().len()
}

/// Lines of a combined log, one a minute back from a moment some days ago.
fn log(lines: usize, days_ago: i64) -> String {
    let now = perfgraph::clock::Clock::system().now();
    (0..lines).fold(String::new(), |mut text, number| {
        let micros = -days_ago * 86_400_000_000 - i64::try_from(number).unwrap() * 60_000_000;
        let at = jiff_text(now.plus_micros(micros));
        writeln!(
            text,
            "203.0.113.9 - - [{at}] \"GET /orders/{number}?a=b HTTP/1.1\" 200 512 \"-\" \"curl/8\" 0.{:03}",
            number % 1_000
        )
        .unwrap();
        text
    })
}

/// ISO 8601, as nginx writes it by `$time_iso8601`.
fn jiff_text(at: Timestamp) -> String {
    at.to_string()
}

on_both_databases! {
    async fn a_log_of_months_ago_is_imported_once(database: TestDatabase) {
        let database = seeded(database).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, log(1_250, 100)).unwrap();
        let arguments = ["access.log", "--project", PROJECT];
        let looked = imported(&database, folder.path(), &["access.log", "--dry-run"]).await;
        assert_eq!(looked.code, Some(0), "{looked:?}");
        assert!(looked.stderr.contains("1250 metrics could be imported, 0 refused"), "{looked:?}");
        assert_eq!(stored(&database).await, 0);
        let first = imported(&database, folder.path(), &arguments).await;
        assert_eq!(first.code, Some(0), "{first:?}");
        assert!(first.stderr.contains("1250 metrics imported, 0 refused"), "{first:?}");
        let again = imported(&database, folder.path(), &arguments).await;
        assert!(again.stderr.contains("1250 metrics imported, 1250 of them by an earlier run"), "{again:?}");
        assert_eq!((again.code, stored(&database).await), (Some(0), 1_250));
        let endpoints = perfgraph::entity::endpoint::Entity::find().all(&database.reader()).await.unwrap();
        assert_eq!(endpoints.iter().map(|one| &*one.path).collect::<Vec<_>>(), ["GET /orders/:id"]);
        // Another project of the organization is another import.
        let other = imported(&database, folder.path(), &["access.log", "--project", "organization-1/project-2"]).await;
        assert_eq!((other.code, stored(&database).await), (Some(0), 2_500), "{other:?}");
        books::check(&database).await;
    }
}

on_both_databases! {
    async fn an_import_that_is_stopped_goes_on(database: TestDatabase) {
        let database = seeded(database).await;
        let folder = tempfile::tempdir().unwrap();
        let text = log(2_000, 1);
        for (signal, code) in [("KILL", None), ("INT", Some(130))] {
            let before = stored(&database).await;
            let mut stopped = import(&database, folder.path(), &["-", "--format", "access-log", "--project", PROJECT]);
            let mut child = stopped.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            // All of it is never sent, so it is stopped in the middle.
            let mut stdin = child.stdin.take().unwrap();
            let cut = text.len() * if signal == "KILL" { 1 } else { 2 } / 3;
            stdin.write_all(&text.as_bytes()[..cut]).await.unwrap();
            stdin.flush().await.unwrap();
            timeout(PATIENCE, async { while stored(&database).await < before + 200 {} }).await.expect("parts are stored");
            let pid = child.id().unwrap().to_string();
            assert!(Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap().success());
            assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), code);
            drop(stdin);
        }
        std::fs::write(folder.path().join("a.log"), &text).unwrap();
        let whole = imported(&database, folder.path(), &["a.log", "--project", PROJECT]).await;
        assert_eq!(whole.code, Some(0), "{whole:?}");
        assert!(whole.stderr.contains("2000 metrics imported, ") && whole.stderr.contains(" of them by an earlier run"), "{whole:?}");
        assert_eq!(stored(&database).await, 2_000);
        books::check(&database).await;
    }
}

on_both_databases! {
    async fn refused_rows_are_kept_to_be_put_right(database: TestDatabase) {
        let database = seeded(database).await;
        let folder = tempfile::tempdir().unwrap();
        let csv = "endpoint,value,type\na,1,CUSTOM\n\"b, c\",-1,CUSTOM\nd,x,CUSTOM\ne,2,CUSTOM\n";
        std::fs::write(folder.path().join("a.csv"), csv).unwrap();
        for dry in [&["--dry-run"][..], &["--project", PROJECT]] {
            let ended = imported(&database, folder.path(), &[&["a.csv", "--rejects", "bad.csv"], dry].concat()).await;
            assert_eq!(ended.code, Some(65), "{ended:?}");
            assert!(ended.stderr.contains("row 2: value: -1 is negative") && ended.stderr.contains("bad.csv"), "{ended:?}");
            let rejects = std::fs::read_to_string(folder.path().join("bad.csv")).unwrap();
            assert_eq!(rejects, "endpoint,value,type\n\"b, c\",-1,CUSTOM\nd,x,CUSTOM\n");
        }
        assert_eq!(stored(&database).await, 2);
        std::fs::write(folder.path().join("bad.csv"), "endpoint,value,type\n\"b, c\",1,CUSTOM\nd,3,CUSTOM\n").unwrap();
        let right = imported(&database, folder.path(), &["bad.csv", "--project", PROJECT]).await;
        assert_eq!((right.code, stored(&database).await), (Some(0), 4), "{right:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn import_reports_the_reason_of_a_refusal() {
    let database = seeded(TestDatabase::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.log"), log(1, 500)).unwrap();
    std::fs::write(folder.path().join("empty.csv"), "").unwrap();
    std::fs::write(folder.path().join("good.log"), log(1, 0)).unwrap();
    for (arguments, code, part) in [
        (&["old.log", "--project", PROJECT][..], 65, "--since"),
        (&["old.log", "--dry-run"], 65, "--since"),
        (&["empty.csv", "--project", PROJECT], 65, "is empty"),
        (&["absent.log", "--project", PROJECT], 65, "cannot be read"),
        (
            &["good.log", "--project", "organization-1/nothing"],
            65,
            "the project `organization-1/nothing` was not found",
        ),
        (&["good.log", "--project", "nothing"], 65, "ORGANIZATION/PROJECT"),
        (&["good.log"], 2, "--project"),
    ] {
        let ended = imported(&database, folder.path(), arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?} {ended:?}");
        assert!(ended.stderr.contains(part), "{part:?} is not in {ended:?}");
    }
    let since = "2020-01-01T00:00:00Z";
    let old = imported(&database, folder.path(), &["old.log", "--project", PROJECT, "--since", since]).await;
    assert_eq!((old.code, stored(&database).await), (Some(0), 1), "{old:?}");
}

/// What refused rows say, by their numbers.
#[track_caller]
fn assert_says(ended: &Ended, rejects: usize, words: &[(usize, &str)]) {
    assert_eq!(ended.code, Some(65), "{ended:?}");
    assert!(ended.stderr.contains(&format!(" {rejects} refused, ")), "{ended:?}");
    for (row, words) in words {
        let start = format!("  row {row}: ");
        let line = ended.stderr.lines().find(|line| line.starts_with(&start));
        assert!(line.is_some_and(|line| line.contains(words)), "{row} {words:?} is not in {}", ended.stderr);
    }
}

on_both_databases! {
    async fn rows_that_cannot_be_are_named_and_the_others_imported(database: TestDatabase) {
        let database = seeded(database).await;
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let head = "value,type,endpoint,timestamp,projectId\n";
        // Only the first ten are shown at the end.
        let bad = [
            ("NaN,CUSTOM,a,,", "value: NaN"),
            ("inf,CUSTOM,a,,", "value: inf"),
            ("-1,CUSTOM,a,,", "value: -1 is negative"),
            ("1e308,CUSTOM,a,,", "value: 1e308 is above"),
            ("-5e-324,CUSTOM,a,,", "value: -5e-324 is negative"),
            ("1,SPEED,a,,", "type: "),
            ("1,CUSTOM,a,9999-12-31T23:59:59Z,", "timestamp: 9999-12-30T22:00:00Z is after"),
            ("1,CUSTOM,a,9223372036854775807,", "timestamp: 9223372036854775807 microseconds since 1970 is after"),
            ("1,CUSTOM,\"two\nlines\",,", "endpoint: contains control"),
            ("1,CUSTOM,a,,someone_elses", "projectId: names another project"),
        ];
        let good = "-0,CUSTOM,good,,\n5e-324,CUSTOM,\"good, \"\"quoted\"\"\",,\n1e12,CUSTOM,good,,\n";
        let lines: Vec<_> = bad.iter().map(|(line, _)| *line).collect();
        write("bad.csv", format!("{head}{}\n{good}", lines.join("\n")).as_bytes());
        let words: Vec<_> = (1..).zip(bad.iter().map(|(_, words)| *words)).collect();
        let arguments = ["bad.csv", "--project", PROJECT, "--rejects", "rejects.csv"];
        assert_says(&imported(&database, folder.path(), &arguments).await, bad.len(), &words);
        assert_eq!(std::fs::read_to_string(folder.path().join("rejects.csv")).unwrap(), format!("{head}{}\n", lines.join("\n")));
        let events = metric_event::Entity::find().all(&database.reader()).await.unwrap();
        let mut values: Vec<_> = events.iter().map(|event| event.value).collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [0.0, 5e-324, 1e12]);
        assert!(values[0].is_sign_positive());

        let long = format!("1,CUSTOM,{},,\n1,CUSTOM,\"{}\",,\n", "x".repeat(10_240), "y".repeat(70_000));
        let old = "1,CUSTOM,a,1970-01-01T00:00:00Z,\n1,CUSTOM,a,-9223372036854775808,\n";
        write("more.csv", &[head.as_bytes(), long.as_bytes(), old.as_bytes(), b"1,CUSTOM,caf\xe9,,\n1,CUSTOM,good,,\n"].concat());
        let since = ["more.csv", "--project", PROJECT, "--since", "2020-01-01T00:00:00Z"];
        let words = [(1, "10240 bytes"), (2, "longer than 65536"), (3, "before"), (4, "before"), (5, "UTF-8")];
        assert_says(&imported(&database, folder.path(), &since).await, 5, &words);
        assert_eq!(stored(&database).await, 4);
        if let Backend::Postgres(pool) = database.database.backend() {
            // Neither 1970 nor 9999 left a table behind.
            let sql = "SELECT count(*) FROM pg_class WHERE relname ~ '^metric_event_(1|9|-)'";
            assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap(), 0);
        }
        // A bomb is a line that is too long; what is cut is told with how far it came.
        write("bomb.csv.gz", &gzip(&[head.as_bytes(), &vec![b' '; 50_000_000]].concat()).await);
        let arguments = ["bomb.csv.gz", "--project", PROJECT];
        assert_says(&imported(&database, folder.path(), &arguments).await, 1, &[(1, "longer than 65536")]);
        let rows = (0..2_000).fold(head.to_owned(), |text, number| text + &format!("{number},CUSTOM,a,,\n"));
        let whole = gzip(rows.as_bytes()).await;
        write("cut.csv.gz", &whole[..whole.len() * 2 / 3]);
        let cut = imported(&database, folder.path(), &["cut.csv.gz", "--project", PROJECT]).await;
        assert!(cut.code == Some(65) && cut.stderr.contains("behind row "), "{cut:?}");
        let kept = stored(&database).await - 4;
        assert!(kept < 2_000 && kept.is_multiple_of(100), "{kept}");
        // The whole file goes on where the cut one ended.
        write("cut.csv.gz", &whole);
        let whole = imported(&database, folder.path(), &["cut.csv.gz", "--project", PROJECT]).await;
        assert!(whole.code == Some(0) && whole.stderr.contains(&format!(", {kept} of them by an earlier run")), "{whole:?}");
        assert_eq!(stored(&database).await, 2_004);
        books::check(&database).await;
    }
}

on_both_databases! {
    async fn tables_of_excel_pandas_and_powershell_are_imported(database: TestDatabase) {
        let database = seeded(database).await;
        let folder = tempfile::tempdir().unwrap();
        let utf16: Vec<u8> =
            "\u{feff}type,value,endpoint\r\nCUSTOM,12.5,ä\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (name, bytes) in [
            ("semicolons.csv", b"type;value;endpoint\r\nCUSTOM;12,5;a\r\n".to_vec()),
            ("sep.csv", b"sep=;\r\ntype;value;endpoint\r\nCUSTOM;12,5;b\r\n".to_vec()),
            ("tabs.tsv", b"type\tvalue\tendpoint\nCUSTOM\t12.5\tc\n".to_vec()),
            ("pandas.csv", b",type,value,endpoint\n0,CUSTOM,12.5,d\n".to_vec()),
            ("unnamed", b"\"endpoint\";\"type\";\"value\"\ne;CUSTOM;12,5\n".to_vec()),
            ("utf16.csv", utf16),
        ] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let ended = imported(&database, folder.path(), &[name, "--project", PROJECT]).await;
            assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
            assert!(ended.stderr.contains("1 metrics imported"), "{name}: {ended:?}");
        }
        let rows = metric_event::Entity::find().all(&database.reader()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.value.to_bits()).collect::<Vec<_>>(), [12.5_f64.to_bits(); 6]);
        // A refused row is written with a header that is read in the same way again.
        std::fs::write(folder.path().join("two.csv"), "sep=;\ntype;value;endpoint\nCUSTOM;1.234;a\n").unwrap();
        let arguments = ["two.csv", "--project", PROJECT, "--rejects", "rejects.csv"];
        let refused = imported(&database, folder.path(), &arguments).await;
        assert!(refused.stderr.contains("row 1: value: `1.234` may be 1.234 or 1234"), "{refused:?}");
        let rejects = std::fs::read_to_string(folder.path().join("rejects.csv")).unwrap();
        assert_eq!(rejects, "type;value;endpoint\nCUSTOM;1.234;a\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_advice_stores_rows_in_1970() {
    let database = seeded(TestDatabase::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    let seconds = perfgraph::clock::Clock::system().now().as_millis() / 1_000;
    for (time, words) in [
        (seconds.to_string(), "looks like seconds since 1970; send milliseconds, such as"),
        (format!("{seconds}.5"), "looks like seconds since 1970"),
        (format!("{seconds}000000"), "looks like microseconds since 1970"),
        (format!("{seconds}000000000"), "looks like nanoseconds since 1970"),
        ("86400000".to_owned(), "correct its time"),
        ("1970-01-02 00:00:00+00".to_owned(), "correct its time"),
    ] {
        std::fs::write(folder.path().join("a.csv"), format!("type,value,endpoint,timestamp\nCUSTOM,1,a,{time}\n"))
            .unwrap();
        for dry in [&["--dry-run"][..], &["--project", PROJECT]] {
            let ended = imported(&database, folder.path(), &[&["a.csv"], dry].concat()).await;
            assert_eq!(ended.code, Some(65), "{ended:?}");
            assert!(ended.stderr.contains(words) && !ended.stderr.contains("--since"), "{time}: {ended:?}");
        }
    }
    assert_eq!(stored(&database).await, 0);
    let ended = imported(&database, folder.path(), &["a.csv", "--dry-run", "--since", &seconds.to_string()]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("looks like seconds since 1970; send text such as"), "{ended:?}");
}
