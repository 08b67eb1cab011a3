//! The conditions of a question as SQL, and the checks that refuse invalid ones.

use sea_orm::sea_query::{Cond, Expr, ExprTrait};

use super::{Projects, Question, StatusFilter};
use crate::{
    db::compare,
    error::{Error, Result},
    model::filter::TextFilter,
};

/// The alias of the metric table in every statement.
pub(super) const M: &str = "m";
/// The alias of the endpoint table where paths are compared.
pub(super) const ENDPOINT: &str = "n";

/// The maximum number of alternatives in one condition. SQLite takes 32,766 values and 1,000 levels of nesting in a
/// statement, and every segment of a plan repeats the conditions.
pub(super) const ALTERNATIVES_MAX: usize = 500;

/// The condition on the path of the endpoint table, named [`ENDPOINT`].
pub(super) fn path(filter: &TextFilter) -> Cond {
    compare::text(&Expr::col((ENDPOINT, "path")), filter)
}

fn status(filter: &StatusFilter) -> Cond {
    let status = || Expr::col((M, "status"));
    Cond::all()
        .add_option(filter.eq.map(|code| status().eq(code)))
        .add_option(filter.one_of.as_ref().map(|codes| status().is_in(codes.iter().copied())))
        .add_option(filter.gt.map(|code| status().gt(code)))
        .add_option(filter.gte.map(|code| status().gte(code)))
        .add_option(filter.lt.map(|code| status().lt(code)))
        .add_option(filter.lte.map(|code| status().lte(code)))
}

/// The conditions on columns that only raw rows have, named [`M`].
pub(super) fn single(question: &Question) -> Cond {
    let is_one_of = |column, texts: &Vec<String>| Expr::col((M, column)).is_in(texts.iter().map(String::as_str));
    Cond::all()
        .add_option(question.status.as_ref().map(status))
        .add_option(question.names.as_ref().map(|names| is_one_of("name", names)))
        .add_option(question.releases.as_ref().map(|releases| is_one_of("release", releases)))
        .add_option(question.release.as_ref().map(|(project, version)| {
            Cond::all()
                .add(Expr::col((M, "organization_id")).eq(project.organization.0))
                .add(Expr::col((M, "project_id")).eq(project.id.0))
                .add(Expr::col((M, "release")).eq(version.as_str()))
        }))
}

/// Checks the number of alternatives in one condition.
///
/// # Errors
/// There are too many.
pub fn check_alternatives(field: &str, count: usize) -> Result<()> {
    if count > ALTERNATIVES_MAX {
        let message = format!("holds {count} alternatives, at most {ALTERNATIVES_MAX} can be asked for at once");
        return Err(Error::input(field, message));
    }
    Ok(())
}

/// Checks the conditions.
///
/// # Errors
/// A condition has too many alternatives, or a text that PostgreSQL cannot store.
pub(super) fn check(question: &Question) -> Result<()> {
    let count = check_alternatives;
    if let Projects::Keys(keys) = &question.projects {
        count("projectIds", keys.len())?;
    }
    if let Some(codes) = question.status.as_ref().and_then(|filter| filter.one_of.as_ref()) {
        count("statusCode", codes.len())?;
    }
    for (field, texts) in [("names", &question.names), ("releaseVersions", &question.releases)] {
        let texts = texts.as_deref().unwrap_or_default();
        count(field, texts.len())?;
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(Error::input(field, "holds a zero byte, which no measurement does; remove it"));
        }
    }
    if let Some(filter) = &question.endpoint {
        let alternatives = filter.one_of.as_deref().unwrap_or_default();
        count("endpoint", alternatives.len())?;
        // PostgreSQL accepts no zero byte in a text, so no path contains one.
        if filter.texts().any(|text| text.contains('\0')) {
            return Err(Error::input("endpoint", "holds a zero byte, which no path does; remove it"));
        }
    }
    Ok(())
}
