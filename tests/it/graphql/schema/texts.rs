//! Descriptions name their element, and say the defaults and limits that the server applies.

use std::collections::BTreeMap;

use perfgraph::model::timestamp::duration_micros;

use super::elements::{self, Element, ElementKind};

/// Words that begin a riddle instead of a name.
const VAGUE: [&str; 9] = ["what", "who", "whose", "whom", "where", "whether", "how", "when", "whoever"];
/// Phrases that stand where the field has a term.
const PHRASES: [&str; 6] = ["so many", "so long", "so often", "only those that pass", "is to become", "equals stand"];
/// The shortest description that still says something.
const CHARACTERS_MIN: usize = 12;

/// The paths of the elements that break a rule.
fn breaking(breaks: impl Fn(&Element) -> bool) -> Vec<String> {
    elements::all()
        .into_iter()
        .filter(breaks)
        .map(|element| format!("{}: {}", element.path, element.description))
        .collect()
}

#[test]
fn descriptions_name_the_thing_first() {
    let is_vague = |element: &Element| {
        let first = element.description.split([' ', ',', '.', '\'']).next().unwrap_or_default().to_lowercase();
        let text = element.description.to_lowercase();
        VAGUE.contains(&first.as_str()) || PHRASES.iter().any(|phrase| text.contains(phrase))
    };
    assert_eq!(breaking(is_vague), Vec::<String>::new());
}

#[test]
fn descriptions_are_sentences_of_some_length() {
    let is_wrong = |element: &Element| {
        let is_sentence = element.place == ElementKind::Directive || element.description.ends_with('.');
        element.description.len() < CHARACTERS_MIN || !is_sentence
    };
    assert_eq!(breaking(is_wrong), Vec::<String>::new());
}

/// Whether the text gives this default, with or without the marks of a list and of a whole number as a float.
fn says(description: &str, default: &str) -> bool {
    let default = default.replace(".0", "");
    let plain = default.trim_matches(['"', '[', ']']);
    ["default ", "default `", "Defaults to ", "Defaults to `"].iter().any(|before| {
        description.split(before).skip(1).any(|rest| rest.starts_with(plain) || rest.starts_with(&default))
    })
}

#[test]
fn defaults_are_described_as_they_are() {
    let is_wrong = |element: &Element| {
        element
            .default
            .as_ref()
            .is_some_and(|default| element.place != ElementKind::Directive && !says(&element.description, default))
    };
    assert_eq!(breaking(is_wrong), Vec::<String>::new());
}

#[test]
fn sizes_of_lists_say_their_range_and_default() {
    let is_size = |element: &Element| {
        element.place == ElementKind::Argument
            && matches!(element.name(), "first" | "last" | "pageSize" | "maxBatch" | "maxBuckets")
    };
    let is_wrong = |element: &Element| {
        let has_range = element.description.contains("(1 to ") || element.description.contains("(at least 1");
        is_size(element) && !(has_range && element.description.contains("default "))
    };
    assert_eq!(breaking(is_wrong), Vec::<String>::new());
    assert!(elements::all().iter().filter(|element| is_size(element)).count() > 20);
}

/// What is the same everywhere is said in the same words everywhere.
#[test]
fn arguments_of_connections_are_described_alike() {
    let mut texts: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    let all = elements::all();
    let is_connection = |path: &str| {
        let field = path.split('(').next().unwrap_or_default();
        // Those with both directions: measurements are paged forward only, and ordered by time.
        all.iter().any(|element| element.path == format!("{field}(before)"))
    };
    for element in all.iter().filter(|element| element.place == ElementKind::Argument && is_connection(&element.path)) {
        let same = texts.entry(element.name().to_owned()).or_default();
        same.entry(element.description.clone()).or_default().push(element.path.clone());
    }
    assert!(texts.len() >= 6, "{:?}", texts.keys());
    let differing: Vec<_> = texts.into_iter().filter(|(_, texts)| texts.len() > 1).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn every_spelling_of_a_duration_in_its_description_is_accepted() {
    let all = elements::all();
    let duration = all.iter().find(|element| element.path == "Duration").unwrap();
    let spellings: Vec<_> = duration.description.split('`').skip(1).step_by(2).collect();
    assert!(spellings.len() >= 6, "{spellings:?}");
    for spelling in spellings {
        assert!(duration_micros(spelling).is_ok(), "{spelling}");
    }
}
