//! Nothing reads the database that nobody has explained: every function of the rooms that read is named where its plans
//! are looked at, `directory/query_plans.rs` and `reports/query_plans.rs`.

use std::path::Path;

use crate::harness::server::repository;

/// Files whose functions change something: what they read is one row that they lock.
const CHANGES: [&str; 2] = ["change.rs", "team.rs"];

/// Public functions of a file that ask a database, each with the names that it may be called by.
fn asking(file: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let modules: Vec<_> = file.ancestors().take(3).map(name).collect();
    let functions = text.lines().filter_map(|line| line.strip_prefix("pub async fn "));
    functions
        .map(|line| {
            let function = line.split(['(', '<']).next().unwrap();
            modules.iter().map(|module| format!("{module}::{function}")).collect()
        })
        .collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_question_to_the_database_is_explained() {
    let read = |file| std::fs::read_to_string(repository(file)).unwrap();
    let explained = read("tests/it/directory/query_plans.rs") + &read("tests/it/reports/query_plans.rs");
    let is_explained = |name: &String| ["(", "::<"].iter().any(|behind| explained.contains(&format!("{name}{behind}")));
    let mut asked = 0;
    for room in ["src/directory", "src/reports"] {
        for file in files(&repository(room)) {
            if CHANGES.iter().any(|name| file.ends_with(name)) {
                continue;
            }
            for names in asking(&file) {
                asked += 1;
                assert!(names.iter().any(is_explained), "nobody looks at the plans of {}", names[0]);
            }
        }
    }
    assert!(asked >= 20, "{asked}");
}
