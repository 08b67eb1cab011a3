//! Migrations are numbered without doubles, and none locks a table that every ingest writes.

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{repository_files, text},
};

/// Tables into which every ingest writes: an index that is built over their rows stops all ingests while it is built.
const INGEST_TABLES: &[&str] = &[
    "endpoint",
    "ingest_batch",
    "metric_event",
    "metric_label",
    "metric_late",
    "metric_rollup_1m",
    "metric_rollup_5m",
    "metric_rollup_1h",
    "metric_rollup_1d",
    "organization_stream",
];

fn number(path: &str) -> Option<&str> {
    path.strip_prefix("migrations/m")?.split_once('_').map(|(number, _)| number)
}

/// Numbers go up by one; a gap or a double is a change that was renamed on one side only.
fn numbering(paths: &[&str]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let expected = format!("{:04}", index + 1);
        if number(path) != Some(&expected) {
            let fix = "number the changes in their order, without doubles and gaps";
            found.push(Finding::new(path, 1, format!("the change has not the number {expected}"), fix));
            break;
        }
    }
    found
}

/// The statements that build an index, with their lines: the text from `CREATE INDEX` to the end of the line.
fn indexes(raw: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in raw.lines().enumerate() {
        let start = line.find("CREATE INDEX").or_else(|| line.find("CREATE UNIQUE INDEX"));
        found.extend(start.map(|start| (index + 1, &line[start..])));
    }
    found
}

fn table(statement: &str) -> Option<&str> {
    statement.split(" ON ").nth(1)?.split([' ', '(']).find(|word| !word.is_empty() && *word != "ONLY")
}

/// The words of a comment that states the longest lock: "the build blocks writes for about 0.3 seconds per million rows".
const BOUND: &str = "blocks writes for";

/// An index on a table of ingest is built concurrently, or with the table, or a comment states the longest lock.
fn locking(path: &str, raw: &str) -> Vec<Finding> {
    let is_bounded = raw.lines().any(|line| line.trim_start().starts_with("//") && line.contains(BOUND));
    let mut found = Vec::new();
    for (line, statement) in indexes(raw) {
        let Some(table) = table(statement).filter(|table| INGEST_TABLES.contains(table)) else { continue };
        let is_new = raw.contains(&format!("CREATE TABLE {table} "));
        if !is_new && !is_bounded && !statement.contains("CONCURRENTLY") {
            let rule = format!("the index locks `{table}`, which every ingest writes");
            let fix = "build it CONCURRENTLY in a change of its own, or state the longest lock: `// The build blocks writes for ..`";
            found.push(Finding::new(path, line, rule, fix));
        }
    }
    found
}

fn changes() -> Vec<&'static str> {
    repository_files().iter().map(String::as_str).filter(|path| number(path).is_some()).collect()
}

#[test]
fn changes_are_numbered_without_doubles() {
    let changes = changes();
    assert!(changes.len() >= 17, "{changes:?}");
    assert_kept(numbering(&changes));
}

#[test]
fn no_index_locks_a_table_of_ingest() {
    assert_kept(changes().into_iter().flat_map(|path| locking(path, &text(path))));
}

mod planted {
    use super::*;

    #[test]
    fn a_doubled_number() {
        let check = |names: &[&str]| numbering(names);
        assert_found(&check(&["migrations/m0001_a.rs", "migrations/m0001_b.rs"]), 1, "0002");
        assert_found(&check(&["migrations/m0001_a.rs", "migrations/m0003_b.rs"]), 1, "0002");
        assert_kept(check(&["migrations/m0001_a.rs", "migrations/m0002_b.rs"]));
    }

    #[test]
    fn an_index_that_locks() {
        let check = |raw: &str| locking("migrations/m0001_a.rs", raw);
        assert_found(&check("\n\"CREATE INDEX a ON ingest_batch USING BRIN (b)\""), 2, "`ingest_batch`");
        assert_found(&check("\"CREATE UNIQUE INDEX a ON ONLY metric_event (b)\""), 1, "`metric_event`");
        assert_kept(check("\"CREATE INDEX CONCURRENTLY a ON ingest_batch (b)\""));
        assert_kept(check("\"CREATE INDEX a ON employee (b)\""));
        assert_kept(check("\"CREATE TABLE metric_event (b)\", \"CREATE INDEX a ON metric_event (b)\""));
        assert_kept(check("// The build blocks writes for 20 ms.\n\"CREATE INDEX a ON ingest_batch (b)\""));
    }
}
