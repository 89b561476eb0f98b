//! Walks the parser's tree and collects the prose.

use parse_wiki_text_2::{Node, Parameter};

use super::prose::{HOLE, Prose, superscript};
use super::templates::{Arguments, Treatment, arguments_joined, as_of, treatment};

/// Sections without prose of their own.
#[rustfmt::skip]
const SKIPPED_SECTIONS: &[&str] = &[
    "bibliography", "citations", "discography", "external links", "filmography", "footnotes", "further reading",
    "gallery", "literature", "notes", "notes and references", "publications", "references", "see also",
    "selected bibliography", "selected works", "sources", "works cited",
];

/// HTML elements that are blocks of their own.
#[rustfmt::skip]
const BLOCK_TAGS: &[&str] = &[
    "blockquote", "br", "caption", "center", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "li", "ol", "p", "pre", "td", "th", "tr", "ul",
];

/// HTML elements whose content is struck out or set above other text.
#[rustfmt::skip]
const UNSHOWABLE_TAGS: &[&str] = &["del", "rb", "rp", "rt", "ruby", "s", "strike"];

pub(super) fn paragraphs(nodes: &[Node<'_>]) -> Vec<String> {
    let mut walk = Walk::default();
    walk.nodes(nodes);
    walk.prose.finish()
}

#[derive(Default)]
struct Walk {
    prose: Prose,
    /// Open HTML tables; their content is passed over.
    tables: usize,
    /// The heading level of a section that is passed over.
    skipped_level: Option<u8>,
}

impl Walk {
    fn nodes(&mut self, nodes: &[Node<'_>]) {
        for (index, node) in nodes.iter().enumerate() {
            if let Node::Heading { level, nodes, .. } = node {
                self.heading(*level, nodes);
            } else if self.skipped_level.is_some() {
            } else if let Node::StartTag { name, .. } | Node::EndTag { name, .. } = node {
                self.tag(name, matches!(node, Node::StartTag { .. }));
            } else if self.tables == 0 {
                self.node(node, &nodes[index + 1..]);
            }
        }
    }

    fn node(&mut self, node: &Node<'_>, following: &[Node<'_>]) {
        match node {
            Node::Text { value, .. } => self.prose.text(value),
            Node::CharacterEntity { character, .. } => {
                self.prose.text(character.encode_utf8(&mut [0; 4]));
            }
            Node::Link { text, .. } => self.nodes(text),
            Node::ExternalLink { nodes, .. } => self.external_link(nodes),
            Node::Template { name, parameters, .. } => self.template(name, parameters, following),
            Node::Tag { name, nodes, .. } => self.extension(name, nodes),
            Node::Parameter { .. } => self.prose.hole(),
            Node::ParagraphBreak { .. }
            | Node::HorizontalDivider { .. }
            | Node::DefinitionList { .. }
            | Node::OrderedList { .. }
            | Node::UnorderedList { .. }
            | Node::Preformatted { .. }
            | Node::Table { .. } => self.prose.end_paragraph(),
            Node::Bold { .. }
            | Node::BoldItalic { .. }
            | Node::Italic { .. }
            | Node::Category { .. }
            | Node::Comment { .. }
            | Node::Image { .. }
            | Node::MagicWord { .. }
            | Node::Redirect { .. }
            | Node::Heading { .. }
            | Node::StartTag { .. }
            | Node::EndTag { .. } => {}
        }
    }

    fn heading(&mut self, level: u8, nodes: &[Node<'_>]) {
        self.prose.end_paragraph();
        self.tables = 0;
        if self.skipped_level.is_some_and(|skipped| level > skipped) {
            return;
        }
        let title = inline(nodes).unwrap_or_default().trim().to_lowercase();
        self.skipped_level = SKIPPED_SECTIONS.contains(&title.as_str()).then_some(level);
    }

    fn tag(&mut self, name: &str, start: bool) {
        let name = name.to_ascii_lowercase();
        match (name.as_str(), start) {
            ("table", true) => {
                self.prose.end_paragraph();
                self.tables += 1;
            }
            ("table", false) => self.tables = self.tables.saturating_sub(1),
            _ if self.tables > 0 => {}
            ("sup", true) => self.prose.begin_superscript(),
            ("sup", false) => self.prose.end_superscript(),
            ("q", _) => self.prose.text("\""),
            (name, _) if BLOCK_TAGS.contains(&name) => self.prose.end_paragraph(),
            (name, _) if UNSHOWABLE_TAGS.contains(&name) => self.prose.hole(),
            _ => {}
        }
    }

    fn extension(&mut self, name: &str, nodes: &[Node<'_>]) {
        match name.to_ascii_lowercase().as_str() {
            "ref" => self.prose.note(),
            "nowiki" => self.nodes(nodes),
            "math" | "ce" | "chem" | "hiero" | "score" => self.prose.hole(),
            "section" | "indicator" | "templatestyles" => {}
            _ => self.prose.end_paragraph(),
        }
    }

    /// `[http://… label]`: the label; without one the wiki shows a number.
    fn external_link(&mut self, nodes: &[Node<'_>]) {
        let label = match nodes.split_first() {
            Some((Node::Text { value, .. }, rest)) => {
                let (_, start) = value.split_once([' ', '\t']).unwrap_or_default();
                inline(rest).map(|rest| format!("{start}{rest}"))
            }
            _ => None,
        };
        match label {
            Some(label) if !label.trim().is_empty() => self.prose.text(label.trim()),
            _ => self.prose.hole(),
        }
    }

    fn template(&mut self, name: &[Node<'_>], parameters: &[Parameter<'_>], following: &[Node<'_>]) {
        let name = inline(name).unwrap_or_default();
        let treatment = treatment(&name);
        // A template with nothing else on its lines is a box, or a note above the text.
        if treatment != Treatment::Note && self.prose.at_line_start() && ends_line(following) {
            return self.prose.end_paragraph();
        }
        // Most templates are invisible or notes: their arguments need not be read.
        let arguments = || arguments(parameters);
        let text = match treatment {
            Treatment::Invisible => return,
            Treatment::Note => return self.prose.note(),
            Treatment::Literal(text) => Some(text.to_owned()),
            Treatment::Argument(index) => arguments().at(index),
            Treatment::LastArgument => arguments().positional.last().cloned().flatten(),
            Treatment::Circa => match &arguments().positional[..] {
                [year] => year.as_ref().map(|year| format!("c. {year}")),
                _ => None,
            },
            Treatment::AsOf => as_of(&name, &arguments()),
            Treatment::Joined => arguments_joined(arguments().positional),
            Treatment::Superscript => arguments().at(0).and_then(|text| superscript(&text)),
            Treatment::Hole => None,
        };
        match text {
            Some(text) if !text.is_empty() => self.prose.text(&text),
            _ => self.prose.hole(),
        }
    }
}

/// Nodes inside a sentence as text, or nothing if they hold what cannot be shown.
pub(super) fn inline(nodes: &[Node<'_>]) -> Option<String> {
    let mut paragraphs = paragraphs(nodes);
    let text = paragraphs.pop().unwrap_or_default();
    (paragraphs.is_empty() && !text.contains(HOLE)).then_some(text)
}

fn arguments(parameters: &[Parameter<'_>]) -> Arguments {
    let mut arguments = Arguments::default();
    for Parameter { name, value, .. } in parameters {
        match name {
            None => arguments.positional.push(inline(value)),
            Some(name) => arguments.named.push((inline(name), inline(value))),
        }
    }
    arguments
}

/// Whether nothing but spaces, comments and other templates follow on the line.
fn ends_line(following: &[Node<'_>]) -> bool {
    for node in following {
        match node {
            Node::Comment { .. } | Node::Template { .. } | Node::Category { .. } | Node::Image { .. } => {}
            Node::Text { value, .. } => match value.trim_start_matches([' ', '\t']).chars().next() {
                None => {}
                Some(first) => return first == '\n',
            },
            Node::Bold { .. }
            | Node::BoldItalic { .. }
            | Node::Italic { .. }
            | Node::Link { .. }
            | Node::ExternalLink { .. }
            | Node::CharacterEntity { .. }
            | Node::Tag { .. }
            | Node::StartTag { .. }
            | Node::EndTag { .. }
            | Node::Parameter { .. }
            | Node::MagicWord { .. } => return false,
            _ => return true,
        }
    }
    true
}
