//! The query of a window in normal form, so that equal queries share one computation.
//!
//! The slots of a window are as wide as the greatest common divisor of its length and its interval. Both ends of the window
//! lie between two slots, so nothing is estimated at the edges.

use std::collections::BTreeSet;

use crate::{
    config,
    error::{Error, Result},
    live::filter::{Filter, several_organizations},
    model::{
        Key, Measurement, MetricType, OrganizationId, ProjectId, Scope, StreamCursor, VisibleOrganizations,
        filter::Number,
        timestamp::{HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, duration_text, whole_micros},
    },
};

/// A key that a window can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKey {
    /// The project.
    Project,
    /// The type of measurement.
    Type,
    /// The endpoint: a route, page, query or cache.
    Endpoint,
    /// The HTTP status; 0 for measurements without one.
    StatusCode,
}

/// A window that a caller requests. Lengths are in microseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowRequest {
    /// The measurements, of one organization.
    pub filter: Filter,
    /// The length of the window.
    pub length: i64,
    /// The interval at which the window advances.
    pub every: i64,
    /// The keys of its groups.
    pub group_by: Vec<GroupKey>,
    /// A position that the first window must include.
    pub after: Option<StreamCursor>,
}

impl WindowRequest {
    /// Shortest interval of a window if the caller requests none: see [`Self::pace`].
    pub const EVERY_DEFAULT: i64 = SECOND_MICROS;
    /// Length of a ranking's window if the caller requests no other one.
    pub const RANKING_LENGTH_DEFAULT: i64 = 5 * MINUTE_MICROS;
    /// Shortest interval of a ranking if the caller requests none: see [`Self::pace`].
    pub const RANKING_EVERY_DEFAULT: i64 = 2 * SECOND_MICROS;

    /// The interval of a window for which the caller requests none: `shortest` or the next longer round interval that
    /// keeps the number of slots within its maximum.
    pub fn pace(length: i64, shortest: i64, settings: &config::Live) -> i64 {
        let shortest = shortest.max(whole_micros(settings.window_every_min)).min(length);
        let slots_max = slots_max(settings);
        let round = ROUND_WIDTHS.into_iter().map(|seconds| seconds * SECOND_MICROS).filter(|width| *width > shortest);
        let fits = |every: &i64| *every <= length && slots(length, *every) <= slots_max;
        let exact = || (1..=slots_max).rev().find(|parts| length % parts == 0 && length / parts >= shortest);
        [shortest].into_iter().chain(round).find(fits).unwrap_or_else(|| length / exact().unwrap_or(1))
    }

    /// A window of endpoints to rank: grouped by project and endpoint. Without types in the filter it covers the types that
    /// measure time, since values of different units cannot be ranked together.
    pub fn ranking(mut filter: Filter, length: i64, every: i64) -> Self {
        if filter.kinds.is_empty() {
            filter.kinds = MetricType::DURATIONS.to_vec();
        }
        Self { filter, length, every, group_by: vec![GroupKey::Project, GroupKey::Endpoint], after: None }
    }
}

/// A window in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowQuery {
    /// The organization.
    pub organization: OrganizationId,
    /// Only these projects; all if empty.
    pub projects: BTreeSet<ProjectId>,
    /// Only these types; all if empty.
    pub kinds: BTreeSet<MetricType>,
    /// Only these endpoints; all if empty.
    pub endpoints: BTreeSet<String>,
    /// Only values of at least this.
    pub min_value: Option<Number>,
    /// The length in microseconds.
    pub length: i64,
    /// The interval at which the window advances, in microseconds.
    pub every: i64,
    /// The keys of its groups.
    pub group_by: BTreeSet<GroupKey>,
}

impl WindowQuery {
    /// Brings a request into normal form.
    ///
    /// # Errors
    /// [`Error::Input`] for lengths beyond the limits or in a ratio that needs too many slots, and for a filter that covers
    /// several organizations.
    pub fn new(scope: &Scope, request: WindowRequest, settings: &config::Live) -> Result<Self> {
        let WindowRequest { filter, length, every, group_by, after: _ } = request;
        check_lengths(length, every, settings)?;
        let combinations = filter.projects.len().max(1).saturating_mul(filter.endpoints.len().max(1));
        if combinations > COMBINATIONS_MAX {
            let message = format!(
                "names {combinations} combinations of projects and endpoints; the maximum is {COMBINATIONS_MAX}"
            );
            return Err(Error::input("filter", message));
        }
        let organization = organization(scope, &filter)?;
        let projects = filter.projects.iter().map(|project| project.id).collect();
        Ok(Self {
            organization,
            projects,
            kinds: filter.kinds.into_iter().collect(),
            endpoints: filter.endpoints.into_iter().collect(),
            min_value: filter.min_value.map(Number),
            length,
            every,
            group_by: group_by.into_iter().collect(),
        })
    }

    /// The width of a slot in microseconds.
    pub const fn slot_width(&self) -> i64 {
        greatest_common_divisor(self.length, self.every)
    }

    /// True if the window is grouped by this key.
    pub fn groups_by(&self, key: GroupKey) -> bool {
        self.group_by.contains(&key)
    }

    /// True if a measurement matches; its project and endpoint are not compared.
    pub fn matches(&self, measurement: &Measurement) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&measurement.kind))
            && self.min_value.is_none_or(|min| measurement.value >= min.0)
    }

    /// The keys of the named projects.
    pub fn project_keys(&self) -> impl Iterator<Item = Key<ProjectId>> {
        self.projects.iter().map(|project| Key::new(self.organization, *project))
    }
}

/// Maximum of projects times endpoints in one filter; each combination is a route of its own.
const COMBINATIONS_MAX: usize = 500;

/// Round intervals in seconds, for advice in errors.
const ROUND_WIDTHS: [i64; 16] = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 86_400];

fn check_lengths(length: i64, every: i64, settings: &config::Live) -> Result<()> {
    let text = duration_text;
    let length_max = i64::from(settings.window_max_hours).saturating_mul(HOUR_MICROS);
    let every_min = whole_micros(settings.window_every_min);
    let slots_max = slots_max(settings);
    if length > length_max {
        let message = format!(
            "is {}; a live window is at most {} long; use metricStats for longer ones",
            text(length),
            text(length_max)
        );
        return Err(Error::input("window", message));
    }
    if every < every_min {
        let message = format!("is {}; it must be at least {}", text(every), text(every_min));
        return Err(Error::input("every", message));
    }
    if every > length {
        let message = format!("is {}; it must be at most the length of the window, {}", text(every), text(length));
        return Err(Error::input("every", message));
    }
    let slots = slots(length, every);
    if slots <= slots_max {
        return Ok(());
    }
    let fits = |width: &i64| length % width == 0 && length / width <= slots_max && *width >= every_min;
    let advice = ROUND_WIDTHS.iter().map(|seconds| seconds * SECOND_MICROS).find(fits);
    let advice = advice.map_or_else(
        || "choose a window of whole minutes, and an interval that divides it".to_owned(),
        |every| format!("{} fits this window", text(every)),
    );
    let message = format!(
        "is {}; with a window of {} it needs {slots} steps, and the maximum is {slots_max}; {advice}",
        text(every),
        text(length),
    );
    Err(Error::input("every", message))
}

fn slots_max(settings: &config::Live) -> i64 {
    i64::try_from(settings.window_steps_max).unwrap_or(i64::MAX)
}

/// The number of slots that a window of this length holds.
const fn slots(length: i64, every: i64) -> i64 {
    length / greatest_common_divisor(length, every)
}

const fn greatest_common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The one organization that a filter covers.
fn organization(scope: &Scope, filter: &Filter) -> Result<OrganizationId> {
    let own = match scope.organizations() {
        VisibleOrganizations::Organization(own) => Some(own),
        VisibleOrganizations::Everything => None,
    };
    let first = filter.projects.first().map(|project| project.organization);
    let Some(organization) = filter.organization.or(first).or(own) else {
        let advice = "names no organization; a live window covers exactly one: name it by its id or slug, or name projects of it";
        return Err(Error::input("filter", advice));
    };
    if filter.projects.iter().any(|project| project.organization != organization) {
        let message = "names projects of several organizations; a live window covers exactly one";
        return Err(several_organizations(scope, message));
    }
    Ok(organization)
}

/// The error for a window with too many groups.
pub(super) fn too_many_groups(settings: &config::Live) -> Error {
    limit(
        "the number of groups in this window",
        settings.window_groups_max,
        "name fewer projects, types or endpoints, or group by fewer keys",
    )
}

/// The error for windows with too many slots together.
pub(super) fn too_many_slots(settings: &config::Live) -> Error {
    limit(
        "the number of steps that all windows hold",
        settings.window_cells_max,
        "choose a shorter window, a longer interval or fewer groups",
    )
}

/// The error for too many different windows.
pub(super) fn too_many_windows(settings: &config::Live) -> Error {
    limit(
        "the number of different live windows",
        settings.windows_max,
        "subscribe to a window that others use, or try again later",
    )
}

fn limit(what: &'static str, limit: usize, advice: &'static str) -> Error {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    Error::Limit { what, actual: limit.saturating_add(1), limit, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_round_and_fits_the_window() {
        let settings = config::Live::default();
        let pace = |length| duration_text(WindowRequest::pace(length, WindowRequest::EVERY_DEFAULT, &settings));
        assert_eq!(pace(SECOND_MICROS / 2), "PT0.5S");
        assert_eq!(pace(5 * MINUTE_MICROS), "PT1S");
        assert_eq!(pace(15 * MINUTE_MICROS), "PT2S");
        assert_eq!(pace(HOUR_MICROS), "PT10S");
        assert_eq!(pace(24 * HOUR_MICROS), "PT5M");
        assert_eq!(pace(HOUR_MICROS + SECOND_MICROS / 2), "PT7.201S");
        for length in (1..2_000).map(|step| step * 43_210_987).chain([1, 3 * HOUR_MICROS + 1]) {
            let every = WindowRequest::pace(length, WindowRequest::RANKING_EVERY_DEFAULT, &settings);
            assert!(every <= length && slots(length, every) <= slots_max(&settings), "{length} {every}");
        }
    }
}
