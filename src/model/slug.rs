//! Slugs, the names in URLs, and the pair of slugs that names a project.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Maximum bytes of a slug: one label of a host name.
pub const SLUG_BYTES_MAX: usize = 63;

/// Characters of a text without slugs that the error repeats.
const SHOWN: usize = 80;

/// True if the text consists of words of `a-z` and `0-9` with single dashes between them. Does not limit its length.
pub fn is_words(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    text.split('-').all(is_word)
}

/// The slugs of a project and of its organization, written `organization/project`. They never change, and name one project
/// until it is deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectSlug {
    /// The slug of the organization.
    pub organization: String,
    /// The slug of the project, unique in the organization.
    pub project: String,
}

/// A text that is not the slugs of a project.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not the slugs of a project; write ORGANIZATION/PROJECT, each in a-z, 0-9 and single dashes, such as \
     acme/web-shop"
)]
pub struct NoProjectSlug(String);

impl FromStr for ProjectSlug {
    type Err = NoProjectSlug;

    fn from_str(text: &str) -> Result<Self, NoProjectSlug> {
        let is_slug = |slug: &str| slug.len() <= SLUG_BYTES_MAX && is_words(slug);
        match text.split_once('/') {
            Some((organization, project)) if is_slug(organization) && is_slug(project) => {
                Ok(Self { organization: organization.to_owned(), project: project.to_owned() })
            }
            _ => Err(NoProjectSlug(text.chars().take(SHOWN).collect())),
        }
    }
}

impl fmt::Display for ProjectSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_of_a_project_round_trip_and_others_are_told_what_they_look_like() {
        let slug: ProjectSlug = "acme/web-shop".parse().unwrap();
        assert_eq!((slug.organization.as_str(), slug.project.as_str()), ("acme", "web-shop"));
        assert_eq!(slug.to_string(), "acme/web-shop");
        let long = format!("{}/a", "x".repeat(64));
        for wrong in ["", "/", "acme", "acme/", "/web", "acme/web/shop", "Acme/web", "acme/web shop", "a\0/b", &long] {
            let error = wrong.parse::<ProjectSlug>().unwrap_err().to_string();
            assert!(error.contains("ORGANIZATION/PROJECT") && error.len() < 300, "{error}");
        }
    }
}
