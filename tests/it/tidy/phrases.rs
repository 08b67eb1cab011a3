//! Documentation names the thing first, and says it in the field's terms.

use std::collections::BTreeMap;

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{self, repository_files, text},
};

/// Doc comments that begin with one of these have to be read twice. A few read well.
const QUESTIONS: &[&str] = &["what", "who", "whose", "whom", "whoever", "where", "whether", "how", "when", "which"];
const QUESTIONS_PERCENT_MAX: usize = 5;

/// Phrases for which the field has a word, spelled in halves, or this file would be its own finding.
const FORBIDDEN: &[&str] =
    &[concat!("so ", "many"), concat!("so ", "long"), concat!("what is to ", "become of"), concat!("as ", "whom")];

/// The texts that a user or a newcomer reads.
const READ: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/frontend.md", "schema.graphql"];
const READ_BELOW: &[&str] = &["src/", "crates/", "migrations/", "benches/", "web/README", "postman/README"];

/// The first lines of the doc comments of a Rust file.
fn doc_comments(raw: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut previous = "";
    for (index, line) in raw.lines().enumerate() {
        let line = line.trim_start();
        let marker = ["///", "//!"].into_iter().find(|marker| line.starts_with(marker)).unwrap_or_default();
        if !marker.is_empty() && marker != previous {
            found.push((index + 1, line[marker.len()..].trim_start()));
        }
        previous = marker;
    }
    found
}

/// The first lines of the descriptions of a schema: texts between `"""` or, on one line, `"`.
fn descriptions(schema: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_inside = false;
    let mut is_first = false;
    for (index, line) in schema.lines().enumerate() {
        let line = line.trim();
        if is_first && !line.is_empty() {
            found.push((index + 1, line));
            is_first = false;
        }
        let quotes = line.matches("\"\"\"").count();
        if let Some(start) = line.strip_prefix("\"\"\"").filter(|_| !is_inside) {
            is_first = start.is_empty();
            found.extend((!start.is_empty()).then_some((index + 1, start)));
        } else if let Some(start) = line.strip_prefix('"').filter(|_| !is_inside) {
            found.push((index + 1, start));
        }
        is_inside ^= quotes == 1;
    }
    found
}

fn begins_with_question(text: &str) -> bool {
    let first = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_lowercase();
    QUESTIONS.contains(&first.as_str())
}

/// Occurrences as whole words, in any case.
fn forbidden(path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.to_lowercase();
        for phrase in FORBIDDEN {
            let is_bare = |at: usize| {
                !line[..at].ends_with(char::is_alphanumeric)
                    && !line[at + phrase.len()..].starts_with(|c: char| c.is_alphanumeric())
            };
            if line.match_indices(phrase).any(|(at, _)| is_bare(at)) {
                let fix = "use the field's term: a maximum, a duration, a limit, the caller";
                found.push(Finding::new(path, index + 1, format!("\"{phrase}\" is vague"), fix));
            }
        }
    }
    found
}

/// Doc comments, and those among them that begin with a question, by folder.
fn shares<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, (usize, usize)> {
    let mut shares: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (folder, raw) in files {
        let comments = doc_comments(raw);
        let share = shares.entry(folder.to_owned()).or_default();
        share.0 += comments.len();
        share.1 += comments.iter().filter(|(_, text)| begins_with_question(text)).count();
    }
    shares
}

fn check_share(shares: &BTreeMap<String, (usize, usize)>, percent_max: usize) -> Option<Finding> {
    let all = shares.values().map(|(all, _)| all).sum::<usize>();
    let questions = shares.values().map(|(_, questions)| questions).sum::<usize>();
    (questions * 100 > all * percent_max).then(|| {
        let rule = format!("{questions} of {all} doc comments begin with a question word, at most {percent_max} %");
        Finding::new("src", 1, rule, "name the thing first: a noun phrase, or a verb in the third person")
    })
}

#[test]
fn doc_comments_name_the_thing_first() {
    let sources = source::below(&["src/", "crates/", "migrations/", "benches/"]);
    let files = sources.map(|source| {
        let room = source.module.first().map_or("lib", String::as_str);
        (
            if source.path.starts_with("src/") { room } else { &source.path[..source.path.find('/').unwrap()] },
            &*source.raw,
        )
    });
    let shares = shares(files);
    for (room, (all, questions)) in &shares {
        println!("{room:<12}{questions:>5} of{all:>5}{:>4} %", questions * 100 / (*all).max(1));
    }
    assert_kept(check_share(&shares, QUESTIONS_PERCENT_MAX));
}

#[test]
fn descriptions_of_the_schema_name_the_thing_first() {
    let schema = text("schema.graphql");
    let descriptions = descriptions(&schema);
    assert!(descriptions.len() > 500, "found only {} descriptions", descriptions.len());
    let questions = descriptions.into_iter().filter(|(_, text)| begins_with_question(text));
    assert_kept(questions.map(|(line, text)| {
        Finding::new("schema.graphql", line, format!("begins with a question word: {text}"), "name the thing first")
    }));
}

#[test]
fn no_text_is_vague() {
    let below = repository_files().iter().filter(|path| READ_BELOW.iter().any(|folder| path.starts_with(folder)));
    let files = READ.iter().copied().chain(below.map(String::as_str));
    assert_kept(files.flat_map(|path| forbidden(path, &text(path))));
}

mod planted {
    use super::*;

    #[test]
    fn a_comment_that_begins_with_a_question() {
        let raw = "//! Where rows are kept.\n\n/// The rows.\n/// What they hold.\nstruct A;\n// How\n/// Whereas.\n";
        assert_eq!(doc_comments(raw), [(1, "Where rows are kept."), (3, "The rows."), (7, "Whereas.")]);
        let shares = shares([("live", raw)]);
        assert_eq!(shares["live"], (3, 1));
        assert_found(&check_share(&shares, 32).into_iter().collect::<Vec<_>>(), 1, "1 of 3");
        assert_kept(check_share(&shares, 34));
    }

    #[test]
    fn a_description_that_begins_with_a_question() {
        let schema = "\"\"\"\nWhat it is.\n\nWho\n\"\"\"\ntype A {\n  \"\"\"Its \"name\".\"\"\"\n  a(\"How many.\" b: Int): ID\n  \
                      \"How.\"\n  c: ID\n}";
        assert_eq!(descriptions(schema), [(2, "What it is."), (7, "Its \"name\".\"\"\""), (9, "How.\"")]);
        let questions = descriptions(schema).into_iter().filter(|(_, text)| begins_with_question(text));
        assert_eq!(questions.map(|(line, _)| line).collect::<Vec<_>>(), [2, 9]);
    }

    #[test]
    fn a_vague_phrase() {
        assert_found(&forbidden("a.md", concat!("\nThe first so ", "many, at most 100.")), 2, "many");
        assert_found(&forbidden("a.md", concat!("As ", "whom the server asks.")), 1, "whom");
        assert_kept(forbidden("a.md", "also many, so longing"));
    }
}
