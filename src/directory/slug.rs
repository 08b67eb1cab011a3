//! Names in addresses: derived from the name that people read, or chosen by the caller.
//!
//! A derived slug that is taken gets a number; a chosen one that is taken is refused.

use std::collections::HashSet;

use super::check::SLUG_BYTES_MAX;
use crate::{
    error::{Error, Result},
    model::ProblemKind,
};

/// Numbers that are tried behind a derived slug.
const NUMBERS_MAX: u32 = 100;
/// How often others may be faster to take the free one.
const ATTEMPTS: usize = 20;

/// Where slugs of one kind must be unique.
pub(super) trait Register: Sync {
    /// Takes the slug for the new row; `false` when another row has it.
    fn take(&self, slug: &str) -> impl Future<Output = Result<bool>> + Send;
    /// Which of these other rows have.
    fn taken(&self, slugs: &[String]) -> impl Future<Output = Result<HashSet<String>>> + Send;
}

/// Takes the slug that was chosen, or else one that says the name (or `fallback`, where nothing of the name is left).
pub(super) async fn take(register: &impl Register, chosen: Option<&str>, name: &str, fallback: &str) -> Result<()> {
    if let Some(slug) = chosen {
        let message = "is taken; choose another, or leave it out";
        return if register.take(slug).await? { Ok(()) } else { Err(taken(message)) };
    }
    let base = derive(name, fallback);
    if register.take(&base).await? {
        return Ok(());
    }
    let numbered: Vec<_> = (2..=NUMBERS_MAX).map(|number| format!("{base}-{number}")).collect();
    for _ in 0..ATTEMPTS {
        let taken = register.taken(&numbered).await?;
        let Some(free) = numbered.iter().find(|slug| !taken.contains(*slug)) else { break };
        if register.take(free).await? {
            return Ok(());
        }
    }
    Err(taken("cannot be derived from the name, too many have the same; choose one"))
}

fn taken(message: &str) -> Error {
    Error::refused(ProblemKind::Taken, "slug", message)
}

/// Lower case ASCII words with dashes between them, with room for a number.
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
