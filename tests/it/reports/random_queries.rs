//! Random questions of every shape.

use perfgraph::{
    model::{
        Key, MetricType, OrganizationId, ProjectId, TimeRange, Timestamp,
        filter::TextFilter,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{Projects, Question, StatusFilter},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::fixture::{OURS, THEIRS, range};

/// Questions of every shape: ragged and aligned windows, with and without each condition.
pub fn questions(seed: u64, count: usize) -> Vec<Question> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| question(&mut rng)).collect()
}

/// Five days in which the clocks of a zone change, or do not, each with the date of the first.
pub const CHANGES: [(&str, &str); 10] = [
    ("Europe/Berlin", "2026-10-23"),
    ("Europe/Berlin", "2026-03-27"),
    ("Asia/Kolkata", "2026-05-01"),
    ("Asia/Kathmandu", "2026-06-01"),
    // Half an hour forward.
    ("Australia/Lord_Howe", "2026-10-01"),
    // There was no 30 December.
    ("Pacific/Apia", "2011-12-28"),
    // From 00:01 back to 23:01.
    ("America/St_Johns", "2006-10-27"),
    // There is no midnight.
    ("America/Sao_Paulo", "2018-11-02"),
    ("America/Los_Angeles", "2025-10-31"),
    ("+05:45", "2025-08-01"),
];

/// A window around such days, ragged or of whole minutes or days, and the length of a bucket in it.
pub fn days_of_a_zone(rng: &mut StdRng, start: Timestamp) -> (TimeRange, i64) {
    let unit = *[1, MINUTE_MICROS, HOUR_MICROS, DAY_MICROS].choose(rng).unwrap();
    let from = start.plus_micros(rng.random_range(-DAY_MICROS..4 * DAY_MICROS)).floor(unit);
    let end = from.plus_micros(rng.random_range(1..6 * DAY_MICROS)).ceil(unit);
    let lengths = [
        30 * MINUTE_MICROS,
        HOUR_MICROS,
        6 * HOUR_MICROS,
        12 * HOUR_MICROS,
        DAY_MICROS,
        DAY_MICROS,
        2 * DAY_MICROS,
        7 * DAY_MICROS,
    ];
    (TimeRange::new(from, end).unwrap(), *lengths.choose(rng).unwrap())
}

fn question(rng: &mut StdRng) -> Question {
    let window = window(rng);
    let projects = projects(rng);
    let kinds = match rng.random_range(0..4) {
        0 => vec![],
        1 => vec![MetricType::ApiResponse, MetricType::Database, MetricType::ApiResponse],
        _ => vec![*MetricType::ALL.choose(rng).unwrap()],
    };
    let (endpoint, status) = (endpoint(rng), status(rng));
    let (names, releases) = (tags(rng, ["", "LCP", "nobody's"]), tags(rng, ["", "1.4.2", "2.0"]));
    Question { window, projects, kinds, endpoint, status, names, releases, release: release(rng), exact: None }
}

fn window(rng: &mut StdRng) -> TimeRange {
    match rng.random_range(0..6) {
        0 => range(rng.random_range(0..60) * MINUTE_MICROS, rng.random_range(1..130) * MINUTE_MICROS),
        // Shorter than two minutes: raw.
        1 => range(rng.random_range(0..170 * MINUTE_MICROS), rng.random_range(1..2 * MINUTE_MICROS)),
        // Around or beside all that there is.
        2 => range(-MINUTE_MICROS * 5 - 7, rng.random_range(1..400 * MINUTE_MICROS)),
        _ => range(rng.random_range(0..100 * MINUTE_MICROS), rng.random_range(1..80 * MINUTE_MICROS)),
    }
}

fn projects(rng: &mut StdRng) -> Projects {
    let keys = |ids: &[(OrganizationId, i64)]| {
        Projects::Keys(ids.iter().map(|(organization, id)| Key::new(*organization, ProjectId(*id))).collect())
    };
    match rng.random_range(0..6) {
        0 => Projects::All,
        1 => Projects::Organizations(vec![OURS]),
        2 => Projects::Organizations(vec![THEIRS]),
        3 => keys(&[(OURS, 10)]),
        // Project 20 is theirs alone: as a project of ours it does not exist.
        4 => keys(&[(OURS, 20), (OURS, 10), (THEIRS, 20)]),
        _ => keys(&[(OURS, 10), (OURS, 11), (OURS, 12)]),
    }
}

fn endpoint(rng: &mut StdRng) -> Option<TextFilter> {
    let text = |text: &str| Some(text.to_owned());
    let none = TextFilter::default();
    match rng.random_range(0..17) {
        9 => Some(TextFilter { equal_ignoring_case: text("/API/Users"), ..none }),
        10 => Some(TextFilter { starts_with_ignoring_case: text("/ApI/USER_"), ..none }),
        // Ü is no letter of A to Z.
        11 => Some(TextFilter {
            contains_ignoring_case: text(["E", "Ü", "ï/🦀", ""][rng.random_range(0..4)]), ..none
        }),
        0 => Some(TextFilter { eq: text("/api/users"), ..none }),
        1 => Some(TextFilter { ne: text("/api/users"), ..none }),
        2 => Some(TextFilter { one_of: Some(vec!["/checkout".into(), "/api/user%s".into(), "/none".into()]), ..none }),
        3 => Some(TextFilter { one_of: Some(vec![]), ..none }),
        4 => Some(TextFilter { starts_with: text("/api/user_"), ..none }),
        5 => Some(TextFilter { starts_with: text(""), contains: text(""), ..none }),
        6 => Some(TextFilter { contains: text("r%"), ..none }),
        7 => Some(TextFilter { contains: text("🦀"), starts_with: text("/ü"), ..none }),
        8 => Some(TextFilter { starts_with: text("/api"), ne: text("/api/users"), ..none }),
        _ => None,
    }
}

fn status(rng: &mut StdRng) -> Option<StatusFilter> {
    let none = StatusFilter::default();
    match rng.random_range(0..12) {
        0 => Some(StatusFilter { eq: Some(404), ..none }),
        1 => Some(StatusFilter { one_of: Some(vec![200, 500, 99_999]), ..none }),
        2 => Some(StatusFilter { gte: Some(200), lt: Some(400), ..none }),
        3 => Some(StatusFilter { gt: Some(399), lte: Some(500), ..none }),
        _ => None,
    }
}

fn release(rng: &mut StdRng) -> Option<(Key<ProjectId>, String)> {
    (rng.random_range(0..16) == 0).then(|| (Key::new(OURS, ProjectId(10)), "1.4.2".to_owned()))
}

fn tags(rng: &mut StdRng, texts: [&str; 3]) -> Option<Vec<String>> {
    let of = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    match rng.random_range(0..16) {
        0 => of(&texts[1..]),
        1 => of(&texts[..2]),
        2 => of(&[]),
        _ => None,
    }
}
