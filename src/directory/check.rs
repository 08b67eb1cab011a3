//! Validation of names, e-mail addresses, slugs and salaries. Each check returns the value as it is stored and adds what
//! is wrong to the problems; no message repeats the value, which may be megabytes long.

use crate::model::{
    Assignment, Problems,
    slug::{self, SLUG_BYTES_MAX},
};

/// Maximum bytes of a commit.
pub const COMMIT_BYTES_MAX: usize = 2_000;
/// Maximum characters of a name or department.
pub const NAME_CHARACTERS_MAX: usize = 200;
/// Maximum bytes of an e-mail address (RFC 5321, without the brackets).
pub const EMAIL_BYTES_MAX: usize = 254;
/// Maximum yearly salary: beyond that of any currency, and exact in a float.
pub const SALARY_MAX: f64 = 1e12;

/// A display name or department: trimmed, one line.
pub(super) fn name(problems: &mut Problems, field: &str, value: &str) -> String {
    let value = value.trim();
    if value.is_empty() {
        problems.invalid(field, "is empty; give it at least one character");
    } else if value.chars().nth(NAME_CHARACTERS_MAX).is_some() {
        problems.invalid(field, format!("is longer than {NAME_CHARACTERS_MAX} characters; shorten it"));
        return String::new();
    } else if value.chars().any(char::is_control) {
        problems.invalid(field, "contains control characters (tab, line break, NUL); leave them out");
    }
    value.to_owned()
}

/// A text of one line that is compared exactly, such as a version: trimmed like tags of measurements.
pub(super) fn line(problems: &mut Problems, field: &str, value: &str, bytes_max: usize) -> String {
    let value = value.trim();
    if value.is_empty() {
        problems.invalid(field, "is empty; give it at least one character");
    } else if value.len() > bytes_max {
        problems.invalid(field, format!("is longer than {bytes_max} bytes; shorten it"));
        return String::new();
    } else if value.chars().any(char::is_control) {
        problems.invalid(field, "contains control characters (tab, line break, NUL); leave them out");
    }
    value.to_owned()
}

/// The new value of a field that cannot be null; `None` keeps the stored one.
pub(super) fn required<T>(problems: &mut Problems, field: &str, value: Assignment<T>) -> Option<T> {
    match value {
        Assignment::Keep => None,
        Assignment::Set(value) => Some(value),
        Assignment::Clear => {
            problems.invalid(field, "cannot be null; leave it out to keep the stored value");
            None
        }
    }
}

/// An e-mail address: trimmed and in lower case, so that the same mailbox is the same text.
pub(super) fn email(problems: &mut Problems, field: &str, value: &str) -> String {
    let value = value.trim();
    if value.len() > EMAIL_BYTES_MAX {
        problems.invalid(
            field,
            format!("is longer than {EMAIL_BYTES_MAX} bytes, the maximum of an e-mail address; shorten it"),
        );
        return String::new();
    }
    let is_address = matches!(value.split_once('@'), Some((mailbox, host))
        if !mailbox.is_empty() && !host.is_empty() && !host.contains('@'));
    if !is_address {
        problems.invalid(field, "is not an e-mail address; write it as name@host");
    } else if value.chars().any(|character| character.is_control() || character.is_whitespace()) {
        problems.invalid(field, "contains spaces or control characters; leave them out");
    }
    value.to_lowercase()
}

/// A slug chosen by the caller.
pub(super) fn slug(problems: &mut Problems, field: &str, value: &str) {
    if value.len() > SLUG_BYTES_MAX {
        problems.invalid(field, format!("is longer than {SLUG_BYTES_MAX} characters; shorten it"));
    } else if !slug::is_words(value) {
        problems.invalid(field, "is not a slug; use a-z, 0-9 and single dashes between them, or leave it out");
    }
}

/// A yearly salary. Negative zero becomes zero: PostgreSQL would keep its sign, SQLite would not.
pub(super) fn salary(problems: &mut Problems, field: &str, value: f64) -> f64 {
    if !(0.0..=SALARY_MAX).contains(&value) {
        problems.invalid(field, format!("must be from 0 to {SALARY_MAX:.0}"));
    }
    value + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(check: impl Fn(&mut Problems)) -> String {
        let mut problems = Problems::default();
        check(&mut problems);
        problems.to_string()
    }

    #[test]
    fn names_are_trimmed_lines_of_bounded_length() {
        let mut problems = Problems::default();
        assert_eq!(name(&mut problems, "name", "  Zoë 日本 \n"), "Zoë 日本");
        assert_eq!(name(&mut problems, "name", &"é".repeat(200)).chars().count(), 200);
        assert_eq!(problems, Problems::default());
        for wrong in ["", " \t ", "a\0b", "a\nb", &"x".repeat(201), &"x".repeat(10_000_000)] {
            let said = refusals(|problems| drop(name(problems, "name", wrong)));
            assert!(said.starts_with("name: ") && said.len() < 100, "{said}");
        }
    }

    #[test]
    fn addresses_have_one_at_and_are_lower_case() {
        let mut problems = Problems::default();
        assert_eq!(email(&mut problems, "email", " Ada.L+x@Example.COM "), "ada.l+x@example.com");
        assert_eq!(problems, Problems::default());
        let long = format!("{}@x", "a".repeat(253));
        for wrong in ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\0", "a@b\nc", &long] {
            assert!(!refusals(|problems| drop(email(problems, "email", wrong))).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn slugs_are_words_with_dashes() {
        for right in ["a", "a-1", "web-shop-2", &"x".repeat(63)] {
            assert_eq!(refusals(|problems| slug(problems, "slug", right)), "", "{right}");
        }
        for wrong in ["", "-", "a-", "-a", "a--b", "A", "ä", "a b", "a_b", "a\0", &"x".repeat(64)] {
            assert!(!refusals(|problems| slug(problems, "slug", wrong)).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn salaries_are_finite_and_bounded() {
        for right in [0.0, -0.0, 0.01, SALARY_MAX] {
            assert_eq!(refusals(|problems| assert!(salary(problems, "salary", right).is_sign_positive())), "");
        }
        for wrong in [-0.01, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, SALARY_MAX * 2.0] {
            assert!(!refusals(|problems| _ = salary(problems, "salary", wrong)).is_empty(), "{wrong}");
        }
    }
}
