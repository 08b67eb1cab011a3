//! The elements of the schema as its SDL has them: types, fields, arguments, enum values, input fields and directives.

use async_graphql::parser::{
    Positioned, parse_schema,
    types::{ConstDirective, FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition},
};
use perfgraph::graphql::schema;

/// One element with a description.
pub struct Element {
    /// `Type`, `Type.field`, `Type.field(argument)` or `@directive(argument)`.
    pub path: String,
    pub description: String,
    /// Empty for types, enum values and directives.
    pub of_type: String,
    pub default: Option<String>,
    pub is_deprecated: bool,
    pub place: ElementKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementKind {
    Type,
    Field,
    Argument,
    InputField,
    EnumValue,
    Directive,
}

impl Element {
    /// The last name of the path: that of the argument, field, value or type itself.
    pub fn name(&self) -> &str {
        let end = self.path.trim_end_matches(')');
        end.rsplit(['(', '.']).next().unwrap_or(end)
    }
}

fn text(description: Option<&Positioned<String>>) -> String {
    let words: Vec<_> = description.map_or("", |text| text.node.as_str()).split_whitespace().collect();
    words.join(" ")
}

fn is_deprecated(directives: &[Positioned<ConstDirective>]) -> bool {
    directives.iter().any(|directive| directive.node.name.node == "deprecated")
}

fn input(path: String, value: &InputValueDefinition, place: ElementKind) -> Element {
    Element {
        path,
        description: text(value.description.as_ref()),
        of_type: value.ty.node.to_string(),
        default: value.default_value.as_ref().map(|default| default.node.to_string()),
        is_deprecated: is_deprecated(&value.directives),
        place,
    }
}

fn field(elements: &mut Vec<Element>, of: &str, field: &FieldDefinition) {
    let path = format!("{of}.{}", field.name.node);
    let arguments = field.arguments.iter().map(|argument| {
        let path = format!("{path}({})", argument.node.name.node);
        input(path, &argument.node, ElementKind::Argument)
    });
    elements.extend(arguments);
    elements.push(Element {
        path,
        description: text(field.description.as_ref()),
        of_type: field.ty.node.to_string(),
        default: None,
        is_deprecated: is_deprecated(&field.directives),
        place: ElementKind::Field,
    });
}

/// All elements of the schema.
pub fn all() -> Vec<Element> {
    let bare = |path, description, is_deprecated, place| Element {
        path,
        description,
        of_type: String::new(),
        default: None,
        is_deprecated,
        place,
    };
    let mut elements = Vec::new();
    for definition in parse_schema(schema::source().sdl()).unwrap().definitions {
        match definition {
            TypeSystemDefinition::Schema(_) => {}
            TypeSystemDefinition::Directive(directive) => {
                let path = format!("@{}", directive.node.name.node);
                elements.push(bare(path, text(directive.node.description.as_ref()), false, ElementKind::Directive));
            }
            TypeSystemDefinition::Type(of) => {
                let of = of.node;
                let name = of.name.node.to_string();
                elements.push(bare(name.clone(), text(of.description.as_ref()), false, ElementKind::Type));
                match &of.kind {
                    TypeKind::Scalar | TypeKind::Union(_) => {}
                    TypeKind::Object(object) => {
                        object.fields.iter().for_each(|one| field(&mut elements, &name, &one.node));
                    }
                    TypeKind::Interface(interface) => {
                        interface.fields.iter().for_each(|one| field(&mut elements, &name, &one.node));
                    }
                    TypeKind::Enum(values) => elements.extend(values.values.iter().map(|value| {
                        let path = format!("{name}.{}", value.node.value.node);
                        let is_deprecated = is_deprecated(&value.node.directives);
                        bare(path, text(value.node.description.as_ref()), is_deprecated, ElementKind::EnumValue)
                    })),
                    TypeKind::InputObject(object) => elements.extend(object.fields.iter().map(|one| {
                        input(format!("{name}.{}", one.node.name.node), &one.node, ElementKind::InputField)
                    })),
                }
            }
        }
    }
    assert!(elements.len() > 500, "only {} elements", elements.len());
    elements
}
