//! One Rust file as facts: paths, imports, calls, functions, modules, and which of them are compiled for tests only.
//! Macros and attributes are token streams for syn; `tokens` finds paths and calls in them by their shape.

mod tokens;

use std::ops::RangeInclusive;

use proc_macro2::{Ident, Span};
use syn::{
    Attribute, FnArg, ImplItemFn, ItemFn, ItemMod, ItemUse, Macro, Meta, Pat, Signature, Type, UseTree, Visibility,
    spanned::Spanned,
    visit::{self, Visit},
};

#[derive(Default)]
pub struct Facts {
    /// Every path outside of `use`: `crate::a::b`, `Instant::now`, `x`.
    pub paths: Vec<NamePath>,
    /// Every leaf of a `use` tree.
    pub imports: Vec<Import>,
    /// The names of called methods.
    pub methods: Vec<Word>,
    pub macros: Vec<Word>,
    pub attributes: Vec<Word>,
    pub functions: Vec<Function>,
    /// The names of the items that the file defines, outside of functions.
    pub items: Vec<String>,
    /// The modules that the file declares, in the file or as other files.
    pub modules: Vec<Word>,
    /// The lines of the items that are compiled for tests only.
    pub test_lines: Vec<RangeInclusive<usize>>,
}

/// A name with its place in the file.
#[derive(Clone, Debug)]
pub struct Word {
    pub name: String,
    pub line: usize,
    pub is_test: bool,
}

#[derive(Clone, Debug)]
pub struct NamePath {
    pub names: Vec<String>,
    pub line: usize,
    pub is_test: bool,
    /// The modules in the file around the path, from the outermost on.
    pub scope: Vec<String>,
}

/// A leaf of a `use` tree, its path written out in full.
pub struct Import {
    pub path: NamePath,
    /// The name that the file knows it by; a glob has none.
    pub bound: Option<String>,
    pub is_public: bool,
}

pub struct Function {
    pub word: Word,
    /// `pub`, or `pub` with a restriction.
    pub is_public: bool,
    pub is_async: bool,
    pub arguments: Vec<Argument>,
}

/// An argument other than the receiver.
pub struct Argument {
    pub name: String,
    pub is_reference: bool,
    /// All names in the type: `&mut Vec<Id>` has `Vec` and `Id`.
    pub type_names: Vec<String>,
}

pub fn read(raw: &str) -> syn::Result<Facts> {
    let file = syn::parse_file(raw)?;
    let mut reader = Reader::default();
    reader.visit_file(&file);
    Ok(reader.facts)
}

#[derive(Default)]
struct Reader {
    facts: Facts,
    scope: Vec<String>,
    /// Nested items that are compiled for tests only.
    tests: usize,
    /// Nested bodies of functions.
    bodies: usize,
}

fn line(span: Span) -> usize {
    span.start().line
}

/// `#[cfg(test)]`, also among other conditions.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all") && condition.contains("test")
        }
        _ => false,
    })
}

fn type_names(ty: &Type) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_ident(&mut self, ident: &'ast Ident) {
            self.0.push(ident.to_string());
        }
        fn visit_lifetime(&mut self, _: &'ast syn::Lifetime) {}
    }
    let mut names = Names(Vec::new());
    names.visit_type(ty);
    names.0
}

impl Reader {
    fn word(&self, name: impl ToString, span: Span) -> Word {
        Word { name: name.to_string(), line: line(span), is_test: self.tests > 0 }
    }

    fn path(&mut self, names: Vec<String>, span: Span) {
        let path = NamePath { names, line: line(span), is_test: self.tests > 0, scope: self.scope.clone() };
        self.facts.paths.push(path);
    }

    fn item(&mut self, name: &Ident) {
        if self.bodies == 0 && self.tests == 0 && self.scope.is_empty() {
            self.facts.items.push(name.to_string());
        }
    }

    fn within(&mut self, attributes: &[Attribute], span: Span, read: impl FnOnce(&mut Self)) {
        let is_for_tests = is_for_tests(attributes);
        if is_for_tests && self.tests == 0 {
            self.facts.test_lines.push(line(span)..=span.end().line);
        }
        self.tests += usize::from(is_for_tests);
        read(self);
        self.tests -= usize::from(is_for_tests);
    }

    fn function(&mut self, visibility: &Visibility, signature: &Signature) {
        let arguments = signature.inputs.iter().filter_map(|argument| match argument {
            FnArg::Receiver(_) => None,
            FnArg::Typed(typed) => Some(Argument {
                name: match &*typed.pat {
                    Pat::Ident(name) => name.ident.to_string(),
                    _ => String::new(),
                },
                is_reference: matches!(&*typed.ty, Type::Reference(_)),
                type_names: type_names(&typed.ty),
            }),
        });
        let function = Function {
            word: self.word(&signature.ident, signature.ident.span()),
            is_public: !matches!(visibility, Visibility::Inherited),
            is_async: signature.asyncness.is_some(),
            arguments: arguments.collect(),
        };
        self.facts.functions.push(function);
    }

    fn body(&mut self, read: impl FnOnce(&mut Self)) {
        self.bodies += 1;
        read(self);
        self.bodies -= 1;
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], is_public: bool) {
        let with = |name: &Ident| prefix.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        let (names, bound, span) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident), is_public),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|item| self.import(item, prefix, is_public));
            }
            // `a::{self, b}`: self is the path before the brace.
            UseTree::Name(name) if name.ident == "self" => (prefix.to_vec(), prefix.last().cloned(), name.ident.span()),
            UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string()), name.ident.span()),
            UseTree::Rename(name) => (with(&name.ident), Some(name.rename.to_string()), name.ident.span()),
            UseTree::Glob(glob) => (prefix.to_vec(), None, glob.star_token.spans[0]),
        };
        let path = NamePath { names, line: line(span), is_test: self.tests > 0, scope: self.scope.clone() };
        self.facts.imports.push(Import { path, bound, is_public });
    }
}

/// Items that only need to be asked whether they are compiled for tests, and for their names.
macro_rules! named_items {
    ($($visit:ident: $node:ident),*) => {
        $(fn $visit(&mut self, node: &'ast syn::$node) {
            self.within(&node.attrs, node.span(), |reader| {
                reader.item(&node.ident);
                visit::$visit(reader, node);
            });
        })*
    };
}

impl<'ast> Visit<'ast> for Reader {
    named_items! {
        visit_item_const: ItemConst, visit_item_enum: ItemEnum, visit_item_static: ItemStatic,
        visit_item_struct: ItemStruct, visit_item_trait: ItemTrait, visit_item_type: ItemType
    }

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        self.within(&node.attrs, node.span(), |reader| visit::visit_item_impl(reader, node));
    }

    fn visit_item_macro(&mut self, node: &'ast syn::ItemMacro) {
        self.within(&node.attrs, node.span(), |reader| {
            if let Some(name) = &node.ident {
                reader.item(name);
            }
            visit::visit_item_macro(reader, node);
        });
    }

    fn visit_item_mod(&mut self, node: &'ast ItemMod) {
        self.within(&node.attrs, node.span(), |reader| {
            if reader.scope.is_empty() {
                let module = reader.word(&node.ident, node.ident.span());
                reader.facts.modules.push(module);
            }
            reader.scope.push(node.ident.to_string());
            visit::visit_item_mod(reader, node);
            reader.scope.pop();
        });
    }

    fn visit_item_use(&mut self, node: &'ast ItemUse) {
        self.within(&node.attrs, node.span(), |reader| {
            reader.import(&node.tree, &[], !matches!(node.vis, Visibility::Inherited));
        });
    }

    fn visit_item_fn(&mut self, node: &'ast ItemFn) {
        self.within(&node.attrs, node.span(), |reader| {
            reader.item(&node.sig.ident);
            reader.function(&node.vis, &node.sig);
            reader.body(|reader| visit::visit_item_fn(reader, node));
        });
    }

    fn visit_impl_item_fn(&mut self, node: &'ast ImplItemFn) {
        self.within(&node.attrs, node.span(), |reader| {
            reader.function(&node.vis, &node.sig);
            reader.body(|reader| visit::visit_impl_item_fn(reader, node));
        });
    }

    /// `pub(crate)` and `pub(super)` name no code.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, node: &'ast syn::Path) {
        let names = node.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(names, node.segments.first().map_or_else(Span::call_site, |first| first.ident.span()));
        visit::visit_path(self, node);
    }

    fn visit_expr_method_call(&mut self, node: &'ast syn::ExprMethodCall) {
        let method = self.word(&node.method, node.method.span());
        self.facts.methods.push(method);
        visit::visit_expr_method_call(self, node);
    }

    fn visit_macro(&mut self, node: &'ast Macro) {
        if let Some(last) = node.path.segments.last() {
            let name = self.word(&last.ident, last.ident.span());
            self.facts.macros.push(name);
        }
        self.tokens(node.tokens.clone());
        visit::visit_macro(self, node);
    }

    fn visit_attribute(&mut self, node: &'ast Attribute) {
        let Some(name) = node.path().get_ident().filter(|name| *name != "doc") else {
            return visit::visit_attribute(self, node);
        };
        let name = self.word(name, name.span());
        self.facts.attributes.push(name);
        if let Meta::List(list) = &node.meta {
            self.tokens(list.tokens.clone());
        }
        visit::visit_attribute(self, node);
    }
}

mod tests {
    use super::*;

    fn paths(raw: &str) -> Vec<String> {
        let facts = read(raw).unwrap();
        let imports = facts.imports.iter().map(|import| &import.path);
        imports.chain(&facts.paths).filter(|path| !path.is_test).map(|path| path.names.join("::")).collect()
    }

    #[test]
    fn a_use_tree_is_written_out_in_full() {
        assert_eq!(
            paths("use crate::{db::{self, Db as D}, model::Id, *};\nfn f() { ::axum::serve::<X>() }"),
            ["crate::db", "crate::db::Db", "crate::model::Id", "crate", "axum::serve", "X"]
        );
    }

    #[test]
    fn comments_literals_and_tests_are_not_read() {
        let raw = "/* a::b */ fn f() { one(); // two\n\"three\"; r#\"fo\"ur\"#; 'x'; }\n\
                   #[cfg(test)]\nmod tests { fn seven() { seven() } }\n#[cfg(test)] use eight;\n\
                   #[cfg(not(test))] fn g() { nine() }";
        assert_eq!(paths(raw), ["one", "not", "test", "cfg", "nine"]);
    }

    #[test]
    fn macros_and_attributes_are_read() {
        let raw = "#[derive(sea_orm::FromQueryResult)] struct A;\nfn f() { select!(x = a::b(1).spawn(c) => d!(e::f)) }";
        let facts = read(raw).unwrap();
        let found = paths(raw);
        for path in ["sea_orm::FromQueryResult", "a::b", "c", "e::f"] {
            assert!(found.iter().any(|name| name == path), "{path} is not in {found:?}");
        }
        assert_eq!(
            facts.methods.iter().map(|method| (method.name.as_str(), method.line)).collect::<Vec<_>>(),
            [("spawn", 2)]
        );
        assert_eq!(facts.macros.iter().map(|word| word.name.as_str()).collect::<Vec<_>>(), ["select", "d"]);
    }

    #[test]
    fn a_function_is_read_with_its_arguments() {
        let facts = read("impl A { pub(super) async fn f(&self, scope: &auth::Scope, db: &mut Db<X>) {} }").unwrap();
        let [function] = &facts.functions[..] else { panic!("not one function") };
        assert!(function.is_public && function.is_async);
        assert_eq!(function.arguments[0].type_names, ["auth", "Scope"]);
        assert_eq!(function.arguments[1].type_names, ["Db", "X"]);
        assert!(function.arguments[1].is_reference && function.arguments[1].name == "db");
    }
}
