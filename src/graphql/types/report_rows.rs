//! The rows of reports as text: buckets, groups, endpoints and their statistics. A week of hours is a thousand fields, which the
//! library would resolve one by one.

use std::sync::Arc;

use async_graphql::{Context, ServerResult, resolver_utils::EnumType};

use super::{
    Project,
    accuracy::StatisticsSubject,
    endpoint::EndpointStats,
    groups::{self, GroupKeyValue, MetricGroup, MetricGroupKey},
    related,
    series::MetricBucket,
    stats::{MetricAggregate, check},
};
use crate::{
    engine::rows::{Figure, Read, Row, Scalar, write_columns, write_each, write_list},
    graphql::{context::request, loaders::AskedRow, scalars::Long, selection},
    reports::{GroupKey, Stats},
};

/// The name of the selected field.
fn name<'a>(at: &'a Context<'_>) -> &'a str {
    at.item.node.name.node.as_str()
}

fn whole(count: u64) -> Scalar<'static> {
    Scalar::Whole(Long::from(count).0)
}

impl Row for MetricAggregate {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "count" => |one, _| Ok(whole(one.stats.tally.count)),
            "unit" => |one, _| Ok(one.about.unit().map_or(Scalar::Null, Scalar::Word)),
            "average" => |one, _| Ok(Scalar::number(one.figure(Stats::average))),
            "min" => |one, _| Ok(Scalar::number(one.figure(|stats| stats.tally.min()))),
            "max" => |one, _| Ok(Scalar::number(one.figure(|stats| stats.tally.max()))),
            "sum" => |one, _| Ok(Scalar::number(one.figure(Stats::sum))),
            "errorCount" => |one, _| Ok(whole(one.stats.tally.errors)),
            "errorRate" => |one, _| Ok(Scalar::number(one.figure(Stats::error_rate))),
            "stddev" => |one, _| Ok(Scalar::number(one.figure(Stats::deviation))),
            _ => return None,
        })
    }

    fn figure(at: &Context<'_>) -> Option<Figure<Self>> {
        if name(at) != "percentile" {
            return None;
        }
        let (_, p) = at.param_value::<f64>("p", None).ok()?;
        check("p", p).ok()?;
        Some(Box::new(move |one| {
            Scalar::number(one.figure(|stats| stats.percentile(p).map(|quantile| quantile.value)))
        }))
    }
}

/// The statistics of each row.
async fn write_stats(stats: &[&MetricAggregate], at: &[Context<'_>]) -> ServerResult<Option<Vec<String>>> {
    let places: Vec<_> = at.iter().map(|place| place.with_selection_set(&place.item.node.selection_set)).collect();
    write_each(stats, &places).await
}

impl Row for MetricBucket {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "start" => |one, _| Ok(Scalar::Time(one.start.0)),
            "end" => |one, _| Ok(Scalar::Time(one.end.0)),
            "isComplete" => |one, _| Ok(Scalar::Flag(one.is_complete)),
            "isFilled" => |one, _| Ok(Scalar::Flag(one.is_filled)),
            _ => return None,
        })
    }

    async fn follow(rows: &[&Self], at: &[Context<'_>]) -> ServerResult<Option<Vec<String>>> {
        match at.first().map(name) {
            Some("stats") => write_stats(&rows.iter().map(|row| &row.stats).collect::<Vec<_>>(), at).await,
            _ => Ok(None),
        }
    }
}

impl Row for GroupKeyValue {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "key" => |one, _| {
                let item = MetricGroupKey::items().iter().find(|item| item.value == one.key);
                Ok(item.map_or(Scalar::Null, |item| Scalar::Word(item.name)))
            },
            "value" => |one, _| Ok(Scalar::Text(&one.value)),
            _ => return None,
        })
    }
}

impl Row for MetricGroup {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "type" => |one, _| {
                let kind = one.group.keys.iter().find_map(|key| match key {
                    GroupKey::Type(kind) => Some(kind.name()),
                    _ => None,
                });
                Ok(kind.map_or(Scalar::Null, Scalar::Word))
            },
            "endpoint" => |one, _| {
                let path = one.group.keys.iter().find_map(|key| match key {
                    GroupKey::Endpoint(path) => Some(path.as_ref()),
                    _ => None,
                });
                Ok(path.map_or(Scalar::Null, Scalar::Text))
            },
            _ => return None,
        })
    }

    async fn follow(rows: &[&Self], at: &[Context<'_>]) -> ServerResult<Option<Vec<String>>> {
        match at.first().map(name) {
            Some("stats") => {
                let stats: Vec<_> = rows.iter().map(|row| row.aggregate()).collect();
                write_stats(&stats.iter().collect::<Vec<_>>(), at).await
            }
            Some("keys") => {
                let write_keys = |(row, place): (&&Self, &Context<'_>)| {
                    let place = place.with_selection_set(&place.item.node.selection_set);
                    write_columns(&groups::key_values(&row.group.keys), &place).map(|texts| write_list(&texts))
                };
                Ok(rows.iter().zip(at).map(write_keys).collect())
            }
            _ => Ok(None),
        }
    }
}

impl Row for EndpointStats {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "endpoint" => |one, _| Ok(Scalar::Text(&one.row.endpoint)),
            "value" => |one, _| Ok(Scalar::Number(one.row.value)),
            "unit" => |one, _| Ok(one.subject().unit().map_or(Scalar::Null, Scalar::Word)),
            _ => return None,
        })
    }

    async fn follow(rows: &[&Self], at: &[Context<'_>]) -> ServerResult<Option<Vec<String>>> {
        match at.first().map(name) {
            Some("stats") => {
                let stats: Vec<_> = rows.iter().map(|row| row.aggregate()).collect();
                write_stats(&stats.iter().collect::<Vec<_>>(), at).await
            }
            Some("project") => {
                let Some(first) = at.first() else { return Ok(Some(Vec::new())) };
                let Ok(request) = request(first) else { return Ok(None) };
                let (loaders, fields) = (&request.loaders(), selection::of_object(first.field()));
                let load = async |id| Ok(loaders.project.load(AskedRow { id, fields }).await?.map(Project));
                related::write_of_rows(rows.iter().map(|row| row.row.project), at, load).await
            }
            _ => Ok(None),
        }
    }
}

impl MetricGroup {
    /// The statistics of the group over the whole window.
    pub(super) fn aggregate(&self) -> MetricAggregate {
        let about = StatisticsSubject { parent: self.group.parent.clone(), question: Arc::clone(&self.question) };
        MetricAggregate::own(Arc::clone(&self.group.stats), about, self.as_of)
    }
}

impl EndpointStats {
    /// The measurements of the endpoint in the window of the ranking.
    pub(super) fn subject(&self) -> StatisticsSubject {
        StatisticsSubject { parent: self.row.as_parent(), question: Arc::clone(&self.question) }
    }

    /// Their statistics.
    pub(super) fn aggregate(&self) -> MetricAggregate {
        MetricAggregate::own(Arc::clone(&self.row.stats), self.subject(), self.as_of)
    }
}
