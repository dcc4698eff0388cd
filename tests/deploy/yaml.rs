//! YAML as data, merge keys included, for looking at files that other programs read.
//!
//! Every scalar is text: what it means is for those programs to say.

use std::collections::HashMap;

use granit_parser::{Event, Parser, Span, StrInput};
use serde_json::{Map, Value};

/// The one document of a text.
pub(crate) fn parse(text: &str) -> Value {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new() };
    loop {
        match reader.next() {
            Event::StreamStart | Event::DocumentStart(..) => {}
            event => return reader.node(event),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Value>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Event<'a> {
        let (event, _): (Event<'a>, Span) = self.parser.next().expect("more YAML").expect("good YAML");
        event
    }

    fn node(&mut self, event: Event<'a>) -> Value {
        let (anchor, value) = match event {
            Event::Scalar(text, _, anchor, _) => (anchor, Value::String(text.into_owned())),
            Event::Alias(anchor) => return self.anchors[&anchor].clone(),
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next() {
                        Event::SequenceEnd => break (anchor, Value::Array(items)),
                        event => items.push(self.node(event)),
                    }
                }
            }
            Event::MappingStart(_, anchor, _) => (anchor, self.mapping()),
            other => panic!("not a node: {other:?}"),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        value
    }

    fn mapping(&mut self) -> Value {
        let (mut own, mut merged) = (Map::new(), Map::new());
        loop {
            match self.next() {
                Event::MappingEnd => break,
                event => {
                    let name = self.node(event).as_str().expect("a name").to_owned();
                    let event = self.next();
                    let value = self.node(event);
                    if name == "<<" {
                        merged.extend(value.as_object().expect("a mapping to merge").clone());
                    } else {
                        assert!(own.insert(name.clone(), value).is_none(), "{name} is written twice");
                    }
                }
            }
        }
        merged.extend(own);
        Value::Object(merged)
    }
}

/// The texts of a list; none where it is absent.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().expect("text")).collect()
}
