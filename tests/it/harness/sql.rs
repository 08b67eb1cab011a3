//! SQL in the form of snapshots: equal statements have the same text on both databases, and each clause is on its own
//! line, so that a difference shows the changed clause. Quoted text stays unchanged.

use std::iter::once;

/// Words that begin a line.
const CLAUSES: [&str; 23] = [
    "CROSS JOIN",
    "EXCEPT",
    "FROM",
    "FULL JOIN",
    "FULL OUTER JOIN",
    "GROUP BY",
    "HAVING",
    "INNER JOIN",
    "INTERSECT",
    "JOIN",
    "LEFT JOIN",
    "LEFT OUTER JOIN",
    "LIMIT",
    "ON CONFLICT",
    "ORDER BY",
    "RETURNING",
    "RIGHT JOIN",
    "SELECT",
    "SET",
    "UNION",
    "VALUES",
    "WHERE",
    "WINDOW",
];
/// Words that belong to the following word of a clause: `INNER JOIN`, `DELETE FROM`, `IS DISTINCT FROM`.
const PREFIXES: [&str; 8] = ["CROSS", "DELETE", "DISTINCT", "FULL", "INNER", "LEFT", "OUTER", "RIGHT"];
/// Words that begin a statement in parentheses. Other parentheses (calls, windows, lists) are not broken into lines.
const STATEMENTS: [&str; 5] = ["DELETE", "INSERT", "SELECT", "UPDATE", "WITH"];

/// One line, with one space for any white space, `?` for every placeholder, and a single `?` for a list of
/// placeholders.
pub fn normalised(sql: &str) -> String {
    let mut text = String::new();
    for token in tokens(sql) {
        let is_placeholder = token.starts_with(['$', '?']);
        if token.trim().is_empty() {
            if !text.ends_with(' ') {
                text.push(' ');
            }
        } else if is_placeholder && text.ends_with("?, ") {
            text.truncate(text.len() - 2);
        } else {
            text.push_str(if is_placeholder { "?" } else { token });
        }
    }
    text.trim().to_owned()
}

/// A normalised statement, with a line for each clause. Only the first line begins without spaces.
pub fn broken(sql: &str) -> String {
    let tokens: Vec<_> = tokens(sql).collect();
    let mut lines = Lines(String::new());
    // One entry for each open parenthesis: true if it holds a statement.
    let mut open = Vec::new();
    let mut before = "";
    for (place, token) in tokens.iter().enumerate() {
        let next = tokens[place + 1..].iter().find(|token| !token.trim().is_empty());
        let depth = open.iter().filter(|is_statement| **is_statement).count();
        match *token {
            "(" => {
                let is_statement = next.is_some_and(|next| STATEMENTS.contains(next));
                lines.0.push('(');
                open.push(is_statement);
                if is_statement {
                    lines.begin(depth + 1);
                }
            }
            ")" => {
                if open.pop() == Some(true) {
                    lines.begin(depth - 1);
                }
                lines.0.push(')');
            }
            word => {
                let is_in_statement = open.last().is_none_or(|is_statement| *is_statement);
                if is_in_statement && !PREFIXES.contains(&before) && begins_clause(&tokens[place..]) {
                    lines.begin(depth);
                }
                lines.push(word);
            }
        }
        if !token.trim().is_empty() {
            before = token;
        }
    }
    lines.0
}

struct Lines(String);

impl Lines {
    /// Begins a line, unless the last one is empty.
    fn begin(&mut self, depth: usize) {
        let kept = self.0.trim_end_matches(' ').len();
        self.0.truncate(kept);
        if self.0.is_empty() {
            return;
        }
        if !self.0.ends_with('\n') {
            self.0.push('\n');
        }
        self.0.extend(std::iter::repeat_n("  ", depth + 1));
    }

    fn push(&mut self, token: &str) {
        // A line begins with a word.
        if token != " " || !self.0.ends_with(' ') {
            self.0.push_str(token);
        }
    }
}

fn begins_clause(tokens: &[&str]) -> bool {
    CLAUSES.iter().any(|clause| {
        let mut words = tokens.iter().filter(|token| !token.trim().is_empty());
        clause.split(' ').all(|word| words.next() == Some(&word))
    })
}

/// Splits text into white space, quoted text, placeholders, words, and single other characters.
fn tokens(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let length = match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '$' | '?' => 1 + run(&rest[1..], |character| character.is_ascii_digit()),
            _ if first.is_whitespace() => run(rest, char::is_whitespace),
            _ if is_word(first) => run(rest, is_word),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        Some(token)
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|character| !belongs(character)).unwrap_or(text.len())
}

/// The statements of a section that [`broken`] made: lines that begin with a space belong to the statement above.
pub fn statements(section: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    for line in section.lines().filter(|line| !line.is_empty()) {
        match statements.last_mut() {
            Some(statement) if line.starts_with(' ') => statement.extend(once("\n").chain(once(line))),
            _ => statements.push(line.to_owned()),
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_lose_their_numbers_and_lists_their_lengths() {
        let normal = normalised("SELECT $1\n  WHERE a IN (?2, ?3, ?4) AND b = $12");
        assert_eq!(normal, "SELECT ? WHERE a IN (?) AND b = ?");
    }

    #[test]
    fn text_in_quotes_stays_as_it_is() {
        let sql = r#"SELECT ' FROM  $1, ?, ?' AS "a WHERE b", 'it''s UNION' FROM t"#;
        assert_eq!(normalised(sql), sql);
        assert_eq!(broken(sql), sql.replace(" FROM t", "\n  FROM t"));
    }

    #[test]
    fn each_clause_has_a_line() {
        let cases = [
            (
                "SELECT a FROM t WHERE b = ? ORDER BY c LIMIT ?",
                "SELECT a|  FROM t|  WHERE b = ?|  ORDER BY c|  LIMIT ?",
            ),
            ("DELETE FROM t WHERE a IS DISTINCT FROM ?", "DELETE FROM t|  WHERE a IS DISTINCT FROM ?"),
            (
                "INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET b = ? RETURNING a",
                "INSERT INTO t (a)|  VALUES (?)|  ON CONFLICT (a) DO UPDATE|  SET b = ?|  RETURNING a",
            ),
            (
                "SELECT a FROM t INNER JOIN u ON t.a = u.a LEFT JOIN v ON true UNION ALL SELECT b FROM w",
                "SELECT a|  FROM t|  INNER JOIN u ON t.a = u.a|  LEFT JOIN v ON true|  UNION ALL|  SELECT b|  FROM w",
            ),
        ];
        for (sql, lines) in cases {
            assert_eq!(broken(sql), lines.replace('|', "\n"));
        }
    }

    #[test]
    fn a_statement_in_parentheses_is_indented_and_a_call_is_not_broken() {
        let sql = "SELECT ROW_NUMBER() OVER ( PARTITION BY a ORDER BY b ), EXTRACT(EPOCH FROM c) FROM ( SELECT a FROM t \
                   WHERE b IN (SELECT d FROM u)) AS s GROUP BY a";
        let lines = "SELECT ROW_NUMBER() OVER ( PARTITION BY a ORDER BY b ), EXTRACT(EPOCH FROM c)|  FROM (|    SELECT a|    \
                     FROM t|    WHERE b IN (|      SELECT d|      FROM u|    )|  ) AS s|  GROUP BY a";
        assert_eq!(broken(sql), lines.replace('|', "\n"));
    }

    #[test]
    fn statements_are_read_as_they_were_written() {
        let given = ["SELECT a FROM t", "DELETE FROM t", "SELECT a FROM (SELECT b FROM u) AS s"].map(broken);
        assert_eq!(statements(&given.join("\n")), given);
    }
}
