//! Random requests of the schema: documents with the variables that they need, mostly valid.

use apollo_compiler::{
    Name, Node, Schema,
    ast::{
        Argument, Definition, Directive, DirectiveList, Document, Field, FieldDefinition, FragmentDefinition,
        FragmentSpread, InlineFragment, OperationDefinition, OperationType, Selection, Value, VariableDefinition,
    },
    schema::ExtendedType,
    validation::Valid,
};
use rand::{Rng, RngExt, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Map, Value as Json};

use super::values;

/// A document with the variables of a request.
#[derive(Clone)]
pub struct Request {
    pub document: Document,
    pub variables: Map<String, Json>,
}

/// Levels of fields.
const DEPTH_MAX: usize = 4;

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// True once in `many` cases.
pub fn once_in(rng: &mut impl Rng, many: u32) -> bool {
    rng.random_ratio(1, many)
}

/// A random request.
pub fn request(schema: &Valid<Schema>, rng: &mut StdRng) -> Request {
    let kind = match rng.random_range(0..20) {
        0 => OperationType::Subscription,
        1..=4 => OperationType::Mutation,
        _ => OperationType::Query,
    };
    let root = schema.root_operation(kind).unwrap().clone();
    let (variables, values, fragments) = (Vec::new(), Map::new(), Vec::new());
    let mut writer = Writer { schema, rng, variables, values, fragments, merges: false };
    writer.merges = once_in(writer.rng, 3);
    let selection_set = if kind == OperationType::Subscription {
        vec![writer.field(&root, DEPTH_MAX)]
    } else {
        writer.selection_set(&root, DEPTH_MAX)
    };
    let operation_name = once_in(writer.rng, 2).then(|| name("Q"));
    let Writer { variables, values, fragments, .. } = writer;
    let operation = OperationDefinition {
        operation_type: kind,
        name: operation_name,
        variables,
        directives: DirectiveList::new(),
        selection_set,
    };
    let mut document = Document::new();
    document.definitions.push(Definition::OperationDefinition(Node::new(operation)));
    document
        .definitions
        .extend(fragments.into_iter().map(|fragment| Definition::FragmentDefinition(Node::new(fragment))));
    Request { document, variables: values }
}

struct Writer<'a> {
    schema: &'a Valid<Schema>,
    rng: &'a mut StdRng,
    variables: Vec<Node<VariableDefinition>>,
    values: Map<String, Json>,
    fragments: Vec<FragmentDefinition>,
    /// Many fields share few response keys.
    merges: bool,
}

impl Writer<'_> {
    fn selection_set(&mut self, parent: &Name, depth: usize) -> Vec<Selection> {
        let count = self.rng.random_range(1..=3);
        (0..count).map(|_| self.selection(parent, depth)).collect()
    }

    fn selection(&mut self, parent: &Name, depth: usize) -> Selection {
        let is_abstract = !matches!(self.schema.types[parent], ExtendedType::Object(_));
        let fragment = if is_abstract || self.merges { 4 } else { 12 };
        if depth > 0 && once_in(self.rng, fragment) || (is_abstract && !once_in(self.rng, 4)) {
            return self.fragment(parent, depth);
        }
        self.field(parent, depth)
    }

    fn fragment(&mut self, parent: &Name, depth: usize) -> Selection {
        let objects = self.objects(parent);
        let condition = objects.choose(self.rng).cloned().unwrap_or_else(|| parent.clone());
        let depth = depth.saturating_sub(1);
        if !once_in(self.rng, 3) {
            let is_needed = condition != *parent || once_in(self.rng, 2);
            let directives = self.directives();
            let selection_set = self.selection_set(&condition, depth);
            let type_condition = is_needed.then_some(condition);
            return Selection::InlineFragment(Node::new(InlineFragment { type_condition, directives, selection_set }));
        }
        let known = self.fragments.iter().find(|fragment| fragment.type_condition == condition);
        let fragment_name = match known {
            Some(known) if once_in(self.rng, 2) => known.name.clone(),
            _ => {
                let selection_set = self.selection_set(&condition, depth);
                let name = name(&format!("F{}", self.fragments.len()));
                let directives = DirectiveList::new();
                let (type_condition, fragment) = (condition, name.clone());
                self.fragments.push(FragmentDefinition { name, type_condition, directives, selection_set });
                fragment
            }
        };
        Selection::FragmentSpread(Node::new(FragmentSpread { fragment_name, directives: self.directives() }))
    }

    /// The object types that a value of a type may have.
    fn objects(&self, parent: &Name) -> Vec<Name> {
        match &self.schema.types[parent] {
            ExtendedType::Interface(_) => self.schema.implementers_map()[parent].objects.iter().cloned().collect(),
            ExtendedType::Union(union) => union.members.iter().map(|member| member.name.clone()).collect(),
            _ => vec![parent.clone()],
        }
    }

    fn field(&mut self, parent: &Name, depth: usize) -> Selection {
        let fields: Vec<&FieldDefinition> = match &self.schema.types[parent] {
            ExtendedType::Object(object) => object.fields.values().map(|field| &***field).collect(),
            ExtendedType::Interface(interface) => interface.fields.values().map(|field| &***field).collect(),
            _ => Vec::new(),
        };
        let is_leaf = |field: &&&FieldDefinition| !is_composite(self.schema, field.ty.inner_named_type());
        let fields: Vec<_> = fields.iter().filter(|field| depth > 0 || is_leaf(field)).collect();
        let alias = once_in(self.rng, if self.merges { 2 } else { 6 })
            .then(|| name(["a", "b", "id"].choose(self.rng).unwrap()));
        let directives = self.directives();
        let Some(definition) = fields.choose(self.rng).filter(|_| !once_in(self.rng, 25)) else {
            let (name, arguments, selection_set) = (name("__typename"), Vec::new(), Vec::new());
            return Selection::Field(Node::new(Field { alias, name, arguments, directives, selection_set }));
        };
        let mut arguments = Vec::new();
        for argument in &definition.arguments {
            let is_wanted = !argument.directives.has("deprecated") && once_in(self.rng, 4);
            if argument.is_required() || is_wanted {
                let has_default = argument.default_value.is_some();
                let value = self.value(&argument.ty, has_default, 3);
                arguments.push(Node::new(Argument { name: argument.name.clone(), value: Node::new(value) }));
            }
        }
        let output = definition.ty.inner_named_type();
        let is_composite = is_composite(self.schema, output);
        let selection_set = if is_composite { self.selection_set(output, depth - 1) } else { Vec::new() };
        let name = definition.name.clone();
        Selection::Field(Node::new(Field { alias, name, arguments, directives, selection_set }))
    }

    fn directives(&mut self) -> DirectiveList {
        let mut directives = DirectiveList::new();
        if once_in(self.rng, 20) {
            let condition = apollo_compiler::ty!(Boolean!);
            let value = Node::new(self.value(&condition, false, 0));
            let arguments = vec![Node::new(Argument { name: name("if"), value })];
            directives.push(Directive { name: name(["skip", "include"].choose(self.rng).unwrap()), arguments });
        }
        directives
    }

    /// A literal, a variable, or a literal with variables in it.
    fn value(&mut self, wanted: &apollo_compiler::ast::Type, has_default: bool, depth: usize) -> Value {
        if once_in(self.rng, 4) {
            return self.variable(wanted, has_default, depth);
        }
        let mut value = values::literal(self.schema, wanted, depth, self.rng);
        if let Value::Object(fields) = &mut value
            && let ExtendedType::InputObject(object) = &self.schema.types[wanted.inner_named_type()]
            && once_in(self.rng, 3)
            && !fields.is_empty()
        {
            let at = self.rng.random_range(0..fields.len());
            let definition = object.fields[&fields[at].0].clone();
            fields[at].1 = Node::new(self.variable(&definition.ty, definition.default_value.is_some(), depth));
        }
        value
    }

    fn variable(&mut self, wanted: &apollo_compiler::ast::Type, has_default: bool, depth: usize) -> Value {
        let variable = name(&format!("v{}", self.variables.len()));
        let literal = values::literal(self.schema, wanted, depth, self.rng);
        let default = (!literal.is_null() && once_in(self.rng, 4)).then(|| literal.clone());
        let is_optional = default.is_some() || has_default;
        let ty = match self.rng.random_range(0..4) {
            0 if !literal.is_null() => wanted.clone().non_null(),
            1 if is_optional => wanted.clone().nullable(),
            _ => wanted.clone(),
        };
        if !((default.is_some() || !ty.is_non_null()) && once_in(self.rng, 3)) {
            self.values.insert(variable.to_string(), values::json(&literal));
        }
        let (name, ty) = (variable.clone(), Node::new(ty));
        let default_value = default.map(Node::new);
        let directives = DirectiveList::new();
        self.variables.push(Node::new(VariableDefinition { name, ty, default_value, directives }));
        Value::Variable(variable)
    }
}

pub fn is_composite(schema: &Schema, name: &Name) -> bool {
    matches!(
        schema.types.get(name),
        Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
    )
}
