//! Slugs, the names in URLs: derived from the display name, or chosen by the caller.
//!
//! A derived slug that is taken gets a number; a chosen one that is taken is refused.

use std::collections::HashSet;

use crate::{
    error::{Error, Result},
    model::{ProblemKind, slug::SLUG_BYTES_MAX},
};

/// The highest number appended to a derived slug.
const NUMBERS_MAX: u32 = 100;
/// Attempts to take a free slug before others do.
const ATTEMPTS: usize = 20;

/// A table in which slugs are unique, with the row that is to be inserted.
pub(super) trait SlugTable: Sync {
    /// Inserts the row with this slug; `false` if another row has it.
    fn insert(&self, slug: &str) -> impl Future<Output = Result<bool>> + Send;
    /// The slugs among these that rows have already.
    fn taken(&self, slugs: &[String]) -> impl Future<Output = Result<HashSet<String>>> + Send;
}

/// Inserts the row with the chosen slug, or with one derived from the name (from `fallback` if nothing of it is left).
pub(super) async fn insert(table: &impl SlugTable, chosen: Option<&str>, name: &str, fallback: &str) -> Result<()> {
    if let Some(slug) = chosen {
        let message = "is taken; choose another, or leave it out";
        return if table.insert(slug).await? { Ok(()) } else { Err(taken(message)) };
    }
    let base = derive(name, fallback);
    if table.insert(&base).await? {
        return Ok(());
    }
    let numbered: Vec<_> = (2..=NUMBERS_MAX).map(|number| format!("{base}-{number}")).collect();
    for _ in 0..ATTEMPTS {
        let taken = table.taken(&numbered).await?;
        let Some(free) = numbered.iter().find(|slug| !taken.contains(*slug)) else { break };
        if table.insert(free).await? {
            return Ok(());
        }
    }
    Err(taken("cannot be derived from the name, because too many others are derived from the same name; choose one"))
}

fn taken(message: &str) -> Error {
    Error::refused(ProblemKind::Taken, "slug", message)
}

/// Lower-case ASCII words joined by dashes, short enough for a number behind them.
fn derive(name: &str, fallback: &str) -> String {
    const ROOM: usize = "-100".len();
    let mut slug = String::new();
    for character in deunicode::deunicode(name).chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            // "Ada's" is one word.
            '\'' => {}
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(SLUG_BYTES_MAX - ROOM);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { fallback.to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;

    #[test]
    fn derived_slugs_are_slugs() {
        assert_eq!(derive("Web Shop", "x"), "web-shop");
        assert_eq!(derive("  Ada's Café & Söhne, Łódź  ", "x"), "adas-cafe-sohne-lodz");
        assert_eq!(derive("!!!", "project"), "project");
        for name in ["ÆØÅ straße", "日本語", "a--b", "-", &"ab ".repeat(100), "🙂", "Ω"] {
            let slug = derive(name, "project");
            let mut problems = Problems::default();
            super::super::check::slug(&mut problems, "slug", &format!("{slug}-100"));
            assert_eq!(problems, Problems::default(), "{name} gave {slug}");
        }
    }
}
