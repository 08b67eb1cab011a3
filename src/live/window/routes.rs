//! Which windows of an organization a measurement may belong to, found by its project and its endpoint: the cost of a
//! measurement follows from who watches it, not from how many watch something.

use std::collections::HashMap;

use super::query::WindowQuery;
use crate::{live::CommittedBatch, model::ProjectId};

/// A window at the desk.
pub type ViewId = u64;

/// Windows by what they watch. `None` stands for every project.
#[derive(Debug, Default)]
pub struct Routes {
    whole: HashMap<Option<ProjectId>, Vec<ViewId>>,
    by_endpoint: HashMap<Option<ProjectId>, HashMap<String, Vec<ViewId>>>,
}

impl Routes {
    /// Adds a window.
    pub fn insert(&mut self, query: &WindowQuery, id: ViewId) {
        for project in projects(query) {
            if query.endpoints.is_empty() {
                self.whole.entry(project).or_default().push(id);
            } else {
                let paths = self.by_endpoint.entry(project).or_default();
                query.endpoints.iter().for_each(|path| paths.entry(path.clone()).or_default().push(id));
            }
        }
    }

    /// Takes a window out.
    pub fn remove(&mut self, query: &WindowQuery, id: ViewId) {
        fn without(views: &mut Vec<ViewId>, id: ViewId) -> bool {
            views.retain(|view| *view != id);
            !views.is_empty()
        }
        for project in projects(query) {
            if let Some(views) = self.whole.get_mut(&project)
                && !without(views, id)
            {
                self.whole.remove(&project);
            }
            if let Some(paths) = self.by_endpoint.get_mut(&project) {
                for path in &query.endpoints {
                    if let Some(views) = paths.get_mut(path)
                        && !without(views, id)
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

    /// Names every window with the places of the measurements that it may count; a window that counts the whole batch
    /// has no places.
    pub fn of<'a>(&'a self, batch: &'a CommittedBatch) -> impl Iterator<Item = (ViewId, Option<usize>)> + 'a {
        let keys = [Some(batch.project.id), None];
        let whole = keys.into_iter().filter_map(|key| self.whole.get(&key)).flatten().map(|id| (*id, None));
        let by_endpoint = keys.into_iter().filter_map(|key| self.by_endpoint.get(&key)).flat_map(|paths| {
            let places = batch.measurements.iter().enumerate();
            places.flat_map(|(place, one)| {
                let views = paths.get(&one.endpoint).into_iter().flatten();
                views.map(move |id| (*id, Some(place)))
            })
        });
        whole.chain(by_endpoint)
    }
}

fn projects(query: &WindowQuery) -> impl Iterator<Item = Option<ProjectId>> {
    let every = query.projects.is_empty().then_some(None);
    every.into_iter().chain(query.projects.iter().copied().map(Some))
}
