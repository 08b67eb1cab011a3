//! A live window and its groups.

use std::sync::Arc;

use async_graphql::{Context, Object, SelectionField};

use super::{
    Project,
    accuracy::About,
    groups::{GroupKeyValue, MetricGroupKey},
    metric::MetricType,
    stats::{self, MetricAggregate},
};
use crate::{
    engine::rows::One,
    error::{Error, Result},
    graphql::{
        context::request,
        loaders::Asked,
        node::NodeId,
        scalars::{DateTime, StreamCursor},
        selection,
    },
    live::window::{self, GroupKey, WindowGroup},
    model::{Key, OrganizationId, ProjectId, Tally, TimeRange, sketch::RELATIVE_ERROR},
    reports::{Accuracy, Distribution, Parent, Question, Source, Stats, Want},
};

/// What the groups of a window are told apart by.
///
/// # Errors
/// For what is not known of the measurements that pass by.
pub fn group_by(keys: Vec<MetricGroupKey>) -> Result<Vec<GroupKey>> {
    let key = |key| match key {
        MetricGroupKey::Project => Ok(GroupKey::Project),
        MetricGroupKey::Type => Ok(GroupKey::Type),
        MetricGroupKey::Endpoint => Ok(GroupKey::Endpoint),
        MetricGroupKey::StatusCode => Ok(GroupKey::StatusCode),
        MetricGroupKey::Name | MetricGroupKey::Release => {
            Err(Error::input("groupBy", "a live window has groups by PROJECT, TYPE, ENDPOINT and STATUS_CODE only"))
        }
    };
    keys.into_iter().map(key).collect()
}

/// A window at one moment, with what was selected of it.
pub struct LiveWindow {
    /// What was computed.
    pub window: Arc<window::LiveWindow>,
    /// What was asked.
    pub question: Arc<Question>,
    /// Which figures are looked at.
    pub want: Want,
    /// Where it stands.
    pub cursor: StreamCursor,
}

/// A sliding window at one moment. It holds exactly what was committed up to its cursor and happened from its start up to
/// its end.
#[Object]
impl LiveWindow {
    /// Every commit up to here is counted, and none after it.
    async fn cursor(&self) -> StreamCursor {
        self.cursor.clone()
    }

    /// The first moment inside.
    async fn start(&self) -> DateTime {
        DateTime(self.window.range.from())
    }

    /// The first moment after: a multiple of the stream's pace.
    async fn end(&self) -> DateTime {
        DateTime(self.window.range.to())
    }

    /// How often this very window (the one with this end) was pushed before: late measurements revise it.
    async fn revision(&self) -> i32 {
        i32::try_from(self.window.revision).unwrap_or(i32::MAX)
    }

    /// Whether this window is not going to be revised any more. Windows that follow each other within the time that late
    /// measurements are waited for are replaced before they are final.
    async fn is_final(&self) -> bool {
        self.window.is_final
    }

    /// The groups with measurements, in the order of their keys; without `groupBy` always one, of everything.
    async fn groups(&self) -> Vec<LiveGroup> {
        let group = |place| LiveGroup {
            window: Arc::clone(&self.window),
            question: Arc::clone(&self.question),
            place,
            want: self.want,
        };
        (0..self.window.groups.len()).map(group).collect()
    }
}

/// A group of a window.
pub struct LiveGroup {
    window: Arc<window::LiveWindow>,
    question: Arc<Question>,
    place: usize,
    want: Want,
}

impl LiveGroup {
    fn group(&self) -> Option<&WindowGroup> {
        self.window.groups.get(self.place)
    }

    fn organization(&self) -> OrganizationId {
        self.window.cursor.organization
    }
}

/// Measurements that have what they are told apart by in common.
#[Object]
impl LiveGroup {
    /// What tells the group apart; empty where nothing does.
    async fn keys(&self) -> Vec<GroupKeyValue> {
        let Some(group) = self.group() else { return Vec::new() };
        let value = |key, value| GroupKeyValue { key, value };
        let project = |id| NodeId::Project(Key::new(self.organization(), id)).encode().0;
        [
            group.labels.project.map(|id| value(MetricGroupKey::Project, project(id))),
            group.labels.kind.map(|kind| value(MetricGroupKey::Type, kind.name().to_owned())),
            group.endpoint.clone().map(|path| value(MetricGroupKey::Endpoint, path)),
            group.labels.status.map(|status| {
                let code = if status == 0 { String::new() } else { status.to_string() };
                value(MetricGroupKey::StatusCode, code)
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The project of the group; null where groups are not told apart by it.
    async fn project(&self, context: &Context<'_>) -> Option<Result<One<Project>>> {
        let id: ProjectId = self.group()?.labels.project?;
        async {
            let asked = Asked { id: Key::new(self.organization(), id), fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project).map(One))
        }
        .await
        .transpose()
    }

    /// The type of the group; null where groups are not told apart by it.
    #[graphql(name = "type")]
    async fn kind(&self) -> Option<MetricType> {
        self.group()?.labels.kind.map(Into::into)
    }

    /// The endpoint of the group; null where groups are not told apart by it.
    async fn endpoint(&self) -> Option<&str> {
        self.group()?.endpoint.as_deref()
    }

    /// How it did in the window.
    async fn stats(&self) -> MetricAggregate {
        let figures = self.group().map_or_else(Tally::default, |group| group.tally.clone());
        let stats = figures_as_stats(&figures, self.want, self.window.range);
        let labels = self.group().map(|group| &group.labels);
        let project = labels.and_then(|labels| labels.project).map(|id| Key::new(self.organization(), id));
        let parent = Parent::of_series(project, labels.and_then(|labels| labels.kind));
        let about = About { parent, question: Arc::clone(&self.question) };
        MetricAggregate::own(Arc::new(stats), about, self.window.as_of)
    }
}

/// Figures of a live window as those of a report.
pub fn figures_as_stats(figures: &Tally, want: Want, covers: TimeRange) -> Stats {
    let mut tally = Tally::empty(None);
    tally.merge_with(figures, |distribution, sketch| {
        *distribution = (want == Want::Percentiles).then(|| Distribution::Sketch(sketch.clone()));
    });
    Stats {
        tally,
        accuracy: Accuracy {
            is_exact: want == Want::Scalars,
            covers,
            relative_error_bound: match want {
                Want::Scalars => 0.0,
                Want::Percentiles => RELATIVE_ERROR,
            },
            source: Source::Raw,
        },
    }
}

/// What a selection on a window needs of its groups.
pub fn wants(field: SelectionField<'_>) -> Want {
    let groups = || field.selection_set().filter(|child| child.name() == "groups");
    let percentiles = groups().any(|groups| stats::wants_in_stats(groups) == Want::Percentiles);
    if percentiles { Want::Percentiles } else { Want::Scalars }
}
