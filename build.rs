//! Rebuilds when the web bundle appears or changes: the macro that embeds it cannot ask for that itself.

fn main() {
    // A path that does not exist would make every build a rebuild, so the parent is watched until the bundle is there.
    let bundle = std::path::Path::new("web/dist/graphiql.html");
    let watched = if bundle.exists() { "web/dist/graphiql.html" } else { "web" };
    println!("cargo:rerun-if-changed={watched}");
}
