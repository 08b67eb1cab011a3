//! Access logs on the command line: detected, named, mapped, or refused with the commands that decide.

use std::{fmt::Write as _, path::Path};

use perfgraph::{clock::Clock, entity::metric_event};
use sea_orm::EntityTrait;
use tokio::process::Command;

use super::{PROJECT, imported, seeded};
use crate::{
    harness::{
        TestDatabase, books,
        process::{Ended, command, run},
    },
    on_both_databases,
};

/// The fields that all servers write alike, a minute ago.
fn combined() -> String {
    let at = Clock::system().now().plus_micros(-60_000_000);
    format!("203.0.113.9 - - [{at}] \"GET /orders/17?x HTTP/1.1\" 200 12 \"-\" \"curl/8\"")
}

/// The values in milliseconds, in ascending order.
async fn values(database: &TestDatabase) -> Vec<f64> {
    let events = metric_event::Entity::find().all(&database.reader()).await.unwrap();
    let mut values: Vec<_> = events.iter().map(|event| event.value).collect();
    values.sort_by(f64::total_cmp);
    values
}

async fn looked(folder: &Path, arguments: &[&str]) -> Ended {
    run(command(folder, &[&["import"], arguments, &["--dry-run"]].concat())).await
}

on_both_databases! {
    async fn logs_of_many_servers_are_imported_with_the_right_time(database: TestDatabase) {
        let database = seeded(database).await;
        let folder = tempfile::tempdir().unwrap();
        let (combined, now) = (combined(), Clock::system().now());
        let seconds = now.as_millis() / 1_000;
        let ingress = format!("{combined} 89 0.001 [default-web-80] [] 10.0.0.5:80 59, 7 0.001, 0.002 504, 200 0123\n");
        let traefik = format!("kube[1]: {combined} 162 \"web@docker\" \"http://10.0.0.3:80\" 2ms\n");
        let caddy = format!(
            "{{\"ts\":{seconds}.5,\"request\":{{\"method\":\"GET\",\"uri\":\"/orders/1\"}},\"duration\":0.003,\"status\":200}}\n"
        );
        let mapped = format!("{{\"at\":{seconds},\"http\":{{\"path\":\"/orders/1\"}},\"took\":4}}\n");
        for (name, text, arguments) in [
            // The names of the files say something else.
            ("ingress.csv", ingress, &[][..]),
            ("traefik.json", traefik, &[]),
            ("access.log", caddy, &[]),
            ("mapped.log", mapped, &["--map", "time=at,endpoint=http.path,value=took:ms"]),
            (
                "iis.log",
                format!(
                    "#Software: Microsoft IIS\n#Fields: date time cs-method cs-uri-stem sc-status time-taken\n\
                     {} GET /orders/9 200 8\n#Version: 1.0\n",
                    now.to_string().replace('T', " ").replace('Z', "")
                ),
                &[],
            ),
            ("apache.log", format!("{combined} 512 1024 5000\n"), &["--log-format", "combinedio %D"]),
            ("unit.log", format!("{combined} 6\n"), &["--time-unit", "ms"]),
            ("local.log", combined.replace('Z', "") + " 0.007\n", &["--utc-offset", "+00:00"]),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
            let ended = imported(&database, folder.path(), &[&[name, "--project", PROJECT], arguments].concat()).await;
            assert_eq!(ended.code, Some(0), "{name} {ended:?}");
            assert!(ended.stderr.contains("the time of the request is "), "{ended:?}");
        }
        assert_eq!(values(&database).await, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let endpoints = perfgraph::entity::endpoint::Entity::find().all(&database.reader()).await.unwrap();
        let mut endpoints: Vec<_> = endpoints.iter().map(|one| &*one.path).collect();
        endpoints.sort_unstable();
        assert_eq!(endpoints, ["/orders/:id", "GET /orders/:id"]);
        books::check(&database).await;
    }
}

/// The commands that a refusal offers.
fn offered(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().map(str::trim).filter(|line| line.starts_with("perfgraph import ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_not_certain_is_refused_with_commands_that_work() {
    let database = seeded(TestDatabase::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    let combined = combined();
    for (number, tail, values) in [
        (0, "1500", &[1.5, 1_500.0, 1_500_000.0][..]),
        (1, "0.250 0.100", &[250.0, 100.0]),
        (2, "89 0.250", &[250.0, 0.089]),
    ] {
        let name = format!("it's {number}.log");
        std::fs::write(folder.path().join(&name), format!("{combined} {tail}\n")).unwrap();
        let refused = imported(&database, folder.path(), &[&name, "--project", PROJECT]).await;
        assert_eq!(refused.code, Some(65), "{refused:?}");
        let offered = offered(&refused);
        assert_eq!(offered.len(), values.len(), "{refused:?}");
        for (offer, value) in offered.into_iter().zip(values) {
            // As a person types it, into a shell.
            let program = env!("CARGO_BIN_EXE_perfgraph");
            let mut shell = Command::new("/bin/sh");
            let script = format!("perfgraph() {{ '{program}' \"$@\"; }}; {offer} --dry-run");
            shell.args(["-c", &script]).current_dir(folder.path()).env_clear();
            let looked = run(shell).await;
            assert_eq!(looked.code, Some(0), "{offer} {looked:?}");
            let row = looked.stderr.lines().find(|line| line.starts_with("  row 1: ")).unwrap();
            assert!(row.ends_with(&format!(", {value} ms")), "{offer}: {row}");
            assert!(row.contains("API_RESPONSE GET /orders/:id, status 200, 20"), "{row}");
        }
    }
    assert_eq!(values(&database).await, [] as [f64; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_three_rows_and_a_refusal_names_what_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let combined = combined();
    let lines = (0..5).fold(String::new(), |mut text, number| {
        writeln!(text, "{combined} 0.00{number}").unwrap();
        text
    });
    write("five.log", lines.as_bytes());
    let ended = looked(folder.path(), &["five.log"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("  row ")).collect();
    assert!(rows.len() == 3 && rows[2].ends_with(", 2 ms"), "{ended:?}");
    let description =
        "access log `combined $request_time`: the time of the request is $request_time in seconds, the moment %t";
    assert!(ended.stderr.contains(description), "{ended:?}");
    write("rows.csv", b"type,value,endpoint\nCACHE_HIT,12.5,users\n");
    let ended = looked(folder.path(), &["rows.csv"]).await;
    assert!(ended.stderr.contains("row 1: CACHE_HIT users, 20") && ended.stderr.contains("Z, 12.5 %"), "{ended:?}");

    write("plain.log", format!("{combined}\n").as_bytes());
    write("io.log", format!("{combined} 512 1024\n").as_bytes());
    write("other.log", b"{\"took\":5,\"path\":\"/\"}\n");
    write("hello.log", b"hello\n");
    write("a.log.xz", b"\xFD7zXZ\0\0\x04rest");
    write("a.log.bz2", b"BZh91AY&SY");
    write("a.zip", b"PK\x03\x04rest");
    write("short.log", format!("{combined} 0.250\n{combined} 250\n").as_bytes());
    for (arguments, code, words) in [
        (&["plain.log"][..], 65, "add $request_time (nginx) or %D (Apache)"),
        (&["io.log"], 65, "combinedio"),
        (&["other.log"], 65, "its keys are path, took"),
        (&["hello.log"], 65, "--log-format '"),
        (
            &["a.log.xz"],
            65,
            "packed with xz, which perfgraph does not read; unpack it on the way, and add the options of this command: xz -dc a.log.xz | perfgraph import -",
        ),
        (&["a.log.bz2"], 65, "bzip2 -dc a.log.bz2 |"),
        (&["a.zip"], 65, "unzip -p a.zip |"),
        (&["short.log"], 65, "row 2: `250` stands"),
        (&["five.log", "--log-format", "combined"], 2, "has no time of the request"),
        (&["five.log", "--log-format", "nonsense"], 2, "ingress-nginx"),
        (&["five.log", "--log-format", "combined $request_time", "--time-unit", "ms"], 2, "cannot be used with"),
        (&["five.log", "--log-format", "combined $request_time", "--format", "csv"], 65, "leave out --format"),
        (&["five.log", "--map", "time=t"], 2, "endpoint"),
        (&["five.log", "--utc-offset", "Berlin"], 2, "+02:00"),
    ] {
        let ended = looked(folder.path(), arguments).await;
        assert!(ended.code == Some(code) && ended.stderr.contains(words), "{arguments:?} {words:?} {ended:?}");
    }
    let mapped = looked(folder.path(), &["other.log", "--map", "time=at,endpoint=path,value=took:ms"]).await;
    assert!(mapped.stderr.contains("row 1: timestamp: the line has no text or number at `at`"), "{mapped:?}");
}
