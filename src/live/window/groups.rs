//! The groups of one window.

use std::collections::HashMap;

use super::{
    group::{GroupSlots, SlotRange},
    query::{GroupKey, WindowQuery},
    slot::BinTally,
};
use crate::model::{Measurement, MetricType, ProjectId, Tally};

/// The values of a group's keys, except for the endpoint; `None` if the window is not grouped by the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupLabels {
    /// The project.
    pub project: Option<ProjectId>,
    /// The type.
    pub kind: Option<MetricType>,
    /// The HTTP status; 0 for measurements without one.
    pub status: Option<i16>,
}

impl GroupLabels {
    /// The labels of a measurement in a window.
    pub fn of(query: &WindowQuery, project: ProjectId, kind: MetricType, status: i16) -> Self {
        Self {
            project: query.groups_by(GroupKey::Project).then_some(project),
            kind: query.groups_by(GroupKey::Type).then_some(kind),
            status: query.groups_by(GroupKey::StatusCode).then_some(status),
        }
    }
}

/// A group of a window with its statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowGroup {
    /// The values of the keys, except for the endpoint.
    pub labels: GroupLabels,
    /// The endpoint, if the window is grouped by it.
    pub endpoint: Option<String>,
    /// The statistics of the group.
    pub tally: Tally,
}

/// The groups of one window. Endpoints are a level of their own, so that a lookup allocates no text.
#[derive(Clone, Debug, Default)]
pub struct WindowGroups {
    by_labels: HashMap<GroupLabels, HashMap<Box<str>, GroupSlots>>,
    groups: usize,
    slots: usize,
}

impl WindowGroups {
    /// Adds one measurement.
    pub fn record(&mut self, query: &WindowQuery, range: SlotRange, slot: i64, project: ProjectId, one: &Measurement) {
        let labels = GroupLabels::of(query, project, one.kind, one.status);
        let endpoint = if query.groups_by(GroupKey::Endpoint) { one.endpoint.as_str() } else { "" };
        self.add(range, slot, labels, endpoint, &BinTally::from(one));
    }

    /// Adds measurements of a slot; a slot before the window is ignored.
    pub fn add(&mut self, range: SlotRange, slot: i64, labels: GroupLabels, endpoint: &str, added: &BinTally) {
        if slot < range.first {
            return;
        }
        let by_endpoint = self.by_labels.entry(labels).or_default();
        let is_new = if let Some(group) = by_endpoint.get_mut(endpoint) {
            group.add(range, slot, added)
        } else {
            self.groups += 1;
            by_endpoint.entry(endpoint.into()).or_default().add(range, slot, added)
        };
        self.slots += usize::from(is_new);
    }

    /// Advances the window and drops groups that have become empty.
    pub fn advance(&mut self, from: SlotRange, to: SlotRange) {
        let (mut groups, mut slots) = (0, 0);
        self.by_labels.retain(|_, by_endpoint| {
            by_endpoint.retain(|_, group| {
                group.advance(from, to);
                slots += group.len();
                group.len() > 0
            });
            groups += by_endpoint.len();
            !by_endpoint.is_empty()
        });
        (self.groups, self.slots) = (groups, slots);
    }

    /// The number of groups.
    pub const fn groups(&self) -> usize {
        self.groups
    }

    /// The number of slots with measurements, in all groups.
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// All groups with measurements in the window, sorted by their keys. A window without keys always has one group.
    pub fn read(&self, query: &WindowQuery, range: SlotRange) -> Vec<WindowGroup> {
        let has_endpoints = query.groups_by(GroupKey::Endpoint);
        let mut groups = Vec::with_capacity(self.groups);
        for (labels, by_endpoint) in &self.by_labels {
            for (endpoint, group) in by_endpoint {
                let tally = group.tally(range);
                if tally.count > 0 {
                    let endpoint = has_endpoints.then(|| endpoint.to_string());
                    groups.push(WindowGroup { labels: *labels, endpoint, tally });
                }
            }
        }
        if groups.is_empty() && query.group_by.is_empty() {
            groups.push(WindowGroup { labels: GroupLabels::default(), endpoint: None, tally: Tally::default() });
        }
        groups.sort_unstable_by(|a, b| a.labels.cmp(&b.labels).then_with(|| a.endpoint.cmp(&b.endpoint)));
        groups
    }
}
