//! Every direct dependency is named by the code of its package.

use std::path::Path;

use super::{
    finding::{Finding, assert_found, assert_kept},
    packages::{Dependency, Member, members},
    source::{Source, root, sources},
};

/// Dependencies that no code names, each with the reason: they only switch on features, or are used by a macro.
const NAMED_NOWHERE: &[(&str, &str)] = &[];

/// The folder of the package from the repository's root; empty for the package at the root.
fn folder(package: &Member) -> String {
    let folder = Path::new(&package.manifest_path).parent().and_then(|folder| folder.strip_prefix(root()).ok());
    folder.and_then(Path::to_str).map(str::to_owned).unwrap_or_default()
}

/// The code that may use the dependency: of tests and benchmarks also for one of theirs.
fn is_code_of(source: &Source, folder: &str, dependency: &Dependency) -> bool {
    if !folder.is_empty() {
        return source.path.starts_with(&format!("{folder}/"));
    }
    match dependency.kind.as_deref() {
        Some("dev") => ["src/", "tests/", "benches/"].iter().any(|start| source.path.starts_with(start)),
        Some("build") => source.path == "build.rs",
        _ => source.path.starts_with("src/"),
    }
}

fn is_named(dependency: &Dependency, source: &Source) -> bool {
    let name = dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_");
    let names = source.paths.iter().chain(source.imports.iter().map(|import| &import.path));
    names.into_iter().any(|path| path.names.first() == Some(&name))
}

fn unused(folder: &str, dependencies: &[Dependency], sources: &[Source], known: &[(&str, &str)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for dependency in dependencies {
        let mut code = sources.iter().filter(|source| is_code_of(source, folder, dependency));
        let is_used = code.any(|source| is_named(dependency, source));
        let is_known = known.iter().any(|(name, _)| *name == dependency.name);
        let manifest = if folder.is_empty() { "Cargo.toml".to_owned() } else { format!("{folder}/Cargo.toml") };
        if !is_used && !is_known {
            let rule = format!("no code names the dependency `{}`", dependency.name);
            found.push(Finding::new(&manifest, 1, rule, "remove it, or name it in NAMED_NOWHERE with the reason"));
        }
    }
    found
}

#[test]
fn every_dependency_is_used() {
    let members = members();
    let check = |known: &[(&str, &str)]| -> Vec<Finding> {
        let members = members.iter();
        members.flat_map(|package| unused(&folder(package), &package.dependencies, sources(), known)).collect()
    };
    assert_kept(check(NAMED_NOWHERE));
    for (name, reason) in NAMED_NOWHERE {
        let is_needed = check(&[]).iter().any(|finding| finding.rule.contains(&format!("`{name}`")));
        assert!(is_needed, "NAMED_NOWHERE has {name} ({reason}) without need");
    }
}

mod planted {
    use super::*;

    #[test]
    fn a_dependency_that_nothing_uses() {
        let dependency = |name: &str, kind: Option<&str>| {
            [Dependency { name: name.into(), rename: None, kind: kind.map(str::to_owned) }]
        };
        let sources = [
            Source::new("src/a.rs", "//! async_trait\n#[derive(thiserror::Error)] enum A { B }"),
            Source::new("tests/it/a.rs", "use proptest::prelude::*;"),
        ];
        let check = |name, kind| unused("", &dependency(name, kind), &sources, &[("redis", "switches on a feature")]);
        assert_found(&check("async-trait", None), 1, "async-trait");
        assert_found(&check("proptest", None), 1, "proptest");
        assert_found(&check("thiserror", Some("build")), 1, "thiserror");
        assert_kept(check("thiserror", None));
        assert_kept(check("proptest", Some("dev")));
        assert_kept(check("redis", None));
    }
}
