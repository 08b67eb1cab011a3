//! A live window and its groups.

use std::sync::Arc;

use async_graphql::{Context, Description, Object, SelectionField};

use super::{
    Project,
    accuracy::StatisticsSubject,
    groups::{GroupKeyValue, MetricGroupKey},
    metric_type::MetricType,
    stats::{self, MetricAggregate},
};
use crate::{
    engine::rows::One,
    error::{Error, Result},
    graphql::{
        context::request,
        loaders::AskedRow,
        node::NodeId,
        scalars::{DateTime, StreamCursor},
        selection, sizes,
    },
    live::window::{self, GroupKey, WindowGroup},
    model::{Key, OrganizationId, ProjectId, Tally},
    reports::{Parent, Question, StatisticsNeeded, Stats},
};

/// The dimensions of a live window.
///
/// # Errors
/// [`Error::Input`] for a dimension that live windows do not have.
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

/// The state of a sliding window at one moment. It counts exactly the matching measurements that were committed up to
/// `cursor` and have a timestamp between `start` and `end`.
#[derive(Description)]
pub struct LiveWindow {
    /// The window as it was computed.
    pub window: Arc<window::LiveWindow>,
    /// The question that the window answers.
    pub question: Arc<Question>,
    /// The statistics that are selected.
    pub want: StatisticsNeeded,
    /// The position of the window.
    pub cursor: StreamCursor,
}

#[Object(use_type_description)]
impl LiveWindow {
    /// Position in the metric stream: the window counts every matching measurement committed up to here, and none
    /// committed later.
    async fn cursor(&self) -> StreamCursor {
        self.cursor.clone()
    }

    /// Start of the window, inclusive.
    async fn start(&self) -> DateTime {
        DateTime(self.window.range.from())
    }

    /// End of the window, exclusive. A multiple of `every` since 1970-01-01T00:00Z.
    async fn end(&self) -> DateTime {
        DateTime(self.window.range.to())
    }

    /// Number of times that the window with this `end` was pushed before. A window is pushed again when late
    /// measurements change it, and once when it becomes final.
    async fn revision(&self) -> i32 {
        i32::try_from(self.window.revision).unwrap_or(i32::MAX)
    }

    /// True if late measurements no longer change this window, which is the case from 5 seconds after `end` on. Always
    /// false if `every` is at most 4.75 seconds: the next window then replaces this one before it is final.
    async fn is_final(&self) -> bool {
        self.window.is_final
    }

    /// The groups with measurements, sorted by project, type, status code and endpoint. A window without `groupBy`
    /// always has one group, even without measurements.
    #[graphql(directive = sizes::Assumed::apply(1))]
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

/// A group of measurements in a live window with equal dimension values.
#[derive(Description)]
pub struct LiveGroup {
    window: Arc<window::LiveWindow>,
    question: Arc<Question>,
    place: usize,
    want: StatisticsNeeded,
}

impl LiveGroup {
    fn group(&self) -> Option<&WindowGroup> {
        self.window.groups.get(self.place)
    }

    fn organization(&self) -> OrganizationId {
        self.window.cursor.organization
    }
}

#[Object(use_type_description)]
impl LiveGroup {
    /// Dimension values of this group. Empty without the argument `groupBy`.
    #[graphql(directive = sizes::Assumed::apply(1))]
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

    /// The project of the group. Null unless `PROJECT` is a dimension.
    async fn project(&self, context: &Context<'_>) -> Option<Result<One<Project>>> {
        let id: ProjectId = self.group()?.labels.project?;
        async {
            let asked =
                AskedRow { id: Key::new(self.organization(), id), fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project).map(One))
        }
        .await
        .transpose()
    }

    /// The type of the group. Null unless `TYPE` is a dimension.
    #[graphql(name = "type")]
    async fn kind(&self) -> Option<MetricType> {
        self.group()?.labels.kind.map(Into::into)
    }

    /// The endpoint path of the group. Null unless `ENDPOINT` is a dimension.
    async fn endpoint(&self) -> Option<&str> {
        self.group()?.endpoint.as_deref()
    }

    /// Statistics of the group in the window.
    async fn stats(&self) -> MetricAggregate {
        let figures = self.group().map_or_else(Tally::default, |group| group.tally.clone());
        let stats = Stats::of_tally(&figures, self.want, self.window.range);
        let labels = self.group().map(|group| &group.labels);
        let project = labels.and_then(|labels| labels.project).map(|id| Key::new(self.organization(), id));
        let parent = Parent::of_series(project, labels.and_then(|labels| labels.kind));
        let about = StatisticsSubject { parent, question: Arc::clone(&self.question) };
        MetricAggregate::own(Arc::new(stats), about, self.window.as_of)
    }
}

/// The statistics that a selection on a window needs.
pub fn wants(field: SelectionField<'_>) -> StatisticsNeeded {
    let groups = || field.selection_set().filter(|child| child.name() == "groups");
    let percentiles = groups().any(|groups| stats::wants_in_stats(groups) == StatisticsNeeded::Percentiles);
    if percentiles { StatisticsNeeded::Percentiles } else { StatisticsNeeded::Scalars }
}
