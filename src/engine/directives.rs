//! Directives by which a schema declares the cost of its fields and the resumption of its subscriptions.
//!
//! A schema applies them to field definitions; `schema/declarations.rs` reads them back from the schema's text. `@listSize`
//! follows the draft of the IBM cost directives, where one exists for the purpose.

use async_graphql::TypeDirective;

/// Declares the number of items that the cost of an operation counts for a list. All fields selected below the list are
/// multiplied by it. The size is the value of the first slicing argument that is given, else `assumedSize`, else the
/// default value of a slicing argument, else the default page size of the server when the field has slicing arguments, or
/// the maximum page size when it has none. It is never counted as more than the maximum page size.
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

/// Declares that a field returns time buckets: as many as the time window of the field contains, or of the nearest field
/// above it with a `@timeWindow`.
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

/// Declares the arguments that select the time window of a field. Each is a path from an argument into its input object,
/// such as `filter.time.last`.
#[TypeDirective(location = "FieldDefinition", name = "timeWindow")]
pub fn time_window(
    #[graphql(desc = "Paths to the length of a window.")] lengths: Vec<String>,
    #[graphql(desc = "Paths to the start of a window.")] start: Option<Vec<String>>,
    #[graphql(desc = "Paths to the end of a window.")] end: Option<Vec<String>>,
    #[graphql(desc = "The length of the window without any of these arguments, as an ISO 8601 duration.")]
    default: Option<String>,
) {
}

/// Declares that a subscription resumes after a cursor.
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
