//! Random changes to a request, most of which make it invalid.

mod visits;

use apollo_compiler::{
    Node, Schema,
    ast::{Argument, Definition, Directive, DirectiveList, Field, FragmentSpread, InlineFragment, Selection, Value},
    schema::ExtendedType,
    validation::Valid,
};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value as Json, json};

use super::{
    requests::{Request, name, once_in},
    values,
};
pub use visits::literals;
use visits::{arguments, change_one, definitions, directives, fields, operations, selection_sets};

/// Changes a request in one place.
pub fn mutate(schema: &Valid<Schema>, request: &mut Request, rng: &mut StdRng) {
    let document = &mut request.document;
    match rng.random_range(0..11) {
        0 | 1 => change_one(document, rng, literals, change_value),
        2 => change_one(document, rng, fields, |field, rng| change_field(schema, field, rng)),
        3 => change_one(document, rng, selection_sets, |set, rng| change_selection_set(schema, set, rng)),
        4 => change_one(document, rng, selection_sets, share_a_key),
        5 => change_one(document, rng, arguments, change_arguments),
        6 => change_one(document, rng, directives, change_directives),
        7 => change_definitions(schema, request, rng),
        8 => change_variable_definitions(schema, request, rng),
        _ => change_variables(request, rng),
    }
}

fn change_value(value: &mut Value, rng: &mut StdRng) {
    match (rng.random_range(0..8), &mut *value) {
        (0..=2, Value::Object(fields)) if !fields.is_empty() => {
            let at = rng.random_range(0..fields.len());
            match rng.random_range(0..5) {
                0 => drop(fields.remove(at)),
                1 => fields.push(fields[at].clone()),
                2 => fields[at].1 = Node::new(values::other(rng)),
                3 => fields[at].0 = name("nothing"),
                _ => fields.push((name("nothing"), Node::new(Value::Null))),
            }
        }
        (0, Value::List(items)) => items.push(Node::new(values::other(rng))),
        (0..=2, Value::Enum(name)) => *value = Value::String(name.to_string()),
        (0, Value::String(text)) if text.chars().all(char::is_alphabetic) && !text.is_empty() => {
            *value = Value::Enum(name("text"));
        }
        (3, value) => *value = Value::List(vec![Node::new(value.clone())]),
        (4, Value::List(items)) if !items.is_empty() => *value = (*items[0]).clone(),
        _ => *value = values::other(rng),
    }
}

fn change_field(schema: &Schema, field: &mut Field, rng: &mut StdRng) {
    match rng.random_range(0..6) {
        0 => field.name = name(["nothing", "__typename", "__schema", "id", "name"].choose(rng).unwrap()),
        1 => field.selection_set.clear(),
        2 => field.selection_set.push(leaf("__typename")),
        3 => field.arguments.push(Node::new(Argument { name: name("nothing"), value: Node::new(Value::Null) })),
        4 => {
            let known: Vec<_> = schema.types.values().filter_map(ExtendedType::as_object).collect();
            let object = known.choose(rng).unwrap();
            field.name = object.fields.keys().next().unwrap().clone();
        }
        _ => field.alias = Some(name("name")),
    }
}

fn leaf(field: &str) -> Selection {
    Selection::Field(Node::new(Field {
        alias: None,
        name: name(field),
        arguments: Vec::new(),
        directives: DirectiveList::new(),
        selection_set: Vec::new(),
    }))
}

fn change_selection_set(schema: &Schema, set: &mut Vec<Selection>, rng: &mut StdRng) {
    let at = rng.random_range(0..set.len().max(1));
    match rng.random_range(0..7) {
        0 if set.len() > 1 => drop(set.remove(at)),
        0 | 1 => set.push(spread(["F0", "F1", "Nothing"].choose(rng).unwrap())),
        2 => set.extend(set.clone()),
        3 => set.push(leaf("__typename")),
        4 => {
            let types: Vec<_> = schema.types.keys().collect();
            let type_condition = Some((*types.choose(rng).unwrap()).clone());
            let selection_set = vec![leaf(["__typename", "id", "name"].choose(rng).unwrap())];
            let directives = DirectiveList::new();
            set.push(Selection::InlineFragment(Node::new(InlineFragment {
                type_condition,
                directives,
                selection_set,
            })));
        }
        5 => {
            let selection_set = std::mem::take(set);
            let (type_condition, directives) = (None, DirectiveList::new());
            set.push(Selection::InlineFragment(Node::new(InlineFragment {
                type_condition,
                directives,
                selection_set,
            })));
        }
        _ => set.push(leaf("nothing")),
    }
}

fn spread(fragment: &str) -> Selection {
    Selection::FragmentSpread(Node::new(FragmentSpread {
        fragment_name: name(fragment),
        directives: DirectiveList::new(),
    }))
}

/// Gives two fields of a selection set one response key, or one of them other arguments.
fn share_a_key(set: &mut Vec<Selection>, rng: &mut StdRng) {
    let fields: Vec<_> = set.iter().filter_map(Selection::as_field).cloned().collect();
    let Some(one) = fields.choose(rng) else { return };
    let mut copy = one.clone();
    let field = copy.make_mut();
    match rng.random_range(0..4) {
        0 => field.arguments.clear(),
        1 if !field.arguments.is_empty() => {
            let argument = field.arguments[0].make_mut();
            change_value(argument.value.make_mut(), rng);
        }
        2 => field.arguments.reverse(),
        _ => {
            let other = fields.choose(rng).unwrap();
            field.alias = Some(other.alias.clone().unwrap_or_else(|| other.name.clone()));
        }
    }
    let copy = Selection::Field(copy);
    if once_in(rng, 2) {
        set.push(copy);
    } else {
        let (type_condition, directives, selection_set) = (None, DirectiveList::new(), vec![copy]);
        set.push(Selection::InlineFragment(Node::new(InlineFragment { type_condition, directives, selection_set })));
    }
}

fn change_arguments(arguments: &mut Vec<Node<Argument>>, rng: &mut StdRng) {
    if arguments.is_empty() {
        let (name, value) = (name(["first", "id", "nothing"].choose(rng).unwrap()), values::other(rng));
        arguments.push(Node::new(Argument { name, value: Node::new(value) }));
        return;
    }
    let at = rng.random_range(0..arguments.len());
    match rng.random_range(0..3) {
        0 => drop(arguments.remove(at)),
        1 => arguments.push(arguments[at].clone()),
        _ => arguments[at].make_mut().name = name("nothing"),
    }
}

fn change_directives(directives: &mut DirectiveList, rng: &mut StdRng) {
    let directive = name(["skip", "include", "nothing", "deprecated", "oneOf", "listSize"].choose(rng).unwrap());
    let condition = match rng.random_range(0..5) {
        0 => values::other(rng),
        _ => Value::Boolean(true),
    };
    let arguments = vec![Node::new(Argument { name: name("if"), value: Node::new(condition) })];
    let arguments = if once_in(rng, 4) { Vec::new() } else { arguments };
    directives.push(Directive { name: directive, arguments });
}

fn change_definitions(schema: &Schema, request: &mut Request, rng: &mut StdRng) {
    let document = &mut request.document;
    let at = rng.random_range(0..document.definitions.len());
    match rng.random_range(0..4) {
        0 if document.definitions.len() > 1 => drop(document.definitions.remove(at)),
        1 => document.definitions.push(document.definitions[at].clone()),
        2 => change_one(document, rng, definitions, |definition, rng| {
            let types: Vec<_> = schema.types.keys().collect();
            if let Definition::FragmentDefinition(fragment) = definition {
                fragment.make_mut().type_condition = (*types.choose(rng).unwrap()).clone();
            }
        }),
        _ => change_one(document, rng, operations, |operation, _| operation.name = None),
    }
}

fn change_variable_definitions(schema: &Schema, request: &mut Request, rng: &mut StdRng) {
    change_one(&mut request.document, rng, operations, |operation, rng| {
        if operation.variables.is_empty() {
            return;
        }
        let at = rng.random_range(0..operation.variables.len());
        match rng.random_range(0..7) {
            0 => drop(operation.variables.remove(at)),
            1 => operation.variables.push(operation.variables[at].clone()),
            2 => operation.variables[at].make_mut().name = name("other"),
            kind => {
                let variable = operation.variables[at].make_mut();
                let ty = (*variable.ty).clone();
                let types: Vec<_> = schema.types.keys().collect();
                let other = apollo_compiler::ast::Type::Named((*types.choose(rng).unwrap()).clone());
                match kind {
                    3 => variable.ty = Node::new(if ty.is_non_null() { ty.nullable() } else { ty.non_null() }),
                    4 => variable.ty = Node::new(if ty.is_list() { ty.item_type().clone() } else { ty.list() }),
                    5 => variable.ty = Node::new(other),
                    _ => variable.default_value = Some(Node::new(values::other(rng))),
                }
            }
        }
    });
}

fn change_variables(request: &mut Request, rng: &mut StdRng) {
    let names: Vec<_> = request.variables.keys().cloned().collect();
    let Some(name) = names.choose(rng) else { return };
    if once_in(rng, 6) {
        request.variables.remove(name);
        return;
    }
    change_json(request.variables.get_mut(name).unwrap(), rng);
}

fn change_json(value: &mut Json, rng: &mut StdRng) {
    match value {
        Json::Object(fields) if !fields.is_empty() && !once_in(rng, 5) => {
            let names: Vec<_> = fields.keys().cloned().collect();
            let name = names.choose(rng).unwrap();
            match rng.random_range(0..4) {
                0 => drop(fields.remove(name)),
                1 => drop(fields.insert("nothing".to_owned(), Json::Null)),
                _ => change_json(fields.get_mut(name).unwrap(), rng),
            }
        }
        Json::Array(items) if !items.is_empty() && !once_in(rng, 4) => {
            let at = rng.random_range(0..items.len());
            change_json(&mut items[at], rng);
        }
        value if once_in(rng, 6) => *value = json!([value]),
        value => {
            let others = [
                json!(null),
                json!(7),
                json!(-1),
                json!(2_147_483_648_u64),
                // Not 1e3: the other implementation takes no whole number with a fraction for an Int, as ours does.
                json!(1.5),
                json!("text"),
                json!("7"),
                json!(true),
                json!([]),
                json!({}),
                json!([null]),
                json!("NAME"),
            ];
            *value = others.choose(rng).unwrap().clone();
        }
    }
}
