//! Differences between the grammar of the library's parser and that of the specification, removed before parsing.
//!
//! The parser wants types and their `!` without white space, no comment after `on`, and Unicode escapes of four digits. It
//! accepts names that run into a keyword, numbers that begin with 0, a fragment named `on`, and input objects that give a
//! field twice: of those it keeps the last value, so nothing after parsing can find them.

mod escapes;

use std::{borrow::Cow, collections::HashSet, ops::Range};

use async_graphql::{Pos, ServerError, parser};

use super::{Refusal, scan::positioned_tokens};

/// Rewrites a text so that the parser reads it as the specification does. The positions of tokens do not change, apart from
/// those on a line after a Unicode escape.
///
/// # Errors
/// [`Refusal`] of a text that the parser accepts and the specification does not.
pub fn adapt(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let mut walk = Walk { text, tokens: positioned_tokens(text).collect(), open: Vec::new() };
    for at in 0..walk.tokens.len() {
        walk.check(at)?;
    }
    let types: Vec<_> = (0..walk.tokens.len()).filter_map(|at| walk.type_after(at)).collect();
    let is_split = |range: &Range<usize>| range.clone().skip(1).any(|at| !walk.gap_before(at).is_empty());
    let is_foreign = |at: usize| walk.has_comment_after_on(at) || escapes::are_in(walk.token(at));
    if types.iter().any(is_split) || (0..walk.tokens.len()).any(is_foreign) {
        return Ok(walk.rewrite(&types).map_or(Cow::Borrowed(text), Cow::Owned));
    }
    Ok(Cow::Borrowed(text))
}

/// An open brace, bracket or parenthesis.
enum Open<'a> {
    Selection,
    Parentheses,
    List,
    /// An input object, with the fields that it has given.
    Object(HashSet<&'a [u8]>),
}

struct Walk<'a> {
    text: &'a str,
    tokens: Vec<(usize, &'a [u8])>,
    open: Vec<Open<'a>>,
}

impl<'a> Walk<'a> {
    fn token(&self, at: usize) -> &'a [u8] {
        self.tokens.get(at).map_or(b"", |(_, token)| token)
    }

    fn before(&self, at: usize, count: usize) -> &'a [u8] {
        at.checked_sub(count).map_or(b"", |at| self.token(at))
    }

    fn start(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(self.text.len(), |(start, _)| *start)
    }

    fn end(&self, at: usize) -> usize {
        self.start(at) + self.token(at).len()
    }

    /// White space, commas and comments before a token.
    fn gap_before(&self, at: usize) -> &'a [u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.end(before));
        self.text.as_bytes().get(start..self.start(at)).unwrap_or_default()
    }

    fn check(&mut self, at: usize) -> Result<(), Refusal> {
        let token = self.token(at);
        if self.open.is_empty() && self.begins_definition(at) {
            self.check_definition(at)?;
        }
        match token {
            b"{" => {
                let is_value = !matches!(self.open.last(), None | Some(Open::Selection));
                self.open.push(if is_value { Open::Object(HashSet::new()) } else { Open::Selection });
            }
            b"(" if self.token(at + 1) == b")" => {
                return Err(self.malformed(at, "parentheses must not be empty"));
            }
            b"(" => self.open.push(Open::Parentheses),
            b"[" => self.open.push(Open::List),
            b"}" | b")" | b"]" => {
                self.open.pop();
            }
            [b'0', b'0'..=b'9', ..] if !self.continues_number(at) => {
                return Err(self.malformed(at, "a number must not begin with 0"));
            }
            _ if self.is_value(at) && runs_on(token, &[b"true", b"false", b"null"]) => {
                let advice = "the name of an enum value must not begin with true, false or null";
                return Err(self.malformed(at, advice));
            }
            _ if self.token(at + 1) == b":" => self.check_repeated(at)?,
            _ => {}
        }
        Ok(())
    }

    fn begins_definition(&self, at: usize) -> bool {
        at == 0 || self.before(at, 1) == b"}"
    }

    fn check_definition(&self, at: usize) -> Result<(), Refusal> {
        let (keyword, name) = (self.token(at), self.token(at + 1));
        if runs_on(keyword, &[b"query", b"mutation", b"subscription", b"fragment"]) {
            return Err(self.malformed(at, "expected query, mutation, subscription, fragment or {"));
        }
        if keyword == b"fragment" && name == b"on" {
            return Err(self.malformed(at + 1, "a fragment must not be named on"));
        }
        Ok(())
    }

    /// The token is the fraction or the exponent of a number.
    fn continues_number(&self, at: usize) -> bool {
        let exponent = |token: &[u8]| matches!(token, [b'0'..=b'9', .., b'e' | b'E']);
        self.gap_before(at).is_empty()
            && match self.before(at, 1) {
                b"." => true,
                b"+" | b"-" => exponent(self.before(at, 2)),
                _ => false,
            }
    }

    /// The token is a value, and not a name in front of one or a type.
    fn is_value(&self, at: usize) -> bool {
        match self.open.last() {
            Some(Open::List) => true,
            Some(Open::Parentheses | Open::Object(_)) => self.before(at, 1) == b":" && self.before(at, 3) != b"$",
            _ => false,
        }
    }

    fn check_repeated(&mut self, at: usize) -> Result<(), Refusal> {
        let token = self.token(at);
        let Some(Open::Object(given)) = self.open.last_mut() else { return Ok(()) };
        if given.insert(token) {
            return Ok(());
        }
        let message = format!("The input field `{}` is given twice; give it once", String::from_utf8_lossy(token));
        Err(Refusal::Invalid(Box::new(ServerError::new(message, Some(self.position(at))))))
    }

    fn malformed(&self, at: usize, message: &str) -> Refusal {
        let (message, start) = (format!(" = {message}"), self.position(at));
        Refusal::Syntax(Box::new(parser::Error::Syntax { message, start, end: None }))
    }

    fn position(&self, at: usize) -> Pos {
        let before = self.text.get(..self.start(at)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        Pos { line: before.matches('\n').count() + 1, column }
    }

    /// The tokens of the type of a variable whose definition starts at `at`: after `$`, its name and a colon.
    fn type_after(&self, at: usize) -> Option<Range<usize>> {
        if self.token(at) != b"$" || self.token(at + 2) != b":" {
            return None;
        }
        let start = at + 3;
        let lists = (start..self.tokens.len()).take_while(|at| self.token(*at) == b"[").count();
        let name = start + lists;
        let rest = (name + 1..self.tokens.len()).take_while(|at| matches!(self.token(*at), b"]" | b"!")).count();
        Some(start..name + 1 + rest)
    }

    fn has_comment_after_on(&self, at: usize) -> bool {
        self.token(at) == b"on" && self.gap_before(at + 1).contains(&b'#')
    }

    /// The text without comments, with white space inside of types moved behind them. `None` if that is no text, which
    /// cannot be.
    fn rewrite(&self, types: &[Range<usize>]) -> Option<String> {
        let mut types = types.iter().peekable();
        let mut rewritten = Vec::with_capacity(self.text.len());
        let mut moved = Vec::new();
        for at in 0..self.tokens.len() {
            while types.next_if(|range| range.end <= at).is_some() {}
            let gap = without_comments(self.gap_before(at));
            let is_inside = types.peek().is_some_and(|range| range.start < at && at < range.end);
            if is_inside {
                moved.extend(gap);
            } else {
                rewritten.append(&mut moved);
                rewritten.extend(gap);
            }
            rewritten.extend_from_slice(&escapes::decode(self.token(at)));
        }
        rewritten.append(&mut moved);
        String::from_utf8(rewritten).ok()
    }
}

/// The name begins with a keyword and goes on.
fn runs_on(token: &[u8], keywords: &[&[u8]]) -> bool {
    keywords.iter().any(|keyword| token.len() > keyword.len() && token.starts_with(keyword))
}

/// White space, with every comment replaced by spaces.
fn without_comments(gap: &[u8]) -> impl Iterator<Item = u8> {
    let mut is_comment = false;
    gap.iter().map(move |byte| {
        is_comment = (is_comment || *byte == b'#') && !matches!(byte, b'\n' | b'\r');
        if is_comment { b' ' } else { *byte }
    })
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn adapted(text: &str) -> String {
        match adapt(text) {
            Ok(text) => text.into_owned(),
            Err(Refusal::Syntax(error)) => format!("malformed: {error}"),
            Err(Refusal::Invalid(error)) => format!("invalid: {}", error.message),
            Err(Refusal::Limit(error)) => error.to_string(),
        }
    }

    #[test]
    fn white_space_and_comments_stand_anywhere_between_tokens() {
        for (text, expected) in [
            ("query($a: Int !) { a }", "query($a: Int! ) { a }"),
            ("query($a:[ [Int !]\n] = [ 1 ], $b: Int) { a }", "query($a:[[Int!]]  \n = [ 1 ], $b: Int) { a }"),
            ("query($a: Int # number\n !) { a }", "query($a: Int!         \n ) { a }"),
            ("fragment F on # type\nQuery { a }", "fragment F on       \nQuery { a }"),
            ("{ a ... on#type\n,Query { a } }", "{ a ... on     \n,Query { a } }"),
        ] {
            assert_eq!(adapted(text), expected);
            assert!(parse_query(expected).is_ok() || expected.starts_with("fragment"), "{expected}");
        }
    }

    #[test]
    fn a_text_that_both_grammars_read_alike_is_unchanged() {
        for text in [
            "query Q($a: [Int!]! = [0, 1.05, 1e05, -0], $b: X) @d(x: {y: [true, null]}) { a(b: {c: $a, d: {c: 1}}) # c\n on }",
            "fragment F on Query { nullable: nullable(trueish: true, list: [{a: 1}, {a: 1}]) { query0 ...onward } }",
            "{ a(b: \"{a: 1, a: 2} \\u0041\", c: \"\"\"\\u{1F600}\"\"\") }",
        ] {
            assert!(matches!(adapt(text), Ok(Cow::Borrowed(_))), "{text}: {}", adapted(text));
        }
    }

    #[test]
    fn what_only_the_parser_accepts_is_refused() {
        for (text, expected) in [
            ("queryQ { a }", "expected query, mutation"),
            ("{ a } fragmentF on Query { a }", "expected query, mutation"),
            ("fragment on on Query { a }", "must not be named on"),
            ("{ a(b: [01]) }", "must not begin with 0"),
            ("{ a(b: -01) }", "must not begin with 0"),
            ("{ a(b: truec: 1) }", "must not begin with true"),
            ("query Q() { a }", "must not be empty"),
        ] {
            assert!(adapted(text).contains(expected), "{text}: {}", adapted(text));
        }
    }

    #[test]
    fn a_field_of_an_input_object_is_given_once() {
        for text in [
            "{ a(b: {c: 1, d: 2, c: 1}) }",
            "{ a(b: [{c: {d: 1, d: 1}}]) }",
            "query($a: A = {b: 1 b: 1}) { a }",
            "{ a @d(x: {y: 1, y: 2}) }",
        ] {
            assert!(adapted(text).starts_with("invalid: The input field"), "{text}: {}", adapted(text));
        }
        let Err(Refusal::Invalid(error)) = adapt("{\n a(b: {c: 1, c: 1}) }") else { panic!("accepted") };
        assert_eq!(error.locations, [Pos { line: 2, column: 14 }]);
    }
}
