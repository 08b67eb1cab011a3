//! The rings of one window, by group.

use std::collections::HashMap;

use super::{
    cell::Addend,
    query::{GroupKey, WindowQuery},
    ring::{Ring, Span},
};
use crate::model::{Measurement, MetricType, ProjectId, Tally};

/// What tells a group apart, but for the endpoint; `None` where the window is not grouped by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The project.
    pub project: Option<ProjectId>,
    /// The type.
    pub kind: Option<MetricType>,
    /// The HTTP status, 0 where there was none.
    pub status: Option<i16>,
}

impl Place {
    /// The place of a measurement in the groups of a window.
    pub fn of(query: &WindowQuery, project: ProjectId, kind: MetricType, status: i16) -> Self {
        Self {
            project: query.groups_by(GroupKey::Project).then_some(project),
            kind: query.groups_by(GroupKey::Type).then_some(kind),
            status: query.groups_by(GroupKey::StatusCode).then_some(status),
        }
    }
}

/// A group of a window, and how it did.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowGroup {
    /// What tells it apart.
    pub place: Place,
    /// Its endpoint, where the window is grouped by it.
    pub endpoint: Option<String>,
    /// How it did.
    pub figures: Tally,
}

/// The rings of one window. Endpoints are a level of their own, so that looking one up needs no text of our own.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    by_place: HashMap<Place, HashMap<Box<str>, Ring>>,
    groups: usize,
    cells: usize,
}

impl Rings {
    /// Adds one measurement.
    pub fn record(&mut self, query: &WindowQuery, span: Span, slot: i64, project: ProjectId, one: &Measurement) {
        let place = Place::of(query, project, one.kind, one.status);
        let endpoint = if query.groups_by(GroupKey::Endpoint) { one.endpoint.as_str() } else { "" };
        self.add(span, slot, place, endpoint, &Addend::from(one));
    }

    /// Adds measurements of a slot; what lies before the window is nobody's.
    pub fn add(&mut self, span: Span, slot: i64, place: Place, endpoint: &str, addend: &Addend) {
        if slot < span.first {
            return;
        }
        let rings = self.by_place.entry(place).or_default();
        let is_new = if let Some(ring) = rings.get_mut(endpoint) {
            ring.add(span, slot, addend)
        } else {
            self.groups += 1;
            rings.entry(endpoint.into()).or_default().add(span, slot, addend)
        };
        self.cells += usize::from(is_new);
    }

    /// Moves the window on. Groups of which nothing is left are gone.
    pub fn advance(&mut self, from: Span, to: Span) {
        let (mut groups, mut cells) = (0, 0);
        self.by_place.retain(|_, rings| {
            rings.retain(|_, ring| {
                ring.advance(from, to);
                cells += ring.slots();
                ring.slots() > 0
            });
            groups += rings.len();
            !rings.is_empty()
        });
        (self.groups, self.cells) = (groups, cells);
    }

    /// How many groups there are.
    pub const fn groups(&self) -> usize {
        self.groups
    }

    /// How many slots hold something.
    pub const fn cells(&self) -> usize {
        self.cells
    }

    /// Every group with something inside the window, in one order; without groups always the one of everything.
    pub fn read(&self, query: &WindowQuery, span: Span) -> Vec<WindowGroup> {
        let by_endpoint = query.groups_by(GroupKey::Endpoint);
        let mut groups = Vec::with_capacity(self.groups);
        for (place, rings) in &self.by_place {
            for (endpoint, ring) in rings {
                let figures = ring.figures(span);
                if figures.count > 0 {
                    let endpoint = by_endpoint.then(|| endpoint.to_string());
                    groups.push(WindowGroup { place: *place, endpoint, figures });
                }
            }
        }
        if groups.is_empty() && query.group_by.is_empty() {
            groups.push(WindowGroup { place: Place::default(), endpoint: None, figures: Tally::default() });
        }
        groups.sort_unstable_by(|a, b| a.place.cmp(&b.place).then_with(|| a.endpoint.cmp(&b.endpoint)));
        groups
    }
}
