//! ARCHITECTURE.md names every room, names no path that is gone, and stays short.

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{is_within, repository_files, sources, text},
};

const LINES_MAX: usize = 150;

/// Characters of a path; a code span with any other is no path.
fn is_path(span: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '/');
    let is_file = |span: &str| [".rs", ".toml", ".graphql", ".md"].iter().any(|end| span.ends_with(end));
    !span.starts_with('/') && span.chars().all(is_part) && (span.contains('/') || is_file(span))
}

/// The paths in the text with their lines: code spans, and the names that begin a line of a block.
fn named(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_in_block = !is_in_block;
        } else if is_in_block {
            let mut names = line.split_whitespace().map(|name| name.trim_end_matches(','));
            found.extend(names.next().filter(|name| is_path(name)).map(|name| (index + 1, name)));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.filter(|span| is_path(span)).map(|span| (index + 1, span)));
        }
    }
    found
}

/// True when a file or folder of the repository has the path, perhaps below others: `documents/merging` is
/// `src/graphql/documents/merging.rs`.
fn exists(path: &str, files: &[String]) -> bool {
    let path = path.trim_end_matches('/');
    files.iter().any(|file| {
        let starts = file.match_indices(path).map(|(at, _)| at).filter(|at| *at == 0 || file[..*at].ends_with('/'));
        starts.map(|at| &file[at..]).any(|found| found == path || is_within(found, path))
    })
}

fn check(text: &str, rooms: &[String], files: &[String]) -> Vec<Finding> {
    let path = "ARCHITECTURE.md";
    let lines = text.lines().count();
    let long = (lines >= LINES_MAX).then(|| {
        let fix = "move the details into the heads of the files";
        Finding::new(path, lines, format!("the map has {lines} lines and must stay under {LINES_MAX}"), fix)
    });
    let is_named = |room: &String| {
        let mut words = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '/' | '.'));
        words.any(|word| word == format!("{room}/") || word == format!("{room}.rs"))
    };
    let absent = rooms.iter().filter(|room| !is_named(room)).map(|room| {
        Finding::new(path, 1, format!("the map does not name `{room}`"), "add the line that says what lives there")
    });
    let gone = named(text).into_iter().filter(|(_, name)| !exists(name, files)).map(|(line, name)| {
        Finding::new(path, line, format!("`{name}` does not exist"), "name the file that does this now")
    });
    long.into_iter().chain(absent).chain(gone).collect()
}

#[test]
fn the_map_is_short_complete_and_true() {
    let product =
        sources().iter().filter(|source| source.path.starts_with("src/") || source.path.starts_with("crates/"));
    let mut rooms: Vec<String> = product.filter_map(|source| source.module.first().cloned()).collect();
    rooms.sort();
    rooms.dedup();
    assert_kept(check(&text("ARCHITECTURE.md"), &rooms, repository_files()));
}

mod planted {
    use super::*;

    #[test]
    fn an_incomplete_map() {
        let rooms = ["live".to_owned()];
        let files = ["src/live.rs".to_owned(), "src/live/bus.rs".to_owned()];
        let check = |text: &str| check(text, &rooms, &files);
        assert_found(&check("auth/"), 1, "does not name `live`");
        assert_found(&check(&format!("live/{}", "\n".repeat(LINES_MAX))), LINES_MAX, "under 150");
        assert_found(&check("live/\n\n`live/relay` told others"), 3, "live/relay");
        assert_found(&check("```\nsrc/\n  relay.rs  told others\n```\nlive/"), 3, "relay.rs");
        assert_kept(check("live/\n`live/bus`, `src/live/bus.rs`, `/readyz`, `GET /x`, `live/cursors(x)`"));
        assert_kept(check("```\nsrc/\n  live.rs, live/  pushes\n```\n"));
    }
}
