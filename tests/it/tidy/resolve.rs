//! Follows a name to the file that defines it: through imports, re-exports and globs.

use std::collections::HashMap;

use super::{
    reader::{Import, NamePath},
    source::Source,
};

/// Re-exports of re-exports are followed this far; more would be a circle of `use`.
const STEPS_MAX: usize = 8;

pub struct Resolver<'a> {
    files: HashMap<&'a [String], &'a Source>,
}

/// One file that needs another.
#[derive(Clone, Copy)]
pub struct Need<'a> {
    pub from: &'a Source,
    pub line: usize,
    pub to: &'a Source,
}

impl<'a> Resolver<'a> {
    pub fn new(sources: impl IntoIterator<Item = &'a Source>) -> Self {
        Self { files: sources.into_iter().map(|source| (source.module.as_slice(), source)).collect() }
    }

    /// The other files whose items this file's code names. A declaration of a module and a re-export that the file
    /// itself does not use are no need; neither are tests.
    pub fn needs(&self, source: &'a Source) -> Vec<Need<'a>> {
        let mut found = Vec::new();
        if source.is_test_module {
            return found;
        }
        for import in source.imports.iter().filter(|import| !import.path.is_test) {
            if import.is_public && !self.is_used(source, import) {
                continue;
            }
            let defined = absolute(source, &import.path).and_then(|names| match import.bound {
                Some(_) => self.definer(&names, 0),
                None => self.module_of(&names).map(|(file, _)| file),
            });
            found.extend(defined.map(|to| Need { from: source, line: import.path.line, to }));
        }
        for path in source.paths.iter().filter(|path| !path.is_test && path.names.len() > 1) {
            let defined = absolute(source, path).and_then(|names| self.definer(&names, 0));
            found.extend(defined.map(|to| Need { from: source, line: path.line, to }));
        }
        found.retain(|need| need.to.path != source.path);
        found
    }

    fn is_used(&self, source: &Source, import: &Import) -> bool {
        let mut first_names =
            source.paths.iter().filter(|path| !path.is_test).filter_map(|path| path.names.first().map(String::as_str));
        if let Some(bound) = &import.bound {
            return first_names.any(|name| name == bound);
        }
        let names = absolute(source, &import.path).unwrap_or_default();
        let file = self.module_of(&names).map(|(file, _)| file);
        file.is_some_and(|file| first_names.any(|name| file.items.iter().any(|item| item == name)))
    }

    /// The file of the longest beginning that is a module, and the names beyond it.
    fn module_of<'n>(&self, names: &'n [String]) -> Option<(&'a Source, &'n [String])> {
        (1..=names.len()).rev().find_map(|length| {
            let (module, rest) = names.split_at(length);
            self.files.get(module).map(|file| (*file, rest))
        })
    }

    /// The file that defines the item; none for a module, which is only a way to its items.
    fn definer(&self, names: &[String], steps: usize) -> Option<&'a Source> {
        let (file, rest) = self.module_of(names)?;
        let (item, beyond) = rest.split_first()?;
        if file.items.contains(item) || steps == STEPS_MAX {
            return Some(file);
        }
        let imports = || file.imports.iter().filter(|import| !import.path.is_test && import.path.scope.is_empty());
        if let Some(import) = imports().find(|import| import.bound.as_ref() == Some(item)) {
            let mut through = absolute(file, &import.path)?;
            through.extend_from_slice(beyond);
            return self.definer(&through, steps + 1);
        }
        for glob in imports().filter(|import| import.bound.is_none()) {
            let Some((through, _)) = absolute(file, &glob.path).as_deref().and_then(|names| self.module_of(names))
            else {
                continue;
            };
            if through.path != file.path && through.items.contains(item) {
                return Some(through);
            }
        }
        // Made by a macro, or in a module of the file.
        Some(file)
    }
}

/// The path from the root of the project; none for a local or foreign name.
fn absolute(source: &Source, path: &NamePath) -> Option<Vec<String>> {
    if let Some(resolved) = source.resolved(path) {
        return Some(resolved);
    }
    let (first, rest) = path.names.split_first()?;
    if source.modules.iter().any(|module| module.name == *first) && path.scope.is_empty() {
        return Some(source.module.iter().chain(&path.names).cloned().collect());
    }
    let is_bound = |import: &&Import| {
        import.bound.as_ref() == Some(first) && import.path.scope == path.scope && import.path.names != path.names
    };
    let import = source.imports.iter().find(is_bound)?;
    let bound = source.resolved(&import.path).or_else(|| {
        let declared = source.modules.iter().any(|module| module.name == import.path.names[0]);
        declared.then(|| source.module.iter().chain(&import.path.names).cloned().collect())
    })?;
    Some(bound.into_iter().chain(rest.iter().cloned()).collect())
}

mod tests {
    use super::*;

    fn needs(files: &[(&str, &str)], of: usize) -> Vec<String> {
        let sources: Vec<Source> = files.iter().map(|(path, raw)| Source::new(path, raw)).collect();
        let resolver = Resolver::new(&sources);
        let mut found: Vec<String> =
            resolver.needs(&sources[of]).iter().map(|need| format!("{}:{}", need.to.path, need.line)).collect();
        found.dedup();
        found
    }

    #[test]
    fn a_re_export_is_followed_to_the_file_that_defines_the_item() {
        let files = [
            ("src/live.rs", "mod tail;\nmod page;\npub use tail::Tail;\npub use page::*;\npub struct Filter;"),
            ("src/live/tail.rs", "use super::Filter;\npub struct Tail;"),
            ("src/live/page.rs", "use crate::live::Tail;\npub struct Page;"),
            ("src/http.rs", "use crate::live;\nfn f(_: live::Page, _: live::Filter) {}"),
        ];
        assert_eq!(needs(&files, 0), [""; 0], "declares and re-exports only");
        assert_eq!(needs(&files, 1), ["src/live.rs:1"]);
        assert_eq!(needs(&files, 2), ["src/live/tail.rs:1"]);
        assert_eq!(needs(&files, 3), ["src/live/page.rs:2", "src/live.rs:2"]);
    }

    #[test]
    fn a_parent_that_uses_its_child_needs_it() {
        let files = [
            ("src/live.rs", "mod tail;\npub use tail::Tail;\nfn f() -> Tail { tail::make() }"),
            ("src/live/tail.rs", "pub struct Tail; pub fn make() -> Tail { Tail }"),
        ];
        assert_eq!(needs(&files, 0), ["src/live/tail.rs:2", "src/live/tail.rs:3"]);
    }
}
