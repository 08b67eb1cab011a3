//! What a window is about, in one normal form: whoever asks for the same shares one computation.
//!
//! A window is made of slots as wide as the greatest common divisor of its length and its pace, so both of its ends
//! always lie between two slots and nothing is ever estimated at the edges.

use std::collections::BTreeSet;

use super::super::filter::{Filter, several_organizations};
use crate::{
    error::{Error, Result},
    model::{
        Key, Measurement, MetricType, OrganizationId, ProjectId, Reach, Scope, filter::Number, timestamp::duration_text,
    },
};

/// What a window can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKey {
    /// Per project.
    Project,
    /// Per type of measurement.
    Type,
    /// Per route, page, query or cache.
    Endpoint,
    /// Per HTTP status; measurements without one have 0.
    StatusCode,
}

/// What windows may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest window, in microseconds.
    pub window_max: i64,
    /// The quickest pace, in microseconds.
    pub every_min: i64,
    /// Slots of one window.
    pub slots_max: i64,
    /// Groups of one window.
    pub groups_max: usize,
    /// Slots that hold something, in all windows together.
    pub cells_max: usize,
    /// Windows that are computed at once; those who watch the same count once.
    pub windows_max: usize,
}

/// Which window of which measurements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowQuery {
    /// Whose measurements.
    pub organization: OrganizationId,
    /// Only these projects; all where none is named.
    pub projects: BTreeSet<ProjectId>,
    /// Only these types; all where none is named.
    pub kinds: BTreeSet<MetricType>,
    /// Only these endpoints; all where none is named.
    pub endpoints: BTreeSet<String>,
    /// Only values from here on.
    pub min_value: Option<Number>,
    /// How long the window is, in microseconds.
    pub window: i64,
    /// How often it is moved on, in microseconds.
    pub every: i64,
    /// What it is told apart by.
    pub group_by: BTreeSet<GroupKey>,
}

impl WindowQuery {
    /// A window in normal form.
    ///
    /// # Errors
    /// [`Error::Input`] for lengths that are out of bounds or do not fit each other, and for a filter that spans several
    /// organizations: a window stands in the stream of one.
    pub fn new(
        scope: &Scope,
        filter: Filter,
        window: i64,
        every: i64,
        group_by: impl IntoIterator<Item = GroupKey>,
        bounds: &Bounds,
    ) -> Result<Self> {
        check_lengths(window, every, bounds)?;
        let combinations = filter.projects.len().max(1).saturating_mul(filter.endpoints.len().max(1));
        if combinations > COMBINATIONS_MAX {
            let message = format!(
                "names {combinations} endpoints of projects, and at most {COMBINATIONS_MAX} can be watched at once"
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
            window,
            every,
            group_by: group_by.into_iter().collect(),
        })
    }

    /// How wide a slot is, in microseconds.
    pub const fn slot_width(&self) -> i64 {
        greatest_common_divisor(self.window, self.every)
    }

    /// Whether measurements are told apart by this.
    pub fn groups_by(&self, key: GroupKey) -> bool {
        self.group_by.contains(&key)
    }

    /// Whether a measurement of one of the projects counts, but for its endpoint.
    pub fn passes(&self, measurement: &Measurement) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&measurement.kind))
            && self.min_value.is_none_or(|min| measurement.value >= min.0)
    }

    /// The projects that are named, as keys.
    pub fn project_keys(&self) -> impl Iterator<Item = Key<ProjectId>> {
        self.projects.iter().map(|project| Key::new(self.organization, *project))
    }
}

/// Projects times endpoints that one filter may name: each is looked up by itself.
const COMBINATIONS_MAX: usize = 500;

/// Widths of slots that people think in, in seconds.
const ROUND_WIDTHS: [i64; 16] = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 86_400];

fn check_lengths(window: i64, every: i64, bounds: &Bounds) -> Result<()> {
    let text = duration_text;
    if window > bounds.window_max {
        let message = format!(
            "is {}, and at most {} can be watched live; ask metricStats for more",
            text(window),
            text(bounds.window_max)
        );
        return Err(Error::input("window", message));
    }
    if every < bounds.every_min {
        let message = format!("is {}, and must be at least {}", text(every), text(bounds.every_min));
        return Err(Error::input("every", message));
    }
    if every > window {
        let message = format!("is {}, longer than the window of {}: give at most that", text(every), text(window));
        return Err(Error::input("every", message));
    }
    let slots = window / greatest_common_divisor(window, every);
    if slots <= bounds.slots_max {
        return Ok(());
    }
    let fits = |width: &i64| window % width == 0 && window / width <= bounds.slots_max && *width >= bounds.every_min;
    let advice = ROUND_WIDTHS.iter().map(|seconds| seconds * 1_000_000).find(fits);
    let advice = advice.map_or_else(
        || "choose a window of whole minutes, and a pace that divides it".to_owned(),
        |every| format!("{} fits this window", text(every)),
    );
    let message = format!(
        "is {}: the window of {} would have {slots} steps, and at most {} are kept; {advice}",
        text(every),
        text(window),
        bounds.slots_max
    );
    Err(Error::input("every", message))
}

const fn greatest_common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The one organization that a filter is about.
fn organization(scope: &Scope, filter: &Filter) -> Result<OrganizationId> {
    let own = match scope.reach() {
        Reach::Organization(own) => Some(own),
        Reach::Everything => None,
    };
    let first = filter.projects.first().map(|project| project.organization);
    let Some(organization) = filter.organization.or(first).or(own) else {
        let advice = "a window is about one organization: name it, or projects of it";
        return Err(Error::input("filter", advice));
    };
    if filter.projects.iter().any(|project| project.organization != organization) {
        let message = "a window is about one organization, and these projects belong to several";
        return Err(several_organizations(scope, message));
    }
    Ok(organization)
}
