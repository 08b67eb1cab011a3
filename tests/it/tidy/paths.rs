//! Nothing points at the folders of one machine.

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{repository_files, text},
};

/// Spelled in halves, or this file would be its own finding.
const MACHINE_ROOTS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

fn machine_paths(path: &str, text: &str, roots: &[&str]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for root in roots {
            let is_path = line.match_indices(root).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}' | '>'))
            });
            if is_path {
                let fix = "use a path from the repository's root";
                found.push(Finding::new(path, index + 1, format!("`{root}` is a folder of one machine"), fix));
            }
        }
    }
    found
}

#[test]
fn nothing_points_at_one_machine() {
    assert_kept(repository_files().iter().flat_map(|path| machine_paths(path, &text(path), MACHINE_ROOTS)));
}

mod planted {
    use super::*;

    #[test]
    fn a_machine_path() {
        let check = |text: &str| machine_paths("README.md", text, MACHINE_ROOTS);
        assert_found(&check(concat!("\ncd /wo", "rk/x")), 2, "one machine");
        assert_found(&check(concat!("\"/ro", "ot/x\"")), 1, "one machine");
        assert_kept(check(concat!("see docs/wo", "rk/x and /network/x")));
    }
}
