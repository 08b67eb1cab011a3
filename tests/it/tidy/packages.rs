//! The packages that are built into the binary: their licences, sources, versions and number. Read from `cargo tree`
//! and `Cargo.lock` without network; the licences and sources that `deny.toml` allows are allowed here.

use std::{collections::BTreeMap, process::Command, sync::OnceLock, time::SystemTime};

use serde::Deserialize;

use super::{
    finding::{Finding, assert_found, assert_kept, unneeded},
    licences,
    source::{repository_files, root, text},
};

/// The number of packages in `Cargo.lock`, of which apollo-compiler brings 33 for tests alone. A new dependency raises it in
/// the change that needs it, and says why.
const PACKAGES_MAX: usize = 394;

/// The size of the release binary, in bytes: 54.2 MB, of which 11 MB are names of functions for backtraces.
const BINARY_MAX: u64 = 55_000_000;

/// Packages of which the binary or its build holds more than one version, each with the reason.
const MULTIPLE_VERSIONS: &[(&str, &str)] = &[
    ("block-buffer", OLD_DIGEST),
    ("cpufeatures", OLD_DIGEST),
    ("crypto-common", OLD_DIGEST),
    ("digest", OLD_DIGEST),
    ("sha2", OLD_DIGEST),
    ("darling", OLD_DARLING),
    ("darling_core", OLD_DARLING),
    ("darling_macro", OLD_DARLING),
    ("getrandom", "ring and the rand of tungstenite need older ones"),
    ("hashbrown", "sqlx needs an older one than indexmap"),
    ("heck", "derive macros of sea-orm need an older one"),
    ("rand", OLD_RAND),
    ("rand_core", OLD_RAND),
    ("syn", "half of the derive macros moved to 3"),
];

const OLD_DIGEST: &str = "sha1 and sha2 of the database drivers and of WebSockets need digest 0.10";
const OLD_DARLING: &str = "the derive macros of sea-query need an older one than those of async-graphql";
const OLD_RAND: &str = "tungstenite, of the version that axum has, needs rand 0.9";

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The packages of the workspace.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Member>,
}

#[derive(Deserialize)]
pub struct Member {
    pub manifest_path: String,
    pub dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    pub rename: Option<String>,
    /// `dev`, `build`, or none.
    pub kind: Option<String>,
}

/// A package that the product is built from or with.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Package {
    name: String,
    version: String,
    licence: String,
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("tests/it/tidy.rs needs `cargo` in PATH: {error}"));
    assert!(output.status.success(), "cargo {arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn members() -> Vec<Member> {
    let metadata: Metadata = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    metadata.packages
}

/// The packages for the machine that runs the tests, without those that only tests need. From `cargo tree`, because
/// `cargo metadata` also lists packages of features that are switched off.
fn built() -> &'static [Package] {
    static BUILT: OnceLock<Vec<Package>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let format = ["--prefix", "none", "--format", "{p}|{l}"];
        let edges = ["tree", "--workspace", "--edges", "normal,build"];
        let packages = parse_tree(&cargo(&[&edges[..], &format[..]].concat()));
        assert!(packages.len() > 100, "found only {} packages", packages.len());
        packages
    })
}

/// Lines of `name v1.2.3 (more)|licence`, each package perhaps several times, later with ` (*)` at the end.
fn parse_tree(tree: &str) -> Vec<Package> {
    let parse = |line: &str| {
        let (package, licence) = line.split_once('|')?;
        let mut words = package.split_whitespace();
        let (name, version) = (words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned());
        Some(Package { name, version, licence: licence.trim_end_matches(" (*)").to_owned() })
    };
    let mut packages: Vec<Package> = tree.lines().filter_map(parse).collect();
    packages.sort();
    packages.dedup();
    packages
}

fn allowed_licences(deny: &str) -> Vec<String> {
    let deny: toml::Table = deny.parse().unwrap();
    let allowed = deny["licenses"]["allow"].as_array().unwrap();
    allowed.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn licence(package: &Package, allowed: &[String]) -> Option<Finding> {
    (!licences::is_met(&package.licence, allowed)).then(|| {
        let rule = format!("{} {} has the licence {:?}", package.name, package.version, package.licence);
        Finding::new("Cargo.lock", 1, rule, "use another package, or allow the licence in deny.toml with the reason")
    })
}

/// The packages of `Cargo.lock`: name, version, source.
fn locked(lock: &str) -> Vec<(String, String, Option<String>)> {
    let lock: toml::Table = lock.parse().unwrap();
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let packages = lock["package"].as_array().unwrap();
    packages
        .iter()
        .map(|package| (text(package, "name").unwrap(), text(package, "version").unwrap(), text(package, "source")))
        .collect()
}

fn sources(lock: &str) -> Vec<Finding> {
    let foreign = locked(lock).into_iter().filter(|(.., source)| source.as_deref().is_some_and(|at| at != REGISTRY));
    foreign
        .map(|(name, _, source)| {
            let rule = format!("{name} comes from {}", source.unwrap_or_default());
            Finding::new("Cargo.lock", 1, rule, "take packages from the default registry only")
        })
        .collect()
}

fn number(lock: &str, packages_max: usize) -> Option<Finding> {
    let packages = locked(lock).len();
    (packages > packages_max).then(|| {
        let rule = format!("Cargo.lock has {packages} packages, at most {packages_max}");
        Finding::new("Cargo.lock", 1, rule, "do without the dependency, or raise PACKAGES_MAX and say why")
    })
}

/// The names of which there is more than one version.
fn doubled<'a>(packages: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in packages {
        versions.entry(name).or_default().push(version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}

fn check_doubled(doubled: &BTreeMap<&str, Vec<&str>>, known: &[(&str, &str)]) -> Vec<Finding> {
    let unknown = doubled.iter().filter(|(name, _)| !known.iter().any(|(known, _)| known == *name));
    unknown
        .map(|(name, versions)| {
            let rule = format!("{name} is built in the versions {}", versions.join(" and "));
            let fix = "choose dependencies that agree, or name it in MULTIPLE_VERSIONS with the reason";
            Finding::new("Cargo.lock", 1, rule, fix)
        })
        .chain(unneeded("MULTIPLE_VERSIONS", known.iter().map(|(name, _)| *name), |name| doubled.contains_key(name)))
        .collect()
}

#[test]
fn licences_are_allowed() {
    let allowed = allowed_licences(&text("deny.toml"));
    assert_kept(built().iter().filter_map(|package| licence(package, &allowed)));
}

#[test]
fn packages_come_from_the_registry() {
    assert_kept(sources(&text("Cargo.lock")));
}

#[test]
fn no_package_is_built_twice() {
    let doubled = doubled(built().iter().map(|package| (package.name.as_str(), package.version.as_str())));
    assert_kept(check_doubled(&doubled, MULTIPLE_VERSIONS));
}

#[test]
fn packages_do_not_grow() {
    assert_kept(number(&text("Cargo.lock"), PACKAGES_MAX));
}

/// Only of a binary that was built from these sources: nothing is built here.
#[test]
fn the_binary_does_not_grow() {
    let changed = |path: &str| root().join(path).metadata().and_then(|file| file.modified()).ok();
    let Ok(binary) = root().join("target/release/perfgraph").metadata() else { return };
    let sources =
        repository_files().iter().filter(|path| ["src/", "crates/", "Cargo."].iter().any(|at| path.starts_with(at)));
    let newest = sources.filter_map(|path| changed(path)).max().unwrap_or(SystemTime::UNIX_EPOCH);
    if binary.modified().is_ok_and(|built| built > newest) {
        let (size, most) = (binary.len(), BINARY_MAX);
        assert!(
            size <= most,
            "target/release/perfgraph has {size} bytes, at most {most}: see which code is generic without need"
        );
    }
}

mod planted {
    use super::*;

    #[test]
    fn a_licence_that_is_not_allowed() {
        let allowed = allowed_licences("[licenses]\nallow = [\"MIT\"]");
        let check = |tree| licence(&parse_tree(tree)[0], &allowed).into_iter().collect::<Vec<_>>();
        assert_found(&check("a v1.0.0 (proc-macro)|GPL-3.0"), 1, "a 1.0.0 has the licence \"GPL-3.0\"");
        assert_found(&check("a v1.0.0|"), 1, "a 1.0.0");
        assert_kept(check("a v1.0.0|MIT OR GPL-3.0 (*)"));
    }

    const LOCK: &str = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\n\
                        source = \"git+https://example.com/b\"\n";

    #[test]
    fn a_package_from_elsewhere() {
        assert_found(&sources(LOCK), 1, "example.com");
        assert_kept(sources(&LOCK.replace("git+https://example.com/b", REGISTRY)));
    }

    #[test]
    fn a_package_too_many() {
        assert_found(&number(LOCK, 1).into_iter().collect::<Vec<_>>(), 1, "2 packages");
        assert_kept(number(LOCK, 2));
    }

    #[test]
    fn a_second_version() {
        let both = doubled([("a", "1.0.0"), ("a", "2.0.0"), ("b", "1.0.0")]);
        assert_found(&check_doubled(&both, &[]), 1, "1.0.0 and 2.0.0");
        assert_found(&check_doubled(&both, &[("a", "two users"), ("b", "none")]), 1, "without need");
        assert_kept(check_doubled(&both, &[("a", "two users")]));
    }

    #[test]
    fn a_package_is_listed_once() {
        let packages = parse_tree("b v1.0.0|MIT\na v2.0.0 (proc-macro)|MIT\na v1.0.0|MIT\n\na v1.0.0|MIT (*)\n");
        let named: Vec<_> = packages.iter().map(|package| (package.name.as_str(), package.version.as_str())).collect();
        assert_eq!(named, [("a", "1.0.0"), ("a", "2.0.0"), ("b", "1.0.0")]);
    }
}
