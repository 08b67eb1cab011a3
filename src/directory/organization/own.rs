//! The organization for the server's own metrics.

use super::{OrganizationFields, by_slugs};
use crate::{
    db::Session,
    error::Result,
    model::{OrganizationId, Scope},
};

/// The slug of this organization, which no other one can take. The organization cannot be deleted.
pub const OWN_SLUG: &str = "perfgraph";

/// The id of this organization; `None` if no server has created it yet. A database in which it has another id than
/// [`OrganizationId::OWN`] is older than that id.
///
/// # Errors
/// The database fails.
pub async fn find_own(scope: &Scope, db: &Session) -> Result<Option<OrganizationId>> {
    let found = by_slugs(scope, db, &[OWN_SLUG.to_owned()], OrganizationFields::empty()).await?;
    Ok(found.get(OWN_SLUG).map(|own| own.key))
}
