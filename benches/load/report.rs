//! The figures: one aligned table for people, one JSON line per result for machines.

use serde_json::{Value, json};

use crate::{
    Outcome,
    databases::{Bench, Kind},
    round::Figures,
    server::Memory,
};

/// A workload on a database.
pub struct Line {
    /// The kind of database.
    pub database: Kind,
    /// The workload.
    pub workload: &'static str,
    /// Statements of one request on perfgraph.
    pub statements: u64,
    /// Rows that one request writes; 1 where it reads.
    pub rows: u32,
    /// perfgraph.
    pub ours: Figures,
    /// The hand-written endpoint.
    pub theirs: Figures,
}

impl Line {
    /// Hand-written CPU for each CPU second of perfgraph: 1 is as cheap, 0.5 costs twice as much.
    fn ratio(&self) -> f64 {
        self.theirs.cpu_micros / self.ours.cpu_micros
    }

    /// The ratio including the CPU time of the database.
    fn ratio_with_database(&self) -> f64 {
        self.theirs.all_cpu_micros() / self.ours.all_cpu_micros()
    }

    fn json(&self) -> Value {
        let side = |figures: &Figures| {
            json!({
                "requests_per_second": figures.requests_per_second.round(),
                "rows_per_second": (figures.requests_per_second * f64::from(self.rows)).round(),
                "cpu_us": figures.cpu_micros.round(),
                "database_cpu_us": figures.database_micros.map(f64::round),
            })
        };
        json!({
            "database": self.database.to_string(),
            "workload": self.workload,
            "statements": self.statements,
            "perfgraph": side(&self.ours),
            "handwritten": side(&self.theirs),
            "ratio": self.ratio(),
            "ratio_with_database": self.ratio_with_database(),
        })
    }
}

/// Everything that was measured.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
    memory: Vec<(Kind, &'static str, Memory, Memory)>,
}

impl Report {
    /// Adds a workload, and says so at once: a run takes minutes.
    pub fn add(&mut self, line: Line) {
        eprintln!("load: {} {}: ratio {:.2}", line.database, line.workload, line.ratio());
        self.lines.push(line);
    }

    /// The measurements of a workload.
    pub fn line(&self, database: Kind, workload: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.database == database && line.workload == workload)
    }

    /// Adds what both servers hold now.
    pub fn memory(&mut self, bench: &Bench, when: &'static str) -> Outcome<()> {
        self.memory.push((bench.kind, when, bench.perfgraph.memory()?, bench.handwritten.memory()?));
        Ok(())
    }

    /// Prints all.
    pub fn print(&self) {
        let rate = |line: &Line, figures: &Figures| figures.requests_per_second * f64::from(line.rows);
        let database = |figures: &Figures| figures.database_micros.map_or("-".to_owned(), |cpu| format!("{cpu:.0}"));
        println!("CPU is microseconds for one request (for bulk and ingest: of 1,000 rows); ratio is hand-written CPU");
        println!("for one second of perfgraph's, in the server alone and with the database's. Writes: rows/s.\n");
        println!(
            "{:<9} {:<7} {:>5} | {:>9} {:>8} {:>8} | {:>9} {:>8} {:>8} | {:>5} {:>7}",
            "database", "load", "stmts", "per s", "CPU", "db CPU", "by hand/s", "CPU", "db CPU", "ratio", "with db"
        );
        for line in &self.lines {
            println!(
                "{:<9} {:<7} {:>5} | {:>9.0} {:>8.0} {:>8} | {:>9.0} {:>8.0} {:>8} | {:>5.2} {:>7.2}",
                line.database,
                line.workload,
                line.statements,
                rate(line, &line.ours),
                line.ours.cpu_micros,
                database(&line.ours),
                rate(line, &line.theirs),
                line.theirs.cpu_micros,
                database(&line.theirs),
                line.ratio(),
                line.ratio_with_database(),
            );
        }
        println!("\n{:<9} {:<13} {:>22} {:>22}", "database", "memory", "perfgraph now/peak", "by hand now/peak");
        let mib = |memory: &Memory| format!("{} / {} MiB", memory.resident / 1024, memory.peak / 1024);
        for (kind, when, ours, theirs) in &self.memory {
            println!("{kind:<9} {when:<13} {:>22} {:>22}", mib(ours), mib(theirs));
        }
        println!();
        for line in &self.lines {
            println!("{}", line.json());
        }
        for (kind, when, ours, theirs) in &self.memory {
            let side = |memory: &Memory| json!({ "resident_kib": memory.resident, "peak_kib": memory.peak });
            println!(
                "{}",
                json!({ "database": kind.to_string(), "memory": when, "perfgraph": side(ours), "handwritten": side(theirs) })
            );
        }
    }
}
