//! The capacity of the database alone, as a reference for ingest: one bare COPY into the very table that perfgraph fills, and
//! rows in transactions of 1,000 with and without their rollup parts, written as perfgraph writes them, into bare ones.
//! The difference of these two is what rollups cost, and it is compared with all that ingest over HTTP costs besides.

use std::{collections::BTreeMap, fmt::Write, sync::LazyLock, time::Instant};

use perfgraph::model::sketch::{Sketch, bin_of};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, LogNormal};
use serde_json::json;
use sqlx::{Arguments, Connection, PgConnection, SqliteConnection, sqlite::SqliteArguments};

use crate::{
    Outcome, cpu,
    databases::{Bench, Direct},
    report::Report,
};

/// Rows of a transaction, of ten seconds of twenty endpoints.
const ROWS: usize = 1_000;
const TRANSACTIONS: usize = 1_000;
const ROUNDS: usize = 5;
const ENDPOINTS: i64 = 20;
const STEP_MICROS: i64 = 10_000;
const MINUTE_MICROS: i64 = 60_000_000;
const RNG_SEED: u64 = 3;

const POSTGRES_TABLES: [&str; 3] = [
    "DROP TABLE IF EXISTS bare_event, bare_part",
    "CREATE TABLE bare_event (LIKE metric_event INCLUDING ALL)",
    "CREATE TABLE bare_part (LIKE metric_rollup_part INCLUDING ALL)",
];
const COPY: &str =
    "COPY metric_event (organization_id, project_id, ts, id, value, endpoint_id, kind, status, bin) FROM STDIN";
/// The sample has no such organization.
const UNDO_COPY: &str = "DELETE FROM metric_event WHERE organization_id = 1";
const POSTGRES_ROWS: &str = "INSERT INTO bare_event (organization_id, project_id, ts, id, value, endpoint_id, kind, \
    status, bin) SELECT 1, 1, ts, id, value, endpoint, 1, 200, bin \
    FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::bigint[], $5::smallint[]) AS row (ts, id, value, endpoint, bin)";
const POSTGRES_PARTS: &str = "INSERT INTO bare_part SELECT 1, 1, 1, bucket, endpoint, $1, n, 0, sum, min, max, sketch \
    FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::float8[], $6::float8[], $7::float8[], $8::bytea[]) \
    AS cell (bucket, endpoint, n, sum, min, max, sketch)";

const SQLITE_TABLES: [&str; 4] = [
    "DROP TABLE IF EXISTS bare_event",
    "DROP TABLE IF EXISTS bare_part",
    "CREATE TABLE bare_event (organization_id INTEGER NOT NULL, project_id INTEGER NOT NULL, kind INTEGER NOT NULL, \
     ts INTEGER NOT NULL, id INTEGER NOT NULL, value REAL NOT NULL, endpoint_id INTEGER NOT NULL, \
     status INTEGER NOT NULL, bin INTEGER NOT NULL, PRIMARY KEY (organization_id, project_id, kind, ts, id)) \
     STRICT, WITHOUT ROWID",
    "CREATE TABLE bare_part (organization_id INTEGER NOT NULL, project_id INTEGER NOT NULL, kind INTEGER NOT NULL, \
     bucket INTEGER NOT NULL, endpoint_id INTEGER NOT NULL, part INTEGER NOT NULL, n INTEGER NOT NULL, \
     n_err INTEGER NOT NULL, sum REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL, sketch BLOB NOT NULL, \
     PRIMARY KEY (organization_id, project_id, kind, bucket, endpoint_id, part)) STRICT, WITHOUT ROWID",
];

/// Times are in order, as perfgraph sorts them.
struct Row {
    ts: i64,
    id: i64,
    value: f64,
    endpoint: i64,
    bin: i16,
}

/// The rows that a transaction adds to a minute of an endpoint, and of all endpoints together (0).
#[derive(Default)]
struct Cell {
    n: i64,
    sum: f64,
    min: f64,
    max: f64,
    sketch: Sketch,
}

type Cells = BTreeMap<(i64, i64), Cell>;

/// The tables that a transaction writes: with rollup parts or without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    Without,
    With,
}

/// The rows written, and their cost.
#[derive(Clone, Copy)]
struct Cost {
    rows_per_second: f64,
    /// The CPU time of the database, and of computing the rollup rows.
    cpu_micros_per_thousand: f64,
}

/// Measures and prints. Rounds alternate; the best of each counts, because nothing but noise makes one slower.
pub async fn run(bench: &Bench, report: &Report) -> Outcome<()> {
    let transactions = transactions()?;
    let mut direct = bench.direct().await?;
    let mut best: [Option<Cost>; 2] = [None, None];
    let mut copied: Option<Cost> = None;
    for _ in 0..ROUNDS {
        for (parts, best) in [Parts::Without, Parts::With].into_iter().zip(&mut best) {
            make_tables(&mut direct).await?;
            let cost = measured(bench, &mut direct, &transactions, parts).await?;
            *best = Some(better(*best, cost));
        }
        if let Direct::Postgres(connection) = &mut direct {
            copied = Some(better(copied, copy(bench, connection, &transactions).await?));
            sqlx::query(UNDO_COPY).execute(&mut *connection).await?;
        }
    }
    let [Some(without), Some(with)] = best else { return Ok(()) };
    let rollups = with.cpu_micros_per_thousand - without.cpu_micros_per_thousand;
    let of_transaction = rollups / without.cpu_micros_per_thousand;
    let bulk = report.line(bench.kind, "bulk").ok_or("the bulk door was not measured")?.ours.all_cpu_micros();
    let of_ingest = rollups / (bulk - rollups);
    println!(
        "\n{}: 1,000 rows in a bare transaction, CPU {:.0} us without rollup parts, {:.0} us with: {:+.0} % of the bare \
         rows, {:+.1} % of what else their ingest over HTTP costs",
        bench.kind,
        without.cpu_micros_per_thousand,
        with.cpu_micros_per_thousand,
        of_transaction * 100.0,
        of_ingest * 100.0
    );
    if let Some(copied) = copied {
        println!(
            "{}: one bare COPY of {} rows: {:.0} rows/s, {:.0} us of database CPU for 1,000",
            bench.kind,
            ROWS * TRANSACTIONS,
            copied.rows_per_second,
            copied.cpu_micros_per_thousand
        );
    }
    let side = |cost: Cost| json!({ "rows_per_second": cost.rows_per_second.round(), "cpu_us": cost.cpu_micros_per_thousand.round() });
    println!(
        "{}",
        json!({
            "database": bench.kind.to_string(), "bare": { "rows": side(without), "rows_and_parts": side(with),
            "copy": copied.map(side) }, "rollup_share_of_rows": of_transaction, "rollup_share_of_ingest": of_ingest
        })
    );
    for sql in ["DROP TABLE bare_event", "DROP TABLE bare_part"] {
        direct.run(sql).await?;
    }
    Ok(())
}

fn better(best: Option<Cost>, cost: Cost) -> Cost {
    best.filter(|best| best.cpu_micros_per_thousand <= cost.cpu_micros_per_thousand).unwrap_or(cost)
}

fn transactions() -> Outcome<Vec<Vec<Row>>> {
    let latency = LogNormal::new(4.0, 0.8)?;
    let mut random = StdRng::seed_from_u64(RNG_SEED);
    let from = jiff::Timestamp::now().as_microsecond();
    let mut id = 0;
    let mut row = || {
        id += 1;
        let value = latency.sample(&mut random);
        Row { ts: from + id * STEP_MICROS, id, value, endpoint: random.random_range(1..=ENDPOINTS), bin: bin_of(value) }
    };
    Ok((0..TRANSACTIONS).map(|_| (0..ROWS).map(|_| row()).collect()).collect())
}

async fn make_tables(direct: &mut Direct) -> Outcome<()> {
    let tables: &[&'static str] = match direct {
        Direct::Sqlite(_) => &SQLITE_TABLES,
        Direct::Postgres(_) => &POSTGRES_TABLES,
    };
    for sql in tables {
        direct.run(sql).await?;
    }
    Ok(())
}

/// CPU of the database so far, and on SQLite, which runs in this process, of everything here.
fn used(bench: &Bench) -> Outcome<f64> {
    match bench.postmaster {
        Some(postmaster) => cpu::of_family(postmaster),
        None => Ok(cpu::of(std::process::id())?.own),
    }
}

async fn measured(bench: &Bench, direct: &mut Direct, transactions: &[Vec<Row>], parts: Parts) -> Outcome<Cost> {
    let (before, started) = (used(bench)?, Instant::now());
    for rows in transactions {
        let cells = if parts == Parts::With { cells(rows) } else { Cells::new() };
        match direct {
            Direct::Sqlite(connection) => sqlite(connection, rows, &cells).await?,
            Direct::Postgres(connection) => postgres(connection, rows, &cells).await?,
        }
    }
    Ok(cost(used(bench)? - before, started))
}

#[expect(clippy::cast_precision_loss, reason = "figures to read")]
fn cost(cpu_seconds: f64, started: Instant) -> Cost {
    let rows = (ROWS * TRANSACTIONS) as f64;
    Cost { rows_per_second: rows / started.elapsed().as_secs_f64(), cpu_micros_per_thousand: cpu_seconds * 1e9 / rows }
}

/// As perfgraph makes them: all endpoints as they come, then each for itself.
fn cells(rows: &[Row]) -> Cells {
    let mut cells = Cells::new();
    for run in rows.chunk_by(|a, b| a.ts / MINUTE_MICROS == b.ts / MINUTE_MICROS) {
        let Some(bucket) = run.first().map(|row| row.ts / MINUTE_MICROS) else { continue };
        cells.insert((bucket, 0), cell(run.iter()));
        let mut minute: Vec<&Row> = run.iter().collect();
        minute.sort_unstable_by_key(|row| row.endpoint);
        for own in minute.chunk_by(|a, b| a.endpoint == b.endpoint) {
            if let Some(row) = own.first() {
                cells.insert((bucket, row.endpoint), cell(own.iter().copied()));
            }
        }
    }
    cells
}

fn cell<'r>(rows: impl Iterator<Item = &'r Row> + Clone) -> Cell {
    let sketch = Sketch::of(rows.clone().map(|row| row.bin));
    let mut cell = Cell { min: f64::INFINITY, sketch, ..Cell::default() };
    for row in rows {
        cell.n += 1;
        cell.sum += row.value;
        cell.min = cell.min.min(row.value);
        cell.max = cell.max.max(row.value);
    }
    cell
}

async fn postgres(connection: &mut PgConnection, rows: &[Row], cells: &Cells) -> Outcome<()> {
    let mut transaction = connection.begin().await?;
    sqlx::query(POSTGRES_ROWS)
        .bind(rows.iter().map(|row| row.ts).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.value).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.endpoint).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.bin).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    if let (Some(first), false) = (rows.first(), cells.is_empty()) {
        sqlx::query(POSTGRES_PARTS)
            .bind(first.id)
            .bind(cells.keys().map(|key| key.0).collect::<Vec<_>>())
            .bind(cells.keys().map(|key| key.1).collect::<Vec<_>>())
            .bind(cells.values().map(|cell| cell.n).collect::<Vec<_>>())
            .bind(cells.values().map(|cell| cell.sum).collect::<Vec<_>>())
            .bind(cells.values().map(|cell| cell.min).collect::<Vec<_>>())
            .bind(cells.values().map(|cell| cell.max).collect::<Vec<_>>())
            .bind(cells.values().map(|cell| cell.sketch.encode()).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}

/// An INSERT of up to `size` rows, as perfgraph writes it: places that are not bound stay empty.
fn insert(table: &str, size: usize, parameters: usize) -> String {
    let row = format!("({})", vec!["?"; parameters].join(","));
    let rows = vec![row; size].join(",");
    format!("INSERT OR FAIL INTO {table} SELECT * FROM (VALUES {rows}) AS row WHERE column1 IS NOT NULL")
}

fn room(parameters: usize) -> SqliteArguments {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(parameters, 0);
    arguments
}

async fn sqlite(connection: &mut SqliteConnection, rows: &[Row], cells: &Cells) -> Outcome<()> {
    /// The rows of a statement, in the shape of perfgraph.
    const ROWS_AT_ONCE: usize = 512;
    const CELLS_AT_ONCE: usize = 32;
    static INSERTS: LazyLock<[String; 2]> =
        LazyLock::new(|| [insert("bare_event", ROWS_AT_ONCE, 9), insert("bare_part", CELLS_AT_ONCE, 12)]);
    let [insert_rows, insert_cells] = &*INSERTS;
    let mut transaction = connection.begin().await?;
    for chunk in rows.chunks(ROWS_AT_ONCE) {
        let insert = chunk.iter().fold(sqlx::query_with(insert_rows.as_str(), room(chunk.len() * 9)), |insert, row| {
            let insert = insert.bind(1_i64).bind(1_i64).bind(1_i64).bind(row.ts).bind(row.id).bind(row.value);
            insert.bind(row.endpoint).bind(200_i64).bind(row.bin)
        });
        insert.execute(&mut *transaction).await?;
    }
    let part = rows.first().map_or(0, |row| row.id);
    let cells: Vec<_> = cells.iter().collect();
    for chunk in cells.chunks(CELLS_AT_ONCE) {
        let empty = sqlx::query_with(insert_cells.as_str(), room(chunk.len() * 12));
        let insert = chunk.iter().fold(empty, |insert, ((bucket, endpoint), cell)| {
            let insert = insert.bind(1_i64).bind(1_i64).bind(1_i64).bind(*bucket).bind(*endpoint).bind(part);
            let insert = insert.bind(cell.n).bind(0_i64).bind(cell.sum).bind(cell.min).bind(cell.max);
            insert.bind(cell.sketch.encode())
        });
        insert.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

async fn copy(bench: &Bench, connection: &mut PgConnection, transactions: &[Vec<Row>]) -> Outcome<Cost> {
    let (before, started) = (used(bench)?, Instant::now());
    let mut copy = connection.copy_in_raw(COPY).await?;
    let mut text = String::new();
    for rows in transactions {
        text.clear();
        for Row { ts, id, value, endpoint, bin } in rows {
            writeln!(text, "1\t1\t{ts}\t{id}\t{value}\t{endpoint}\t1\t200\t{bin}")?;
        }
        copy.send(text.as_bytes()).await?;
    }
    copy.finish().await?;
    Ok(cost(used(bench)? - before, started))
}
