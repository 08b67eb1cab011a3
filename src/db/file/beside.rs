//! Names of the files beside a database.

use std::path::{Path, PathBuf};

/// A file beside the database's: `perfgraph.sqlite` and `.lock` make `perfgraph.sqlite.lock`.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
