//! The rules of CONTRIBUTING for names in the schema.

use super::elements::{self, Element, ElementKind};

/// The elements with current names that break a rule.
fn breaking(breaks: impl Fn(&Element) -> bool) -> Vec<String> {
    let current = elements::all().into_iter().filter(|element| !element.is_deprecated && breaks(element));
    current.map(|element| format!("{}: {}", element.path, element.of_type)).collect()
}

fn named_type(element: &Element) -> &str {
    element.of_type.trim_matches(['[', ']', '!'])
}

#[test]
fn booleans_begin_with_is_or_has() {
    let is_wrong = |element: &Element| {
        named_type(element) == "Boolean" && !["is", "has"].iter().any(|word| element.name().starts_with(word))
    };
    assert_eq!(breaking(is_wrong), Vec::<String>::new());
}

#[test]
fn one_word_for_one_thing() {
    let former = ["limit", "metricType", "from", "to", "team", "teamSize", "averageValue", "releases", "releaseTag"];
    let is_wrong = |element: &Element| {
        // `Project.releases` lists objects; versions are `releaseVersions`.
        let lists_objects = element.of_type == "ReleaseConnection!";
        former.contains(&element.name()) && !lists_objects
    };
    assert_eq!(breaking(is_wrong), Vec::<String>::new());
}

#[test]
fn mutations_take_one_input_and_answer_a_payload() {
    let all = elements::all();
    let mut mutations = 0;
    for field in
        all.iter().filter(|element| element.place == ElementKind::Field && element.path.starts_with("Mutation."))
    {
        mutations += 1;
        assert!(named_type(field).ends_with("Payload"), "{}", field.path);
        let start = format!("{}(", field.path);
        let current: Vec<_> = all.iter().filter(|one| one.path.starts_with(&start) && !one.is_deprecated).collect();
        let name = field.name();
        let input = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let given: Vec<_> = current.iter().map(|one| (one.name(), named_type(one))).collect();
        assert_eq!(given, [("input", input.as_str())], "{}", field.path);
    }
    assert!(mutations > 10, "{mutations}");
}

#[test]
fn lists_of_conditions_are_plural() {
    let is_condition = |element: &Element| {
        let of = element.path.split('.').next().unwrap_or_default();
        // Operators on one value are words of their own.
        let is_operator = ["StringFilter", "IntFilter", "FloatFilter"].contains(&of);
        element.place == ElementKind::InputField
            && of.ends_with("Filter")
            && !is_operator
            && !["and", "or"].contains(&element.name())
    };
    let is_wrong = |element: &Element| {
        is_condition(element) && element.of_type.starts_with('[') != element.name().ends_with('s')
            // One word that ends so in the singular.
            && element.name() != "status"
    };
    assert_eq!(breaking(is_wrong), Vec::<String>::new());
    assert!(elements::all().iter().any(is_condition));
}

#[test]
fn moments_and_windows_are_named_alike() {
    let moments = ["start", "end", "starts", "ends", "timestamp", "asOf"];
    let is_wrong = |element: &Element| {
        named_type(element) == "DateTime" && !element.name().ends_with("At") && !moments.contains(&element.name())
    };
    assert_eq!(breaking(is_wrong), Vec::<String>::new());
}

#[test]
fn counts_of_rows_are_long() {
    let is_wrong = |element: &Element| {
        ["count", "counts", "totalCount", "missed", "total"].contains(&element.name()) && named_type(element) != "Long"
    };
    let fields = |element: &Element| element.place == ElementKind::Field && is_wrong(element);
    assert_eq!(breaking(fields), Vec::<String>::new());
}

#[test]
fn nothing_required_is_deprecated() {
    let all = elements::all();
    let is_input = |element: &&Element| matches!(element.place, ElementKind::Argument | ElementKind::InputField);
    let deprecated: Vec<_> = all.iter().filter(|element| element.is_deprecated).collect();
    assert!(deprecated.len() > 30, "{}", deprecated.len());
    let required = deprecated.into_iter().filter(is_input).filter(|element| element.of_type.ends_with('!'));
    assert_eq!(required.map(|element| element.path.clone()).collect::<Vec<_>>(), Vec::<String>::new());
}
