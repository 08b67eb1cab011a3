//! Types of the schema, read once from its text: input types, and fields with their declarations.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_graphql::{
    Name,
    parser::{
        parse_schema,
        types::{
            BaseType, FieldDefinition as ParsedField, OperationType, SchemaDefinition, Type, TypeDefinition, TypeKind,
            TypeSystemDefinition,
        },
    },
};

use super::{
    SchemaError,
    advice::Suggestions,
    declarations::Declarations,
    inputs::{InputField, InputType, Scalar, ScalarRule, is_deprecated, named},
    nesting,
};

/// The fields of an object or interface, by name.
pub type ObjectFields = HashMap<String, FieldDefinition>;

/// Every input type, and every field with its arguments and declarations.
pub struct SchemaTypes {
    inputs: HashMap<String, InputType>,
    /// The fields of objects and interfaces, by type.
    objects: HashMap<String, ObjectFields>,
    interfaces: HashSet<String>,
    directives: HashMap<String, Vec<InputField>>,
    roots: Roots,
    /// The names that errors suggest.
    pub(super) suggestions: Suggestions,
}

/// The types of root fields.
struct Roots {
    query: String,
    mutation: String,
    subscription: String,
}

/// A field of an object or an interface.
pub struct FieldDefinition {
    /// The type of its value.
    pub output: Type,
    /// The name of that type, without lists.
    pub output_name: String,
    /// The arguments.
    pub arguments: Vec<InputField>,
    /// The directives about cost and resumption.
    pub declarations: Declarations,
    /// The fields that return the parent declare the size of this list.
    pub is_sized_by_parent: bool,
    /// Clients should use another field.
    pub is_deprecated: bool,
}

impl SchemaTypes {
    /// Reads the text of a schema, with a rule for each custom scalar.
    ///
    /// # Errors
    /// [`SchemaError`] when the text cannot be parsed, a scalar has no rule, a list declares no size, or a directive
    /// names something that does not exist.
    pub fn read(sdl: &str, scalars: &'static [ScalarRule]) -> Result<Self, SchemaError> {
        let document = parse_schema(sdl).map_err(|error| SchemaError::Syntax(error.to_string()))?;
        let inputs: HashMap<_, _> =
            Scalar::BUILT_IN.iter().map(|(name, scalar)| ((*name).to_owned(), InputType::Scalar(*scalar))).collect();
        let condition = InputField {
            name: "if".to_owned(),
            wanted: Type { base: BaseType::Named(Name::new("Boolean")), nullable: false },
            default: None,
            is_deprecated: false,
        };
        let directives = ["skip", "include"].map(|name| (name.to_owned(), vec![condition.clone()])).into();
        let (objects, interfaces, roots) = (HashMap::new(), HashSet::new(), Roots::default());
        let suggestions = Suggestions::default();
        let mut types = Self { inputs, objects, interfaces, directives, roots, suggestions };
        for definition in document.definitions {
            match definition {
                TypeSystemDefinition::Type(definition) => types.add(&definition.node, scalars)?,
                TypeSystemDefinition::Schema(definition) => types.roots.name(&definition.node),
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        types.size_lists()?;
        nesting::find(&mut types.inputs);
        Ok(types)
    }

    fn add(&mut self, definition: &TypeDefinition, scalars: &'static [ScalarRule]) -> Result<(), SchemaError> {
        let name = definition.name.node.to_string();
        if let Some(input) = InputType::of(definition, scalars)? {
            self.inputs.insert(name.clone(), input);
        }
        let fields = match &definition.kind {
            TypeKind::Object(object) => &object.fields,
            TypeKind::Interface(interface) => {
                self.interfaces.insert(name.clone());
                &interface.fields
            }
            _ => return Ok(()),
        };
        let fields = fields.iter().map(|field| FieldDefinition::of(&name, &field.node));
        let fields = fields.collect::<Result<_, _>>()?;
        self.objects.insert(name, fields);
        Ok(())
    }

    /// Marks the lists whose size is declared where their object is returned, and finds those that declare none.
    fn size_lists(&mut self) -> Result<(), SchemaError> {
        // For each type: the number of fields that return it, and how many of them size each of its fields.
        let mut returned: HashMap<String, (usize, BTreeMap<String, usize>)> = HashMap::new();
        for (parent, fields) in &self.objects {
            for (name, field) in fields {
                let (count, sized) = returned.entry(field.output_name.clone()).or_default();
                *count += 1;
                for child in field.declarations.list_size.iter().flat_map(|list| &list.sized_fields) {
                    if self.field(&field.output_name, child).is_none() {
                        let field = format!("{parent}.{name}");
                        return Err(SchemaError::UnknownName { directive: "listSize", field, name: child.clone() });
                    }
                    *sized.entry(child.clone()).or_default() += 1;
                }
            }
        }
        let mut unsized_lists = Vec::new();
        for (parent, fields) in &mut self.objects {
            for (name, field) in fields {
                let (count, sized) = returned
                    .get(parent)
                    .map_or((0, 0), |(count, sized)| (*count, sized.get(name).copied().unwrap_or_default()));
                field.is_sized_by_parent = sized > 0;
                let declares = field.declarations.list_size.is_some() || field.declarations.time_buckets.is_some();
                let is_sized = declares || (sized > 0 && sized == count);
                if matches!(field.output.base, BaseType::List(_)) && !is_sized {
                    unsized_lists.push(format!("{parent}.{name}"));
                }
            }
        }
        if unsized_lists.is_empty() {
            return Ok(());
        }
        unsized_lists.sort_unstable();
        Err(SchemaError::ListsWithoutSize { fields: unsized_lists })
    }

    /// These types with the names that errors suggest.
    #[must_use]
    pub fn suggesting(self, suggestions: Suggestions) -> Self {
        Self { suggestions, ..self }
    }

    /// The names of all types.
    pub(super) fn type_names(&self) -> impl Iterator<Item = &str> {
        self.inputs.keys().chain(self.objects.keys()).map(String::as_str)
    }

    /// The input type with this name.
    pub(in crate::engine) fn get(&self, name: &str) -> Option<&InputType> {
        self.inputs.get(name)
    }

    /// The form of values of a custom scalar.
    pub fn expected_form(&self, name: &str) -> Option<&'static str> {
        match self.inputs.get(name) {
            Some(InputType::Scalar(Scalar::Custom(rule))) => Some(rule.expected),
            _ => None,
        }
    }

    /// The fields of an object or interface.
    pub fn object(&self, name: &str) -> Option<&ObjectFields> {
        self.objects.get(name)
    }

    /// A field of an object or interface; `None` for those of introspection.
    pub fn field(&self, parent: &str, name: &str) -> Option<&FieldDefinition> {
        self.objects.get(parent)?.get(name)
    }

    /// The fields of the input type, without its lists, are conditions.
    pub(in crate::engine) fn has_conditions(&self, wanted: &Type) -> bool {
        matches!(self.get(named(wanted)), Some(InputType::Object(object)) if object.are_conditions)
    }

    /// The type of the root fields of an operation.
    pub fn root(&self, kind: OperationType) -> &str {
        match kind {
            OperationType::Query => &self.roots.query,
            OperationType::Mutation => &self.roots.mutation,
            OperationType::Subscription => &self.roots.subscription,
        }
    }

    /// The arguments of a directive in a document.
    pub fn directive(&self, name: &str) -> &[InputField] {
        self.directives.get(name).map_or(&[], Vec::as_slice)
    }

    /// The name belongs to an object type, and not to an interface or a union.
    pub fn is_object(&self, name: &str) -> bool {
        self.objects.contains_key(name) && !self.interfaces.contains(name)
    }

    /// Values of the type with this name have no fields.
    pub fn is_leaf(&self, name: &str) -> bool {
        matches!(self.inputs.get(name), Some(InputType::Scalar(_) | InputType::Enum(_)))
    }
}

impl Default for Roots {
    fn default() -> Self {
        let name = str::to_owned;
        Self { query: name("Query"), mutation: name("Mutation"), subscription: name("Subscription") }
    }
}

impl Roots {
    fn name(&mut self, definition: &SchemaDefinition) {
        for (root, named) in [
            (&mut self.query, &definition.query),
            (&mut self.mutation, &definition.mutation),
            (&mut self.subscription, &definition.subscription),
        ] {
            if let Some(named) = named {
                *root = named.node.to_string();
            }
        }
    }
}

impl FieldDefinition {
    fn of(parent: &str, field: &ParsedField) -> Result<(String, Self), SchemaError> {
        let name = field.name.node.to_string();
        let arguments: Vec<_> = field.arguments.iter().map(|argument| InputField::of(&argument.node)).collect();
        let declarations = Declarations::of(&format!("{parent}.{name}"), &field.directives, &arguments)?;
        let output = field.ty.node.clone();
        let output_name = named(&output).to_owned();
        let is_deprecated = is_deprecated(&field.directives);
        Ok((name, Self { output, output_name, arguments, declarations, is_sized_by_parent: false, is_deprecated }))
    }
}

/// The schema of this server, for tests of the engine.
#[cfg(test)]
impl SchemaTypes {
    /// Reads it.
    pub fn of_this_server() -> Self {
        let source = crate::graphql::schema::source();
        let suggestions = Suggestions { are_shown: true, synonyms: source.synonyms() };
        Self::read(source.sdl(), source.scalars()).unwrap().suggesting(suggestions)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::Value;

    use super::*;

    const RULE: &[ScalarRule] =
        &[ScalarRule { name: "Date", accepts: |value| *value != Value::Null, expected: "a date", hint: |_| None }];

    fn error(sdl: &str) -> String {
        SchemaTypes::read(sdl, RULE).err().map_or_else(|| "reads".to_owned(), |error| error.to_string())
    }

    #[test]
    fn every_list_declares_its_size() {
        let page = "type Page { nodes: [Int!]! count: Int! }";
        for (query, expected) in [
            ("a: [Int] @listSize", "reads"),
            ("a(step: String): [Int] @timeBuckets(argument: \"step\")", "reads"),
            ("a: [Int]", "a list without a declared size: Query.a;"),
            ("a: Page", "a list without a declared size: Page.nodes;"),
            ("a: Page @listSize(sizedFields: [\"nodes\"])", "reads"),
            (
                "a: Page @listSize(sizedFields: [\"nodes\"]) b: Page b2: [Int]",
                "lists without a declared size: Page.nodes, Query.b2;",
            ),
        ] {
            let sdl = format!("type Query {{ {query} }} {page}");
            let sdl = if query.contains("Page") { sdl } else { format!("type Query {{ {query} }}") };
            assert!(error(&sdl).starts_with(expected), "{query}: {}", error(&sdl));
        }
    }

    #[test]
    fn a_directive_names_only_what_exists() {
        for (field, expected) in [
            (
                "a: [Int] @listSize(slicingArguments: [\"first\"])",
                "@listSize on Query.a names `first`, which does not exist there",
            ),
            (
                "a: Query @listSize(sizedFields: [\"nodes\"])",
                "@listSize on Query.a names `nodes`, which does not exist there",
            ),
            ("a: [Int] @timeBuckets(argument: \"x\")", "@timeBuckets on Query.a names `x`, which does not exist there"),
            ("a: Int @timeWindow(lengths: [\"x.y\"])", "@timeWindow on Query.a names `x`, which does not exist there"),
            ("a: Int @resumable(cursor: \"after\")", "@resumable on Query.a names `after`, which does not exist there"),
            (
                "a: [Int] @listSize(assumedSize: \"x\")",
                "@listSize on Query.a: `assumedSize` must be a number, 0 or more",
            ),
            ("a: Int @timeWindow(default: \"P1M\")", "@timeWindow on Query.a: `default` must be an ISO 8601 duration"),
        ] {
            assert_eq!(error(&format!("type Query {{ {field} }}")), expected);
        }
    }

    #[test]
    fn every_scalar_has_a_rule() {
        assert_eq!(error("scalar Date type Query { a: Date }"), "reads");
        assert!(error("scalar Color type Query { a: Color }").contains("the scalar Color"));
        assert!(error("type {").starts_with("the schema cannot be parsed"));
    }

    #[test]
    fn the_schema_of_this_server_is_executable() {
        let types = SchemaTypes::of_this_server();
        assert!(types.inputs.len() > 20 && types.objects.len() > 20);
        assert_eq!(types.root(OperationType::Subscription), "Subscription");
    }
}
