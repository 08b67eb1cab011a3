//! Finds the key that somebody probably meant.

use super::section::Key;

/// Below this likeness (0 to 1) a suggestion would puzzle more than it helps.
const LIKENESS_MIN: f64 = 0.6;

/// The known key most like `given`.
pub(super) fn nearest<'keys>(given: &str, keys: &'keys [Key]) -> Option<&'keys str> {
    keys.iter()
        .map(|key| (likeness(given, &key.path), key.path.as_str()))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, path)| path)
}

/// The right name in the wrong section (or in none) counts nearly as much as a slip in the whole path.
fn likeness(given: &str, known: &str) -> f64 {
    let whole = strsim::normalized_damerau_levenshtein(given, known);
    let name = strsim::normalized_damerau_levenshtein(name(given), name(known));
    whole.max(name * 0.95)
}

fn name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
