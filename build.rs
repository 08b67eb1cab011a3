//! Generates the table of the web bundle's files, which `src/http/assets.rs` embeds. Without `make web` it is empty.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

const BUNDLE: &str = "web/dist";

fn main() -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "cargo passes paths to build scripts in the environment")]
    let folder = |name: &str| PathBuf::from(env::var_os(name).unwrap_or_default());
    // Cargo treats a path that does not exist as changed, so the parent is watched until the bundle exists.
    println!("cargo:rerun-if-changed={}", if Path::new(BUNDLE).exists() { BUNDLE } else { "web" });
    let root = folder("CARGO_MANIFEST_DIR").join(BUNDLE);
    let mut files = Vec::new();
    if root.exists() {
        collect(&root, &mut files)?;
    }
    let entry = |file: &PathBuf| {
        let name = file.strip_prefix(&root).unwrap_or(file);
        (name.to_string_lossy().into_owned(), file.to_string_lossy().into_owned())
    };
    let mut entries: Vec<_> = files.iter().map(entry).collect();
    // By name, because the server searches the table by bisection.
    entries.sort();
    let entries: Vec<_> = entries.iter().map(|(name, file)| format!("({name:?}, include_bytes!({file:?})),")).collect();
    let table = folder("OUT_DIR").join("web_bundle.rs");
    fs::write(table, format!("&[\n{}\n]\n", entries.join("\n")))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
