//! Wikitext into paragraphs of plain prose.
//!
//! `parse-wiki-text-2` parses; this module decides what is prose. Headings, lists, tables, images,
//! footnotes and whole sections of references are left out. What cannot be shown as plain text (a formula, an
//! unknown template inside a sentence) leaves a [`HOLE`], so that the sentence around it can be
//! recognised and dropped.

mod guard;
mod prose;
mod templates;
mod walk;

use std::borrow::Cow;
use std::time::Duration;

use parse_wiki_text_2::{Configuration, ConfigurationSource};

pub use guard::MarkupError;
pub use prose::HOLE;

/// An article that takes longer is passed over; ordinary ones take milliseconds.
const MAX_PARSE_TIME: Duration = Duration::from_secs(10);

/// Turns wikitext into paragraphs. Make one and share it: it holds the tables of the wiki.
pub struct Stripper {
    configuration: Configuration,
}

impl Stripper {
    /// A stripper for the English Wikipedia.
    pub fn new() -> Self {
        let configuration = Configuration::new(&ConfigurationSource {
            category_namespaces: &["category"],
            extension_tags: EXTENSION_TAGS,
            file_namespaces: &["file", "image", "media"],
            // The parser would return the letters after a piped link twice (0.2.0: in the link, and
            // as text); with no trail they are text only, which reads the same.
            link_trail: "",
            magic_words: MAGIC_WORDS,
            protocols: &["//", "ftp://", "ftps://", "http://", "https://", "irc://", "mailto:", "news:"],
            redirect_magic_words: &["REDIRECT"],
        });
        Self { configuration }
    }

    /// The paragraphs of an article. Spaces and line ends are as in the wikitext; `tidy` comes later.
    ///
    /// # Errors
    /// The parser gave up on the article; the message says how.
    pub fn paragraphs(&self, wikitext: &str) -> Result<Vec<String>, MarkupError> {
        guard::check_nesting(wikitext)?;
        let wikitext = &keep_text_before_tags(wikitext);
        guard::catch(|| match self.configuration.parse_with_timeout(wikitext, MAX_PARSE_TIME) {
            Ok(output) => Ok(walk::paragraphs(&output.nodes)),
            Err(_) => Err(MarkupError::TimedOut),
        })
    }
}

/// The parser loses the text between the node before and a formula (`parse-wiki-text-2` 0.2.0: its
/// `parse_plain_text_tag` does not flush); an empty comment there makes it keep the text.
fn keep_text_before_tags(wikitext: &str) -> Cow<'_, str> {
    let mut kept = Cow::Borrowed(wikitext);
    for tag in ["<math", "<nowiki"] {
        if kept.contains(tag) {
            kept = Cow::Owned(kept.replace(tag, &format!("<!---->{tag}")));
        }
    }
    kept
}

impl Default for Stripper {
    fn default() -> Self {
        Self::new()
    }
}

#[rustfmt::skip]
const EXTENSION_TAGS: &[&str] = &[
    "categorytree", "ce", "charinsert", "chem", "gallery", "graph", "hiero", "imagemap", "indicator",
    "inputbox", "mapframe", "maplink", "math", "nowiki", "poem", "pre", "ref", "references", "score",
    "section", "source", "syntaxhighlight", "templatedata", "templatestyles", "timeline",
];

#[rustfmt::skip]
const MAGIC_WORDS: &[&str] = &[
    "DISAMBIG", "FORCETOC", "HIDDENCAT", "INDEX", "NEWSECTIONLINK", "NOCC", "NOCONTENTCONVERT",
    "NOEDITSECTION", "NOGALLERY", "NOGLOBAL", "NOINDEX", "NONEWSECTIONLINK", "NOTC", "NOTITLECONVERT",
    "NOTOC", "STATICREDIRECT", "TOC",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wikitext: &str, expected: &[&str]) {
        let found = Stripper::new().paragraphs(wikitext).unwrap();
        let found: Vec<_> =
            found.iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(found, expected, "{wikitext:?}");
    }

    #[test]
    fn links_and_emphasis_become_text() {
        check(
            "'''Ada''' was a ''[[mathematics|mathematical]]'' [[pioneer]]s' [[a|friend]]s.",
            &["Ada was a mathematical pioneers' friends."],
        );
        check("See [http://example.org the site] now.", &["See the site now."]);
        check("See [http://example.org] now.", &["See \u{FFFC} now."]);
        check("A &ndash; B&nbsp;C <!-- no --> D", &["A – B C D"]);
    }

    #[test]
    fn blocks_go() {
        check(
            "One.\n\n== Head ==\nTwo.\n* item\n* item\nThree.\n{| class=x\n| cell\n|}\nFour.",
            &["One.", "Two.", "Three.", "Four."],
        );
        check("[[File:A.jpg|thumb|A [[caption]].]]\nText is here.", &["Text is here."]);
        check(
            "{{Infobox x\n| a = b\n}}\n'''A''' is it.\n{{Main|B}}\nMore of it.",
            &["A is it.", "More of it."],
        );
        check(
            "Start.\n\n== References ==\nGone.\n=== Sub ===\nGone.\n== Life ==\nKept.",
            &["Start.", "Kept."],
        );
        check("A.\n<table><tr><td>cell</td></tr></table>\nB.", &["A.", "B."]);
    }

    #[test]
    fn footnotes_leave_one_space() {
        check("It is.<ref>Note</ref> So.", &["It is. So."]);
        check(
            "It is.<ref name=a/>So it <ref>x</ref>, was <ref>x</ref>.{{citation needed|date=May}}",
            &["It is. So it, was."],
        );
    }

    #[test]
    fn what_cannot_be_shown_leaves_a_hole() {
        check("It is {{convert|10|km|mi}} long.", &["It is \u{FFFC} long."]);
        check("Let <math>x</math> be.", &["Let \u{FFFC} be."]);
        check("So <nowiki>it</nowiki> is.", &["So it is."]);
        check("About x<sup>a+b</sup> now.", &["About x\u{FFFC} now."]);
    }

    #[test]
    fn simple_templates_and_tags_are_shown() {
        check(
            "A {{lang|fr|''mot''}} of {{nowrap|10 kg}}{{snd}}or {{circa|1900}} {{IPA|x}}.",
            &["A mot of 10 kg – or c. 1900 \u{FFFC}."],
        );
        check(
            "{{As of|2010|5}}, {{as of|2011|lc=on}} H<sub>2</sub>O, km<sup>2</sup>, 19<sup>th</sup>.",
            &["As of May 2010, as of 2011 H2O, km², 19th."],
        );
    }

    #[test]
    fn a_transliteration_shows_its_last_argument() {
        check("The {{transl|ar|ALA|basmala}} and {{transl|ar|Allah}}.", &["The basmala and Allah."]);
    }

    #[test]
    fn a_short_line_without_a_stop_is_no_prose() {
        check("Early life\nHe was born.\nHe grew.", &["Early life", "He was born. He grew."]);
    }

    #[test]
    fn absurd_nesting_is_refused_and_broken_markup_survives() {
        let deep = "{{a|".repeat(5_000) + &"}}".repeat(5_000);
        assert!(matches!(Stripper::new().paragraphs(&deep), Err(MarkupError::TooDeep)));
        for text in [
            "[[a|",
            "{{",
            "}}",
            "{|\n|-\n|",
            "<ref>",
            "</ref>",
            "'''''",
            "[[File:a|[[b]]",
            "==",
            "&;",
            "{{{a|}}",
        ] {
            Stripper::new().paragraphs(text).unwrap();
        }
    }
}
