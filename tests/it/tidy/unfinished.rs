//! No unfinished work, no ignored tests, and lints are expected with a reason, never allowed.

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{self, Source},
};

fn unfinished(source: &Source) -> Vec<Finding> {
    let macros = source.macros.iter().filter(|word| matches!(word.name.as_str(), "todo" | "unimplemented" | "dbg"));
    let macros = macros.map(|word| {
        let fix = "finish it, return an error, or leave it out";
        Finding::new(&source.path, word.line, format!("`{}!` is unfinished work", word.name), fix)
    });
    let attributes = source.attributes.iter().filter_map(|word| match word.name.as_str() {
        "ignore" => {
            let fix = "make the test pass and quick, or remove it";
            Some(Finding::new(&source.path, word.line, "`#[ignore]` hides a test", fix))
        }
        "allow" => {
            let fix = "write `#[expect(lint, reason = \"..\")]`, which says when it is not needed any more";
            Some(Finding::new(&source.path, word.line, "`#[allow]` hides a lint", fix))
        }
        _ => None,
    });
    macros.chain(attributes).collect()
}

#[test]
fn nothing_is_unfinished_ignored_or_allowed() {
    assert_kept(source::sources().iter().flat_map(unfinished));
}

mod planted {
    use super::*;

    #[test]
    fn unfinished_work() {
        let check = |raw| unfinished(&Source::new("src/a.rs", raw));
        assert_found(&check("\nfn f() { todo!() }"), 2, "todo!");
        assert_found(&check("fn f() { unimplemented!(\"x\") }"), 1, "unimplemented!");
        assert_found(&check("fn f() { assert!(dbg!(x)) }"), 1, "dbg!");
        assert_found(&check("#[test]\n#[ignore = \"slow\"]\nfn f() {}"), 2, "ignore");
        assert_found(&check("#[allow(dead_code)]\nfn f() {}"), 1, "allow");
        assert_kept(check("// todo!()\nfn f() { let todo = \"dbg!\"; if !dbg != x {} }"));
        assert_kept(check("#[expect(dead_code, reason = \"planted\")]\nfn f() {}"));
    }
}
