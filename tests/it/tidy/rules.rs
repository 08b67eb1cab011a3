//! How a rule is checked. What the rules say stands in `tidy.rs`; nothing here names a room.

use std::fmt;

use super::source::{Source, is_name};

/// A broken rule: where, what it says, what to do.
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub rule: String,
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}. Fix: {}", self.path, self.line, self.rule, self.fix)
    }
}

impl Finding {
    pub fn new(path: &str, line: usize, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule: rule.into(), fix: fix.into() }
    }
}

/// A room (module at the crate's root) and what it may import: `"model"`, or one name of a room: `"db::Db"`.
pub struct Room {
    pub name: &'static str,
    pub may_import: &'static [&'static str],
}

/// Stands for all rooms.
pub const EVERYTHING: &[&str] = &["*"];

pub fn imports(source: &Source, rooms: &[Room]) -> Vec<Finding> {
    let module = source.module();
    let Some(own) = module.first() else { return Vec::new() };
    let Some(room) = rooms.iter().find(|room| room.name == *own) else {
        let fix =
            format!("decide what `{own}` may import and add it to ROOMS in tests/it/tidy.rs and to ARCHITECTURE.md");
        return vec![Finding::new(&source.path, 1, format!("`{own}` is a room that nobody placed"), fix)];
    };
    if room.may_import == EVERYTHING {
        return Vec::new();
    }
    let mut found = Vec::new();
    for path in &source.paths {
        let Some(resolved) = source.resolved(path) else {
            continue;
        };
        let Some(target) = resolved.first() else { continue };
        // A name at the crate's root that is no room is a macro or a re-export.
        if target == own || !rooms.iter().any(|room| room.name == target) {
            continue;
        }
        let item = resolved.get(1).map(|second| format!("{target}::{second}")).unwrap_or_default();
        if !room.may_import.iter().any(|allowed| *allowed == target || *allowed == item) {
            let named = if item.is_empty() { target } else { &item };
            found.push(Finding::new(
                &source.path,
                path.line,
                format!("`{own}` may not import `{named}`"),
                format!("it may import {}; let the caller hand the value in, or move the code", list(room.may_import)),
            ));
        }
    }
    found
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing of this crate".to_owned() } else { names.join(", ") }
}

/// Where something may stand.
pub enum Places {
    Only(&'static [&'static str]),
    /// Not in the first, but for the second.
    Never(&'static [&'static str], &'static [&'static str]),
}

impl Places {
    fn allow(&self, source: &Source) -> bool {
        match self {
            Self::Only(places) => source.is_within_any(places),
            Self::Never(places, but) => source.is_within_any(but) || !source.is_within_any(places),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Only(places) => format!("only {} may", places.join(", ")),
            Self::Never(places, _) => format!("{} may not", places.join(", ")),
        }
    }
}

/// A foreign crate that stays where it belongs.
pub struct Framework {
    pub name: &'static str,
    pub places: Places,
    pub fix: &'static str,
}

pub fn frameworks(source: &Source, rules: &[Framework]) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| !rule.places.allow(source)) {
        for path in source.paths.iter().filter(|path| path.names.len() > 1 && path.names[0] == rule.name) {
            let says = format!("`{}` is named here, but {}", rule.name, rule.places.describe());
            found.push(Finding::new(&source.path, path.line, says, rule.fix));
        }
    }
    found
}

/// Functions that only some files may call, as the last two names of their path; `find*` stands for all that begin so.
pub struct Call {
    pub functions: &'static [(&'static str, &'static str)],
    pub only_in: &'static [&'static str],
    pub fix: &'static str,
}

pub fn calls(source: &Source, rules: &[Call]) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| !source.is_within_any(rule.only_in)) {
        for path in &source.paths {
            for pair in path.names.windows(2) {
                if rule.functions.iter().any(|(owner, name)| pair[0] == *owner && matches_name(&pair[1], name)) {
                    let says =
                        format!("`{}::{}` is named here, but only {} may", pair[0], pair[1], rule.only_in.join(", "));
                    found.push(Finding::new(&source.path, path.line, says, rule.fix));
                }
            }
        }
    }
    found
}

fn matches_name(name: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start))
}

/// Macros and attributes that never stand in the repository.
pub fn unfinished(source: &Source) -> Vec<Finding> {
    let text = |index: usize| source.tokens.get(index).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for (index, token) in source.tokens.iter().enumerate() {
        let word = token.text.as_str();
        if matches!(word, "todo" | "unimplemented" | "dbg") && text(index + 1) == "!" && text(index + 2) != "=" {
            let fix = "finish it, return an error, or leave it out";
            found.push(Finding::new(&source.path, token.line, format!("`{word}!` is unfinished work"), fix));
        }
        if word == "#" && text(index + 1) == "[" && text(index + 2) == "ignore" {
            let fix = "make the test pass and quick, or remove it";
            found.push(Finding::new(&source.path, token.line, "`#[ignore]` hides a test", fix));
        }
    }
    found
}

/// Every file begins by saying what lives in it.
pub fn head(source: &Source) -> Vec<Finding> {
    if source.raw.starts_with("//!") {
        return Vec::new();
    }
    let fix = "begin with two to six lines of `//!`: what lives here, what it never does";
    vec![Finding::new(&source.path, 1, "the file has no head", fix)]
}

/// Lines before the tests; `longer` names the files that may pass, each with its reason.
pub fn length(source: &Source, lines_max: usize, longer: &[(&str, &str)]) -> Vec<Finding> {
    let lines = source.raw.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
    if lines <= lines_max || source.is_test_module() || longer.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    let fix = "split it by what a reader asks, or name it with a reason in LONGER_FILES";
    vec![Finding::new(&source.path, lines, format!("{lines} lines without tests, at most {lines_max}"), fix)]
}

/// An exception that nothing needs any more only hides the next breach.
pub fn stale_exceptions(sources: &[Source], lines_max: usize, longer: &[(&str, &str)]) -> Vec<Finding> {
    longer
        .iter()
        .filter(|(path, _)| {
            !sources.iter().any(|source| source.path == *path && !length(source, lines_max, &[]).is_empty())
        })
        .map(|(path, _)| Finding::new(path, 1, "is in LONGER_FILES without need", "remove it from the list"))
        .collect()
}

/// `pub async fn f(scope: &Scope, ..)`: a room answers nobody whose rights it does not know.
pub fn scope_first(source: &Source, exceptions: &[(&str, &str)]) -> Vec<Finding> {
    let tokens: Vec<&str> = source.tokens.iter().map(|token| token.text.as_str()).collect();
    let mut found = Vec::new();
    for index in 0..tokens.len() {
        let Some(name_at) = public_async_name(&tokens[index..]).map(|offset| index + offset) else {
            continue;
        };
        let name = tokens[name_at];
        let says_so = exceptions.iter().any(|(excepted, _)| *excepted == name);
        if !says_so && !takes_scope_first(&tokens[name_at + 1..]) {
            found.push(Finding::new(
                &source.path,
                source.tokens[name_at].line,
                format!("`{name}` does not take `&Scope` first"),
                "take `scope: &Scope` as first argument and filter by its organization",
            ));
        }
    }
    found
}

/// Where the name stands, when `pub async fn` or `pub(crate) async fn` begins here.
fn public_async_name(tokens: &[&str]) -> Option<usize> {
    let after_pub = match tokens {
        ["pub", "(", "crate", ")", ..] => 4,
        ["pub", ..] => 1,
        _ => return None,
    };
    (tokens.get(after_pub..after_pub + 2)? == ["async", "fn"] && tokens.len() > after_pub + 2).then_some(after_pub + 2)
}

/// Reads from behind the name: generics, then `(`, perhaps a receiver, then `scope: &Scope`.
fn takes_scope_first(tokens: &[&str]) -> bool {
    let mut rest = tokens.iter().copied().peekable();
    let mut angles = 0_i32;
    for token in rest.by_ref() {
        match token {
            "<" => angles += 1,
            ">" => angles -= 1,
            "(" if angles <= 0 => break,
            _ => {}
        }
    }
    let arguments: Vec<&str> = rest.take(16).collect();
    let arguments = match arguments.as_slice() {
        ["&", "self", ",", rest @ ..] | ["self", ",", rest @ ..] => rest,
        all => all,
    };
    let [_, ":", "&", kind @ ..] = arguments else {
        return false;
    };
    kind.iter()
        .skip_while(|token| token.starts_with('\''))
        .take_while(|token| is_name(token) || **token == "::")
        .last()
        .is_some_and(|name| *name == "Scope")
}

/// Statements that change data, in a room that only reads.
pub fn writes(source: &Source) -> Vec<Finding> {
    let fix = "reports only read; a write belongs to ingest, directory or jobs";
    let names = ["ActiveModel", "insert_many", "update_many", "delete_many", "delete_by_id"];
    let by_name = source
        .tokens
        .iter()
        .filter(|token| names.contains(&token.text.as_str()))
        .map(|token| Finding::new(&source.path, token.line, format!("`{}` writes", token.text), fix));
    let by_statement = source.raw.lines().enumerate().filter_map(|(index, line)| {
        let statement =
            ["INSERT INTO ", "DELETE FROM ", "UPDATE "].iter().find(|statement| line.contains(**statement))?;
        Some(Finding::new(&source.path, index + 1, format!("`{}` writes", statement.trim()), fix))
    });
    by_name.chain(by_statement).collect()
}

/// Drawer names: whatever is in them belongs somewhere else.
pub fn drawers(path: &str) -> Vec<Finding> {
    let is_drawer = |word: &str| {
        matches!(word, "util" | "utils" | "helper" | "helpers" | "common" | "manager" | "managers" | "misc")
    };
    path.split('/')
        .map(|part| part.split('.').next().unwrap_or_default())
        .filter(|stem| stem.split(['_', '-']).any(is_drawer))
        .map(|stem| Finding::new(path, 1, format!("`{stem}` says nothing"), "name it after what it does or knows"))
        .collect()
}

/// Paths that exist on one machine only.
pub fn machine_paths(path: &str, text: &str, roots: &[&str]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for root in roots {
            let stands = line.match_indices(root).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}' | '>'))
            });
            if stands {
                let fix = "use a path from the repository's root";
                found.push(Finding::new(path, index + 1, format!("`{root}` is a folder of one machine"), fix));
            }
        }
    }
    found
}

/// The map stays short and complete.
pub fn map(path: &str, text: &str, lines_max: usize, folders: &[String]) -> Vec<Finding> {
    let lines = text.lines().count();
    let long = (lines >= lines_max).then(|| {
        let fix = "move the details into the heads of the files";
        Finding::new(path, lines, format!("the map has {lines} lines and must stay under {lines_max}"), fix)
    });
    let absent = folders.iter().filter(|folder| !text.contains(&format!("{folder}/"))).map(|folder| {
        Finding::new(path, 1, format!("the map does not name `{folder}/`"), "add the line that says what lives there")
    });
    long.into_iter().chain(absent).collect()
}
