//! The names of a schema that a wrong name most likely means, for errors.
//!
//! A name is found by its spelling (`is_active`, `ISACTIVE`, `is-active`), by another word for the same thing that the
//! schema declares, by a typing error, or because it contains the other one.

use std::cmp::Reverse;

/// Another word for a name of the schema: the wrong one, folded as [`fold`] does it, and the name that it means.
pub type Synonym = (&'static str, &'static str);

/// Names that an error suggests.
const SUGGESTED_MAX: usize = 3;
/// Names that an error lists when none is near.
const LISTED_MAX: usize = 12;
/// Bytes of a wrong name that is compared; no name of a schema is longer. The comparison takes time by the product of both.
const COMPARED_BYTES_MAX: usize = 64;
/// Bytes of the shorter of two names of which one contains the other.
const CONTAINED_BYTES_MIN: usize = 4;

/// The likeness of two names, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// One contains the other.
    Contains,
    /// A few letters differ.
    Similar(Reverse<usize>),
    /// Another word for the same thing.
    Synonym,
    /// Another spelling.
    Spelling,
}

/// A name in lower case without separators, so that spellings of one name are equal.
pub fn fold(name: &str) -> String {
    let letters = name.chars().filter(|one| !matches!(one, '_' | '-' | ' ' | '.'));
    letters.flat_map(char::to_lowercase).collect()
}

/// The known names that `given` most likely means, best first, at most three.
pub fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>, synonyms: &[Synonym]) -> Vec<&'a str> {
    if given.len() > COMPARED_BYTES_MAX {
        return Vec::new();
    }
    let folded = fold(given);
    let mut found: Vec<_> = known.filter_map(|name| Some((likeness(&folded, name, synonyms)?, name))).collect();
    found.sort_by_key(|(likeness, name)| (Reverse(*likeness), *name));
    let best = found.first().map(|(likeness, _)| *likeness);
    // Beside another spelling or word everything else is noise.
    let is_certain = best.is_some_and(|best| best >= Likeness::Synonym);
    let found = found.into_iter().filter(|(likeness, _)| !is_certain || Some(*likeness) == best);
    found.take(SUGGESTED_MAX).map(|(_, name)| name).collect()
}

fn likeness(given: &str, name: &str, synonyms: &[Synonym]) -> Option<Likeness> {
    let known = fold(name);
    if given == known {
        return Some(Likeness::Spelling);
    }
    if synonyms.iter().any(|(other, meant)| *other == given && *meant == name) {
        return Some(Likeness::Synonym);
    }
    let distance = strsim::damerau_levenshtein(given, &known);
    let shorter = given.len().min(known.len());
    if distance <= (shorter / 3).max(1) && distance < shorter {
        return Some(Likeness::Similar(Reverse(distance)));
    }
    let contains = given.contains(&known) || known.contains(given);
    (contains && shorter >= CONTAINED_BYTES_MIN).then_some(Likeness::Contains)
}

/// The known names as a list, the first ones of many.
pub fn listed<'a>(known: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = known.collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(LISTED_MAX);
    names.truncate(LISTED_MAX);
    let names = names.join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_spelling_word_letters_and_parts() {
        let known = ["isActive", "orderBy", "first", "after", "types", "type", "name", "PAGE_LOAD", "API_RESPONSE"];
        let synonyms = [("limit", "first"), ("sortby", "orderBy")];
        for (given, expected) in [
            ("is_active", &["isActive"][..]),
            ("ISACTIVE", &["isActive"]),
            ("limit", &["first"]),
            ("sort_by", &["orderBy"]),
            ("nmae", &["name"]),
            ("naem", &["name"]),
            ("typs", &["type", "types"]),
            ("metricType", &["type"]),
            ("api_response", &["API_RESPONSE"]),
            ("pageLoad", &["PAGE_LOAD"]),
            ("page-load", &["PAGE_LOAD"]),
            ("zzz", &[]),
            ("", &[]),
        ] {
            assert_eq!(nearest(given, known.into_iter(), &synonyms), expected, "{given}");
        }
        let long = "isActive".repeat(1_000_000);
        assert!(nearest(&long, known.into_iter(), &[]).is_empty());
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<_> = (10..40).map(|number| format!("n{number}")).collect();
        let text = listed(names.iter().map(String::as_str));
        assert!(text.starts_with("n10, n11, ") && text.ends_with("n21 and 18 more"), "{text}");
        assert_eq!(listed(["b", "a"].into_iter()), "a, b");
    }
}
