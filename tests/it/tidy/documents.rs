//! Every rule that CONTRIBUTING.md lists names the tests that hold it.

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{Source, sources, text},
};

const PATH: &str = "CONTRIBUTING.md";

/// The list entries below the heading, each with its first line.
fn entries(text: &str, heading: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let lines = text.lines().enumerate().skip_while(|(_, line)| *line != heading).skip(1);
    for (index, line) in lines.take_while(|(_, line)| !line.starts_with("## ")) {
        if let Some(start) = line.strip_prefix("- ") {
            found.push((index + 1, start.to_owned()));
        } else if let Some((_, entry)) = found.last_mut().filter(|_| line.starts_with("  ")) {
            entry.push(' ');
            entry.push_str(line.trim());
        }
    }
    found
}

/// `tidy::scope::room_functions_take_the_scope_first` is a function of `tests/it/tidy/scope.rs`.
fn is_test(name: &str, sources: &[Source]) -> bool {
    let Some((module, function)) = name.rsplit_once("::") else { return false };
    let file = format!("tests/it/{}.rs", module.replace("::", "/"));
    sources
        .iter()
        .any(|source| source.path == file && source.functions.iter().any(|candidate| candidate.word.name == function))
}

fn check(text: &str, sources: &[Source]) -> Vec<Finding> {
    let entries = entries(text, "## Rules");
    let mut found = Vec::new();
    if entries.is_empty() {
        found.push(Finding::new(PATH, 1, "there is no list under `## Rules`", "list the rules there"));
    }
    for (line, entry) in entries {
        let names: Vec<&str> = entry.split('`').skip(1).step_by(2).filter(|span| span.starts_with("tidy::")).collect();
        if names.is_empty() {
            let fix = "end the entry with the test's name, as in (`tidy::scope::room_functions_take_the_scope_first`)";
            found.push(Finding::new(PATH, line, format!("no test holds \"{entry}\""), fix));
        }
        for name in names.iter().filter(|name| !is_test(name, sources)) {
            found.push(Finding::new(PATH, line, format!("`{name}` is no test"), "name the test that holds the rule"));
        }
    }
    found
}

#[test]
fn every_rule_names_its_test() {
    assert_kept(check(&text(PATH), sources()));
    assert!(!text("CHANGELOG.md").is_empty(), "CHANGELOG.md is missing: users read there what changed");
}

mod planted {
    use super::*;

    #[test]
    fn a_rule_without_a_test() {
        let sources = [Source::new("tests/it/tidy/scope.rs", "#[test]\nfn scope_first() {}")];
        let check = |text: &str| check(text, &sources);
        assert_found(&check("## Rules\n\n- Be kind.\n\n## More\n- No rule."), 3, "Be kind.");
        assert_found(&check("## Rules\n- Scope first (`tidy::scope::scope_last`)."), 2, "scope_last");
        assert_found(&check("## Verbs\n- None."), 1, "no list");
        assert_kept(check("## Rules\nIn short:\n\n- Scope\n  first (`tidy::scope::scope_first`).\n"));
    }
}
