//! Files: their style, their heads, their length, their names.

use super::{
    finding::{Finding, assert_found, assert_kept, unneeded},
    source::{self, Source, repository_files},
};

const LINES_MAX: usize = 400;

/// Files that may be longer than `LINES_MAX`, each with the reason.
const LONGER_FILES: &[(&str, &str)] = &[];

const CODE: &[&str] = &["src/", "crates/", "tests/", "benches/", "migrations/"];

fn style(path: &str) -> Option<Finding> {
    let folder = path.strip_suffix("/mod.rs")?;
    let fix = format!("move it to {folder}.rs, beside the folder of its children");
    Some(Finding::new(path, 1, "the module is a `mod.rs`", fix))
}

fn head(source: &Source) -> Option<Finding> {
    (!source.raw.starts_with("//!")).then(|| {
        let fix = "begin with two to six lines of `//!`: the content of the file, and anything it never does";
        Finding::new(&source.path, 1, "the file has no head", fix)
    })
}

fn length(source: &Source, lines_max: usize, longer: &[(&str, &str)]) -> Option<Finding> {
    let lines = source.lines();
    let is_long = lines > lines_max && !longer.iter().any(|(path, _)| *path == source.path);
    is_long.then(|| {
        let fix = "split it by what a reader asks, or name it with a reason in LONGER_FILES";
        Finding::new(&source.path, lines, format!("{lines} lines without tests, at most {lines_max}"), fix)
    })
}

/// Names under which anything could be filed.
fn vague(path: &str) -> Vec<Finding> {
    let is_vague = |word: &str| {
        matches!(word, "util" | "utils" | "helper" | "helpers" | "common" | "manager" | "managers" | "misc")
    };
    path.split('/')
        .map(|part| part.split('.').next().unwrap_or_default())
        .filter(|stem| stem.split(['_', '-']).any(is_vague))
        .map(|stem| Finding::new(path, 1, format!("`{stem}` says nothing"), "name it after what it does or knows"))
        .collect()
}

#[test]
fn modules_have_one_style() {
    let ours = repository_files().iter().filter(|path| CODE.iter().any(|folder| path.starts_with(folder)));
    assert_kept(ours.filter_map(|path| style(path)));
}

#[test]
fn every_file_has_a_head() {
    assert_kept(source::below(CODE).filter_map(head));
}

#[test]
fn files_stay_short() {
    assert_kept(source::product().filter_map(|source| length(source, LINES_MAX, LONGER_FILES)));
    let is_needed =
        |path: &str| source::product().any(|file| file.path == path && length(file, LINES_MAX, &[]).is_some());
    assert_kept(unneeded("LONGER_FILES", LONGER_FILES.iter().map(|(path, _)| *path), is_needed));
}

#[test]
fn no_file_has_a_vague_name() {
    let ours = repository_files().iter().filter(|path| CODE.iter().any(|folder| path.starts_with(folder)));
    assert_kept(ours.flat_map(|path| vague(path)));
}

mod planted {
    use super::*;

    fn found(finding: Option<Finding>) -> Vec<Finding> {
        finding.into_iter().collect()
    }

    #[test]
    fn a_module_of_the_other_style() {
        assert_found(&found(style("src/live/bus/mod.rs")), 1, "src/live/bus.rs");
        assert_found(&found(style("tests/it/live/mod.rs")), 1, "tests/it/live.rs");
        assert_kept(style("src/live/model.rs"));
    }

    #[test]
    fn a_file_without_head() {
        assert_found(&found(head(&Source::new("src/a.rs", "use x;\n// late"))), 1, "head");
        assert_kept(head(&Source::new("src/a.rs", "//! Ids of entities.\n")));
    }

    #[test]
    fn a_long_file() {
        let long = Source::new("src/a.rs", "fn a() {}\n\nfn b() {}\n#[cfg(test)]\nmod tests {}\n");
        assert_found(&found(length(&long, 2, &[])), 3, "3 lines");
        assert_kept(length(&long, 3, &[]));
        assert_kept(length(&long, 2, &[("src/a.rs", "one table")]));
    }

    #[test]
    fn a_vague_name() {
        assert_found(&vague("src/http/utils.rs"), 1, "utils");
        assert_found(&vague("tests/it/common/x.rs"), 1, "common");
        assert_found(&vague("src/live/bus_manager.rs"), 1, "bus_manager");
        assert_kept(vague("src/live/commonplace.rs"));
    }

    #[test]
    fn an_exception_without_need() {
        assert_found(&unneeded("TABLE", ["src/a.rs"], |_| false), 1, "TABLE without need");
        assert_kept(unneeded("TABLE", ["src/a.rs"], |_| true));
    }
}
