//! The declarations of list sizes and time windows that fields of this schema share, as directives.

use std::borrow::Cow;

use async_graphql::{
    TypeDirective,
    registry::{MetaDirectiveInvocation, Registry, location_traits::Directive_At_FIELD_DEFINITION},
};

use crate::engine::directives::{list_size, reads, resumable, time_buckets, time_window};
use crate::reports::Slowest;

/// Defines a unit type that applies a directive with fixed or few arguments.
macro_rules! shorthand {
    ($(#[doc = $doc:literal])+ $name:ident($($argument:ident: $type:ty)?) = $directive:ident($($value:expr),*)) => {
        $(#[doc = $doc])+
        pub struct $name;

        impl TypeDirective for $name {
            fn name(&self) -> Cow<'static, str> {
                $directive.name()
            }

            fn register(&self, registry: &mut Registry) {
                $directive.register(registry);
            }
        }

        impl Directive_At_FIELD_DEFINITION for $name {}

        impl $name {
            /// The directive for a field.
            pub fn apply($($argument: $type)?) -> MetaDirectiveInvocation {
                $directive::apply($($value),*)
            }
        }
    };
}

/// The conditions of a filter that rollups by endpoint do not know.
const SINGLE: [&str; 5] =
    ["filter.statusCode", "filter.names", "filter.releaseVersions", "filter.releases", "filter.releaseId"];
/// The dimensions that rollups by endpoint do not know.
const SINGLE_KEYS: [&str; 3] = ["NAME", "STATUS_CODE", "RELEASE"];
/// The condition and the dimension that breakdowns by these do not know.
const APART: [&str; 1] = ["filter.endpoint"];
const APART_KEYS: [&str; 1] = ["ENDPOINT"];
const EXACT: [&str; 2] = ["filter.isExact", "filter.exact"];

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

shorthand! {
    /// A connection that pages in both directions.
    Connection() = list_size(None, Some(names(&["first", "last"])), Some(names(&["nodes", "edges"])), None)
}

shorthand! {
    /// A connection that pages forward only.
    ForwardConnection() = list_size(None, Some(names(&["first"])), Some(names(&["nodes", "edges"])), None)
}

shorthand! {
    /// A page by number, with its rows in `nodes`, or in its deprecated spelling `items`.
    NumberedPage() = list_size(None, Some(names(&["pageSize"])), Some(names(&["nodes", "items"])), None)
}

shorthand! {
    /// A list whose size is an argument, or the default value of that argument.
    Sliced(argument: &str) = list_size(None, Some(names(&[argument])), None, None)
}

shorthand! {
    /// A ranking: `first`, or its deprecated spelling `limit`.
    Ranking() = list_size(Some(Slowest::LIMIT_DEFAULT), Some(names(&["first", "limit"])), None, None)
}

shorthand! {
    /// A list that counts with this size.
    Assumed(size: i32) = list_size(Some(size), None, None, None)
}

shorthand! {
    /// A list with as many items as a page has at most.
    FullPage() = list_size(None, None, None, None)
}

shorthand! {
    /// A list of which one item is counted unless `first` is given.
    FirstOrOne() = list_size(Some(1), Some(names(&["first"])), None, None)
}

shorthand! {
    /// A list of one series, or of one for each group.
    Series() = list_size(None, Some(names(&["first"])), None, Some("groupBy".to_owned()))
}

shorthand! {
    /// A list with an item for each time bucket of the argument `bucket`.
    Buckets() = time_buckets("bucket".to_owned(), None)
}

shorthand! {
    /// A list of series whose buckets are columns: twenty of them cost as much as one item, because they are not resolved
    /// one by one.
    BucketColumns() = time_buckets("bucket".to_owned(), Some(20))
}

shorthand! {
    /// The window of a `filter`, or the last day without one.
    FilterWindow() = time_window(
        vec!["filter.time.last".to_owned()],
        Some(names(&["filter.time.between.start", "filter.time.between.from"])),
        Some(names(&["filter.time.between.end", "filter.time.between.to"])),
        Some("PT24H".to_owned())
    )
}

shorthand! {
    /// The sliding window of the argument `window`.
    LiveWindow() = time_window(vec!["window".to_owned()], None, None, None)
}

shorthand! {
    /// Statistics of the measurements that a `filter` selects.
    Statistics(weight: i32) =
        reads(weight, None, Some(names(&SINGLE)), None, Some(names(&APART)), None, Some(names(&EXACT)))
}

shorthand! {
    /// Statistics by endpoint of the measurements that a `filter` selects.
    StatisticsByEndpoint(weight: i32) =
        reads(weight, None, Some(names(&SINGLE)), None, None, None, Some(names(&EXACT)))
}

shorthand! {
    /// Statistics of groups by the dimensions in `groupBy`.
    GroupStatistics(weight: i32) =
        reads(
            weight,
            Some("groupBy".to_owned()),
            Some(names(&SINGLE)),
            Some(names(&SINGLE_KEYS)),
            Some(names(&APART)),
            Some(names(&APART_KEYS)),
            Some(names(&EXACT))
        )
}

shorthand! {
    /// Pages of single measurements, found by index unless a condition has to be looked at row by row.
    Rows(weight: i32) = reads(weight, None, Some(names(&[&["value"][..], &SINGLE].concat())), None, None, None, None)
}

shorthand! {
    /// Statistics of something that other fields have selected.
    Reads(weight: i32) = reads(weight, None, None, None, None, None, None)
}

shorthand! {
    /// A stream that resumes after the cursor `after`; missed events are replayed to each client.
    Replayed() = resumable("after".to_owned(), true)
}

shorthand! {
    /// A stream that resumes after the cursor `after`.
    Resumed() = resumable("after".to_owned(), false)
}
