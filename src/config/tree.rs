//! A YAML document as a tree in which everything knows its place.
//!
//! Owns what is the same for every configuration: syntax, duplicate fields, aliases, variables. Promises that a
//! broken piece is told once and marked, so that the rest is still read. Never knows what a field means.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::problem::{At, Findings, Place};
use super::substitute::{Environment, substitute};
use super::syntax;

/// Deepest nesting: the configuration needs 7, and reading recurses.
const NESTING_MAX: usize = 32;
/// Most nodes that aliases repeat, all together: aliases of aliases grow without bound in a few lines.
const REPEATED_NODES_MAX: u64 = 10_000;

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// How many nodes this is once its aliases are written out.
    nodes: u64,
}

/// What a node holds.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Nothing was written.
    Null,
    /// Text; what it means is for the setting to say, so `"10"` and `10` are the same.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// Fields, each once, in order.
    Mapping(Vec<Entry>),
    /// Already told as a problem: to be passed over in silence.
    Broken,
}

/// Text, with its variables filled in.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Whether variables were filled in, so that the text is not what the file shows.
    pub(crate) filled_in: bool,
}

/// A field of a mapping.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: At<String>,
    pub(crate) value: Rc<Node>,
}

/// Reads the one document of `source`. None where it has no structure to go on with; why is noted then.
pub(crate) fn read(source: &str, environment: Environment<'_>, findings: &mut Findings) -> Option<Rc<Node>> {
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: NESTING_MAX,
        block_nesting_limit: NESTING_MAX,
    };
    let mut builder = Builder::new(source, options, environment, findings);
    match builder.document() {
        Ok(root) => root,
        Err(error) => {
            builder.refuse_syntax(&error);
            None
        }
    }
}

struct Builder<'a> {
    source: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    environment: Environment<'a>,
    /// What each anchor names; none while that is still being read.
    anchors: HashMap<usize, Option<Rc<Node>>>,
    repeated_nodes: u64,
    findings: &'a mut Findings,
}

type Located<'a> = (Event<'a>, Span);

impl<'a> Builder<'a> {
    fn new(
        source: &'a str,
        options: Options,
        environment: Environment<'a>,
        findings: &'a mut Findings,
    ) -> Builder<'a> {
        let parser = Parser::new_from_str_with_options(source, options);
        Builder { source, parser, environment, anchors: HashMap::new(), repeated_nodes: 0, findings }
    }

    fn next(&mut self) -> Result<Option<Located<'a>>, ScanError> {
        self.parser.next().transpose()
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser may grow events; none of them is a node to us"
    )]
    fn document(&mut self) -> Result<Option<Rc<Node>>, ScanError> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    self.findings.refuse(
                        place(&span),
                        "a second document begins here",
                        "expected one document: remove the `---` or split the file",
                    );
                    break;
                }
                Event::DocumentStart(..) => {}
                Event::StreamEnd => break,
                event => root = Some(self.node(event, span)?),
            }
        }
        Ok(root)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser may grow events; none of them is a node to us"
    )]
    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Rc<Node>, ScanError> {
        let (anchor, tag) = properties(&event);
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        let tagged = tag.is_some_and(|tag| !is_string_tag(tag));
        let tag_place = span.tag_start.map(|start| Place { width: 1, ..place(&Span::empty(start)) });
        let mut node = match event {
            Event::Scalar(text, style, _, tag) => {
                self.scalar(&text, style == ScalarStyle::Plain && tag.is_none(), &span)
            }
            Event::SequenceStart(..) => self.sequence(span)?,
            Event::MappingStart(..) => self.mapping(span)?,
            Event::Alias(anchor) => return Ok(self.alias(anchor, &span)),
            Event::UnresolvedAlias(name) => {
                let expected = format!("expected `&{name}` before it");
                self.findings.refuse(place(&span), "this alias names nothing", expected);
                broken(place(&span))
            }
            // The parser gives a node's events only where a node belongs; anything else has no meaning for us.
            _ => broken(place(&span)),
        };
        if tagged {
            let at = tag_place.unwrap_or(node.place);
            self.findings.refuse(at, "a tag", "expected the value alone: tags (`!…`) have no meaning here");
            node.kind = Kind::Broken;
        }
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Some(Rc::clone(&node)));
        }
        Ok(node)
    }

    fn scalar(&mut self, text: &str, plain: bool, span: &Span) -> Node {
        let at = place(span);
        if plain && matches!(text, "" | "~" | "null") {
            return Node { place: at, kind: Kind::Null, nodes: 1 };
        }
        let source = self.source;
        let place_of = |piece: &str| place_within(source, span, piece);
        let filled = substitute(text, self.environment, &place_of, self.findings);
        let kind = match filled {
            Some(filled) => Kind::Scalar(Scalar { filled_in: filled != text, text: filled }),
            None => Kind::Broken,
        };
        Node { place: at, kind, nodes: 1 }
    }

    fn sequence(&mut self, start: Span) -> Result<Node, ScanError> {
        let mut items = Vec::new();
        let mut nodes = 1_u64;
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                let place = place_from(&start, &span);
                return Ok(Node { place, kind: Kind::Sequence(items), nodes });
            }
            let item = self.node(event, span)?;
            nodes = nodes.saturating_add(item.nodes);
            items.push(item);
        }
        Ok(broken(place(&start)))
    }

    fn mapping(&mut self, start: Span) -> Result<Node, ScanError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut nodes = 1_u64;
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                let place = place_from(&start, &span);
                return Ok(Node { place, kind: Kind::Mapping(entries), nodes });
            }
            let name = self.field_name(event, span)?;
            let Some((event, span)) = self.next()? else { break };
            let nothing_written = span.start == span.end;
            let mut value = self.node(event, span)?;
            nodes = nodes.saturating_add(value.nodes);
            let Some(name) = name else { continue };
            if let Some(first) = lines.insert(name.value.clone(), name.place.line) {
                let message = format!("`{}` is written twice", shown_name(&name.value));
                self.findings.refuse(
                    name.place,
                    message,
                    format!("expected each field once; the first is in line {first}"),
                );
                continue;
            }
            // Where nothing was written there is nothing to point at but the field's name.
            if nothing_written && matches!(value.kind, Kind::Null) {
                value = Rc::new(Node { place: name.place, kind: Kind::Null, nodes: 1 });
            }
            entries.push(Entry { name, value });
        }
        Ok(broken(place(&start)))
    }

    fn field_name(&mut self, event: Event<'a>, span: Span) -> Result<Option<At<String>>, ScanError> {
        if let Event::Scalar(text, _, 0, None) = &event
            && text != "<<"
        {
            return Ok(Some(At { value: text.to_string(), place: place(&span) }));
        }
        let merge = matches!(&event, Event::Scalar(text, ..) if text == "<<");
        let expected = if merge {
            "expected fields written out: merge keys (`<<`) are not part of YAML 1.2"
        } else {
            "expected plain text, without anchor or tag"
        };
        self.findings.refuse(place(&span), "not a field's name", expected);
        self.node(event, span)?;
        Ok(None)
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Rc<Node> {
        let at = place(span);
        let Some(Some(node)) = self.anchors.get(&anchor) else {
            let expected = "expected an alias of something that ends before it";
            self.findings.refuse(at, "this alias stands inside what it names", expected);
            return Rc::new(broken(at));
        };
        let within_before = self.repeated_nodes <= REPEATED_NODES_MAX;
        self.repeated_nodes = self.repeated_nodes.saturating_add(node.nodes);
        if self.repeated_nodes <= REPEATED_NODES_MAX {
            return Rc::clone(node);
        }
        if within_before {
            let expected = format!("expected aliases that repeat at most {REPEATED_NODES_MAX} values in all");
            self.findings.refuse(at, "with this alias the file grows too large", expected);
        }
        Rc::new(broken(at))
    }

    fn refuse_syntax(&mut self, error: &ScanError) {
        let marker = error.marker();
        let at = Place { line: marker.line(), column: marker.col() + 1, width: 1 };
        let line = self.source.lines().nth(marker.line().saturating_sub(1)).unwrap_or("");
        let (message, expected) = syntax::explain(error.kind(), line);
        self.findings.refuse(at, message, expected);
    }
}

/// A field's name as a message may hold it: control characters and length are the file's, not ours.
pub(crate) fn shown_name(name: &str) -> String {
    let mut shown: String =
        name.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}

fn broken(place: Place) -> Node {
    Node { place, kind: Kind::Broken, nodes: 1 }
}

/// The anchor (0 for none) and the tag that a node was given.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser may grow events; none of them is a node to us"
)]
fn properties<'e>(event: &'e Event<'_>) -> (usize, Option<&'e Tag>) {
    match event {
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(_, anchor, tag)
        | Event::MappingStart(_, anchor, tag) => (*anchor, tag.as_deref()),
        _ => (0, None),
    }
}

/// `!!str`, and the lone `!`: every scalar is text until its setting reads it.
fn is_string_tag(tag: &Tag) -> bool {
    (tag.handle() == "tag:yaml.org,2002:" && tag.suffix() == "str")
        || (tag.handle().is_empty() && tag.suffix() == "!")
}

fn place(span: &Span) -> Place {
    place_from(span, span)
}

/// From the start of one span to the end of another: to the end of the first line where that is a later line.
fn place_from(first: &Span, last: &Span) -> Place {
    let width = if first.start.line() == last.end.line() {
        last.end.index().saturating_sub(first.start.index())
    } else {
        usize::MAX
    };
    Place { line: first.start.line(), column: first.start.col() + 1, width }
}

/// Where `piece` stands in a scalar; the whole scalar where escapes or line folding hide it.
fn place_within(source: &str, span: &Span, piece: &str) -> Place {
    let whole = place(span);
    let found = span.slice(source).and_then(|raw| raw.find(piece).and_then(|at| raw.get(..at)));
    match found {
        Some(before) if !before.contains(['\n', '\r']) => {
            Place { column: whole.column + before.chars().count(), width: piece.chars().count(), ..whole }
        }
        _ => whole,
    }
}
