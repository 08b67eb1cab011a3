//! Snapshots of cases: the response and its SQL statements, for both databases in one file.
//!
//! A difference leaves `NAME.snap.new` beside the snapshot; `UPDATE_SNAPSHOTS=1` writes the snapshot itself.

use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::sql;

const BOTH: &str = "both databases";

/// The result of a case on one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The response as indented JSON.
    pub answer: String,
    /// The statements, formatted by [`sql::broken`].
    pub statements: Vec<String>,
}

/// The content of a snapshot file.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    answer: String,
    /// The statements by database, stored for both even if they are equal.
    statements: HashMap<String, Vec<String>>,
}

/// The snapshots that this run proposes. Each database is tested separately, so each test knows only its half.
static PROPOSED: Mutex<Option<HashMap<PathBuf, Snapshot>>> = Mutex::new(None);

impl Snapshot {
    fn parse(text: &str) -> Self {
        let mut snapshot = Self::default();
        let mut sections = text.split("\n-- ");
        snapshot.answer = sections.next().unwrap_or_default().trim_end().to_owned() + "\n";
        for section in sections {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            let statements = sql::statements(body);
            let (_, database) = head.split_once(" on ").unwrap_or(("", BOTH));
            let databases = if database == BOTH { vec!["sqlite", "postgres"] } else { vec![database] };
            for database in databases {
                snapshot.statements.insert(database.to_owned(), statements.clone());
            }
        }
        snapshot
    }

    fn render(&self) -> String {
        let mut text = self.answer.clone();
        let mut section = |database: &str, statements: &[String]| {
            let count = statements.len();
            let noun = if count == 1 { "statement" } else { "statements" };
            write!(text, "\n-- {count} {noun} on {database}\n").unwrap();
            for statement in statements {
                writeln!(text, "{statement}").unwrap();
            }
        };
        match (self.statements.get("sqlite"), self.statements.get("postgres")) {
            (Some(sqlite), Some(postgres)) if sqlite == postgres => section(BOTH, sqlite),
            (sqlite, postgres) => {
                for (database, statements) in [("sqlite", sqlite), ("postgres", postgres)] {
                    if let Some(statements) = statements {
                        section(database, statements);
                    }
                }
            }
        }
        text
    }

    fn with(mut self, database: &str, outcome: &Outcome) -> Self {
        self.answer.clone_from(&outcome.answer);
        self.statements.insert(database.to_owned(), outcome.statements.clone());
        self
    }
}

/// Describes the difference between an outcome and its snapshot. `None` if there is no difference.
pub fn compare(case: &Path, database: &str, outcome: &Outcome) -> Option<String> {
    let (file, news) = (case.with_extension("snap"), case.with_extension("snap.new"));
    let kept = std::fs::read_to_string(&file).ok().as_deref().map(Snapshot::parse);
    let mut proposed = PROPOSED.lock().unwrap_or_else(PoisonError::into_inner);
    let proposed = proposed.get_or_insert_default();
    let is_same = kept.as_ref().is_some_and(|kept| {
        kept.answer == outcome.answer && kept.statements.get(database) == Some(&outcome.statements)
    });
    if is_same {
        if !proposed.contains_key(&file) {
            // Left by an earlier run; usually the file does not exist.
            drop(std::fs::remove_file(news));
        }
        return None;
    }
    if let Some(other) = proposed.get(&file).filter(|other| other.answer != outcome.answer) {
        let lines = differences(&other.answer, &outcome.answer);
        return Some(format!("the databases answer differently:\n{lines}"));
    }
    let difference = kept.as_ref().map_or_else(
        || "has no snapshot".to_owned(),
        |kept| differences(&kept.render(), &kept.clone().with(database, outcome).render()),
    );
    let snapshot = proposed.get(&file).cloned().or(kept).unwrap_or_default().with(database, outcome);
    let (target, answer) = if wants_update() { (&file, None) } else { (&news, Some(difference)) };
    std::fs::write(target, snapshot.render()).unwrap();
    proposed.insert(file, snapshot);
    answer
}

/// True if the person who runs the tests accepts all differences.
fn wants_update() -> bool {
    std::env::var("UPDATE_SNAPSHOTS").is_ok_and(|value| value == "1")
}

/// The lines that only one of the texts has. They show the change; the file has the rest.
fn differences(old: &str, new: &str) -> String {
    const SHOWN_MAX: usize = 40;
    let mut text = String::new();
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(a, b)| a == b).count();
    for (sign, lines) in [('-', &old[start..old.len() - end]), ('+', &new[start..new.len() - end])] {
        for line in lines.iter().take(SHOWN_MAX) {
            writeln!(text, "    {sign} {line}").unwrap();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(sqlite: &[&str], postgres: &[&str]) -> Snapshot {
        let own = |statements: &[&str]| statements.iter().map(|text| (*text).to_owned()).collect();
        let statements = [("sqlite".to_owned(), own(sqlite)), ("postgres".to_owned(), own(postgres))];
        Snapshot { answer: "data: {\n  \"a\": 1\n}\n".to_owned(), statements: statements.into() }
    }

    #[test]
    fn a_written_snapshot_parses_to_the_same_content() {
        for given in [snapshot(&["SELECT 1"], &["SELECT 1"]), snapshot(&["A", "B"], &[]), snapshot(&[], &[])] {
            let read = Snapshot::parse(&given.render());
            assert_eq!((&read.answer, &read.statements), (&given.answer, &given.statements), "{}", given.render());
        }
    }

    #[test]
    fn a_difference_is_told_by_its_lines() {
        assert_eq!(differences("a\nb\nc", "a\nx\nc"), "    - b\n    + x\n");
    }

    #[test]
    fn a_different_answer_or_statement_fails_the_case() {
        let folder = tempfile::tempdir().unwrap();
        let case = folder.path().join("a.graphql");
        let outcome = Outcome { answer: "data: 1\n".to_owned(), statements: vec!["SELECT 1".to_owned()] };
        let other = Outcome { answer: "data: 2\n".to_owned(), ..outcome.clone() };
        if wants_update() {
            assert_eq!(compare(&case, "sqlite", &outcome), None);
            assert!(compare(&case, "postgres", &other).unwrap().contains("answer differently"));
            return;
        }
        assert!(compare(&case, "sqlite", &outcome).unwrap().contains("no snapshot"));
        assert!(compare(&case, "postgres", &other).unwrap().contains("answer differently"));
        assert!(compare(&case, "postgres", &outcome).is_some());
        std::fs::rename(case.with_extension("snap.new"), case.with_extension("snap")).unwrap();
        assert_eq!(compare(&case, "postgres", &outcome), None);
        assert!(compare(&case, "sqlite", &other).is_some());
        let more = Outcome { statements: vec!["SELECT 1".to_owned(), "SELECT 2".to_owned()], ..outcome };
        assert!(compare(&case, "sqlite", &more).is_some());
    }
}
