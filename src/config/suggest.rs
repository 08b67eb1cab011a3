//! Suggestions for misspelt keys.

use super::section::Key;

/// The minimum similarity (0 to 1) of a suggestion.
const SIMILARITY_MIN: f64 = 0.6;

/// The known key that is most similar to `given`.
pub(super) fn nearest<'keys>(given: &str, keys: &'keys [Key]) -> Option<&'keys str> {
    keys.iter()
        .map(|key| (similarity(given, &key.path), key.path.as_str()))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, path)| path)
}

/// A correct name in the wrong section, or in none, counts nearly as much as a typing error in the whole path.
fn similarity(given: &str, known: &str) -> f64 {
    let whole = strsim::normalized_damerau_levenshtein(given, known);
    let name = strsim::normalized_damerau_levenshtein(name(given), name(known));
    whole.max(name * 0.95)
}

fn name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
