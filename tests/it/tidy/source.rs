//! What the house rules are read from: the files of the repository, and Rust text as tokens and paths.
//! A rough reader, not a parser: it knows comments, literals and `use` trees, which is all that the rules ask.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One Rust file, without comments, literals and `#[cfg(test)]` items.
pub struct Source {
    /// From the repository's root, with `/`.
    pub path: String,
    pub raw: String,
    pub tokens: Vec<Token>,
    /// `crate::a::b`, `Instant::now`, every leaf of a `use` tree: each written out in full.
    pub paths: Vec<NamePath>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

#[derive(Debug, PartialEq)]
pub struct NamePath {
    pub names: Vec<String>,
    pub line: usize,
}

impl Source {
    pub fn new(path: &str, raw: &str) -> Self {
        let tokens = without_test_items(tokens(raw));
        let paths = paths(&tokens);
        Self { path: path.to_owned(), raw: raw.to_owned(), tokens, paths }
    }

    /// Is this file the module `place` or below it? `src/live` is `src/live.rs` and all of `src/live/`.
    pub fn is_within(&self, place: &str) -> bool {
        self.path.strip_prefix(place).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    pub fn is_within_any(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.is_within(place))
    }

    /// A file that holds nothing but tests: `tests.rs` beside the module, or a folder of that name.
    pub fn is_test_module(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// `src/graphql/types/project.rs` is `["graphql", "types", "project"]`.
    pub fn module(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        if inner == "lib" { Vec::new() } else { inner.split('/').collect() }
    }

    /// The path from the crate's root, when `path` stays inside the crate.
    pub fn resolved(&self, path: &NamePath) -> Option<Vec<String>> {
        let names = &path.names;
        match names.first()?.as_str() {
            "crate" | "perfgraph" => Some(names[1..].to_vec()),
            "self" | "super" => {
                let module = self.module();
                let up = names.iter().take_while(|name| *name == "super").count();
                let start = up + usize::from(names[0] == "self");
                let kept = module.len().checked_sub(up)?;
                Some(module[..kept].iter().map(ToString::to_string).chain(names[start..].iter().cloned()).collect())
            }
            _ => None,
        }
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that is in git or would be added to it: what a clone gets, and nothing that was built.
pub fn repository_files() -> Vec<String> {
    let output = Command::new("git")
        // A clone that another user made is still only read here.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("the house rules need `git` in PATH: {error}"));
    assert!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let mut files: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The Rust files below the given folders.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    repository_files()
        .iter()
        .filter(|path| Path::new(path).extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| folders.iter().any(|folder| path.starts_with(folder)))
        .map(|path| Source::new(path, &text(path)))
        .collect()
}

/// A file's text; empty when it is not text (a picture).
pub fn text(path: &str) -> String {
    let bytes = std::fs::read(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    String::from_utf8(bytes).unwrap_or_default()
}

fn tokens(raw: &str) -> Vec<Token> {
    let chars: Vec<char> = raw.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut line, mut index) = (Vec::new(), 1, 0);
    while index < chars.len() {
        let start = index;
        let mut text = None;
        match (at(index), at(index + 1)) {
            ('/', '/') => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            ('/', '*') => index = end_of_block_comment(&chars, index),
            ('"', _) => index = end_of_string(&chars, index),
            ('\'', next) => {
                // 'a' and '\n' are characters, 'a is a lifetime.
                if next == '\\' || at(index + 2) == '\'' {
                    index += if next == '\\' { 3 } else { 2 };
                    while index < chars.len() && at(index) != '\'' {
                        index += 1;
                    }
                    index += 1;
                } else {
                    index += 1;
                    while is_word(at(index)) {
                        index += 1;
                    }
                    text = Some(chars[start..index].iter().collect());
                }
            }
            (c, _) if is_word(c) => {
                while is_word(at(index)) {
                    index += 1;
                }
                let word: String = chars[start..index].iter().collect();
                let prefixes_literal = matches!(word.as_str(), "r" | "b" | "c" | "br" | "cr");
                let hashes = chars[index..].iter().take_while(|c| **c == '#').count();
                if prefixes_literal && at(index + hashes) == '"' && (hashes == 0 || word.ends_with('r')) {
                    index = if word.ends_with('r') {
                        end_of_raw_string(&chars, index, hashes)
                    } else {
                        end_of_string(&chars, index)
                    };
                } else {
                    text = Some(word);
                }
            }
            (':', ':') => {
                index += 2;
                text = Some("::".to_owned());
            }
            (c, _) => {
                index += 1;
                text = (!c.is_whitespace()).then(|| c.to_string());
            }
        }
        found.extend(text.map(|text| Token { text, line }));
        line += chars[start..index.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut index, mut depth) = (start, 0);
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => (depth, index) = (depth + 1, index + 2),
            ('*', Some('/')) => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            break;
        }
    }
    index
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut index = start + 1;
    while index < chars.len() && chars[index] != '"' {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

fn end_of_raw_string(chars: &[char], start: usize, hashes: usize) -> usize {
    let mut index = start + hashes + 1;
    while index < chars.len() {
        if chars[index] == '"' && chars[index + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return index + 1 + hashes;
        }
        index += 1;
    }
    index
}

fn without_test_items(tokens: Vec<Token>) -> Vec<Token> {
    let is_at = |index: usize, wanted: &[&str]| {
        wanted
            .iter()
            .enumerate()
            .all(|(offset, text)| tokens.get(index + offset).is_some_and(|token| token.text == *text))
    };
    let (mut kept, mut index) = (Vec::new(), 0);
    while index < tokens.len() {
        if is_at(index, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            index = end_of_item(&tokens, index + 7);
        } else {
            kept.push(tokens[index].clone());
            index += 1;
        }
    }
    kept
}

/// Past the `;` or the closing brace of the item that begins at `start`.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let (mut depth, mut index) = (0, start);
    while index < tokens.len() {
        let text = tokens[index].text.as_str();
        match text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        index += 1;
        if depth == 0 && matches!(text, ";" | "}") {
            break;
        }
    }
    index
}

/// Words that stand before a path, as in `impl ::axum::X for Y`, and never in it.
const KEYWORDS: &[&str] = &[
    "as", "dyn", "else", "fn", "for", "if", "impl", "in", "let", "match", "move", "mut", "pub", "ref", "return", "use",
    "where",
];

pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn paths(tokens: &[Token]) -> Vec<NamePath> {
    let (mut found, mut index) = (Vec::new(), 0);
    while index < tokens.len() {
        let text = tokens[index].text.as_str();
        let begins = is_name(text) && !KEYWORDS.contains(&text);
        index = if begins { read_path(tokens, index, &[], &mut found) } else { index + 1 };
    }
    found
}

/// Reads the path at `start` and, below a brace, each of its branches; returns where it ends.
fn read_path(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<NamePath>) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut names = prefix.to_vec();
    let mut index = start;
    loop {
        if is_name(text(index)) {
            // `{self, Now}`: self is the path before the brace.
            if !(text(index) == "self" && index == start && !prefix.is_empty()) {
                names.push(text(index).to_owned());
            }
            index += 1;
        } else if text(index) == "{" && index > start {
            index += 1;
            while index < tokens.len() && text(index) != "}" {
                let branch = is_name(text(index));
                index = if branch { read_path(tokens, index, &names, found) } else { index + 1 };
                if text(index) == "as" {
                    index += 2;
                }
            }
            return index + 1;
        }
        if text(index) != "::" || !(is_name(text(index + 1)) || text(index + 1) == "{") {
            break;
        }
        index += 1;
    }
    found.push(NamePath { names, line: tokens[start].line });
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(raw: &str) -> Vec<String> {
        Source::new("src/live/window.rs", raw).paths.iter().map(|path| path.names.join("::")).collect()
    }

    #[test]
    fn a_use_tree_is_written_out_in_full() {
        assert_eq!(
            written("use crate::{db::{self, Db as D}, model::Id, *};\nfn f() { ::axum::serve::<X>() }"),
            ["crate::db", "crate::db::Db", "crate::model::Id", "f", "axum::serve", "X"]
        );
    }

    #[test]
    fn comments_literals_and_tests_are_not_read() {
        let raw = "/* a /* b */ c */ one // two\n\"three \\\" \" r#\"fo\"ur\"# 'x' '\\'' b\"five\" &'static six\n\
                   #[cfg(test)]\nmod tests { fn seven() { [0; 2] } }\n#[cfg(test)] use eight;\nnine";
        assert_eq!(written(raw), ["one", "six", "nine"]);
    }

    #[test]
    fn lines_are_counted_through_literals() {
        assert_eq!(Source::new("src/a.rs", "\"\n\n\" // x\n\nword").tokens, [Token { text: "word".into(), line: 5 }]);
    }

    #[test]
    fn super_is_resolved_from_the_file() {
        let source =
            Source::new("src/live/window.rs", "use super::super::db::Db; use super::Publisher; use self::ring::Ring;");
        let resolved: Vec<_> =
            source.paths.iter().filter_map(|path| source.resolved(path)).map(|p| p.join("::")).collect();
        assert_eq!(resolved, ["db::Db", "live::Publisher", "live::window::ring::Ring"]);
    }
}
