//! Numbers with a decimal point or a decimal comma. Tables with semicolons come from countries that write a comma. A number
//! that has two meanings, such as `1.234` among semicolons, is refused.

use std::borrow::Cow;

/// The sign that separates decimals in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalSign {
    /// `12.5`.
    #[default]
    Point,
    /// `12,5`.
    Comma,
}

const SIGNS: [char; 2] = ['.', ','];

/// Parses a number whose text usually has the sign `usual`. The error is a message about the number.
pub fn parse(text: &str, usual: DecimalSign) -> Result<f64, String> {
    plain(text, usual)?.parse().map_err(|_| format!("{} is not a number such as 12.5", quoted(text)))
}

/// The number with a point and without signs between groups of digits.
fn plain(text: &str, usual: DecimalSign) -> Result<Cow<'_, str>, String> {
    let Some(at) = text.rfind(SIGNS) else { return Ok(Cow::Borrowed(text)) };
    let (whole, fraction) = (&text[..at], &text[at + 1..]);
    let is_comma = text[at..].starts_with(',');
    if whole.contains(SIGNS) {
        return Ok(ungrouped(whole, fraction, is_comma).map_or(Cow::Borrowed(text), Cow::Owned));
    }
    let is_usual = is_comma == (usual == DecimalSign::Comma);
    if !is_usual && is_first_group(whole) && is_group(fraction) {
        let reason = match usual {
            DecimalSign::Comma => ", because the columns are separated by semicolons",
            DecimalSign::Point => "",
        };
        let usual = if is_comma { '.' } else { ',' };
        return Err(format!(
            "{} may be {whole}.{fraction} or {whole}{fraction}{reason}; write {whole}{usual}{fraction} or {whole}{fraction}",
            quoted(text)
        ));
    }
    Ok(if is_comma { Cow::Owned(format!("{whole}.{fraction}")) } else { Cow::Borrowed(text) })
}

/// A number with several signs: all of them but the last, or all of them, separate groups of three digits.
fn ungrouped(whole: &str, fraction: &str, is_comma: bool) -> Option<String> {
    let (last, other) = if is_comma { (',', '.') } else { ('.', ',') };
    let (between, is_whole) = if whole.contains(other) { (other, false) } else { (last, true) };
    let mut groups = whole.split(between);
    let is_right = groups.next().is_some_and(is_first_group) && groups.all(is_group);
    if !is_right || (is_whole && !is_group(fraction)) {
        return None;
    }
    let digits = whole.replace(between, "");
    Some(if is_whole { format!("{digits}{fraction}") } else { format!("{digits}.{fraction}") })
}

/// One to three digits, perhaps signed. A group that begins with a zero has no more groups after it.
fn is_first_group(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    (1..=3).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_group(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn quoted(text: &str) -> String {
    format!("`{}`", text.chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_one_meaning_is_read_and_one_with_two_is_refused() {
        use DecimalSign::{Comma, Point};
        for (text, comma, point) in [
            ("12,5", Some(12.5), Some(12.5)),
            ("12.5", Some(12.5), Some(12.5)),
            ("12", Some(12.0), Some(12.0)),
            ("0,123", Some(0.123), Some(0.123)),
            ("0.123", Some(0.123), Some(0.123)),
            ("1,234", Some(1.234), None),
            ("1.234", None, Some(1.234)),
            ("-123.456", None, Some(-123.456)),
            ("1234,567", Some(1_234.567), Some(1_234.567)),
            ("1.234,5", Some(1_234.5), Some(1_234.5)),
            ("1,234.5", Some(1_234.5), Some(1_234.5)),
            ("1.234.567", Some(1_234_567.0), Some(1_234_567.0)),
            ("1,5e3", Some(1_500.0), Some(1_500.0)),
            ("1.2345", Some(1.2345), Some(1.2345)),
            ("12.34,5", None, None),
            ("1,2,3", None, None),
            ("1.234,5,6", None, None),
            (",", None, None),
            ("12,5 ms", None, None),
            ("", None, None),
        ] {
            assert_eq!(parse(text, Comma).ok(), comma, "{text} among semicolons");
            assert_eq!(parse(text, Point).ok(), point, "{text}");
        }
        assert_eq!(
            parse("1.234", Comma).unwrap_err(),
            "`1.234` may be 1.234 or 1234, because the columns are separated by semicolons; write 1,234 or 1234"
        );
        assert_eq!(parse("1,234", Point).unwrap_err(), "`1,234` may be 1.234 or 1234; write 1.234 or 1234");
    }
}
