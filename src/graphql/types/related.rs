//! The related objects of rows as text, each loaded and written once even if several rows share it.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use async_graphql::{Context, ServerResult};
use futures_util::future::try_join_all;

use crate::{
    engine::rows::{Row, write_columns},
    error::Result,
};

/// The text of the object of each row. `None` if the library has to resolve them, or to report why they could not be loaded.
pub async fn write_of_rows<K, R, L>(
    ids: impl Iterator<Item = K>,
    at: &[Context<'_>],
    load: impl Fn(K) -> L,
) -> ServerResult<Option<Vec<String>>>
where
    K: Copy + Ord + Hash,
    R: Row,
    L: Future<Output = Result<Option<R>>>,
{
    let Some(first) = at.first() else { return Ok(Some(Vec::new())) };
    let ids: Vec<K> = ids.collect();
    let distinct: BTreeSet<K> = ids.iter().copied().collect();
    let Ok(found) = try_join_all(distinct.iter().copied().map(load)).await else { return Ok(None) };
    let found = distinct.into_iter().zip(found).filter_map(|(id, row)| Some((id, row?)));
    let (keys, rows): (Vec<K>, Vec<R>) = found.unzip();
    // Selections with nested objects are left to the library: a failure below belongs to one path only.
    let place = first.with_selection_set(&first.item.node.selection_set);
    let Some(texts) = write_columns(&rows, &place) else { return Ok(None) };
    let texts: HashMap<_, _> = keys.into_iter().zip(texts).collect();
    Ok(Some(ids.iter().map(|id| texts.get(id).map_or_else(|| "null".to_owned(), Clone::clone)).collect()))
}
