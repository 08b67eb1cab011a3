//! When releases ran, as of the moment that the loaders were made.

use std::sync::Arc;

use super::{Loader, Shared, Source};
use crate::{
    directory::release::{self, Run},
    model::{Key, ReleaseId},
};

pub(super) fn runs(shared: &Arc<Shared<Source>>) -> Loader<Key<ReleaseId>, Run> {
    Loader::new(shared, |Source { scope, db, now, .. }, keys: Vec<Key<ReleaseId>>| {
        Box::pin(async move { release::runs(scope, db, &keys, *now).await })
    })
}
