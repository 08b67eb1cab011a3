//! Paths, methods and macros in token streams, which syn does not parse: a path is names joined by `::`, a method stands
//! between `.` and `(`, a macro before `!`.

use proc_macro2::{TokenStream, TokenTree};

use super::Reader;

/// Words that stand before or between paths and never in one.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "fn", "for", "if", "impl", "in",
    "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static", "struct", "trait", "type", "use",
    "where", "while",
];

impl Reader {
    pub(super) fn tokens(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let is_punct =
            |index: usize, wanted| matches!(tokens.get(index), Some(TokenTree::Punct(c)) if c.as_char() == wanted);
        let mut index = 0;
        while index < tokens.len() {
            let start = index;
            index += 1;
            let name = match &tokens[start] {
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    continue;
                }
                TokenTree::Ident(name) => name,
                _ => continue,
            };
            let is_after = |wanted| start > 0 && is_punct(start - 1, wanted);
            // A variable of the macro, unless it is `$crate`; a lifetime; a keyword.
            if is_after('$') && name != "crate" || is_after('\'') || KEYWORDS.contains(&name.to_string().as_str()) {
                continue;
            }
            let mut names = vec![name.to_string()];
            while is_punct(index, ':')
                && is_punct(index + 1, ':')
                && let Some(TokenTree::Ident(next)) = tokens.get(index + 2)
            {
                names.push(next.to_string());
                index += 3;
            }
            if is_after('.') {
                // The second dot of a range stands before a path.
                if start < 2 || !is_punct(start - 2, '.') {
                    let is_called = matches!(tokens.get(index), Some(TokenTree::Group(_))) || is_punct(index, ':');
                    if is_called {
                        let method = self.word(name, name.span());
                        self.facts.methods.push(method);
                    }
                    continue;
                }
            } else if is_punct(index, '!') && !is_punct(index + 1, '=') {
                let name = self.word(&names[names.len() - 1], name.span());
                self.facts.macros.push(name);
            }
            self.path(names, name.span());
        }
    }
}
