//! The files of the repository. Every Rust file is parsed once for all rules.

use std::{
    collections::HashSet,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::reader::{Facts, NamePath, read};

/// One Rust file and what the rules ask about it.
pub struct Source {
    /// The path from the repository's root, with `/`.
    pub path: String,
    pub raw: String,
    /// The module path from the root of the crate; the first name is the room.
    pub module: Vec<String>,
    /// The file holds nothing but tests: it is named `tests`, or its parent declares it with `#[cfg(test)]`.
    pub is_test_module: bool,
    facts: Facts,
}

impl Deref for Source {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl Source {
    pub fn new(path: &str, raw: &str) -> Self {
        let facts = read(raw).unwrap_or_else(|error| panic!("{path} is no Rust file: {error}"));
        let is_test_module = path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("tests/");
        Self { path: path.to_owned(), raw: raw.to_owned(), module: module(path), is_test_module, facts }
    }

    /// True for the module `place` and below it: `src/live` is `src/live.rs` and all of `src/live/`.
    pub fn is_within(&self, place: &str) -> bool {
        is_within(&self.path, place)
    }

    pub fn is_within_any(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.is_within(place))
    }

    /// The paths and imports of the code that is not only compiled for tests.
    pub fn names(&self) -> impl Iterator<Item = &NamePath> {
        let imports = self.imports.iter().map(|import| &import.path);
        self.paths.iter().chain(imports).filter(|path| !path.is_test && !self.is_test_module)
    }

    /// The number of lines outside of tests.
    pub fn lines(&self) -> usize {
        if self.is_test_module {
            return 0;
        }
        let is_tested = |line: usize| self.test_lines.iter().any(|lines| lines.contains(&line));
        (1..=self.raw.lines().count()).filter(|line| !is_tested(*line)).count()
    }

    /// The path from the root of the crate, when `path` stays in this project and says so: `crate::`, `super::`, `self::`.
    pub fn resolved(&self, path: &NamePath) -> Option<Vec<String>> {
        let names = &path.names;
        let first = names.first()?.as_str();
        if matches!(first, "self" | "super") {
            let mut module: Vec<String> = self.module.iter().chain(&path.scope).cloned().collect();
            let up = names.iter().take_while(|name| *name == "super").count();
            module.truncate(module.len().checked_sub(up)?);
            let start = up + usize::from(first == "self");
            module.extend_from_slice(&names[start..]);
            return Some(module);
        }
        let mut resolved = match first {
            "crate" if self.path.starts_with("crates/") => vec![self.module[0].clone()],
            "crate" | "perfgraph" => Vec::new(),
            _ => vec![first.strip_prefix("perfgraph_")?.to_owned()],
        };
        resolved.extend_from_slice(&names[1..]);
        Some(resolved)
    }
}

pub fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// `src/graphql/types/project.rs` is `["graphql", "types", "project"]`, and so is `crates/graphql/src/types/project.rs`.
fn module(path: &str) -> Vec<String> {
    let inner = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let (room, inner) = match inner.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")) {
        Some((room, inner)) => (Some(room), inner),
        None => (None, inner.trim_start_matches("src/")),
    };
    room.into_iter().chain(inner.split('/').filter(|name| *name != "lib")).map(str::to_owned).collect()
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that is in git or would be added to it: the content of a clone, without anything that was built.
pub fn repository_files() -> &'static [String] {
    static FILES: OnceLock<Vec<String>> = OnceLock::new();
    FILES.get_or_init(|| {
        let output = Command::new("git")
            // A clone that another user made is still only read here.
            .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root())
            .output()
            .unwrap_or_else(|error| panic!("tests/it/tidy.rs needs `git` in PATH: {error}"));
        assert!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
        let mut files: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|path| !path.is_empty() && root().join(path).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        files
    })
}

/// Every Rust file of the repository.
pub fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let rust = repository_files().iter().filter(|path| Path::new(path).extension().is_some_and(|end| end == "rs"));
        let mut sources: Vec<Source> = rust.map(|path| Source::new(path, &text(path))).collect();
        mark_test_modules(&mut sources);
        sources
    })
}

fn mark_test_modules(sources: &mut [Source]) {
    let mut declared: HashSet<Vec<String>> = HashSet::new();
    for source in sources.iter() {
        for child in source.modules.iter().filter(|child| child.is_test) {
            declared.insert(source.module.iter().chain([&child.name]).cloned().collect());
        }
    }
    for source in sources {
        source.is_test_module |= (1..=source.module.len()).any(|length| declared.contains(&source.module[..length]));
    }
}

/// The Rust files below the given folders.
pub fn below(folders: &[&str]) -> impl Iterator<Item = &'static Source> {
    let found: Vec<&Source> =
        sources().iter().filter(|source| folders.iter().any(|folder| source.path.starts_with(folder))).collect();
    assert!(!found.is_empty(), "found no Rust file below {folders:?}");
    found.into_iter()
}

/// The product's own code.
pub fn product() -> impl Iterator<Item = &'static Source> {
    below(&["src/", "crates/"])
}

/// A file's text; empty when it is not text (a picture).
pub fn text(path: &str) -> String {
    let bytes = std::fs::read(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    String::from_utf8(bytes).unwrap_or_default()
}

mod tests {
    use super::*;

    #[test]
    fn super_is_resolved_from_the_file_and_from_modules_in_it() {
        let raw = "use super::super::db::Db; use super::Poke; use self::ring::Ring;\nmod inner { use super::Outer; }";
        let source = Source::new("src/live/window.rs", raw);
        let resolved: Vec<_> = source.names().filter_map(|path| source.resolved(path)).map(|p| p.join("::")).collect();
        assert_eq!(resolved, ["db::Db", "live::Poke", "live::window::ring::Ring", "live::window::Outer"]);
    }

    #[test]
    fn a_crate_of_the_workspace_is_a_room() {
        let source = Source::new("crates/model/src/id.rs", "use crate::page::Page; use perfgraph_error::Error;");
        assert_eq!(source.module, ["model", "id"]);
        let resolved: Vec<_> = source.names().filter_map(|path| source.resolved(path)).map(|p| p.join("::")).collect();
        assert_eq!(resolved, ["model::page::Page", "error::Error"]);
    }

    #[test]
    fn lines_of_tests_are_not_counted() {
        let raw = "//! Head.\n\nfn one() {}\n#[cfg(test)]\nmod tests {\n    fn two() {}\n}\nfn three() {}\n";
        assert_eq!(Source::new("src/a.rs", raw).lines(), 4);
        assert_eq!(Source::new("src/a/tests.rs", raw).lines(), 0);
    }
}
