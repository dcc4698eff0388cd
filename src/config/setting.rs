//! How a node of the tree becomes a setting: one trait that both reads it and describes it for the schema.
//!
//! Owns the kinds of settings that are not particular to one field: single values, lists, named things, words in
//! place of a value, sections. Promises that reading never stops at the first problem.

use std::marker::PhantomData;

use serde_json::{Value, json};

use super::problem::{At, Findings};
use super::tree::{Entry, Kind, Node, shown_name};

/// A setting or a section of settings.
pub(crate) trait Setting: Sized {
    /// Reads it; whatever is wrong is noted. None where nothing can be made of the node.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self>;
    /// Its JSON Schema.
    fn schema() -> Value;
}

/// A setting written as one value.
pub(crate) trait Leaf: Sized {
    /// What is expected, as the end of a sentence: "expected …".
    fn expected() -> String;
    /// Reads the text.
    fn parse(text: &str) -> Result<Self, Mistake>;
    /// Its JSON Schema.
    fn schema() -> Value;
}

/// Why a text is not a [`Leaf`].
#[derive(Debug)]
pub(crate) struct Mistake {
    /// What is wrong.
    pub(crate) message: String,
    /// What was expected, where that is more than [`Leaf::expected`] says.
    pub(crate) instead: Option<String>,
}

impl Mistake {
    pub(crate) fn new(message: impl Into<String>) -> Mistake {
        Mistake { message: message.into(), instead: None }
    }

    pub(crate) fn with(message: impl Into<String>, instead: impl Into<String>) -> Mistake {
        Mistake { message: message.into(), instead: Some(instead.into()) }
    }
}

/// Where reading stands and what it found wrong.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) findings: Findings,
    path: Vec<String>,
}

impl Reader {
    /// The path of the setting being read: `upstreams.echo.timeouts`; "the file" at its top.
    fn whereabouts(&self) -> String {
        if self.path.is_empty() { "the file".into() } else { format!("`{}`", self.path.concat()) }
    }

    fn within<T>(&mut self, step: &str, read: impl FnOnce(&mut Reader) -> T) -> T {
        let joint = if self.path.is_empty() || step.starts_with('[') { "" } else { "." };
        self.path.push(format!("{joint}{}", shown_name(step)));
        let value = read(self);
        self.path.pop();
        value
    }

    /// The fields of a mapping, of which nothing written means none. Those that are not `known`, and those that are
    /// missing, are noted.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, known: &[Field]) -> Option<&'n [Entry]> {
        let names: Vec<&str> = known.iter().map(|field| field.name).collect();
        let entries = self.entries(node, &format!("a mapping with fields: {}", names.join(", ")))?;
        let mut misspelt = Vec::new();
        for entry in entries.iter().filter(|entry| !names.contains(&entry.name.value.as_str())) {
            let (name, place) = (&entry.name.value, entry.name.place);
            let within =
                if self.path.is_empty() { String::new() } else { format!(" in {}", self.whereabouts()) };
            let message = format!("unknown field `{}`{within}", shown_name(name));
            let expected = match names.as_slice() {
                [only] => format!("expected `{only}`"),
                _ => format!("expected one of: {}", names.join(", ")),
            };
            misspelt.extend(self.findings.refuse_name(place, name, names.iter().copied(), message, expected));
        }
        for Field { name, doc, .. } in known.iter().filter(|field| field.required) {
            // A field that is there under a misspelt name was told already.
            if !misspelt.contains(name) && !entries.iter().any(|entry| entry.name.value == *name) {
                let message = format!("`{name}` is missing in {}", self.whereabouts());
                self.findings.refuse(
                    node.place,
                    message,
                    format!("expected the field `{name}`: {}", in_passing(doc)),
                );
            }
        }
        Some(entries)
    }

    fn entries<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n [Entry]> {
        match &node.kind {
            Kind::Mapping(entries) => Some(entries),
            Kind::Null => Some(&[]),
            Kind::Broken => None,
            Kind::Scalar(_) | Kind::Sequence(_) => {
                self.refuse_shape(node, expected);
                None
            }
        }
    }

    /// Reads one field, where it is written.
    pub(crate) fn field<T: Setting>(&mut self, entries: &[Entry], name: &str) -> Option<At<T>> {
        let entry = entries.iter().find(|entry| entry.name.value == name)?;
        let value = self.within(name, |reader| T::read(&entry.value, reader))?;
        Some(At { value, place: entry.value.place })
    }

    /// Notes a node of another shape than expected.
    pub(crate) fn refuse_shape(&mut self, node: &Node, expected: &str) {
        let message = match &node.kind {
            Kind::Null => format!("{} has no value", self.whereabouts()),
            Kind::Scalar(_) => format!("{} is a single value", self.whereabouts()),
            Kind::Sequence(_) => format!("{} is a list", self.whereabouts()),
            Kind::Mapping(_) => format!("{} is a mapping", self.whereabouts()),
            Kind::Broken => return,
        };
        self.findings.refuse(node.place, message, format!("expected {expected}"));
    }
}

impl<L: Leaf> Setting for L {
    fn read(node: &Node, reader: &mut Reader) -> Option<L> {
        let Kind::Scalar(scalar) = &node.kind else {
            reader.refuse_shape(node, &L::expected());
            return None;
        };
        match L::parse(scalar.text.trim()) {
            Ok(value) => Some(value),
            Err(mistake) => {
                // The value itself is not shown: a variable may hold a password.
                let source = if scalar.filled_in { ", once its variables are filled in" } else { "" };
                let message = format!("{}{source}", mistake.message);
                let expected = mistake.instead.unwrap_or_else(|| format!("expected {}", L::expected()));
                reader.findings.refuse(node.place, message, expected);
                None
            }
        }
    }

    fn schema() -> Value {
        <L as Leaf>::schema()
    }
}

/// The first sentence of a description, as the end of another sentence.
fn in_passing(doc: &str) -> String {
    let sentence = doc.trim().split(". ").next().unwrap_or("").trim_end_matches('.');
    let mut chars = sentence.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second.is_whitespace() => {
            first.to_lowercase().chain([second]).chain(chars).collect()
        }
        _ => sentence.to_owned(),
    }
}

const LIST: &str = "a list: `[…]`, or a line with `- ` for each item";
const LIST_OR_NONE: &str = "a list: `[…]`, or a line with `- ` for each item; `[]` for none";

/// A list of at least `MIN` items.
#[derive(Debug)]
pub(crate) struct Listing<T, const MIN: usize>(pub(crate) Vec<At<T>>);

impl<T: Setting, const MIN: usize> Setting for Listing<T, MIN> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Kind::Sequence(items) = &node.kind else {
            reader.refuse_shape(node, if MIN > 0 { LIST } else { LIST_OR_NONE });
            return None;
        };
        if items.len() < MIN {
            let message = format!("{} is empty", reader.whereabouts());
            reader.findings.refuse(node.place, message, format!("expected a list of {MIN} or more"));
        }
        let read = items.iter().enumerate().filter_map(|(at, item)| {
            let value = reader.within(&format!("[{at}]"), |reader| T::read(item, reader))?;
            Some(At { value, place: item.place })
        });
        Some(Listing(read.collect()))
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema(), "minItems": MIN })
    }
}

/// Things under names that the operator chooses.
#[derive(Debug)]
pub(crate) struct Named<T> {
    pub(crate) entries: Vec<(At<String>, T)>,
    /// Whether every name is here: what cannot be found elsewhere does not exist.
    pub(crate) complete: bool,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named { entries: Vec::new(), complete: true }
    }
}

/// Longest name of an upstream or a route.
const NAME_BYTES_MAX: usize = 64;

/// Whether a text may name an upstream or a route: what metrics and logs can show as it is.
pub(crate) fn is_plain_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// What [`is_plain_name`] accepts.
pub(crate) const PLAIN_NAME: &str = "a name of 1 to 64 letters, digits, `.`, `_` and `-`";
/// What [`is_plain_name`] accepts, as a regular expression.
pub(crate) const PLAIN_NAME_PATTERN: &str = "^[A-Za-z0-9._-]{1,64}$";

impl<T: Setting> Setting for Named<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Some(entries) = reader.entries(node, "a mapping with a name before each of them: `NAME: …`")
        else {
            return Some(Named { entries: Vec::new(), complete: false });
        };
        let mut named = Named::default();
        for entry in entries {
            let name = &entry.name.value;
            if !is_plain_name(name) {
                reader.findings.refuse(entry.name.place, "not a name", format!("expected {PLAIN_NAME}"));
            }
            match reader.within(name, |reader| T::read(&entry.value, reader)) {
                Some(value) => named.entries.push((entry.name.clone(), value)),
                None => named.complete = false,
            }
        }
        Some(named)
    }

    fn schema() -> Value {
        json!({
            "type": "object",
            "propertyNames": { "pattern": PLAIN_NAME_PATTERN },
            "additionalProperties": T::schema(),
        })
    }
}

/// A word that stands in place of a value.
pub(crate) trait Word {
    /// As written.
    const WORD: &'static str;
}

/// Either the word `W` (then there is no value) or a value.
#[derive(Debug)]
pub(crate) struct Or<W, T>(pub(crate) Option<T>, PhantomData<W>);

impl<W: Word, T: Setting> Setting for Or<W, T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if matches!(&node.kind, Kind::Scalar(scalar) if scalar.text == W::WORD) {
            return Some(Or(None, PhantomData));
        }
        let mark = reader.findings.count();
        let value = T::read(node, reader);
        if value.is_none() {
            reader.findings.also_expected(mark, &format!("`{}`", W::WORD));
        }
        value.map(|value| Or(Some(value), PhantomData))
    }

    fn schema() -> Value {
        // One flat list of alternatives, however many there are inside.
        let mut alternatives = vec![json!({ "const": W::WORD })];
        let mut inner = T::schema();
        match inner.get_mut("anyOf").map(Value::take) {
            Some(Value::Array(inner)) => alternatives.extend(inner),
            _ => alternatives.push(inner),
        }
        json!({ "anyOf": alternatives })
    }
}

/// What is known of a field besides its kind.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) required: bool,
}

/// The schema of a section, given those of its fields in order.
pub(crate) fn section_schema(doc: &str, fields: &[Field], schemas: Vec<Value>) -> Value {
    let mut properties = serde_json::Map::new();
    for (field, mut schema) in fields.iter().zip(schemas) {
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".into(), Value::from(field.doc.trim()));
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "type": "object",
        "description": doc.trim(),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// Declares a section: its fields in order, each with its description and kind, `required` where it must be written.
/// Reading it, its unknown and missing fields, and its schema all follow from this one declaration.
macro_rules! section {
    (@is_required required) => { true };
    (@is_required) => { false };
    ($(#[doc = $doc:literal])+ $name:ident {
        $( $(#[doc = $field_doc:literal])+ $field:ident: $kind:ty $(, $required:ident)?; )+
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $field_doc])+ pub(crate) $field: Option<$crate::config::problem::At<$kind>>, )+
            /// Whether something that is written in it was found wrong, so that "absent" may mean "broken".
            pub(crate) incomplete: bool,
        }

        impl $name {
            const FIELDS: &[$crate::config::setting::Field] = &[$($crate::config::setting::Field {
                name: stringify!($field),
                doc: concat!($($field_doc),+),
                required: section!(@is_required $($required)?),
            }),+];
        }

        impl $crate::config::setting::Setting for $name {
            fn read(
                node: &$crate::config::tree::Node,
                reader: &mut $crate::config::setting::Reader,
            ) -> Option<Self> {
                let mark = reader.findings.count();
                let entries = reader.fields(node, Self::FIELDS)?;
                let mut section = Self { $( $field: reader.field(entries, stringify!($field)), )+ incomplete: false };
                section.incomplete = reader.findings.count() > mark;
                Some(section)
            }

            fn schema() -> serde_json::Value {
                let schemas = vec![$( <$kind as $crate::config::setting::Setting>::schema() ),+];
                $crate::config::setting::section_schema(concat!($($doc),+), Self::FIELDS, schemas)
            }
        }
    };
}

pub(crate) use section;
