//! Finds the windows of an organization that a measurement may belong to, by its project and endpoint. The cost of a
//! measurement depends on the windows that cover it, not on the number of all windows.

use std::collections::HashMap;

use super::query::WindowQuery;
use crate::{live::publisher::CommittedBatch, model::ProjectId};

/// The id of a window in the registry.
pub type WindowId = u64;

/// Windows by project and endpoint. `None` stands for all projects.
#[derive(Debug, Default)]
pub struct WindowRoutes {
    whole: HashMap<Option<ProjectId>, Vec<WindowId>>,
    by_endpoint: HashMap<Option<ProjectId>, HashMap<String, Vec<WindowId>>>,
}

impl WindowRoutes {
    /// Adds a window.
    pub fn insert(&mut self, query: &WindowQuery, id: WindowId) {
        for project in projects(query) {
            if query.endpoints.is_empty() {
                self.whole.entry(project).or_default().push(id);
            } else {
                let paths = self.by_endpoint.entry(project).or_default();
                query.endpoints.iter().for_each(|path| paths.entry(path.clone()).or_default().push(id));
            }
        }
    }

    /// Removes a window.
    pub fn remove(&mut self, query: &WindowQuery, id: WindowId) {
        fn without(windows: &mut Vec<WindowId>, id: WindowId) -> bool {
            windows.retain(|window| *window != id);
            !windows.is_empty()
        }
        for project in projects(query) {
            if let Some(windows) = self.whole.get_mut(&project)
                && !without(windows, id)
            {
                self.whole.remove(&project);
            }
            if let Some(paths) = self.by_endpoint.get_mut(&project) {
                for path in &query.endpoints {
                    if let Some(windows) = paths.get_mut(path)
                        && !without(windows, id)
                    {
                        paths.remove(path);
                    }
                }
                if paths.is_empty() {
                    self.by_endpoint.remove(&project);
                }
            }
        }
    }

    /// The windows that may count measurements of a batch, each with the index of a measurement; without an index, the
    /// window may count the whole batch.
    pub fn of<'a>(&'a self, batch: &'a CommittedBatch) -> impl Iterator<Item = (WindowId, Option<usize>)> + 'a {
        let keys = [Some(batch.project.id), None];
        let whole = keys.into_iter().filter_map(|key| self.whole.get(&key)).flatten().map(|id| (*id, None));
        let by_endpoint = keys.into_iter().filter_map(|key| self.by_endpoint.get(&key)).flat_map(|paths| {
            let measurements = batch.measurements.iter().enumerate();
            measurements.flat_map(|(index, one)| {
                let windows = paths.get(&one.endpoint).into_iter().flatten();
                windows.map(move |id| (*id, Some(index)))
            })
        });
        whole.chain(by_endpoint)
    }
}

fn projects(query: &WindowQuery) -> impl Iterator<Item = Option<ProjectId>> {
    let every = query.projects.is_empty().then_some(None);
    every.into_iter().chain(query.projects.iter().copied().map(Some))
}
