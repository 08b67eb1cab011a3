//! Directives by which a schema declares the cost of its fields, the resumption of its subscriptions and its filters.
//!
//! A schema applies them to field definitions, and `@conditions` to input types; `schema/` reads them back from the
//! schema's text. `@listSize` follows the draft of the IBM cost directives, where one exists for the purpose.

use async_graphql::TypeDirective;

/// Declares the size of a list. The cost of an operation multiplies the fields selected below the list by it. The size
/// is the first of these that exists: the value of one of the `slicingArguments` (for a list, its length);
/// `assumedSize`; the default value of one of the `slicingArguments`; with `slicingArguments`, the default page size of
/// the server; its maximum page size, which every size is capped to. `sizedFields` names the fields of the returned
/// object that hold the items. `groupingArgument` names an argument without which the list has one item.
#[TypeDirective(location = "FieldDefinition", name = "listSize")]
pub fn list_size(
    #[graphql(desc = "The size without a slicing argument.")] assumed_size: Option<i32>,
    #[graphql(desc = "Arguments that give the size: a number, or a list by its length.")] slicing_arguments: Option<
        Vec<String>,
    >,
    #[graphql(
        desc = "Fields of the returned object that hold the items. An assumed page size counts only when one of them is \
                selected."
    )]
    sized_fields: Option<Vec<String>>,
    #[graphql(desc = "An argument without which the list has one item.")] grouping_argument: Option<String>,
) {
}

/// Declares that a list has one item for each time bucket. `argument` names the argument that holds the length of a
/// bucket. The time window is that of the field, or else of the nearest field above it with a `@timeWindow`.
/// `bucketsPerItem` is the number of buckets that cost as much as one item; each bucket is an item by default.
#[TypeDirective(location = "FieldDefinition", name = "timeBuckets")]
pub fn time_buckets(
    #[graphql(desc = "The argument that holds the length of a bucket.")] argument: String,
    #[graphql(
        desc = "The number of buckets that cost as much as one item of the list, for items that hold a whole series. \
                Without it, each bucket is an item."
    )]
    buckets_per_item: Option<i32>,
) {
}

/// Declares the arguments that select the time window of a field, each as a path from an argument into its input
/// object, such as `filter.time.last`. `lengths` are paths to a length, `start` and `end` paths to bounds. `default` is
/// the length without any of these arguments.
#[TypeDirective(location = "FieldDefinition", name = "timeWindow")]
pub fn time_window(
    #[graphql(desc = "Paths to the length of a window.")] lengths: Vec<String>,
    #[graphql(desc = "Paths to the start of a window.")] start: Option<Vec<String>>,
    #[graphql(desc = "Paths to the end of a window.")] end: Option<Vec<String>>,
    #[graphql(desc = "The length of the window without any of these arguments, as an ISO 8601 duration.")]
    default: Option<String>,
) {
}

/// Declares the measurements that a field reads, which adds to the cost of an operation. One statement reads them for all
/// objects that contain the field, so this counts once and is not multiplied by the sizes of lists. `weight` counts
/// always. `groups` names an argument with dimensions: with any, a hundredth of the number of groups that the server
/// allows counts. `single` are paths to conditions that only single measurements can answer, and `singleKeys` such
/// dimensions: with any, each hour of the time window counts one. Where `apart` is declared, they are answered from counts of
/// whole hours and days, and each day counts one, unless one of these conditions or of the dimensions `apartKeys` is given as well,
/// or buckets that are not whole hours. `exact` are paths to a
/// switch: when it is on, the hours count, and a thousandth of the number of measurements that an exact answer may read.
#[TypeDirective(location = "FieldDefinition", name = "reads")]
pub fn reads(
    #[graphql(desc = "The cost of reading.")] weight: i32,
    #[graphql(desc = "The argument that holds the dimensions of groups.")] groups: Option<String>,
    #[graphql(desc = "Paths to conditions on single measurements.")] single: Option<Vec<String>>,
    #[graphql(desc = "Dimensions of single measurements.")] single_keys: Option<Vec<String>>,
    #[graphql(desc = "Paths to conditions that counts of hours and days do not have.")] apart: Option<Vec<String>>,
    #[graphql(desc = "Dimensions that counts of hours and days do not have.")] apart_keys: Option<Vec<String>>,
    #[graphql(desc = "Paths to the switch for exact answers.")] exact: Option<Vec<String>>,
) {
}

/// Declares that a subscription resumes after a cursor. `cursor` names the argument that holds it. If `replayed` is
/// true, missed events are replayed to each client, so clients share one execution wherever they resume; otherwise only
/// clients with the same cursor share one.
#[TypeDirective(location = "FieldDefinition", name = "resumable")]
pub fn resumable(
    #[graphql(desc = "The argument that holds the cursor.")] cursor: String,
    #[graphql(
        desc = "Clients share one execution wherever they resume, because missed events are replayed to each of them. \
                Otherwise only clients that resume after the same cursor share one."
    )]
    replayed: bool,
) {
}

/// Declares that the fields of an input type are conditions, which select what an operation reads or changes. Leaving a
/// condition out selects more, so a null is never taken for it: null is an error wherever a condition stands. A variable
/// without a value leaves the condition out in a query or a subscription, and is an error in a mutation, where the type
/// itself must not be null either.
#[TypeDirective(location = "InputObject", name = "conditions")]
pub fn conditions() {}
