//! Releases by what names them: the version that measurements carry, and their key where it is asked when they ran.

use std::{collections::HashMap, sync::Arc};

use super::{Asked, Loader, Pulse, share, wanted};
use crate::{
    clock::Clock,
    db::Session,
    directory::{
        Release, ReleaseFields,
        release::{self, Run, Version},
    },
    model::{Key, ReleaseId, Scope},
};

/// Releases by version.
pub type ByVersion = Loader<Asked<Version, ReleaseFields>, Arc<Release>>;

pub fn by_version(scope: Scope, db: Session, pulse: &Pulse) -> ByVersion {
    Loader::new(pulse, move |asked: Vec<Asked<Version, ReleaseFields>>| {
        let db = db.clone();
        async move {
            let (versions, fields) = wanted(asked.iter().map(|asked| (asked.id.clone(), asked.fields)));
            let found = release::by_versions(&scope, &db, &versions, fields).await?;
            let found: HashMap<_, _> = found.into_iter().map(|(version, row)| (version, Arc::new(row))).collect();
            Ok(share(asked, &found, |asked| asked.id.clone()))
        }
    })
}

/// When releases ran, as of the moment that the loaders were made.
pub fn runs(scope: Scope, db: Session, clock: &Clock, pulse: &Pulse) -> Loader<Key<ReleaseId>, Run> {
    let now = clock.now();
    Loader::new(pulse, move |keys: Vec<Key<ReleaseId>>| {
        let db = db.clone();
        async move { release::runs(&scope, &db, &keys, now).await }
    })
}
