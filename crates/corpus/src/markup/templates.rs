//! What a reader of the article sees of the most common templates.
//!
//! The list is short on purpose: an unknown template costs no more than the sentence around it. How these
//! templates show was checked against their documentation.

/// How a template shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Not at all, or outside the text.
    Invisible,
    /// As a footnote mark or an editor's remark above the line.
    Note,
    /// Always as the same text.
    Literal(&'static str),
    /// As one of its positional arguments.
    Argument(usize),
    /// As its last positional argument.
    LastArgument,
    /// `c. 1900`.
    Circa,
    /// `As of May 2010`.
    AsOf,
    /// As all its arguments, without a space.
    Joined,
    /// As its argument, raised.
    Superscript,
    /// In a way that we cannot tell.
    Hole,
}

#[rustfmt::skip]
const INVISIBLE: &[&str] = &[
    "-", "about", "anchor", "anchors", "clear", "clear left", "clear right", "commons", "commons category",
    "contains ipa", "defaultsort", "distinguish", "double image", "featured article", "flagicon", "for", "further",
    "good article", "hatnote", "image label", "main", "multiple image", "other uses", "portal", "redirect",
    "see also", "shy", "short description", "wide image", "wiktionary", "wikiquote", "zwj", "zwnj",
];

#[rustfmt::skip]
const INVISIBLE_BEGINNINGS: &[&str] =
    &["expand ", "infobox", "pp-", "redirect-", "refimprove", "toc ", "unreferenced", "use ", "defaultsort:"];

#[rustfmt::skip]
const NOTES: &[&str] = &[
    "according to whom", "ambiguous", "as written", "better source", "better source needed", "by whom",
    "by whom?", "citation needed", "citation-needed", "cn", "contradict-inline", "contradictory inline",
    "cref", "date missing", "dead link", "deadlink", "disambiguation needed", "disputed-inline", "dn", "dubious",
    "efn", "efn-ua", "fact", "failed verification", "full", "full citation needed", "how", "importance-inline",
    "in whose opinion", "lopsided", "medical citation needed", "nb", "needs update", "non-primary source needed",
    "not in citation given", "note", "nspring", "or", "original research inline", "page needed",
    "peacock-inline", "peacock term", "pov-inline", "pov-statement", "primary source inline", "quantify", "r",
    "ref", "ref label", "refn", "reference necessary", "relevance inline", "rp", "sfn", "sfnm", "sfnp",
    "specify", "self-published inline", "speculation-inline", "synthesis-inline", "timefact", "unbalanced opinion",
    "undue-inline", "unreliable medical source", "unreliable source", "unreliable source?", "update after",
    "update inline", "vague", "verification needed", "verify credibility", "verify source", "weasel-inline",
    "weasel inline", "when", "where", "which", "which?", "who", "who?", "whom", "why", "year needed",
    "chronology citation needed", "clarify", "clarify span", "clarifyme", "clarify me", "#tag:ref",
];

#[rustfmt::skip]
const NOTE_BEGINNINGS: &[&str] = &["#tag:ref", "clarify", "citation needed"];

#[rustfmt::skip]
const FIRST_ARGUMENT: &[&str] = &[
    "abbr", "allow wrap", "big", "em", "ill", "interlanguage link", "keypress", "larger", "mvar", "no wrap",
    "nobold", "nobr", "noitalic", "nowrap", "sc", "sc2", "small", "smallcaps", "smaller", "sub", "tooltip",
    "vanchor", "visible anchor", "var", "varserif", "zh-tw", "nihongo2", "script/hebrew", "strong", "unicode",
    "math text", "title case",
];

#[rustfmt::skip]
const SECOND_ARGUMENT: &[&str] = &["color", "font color", "hover title", "lang", "script"];

/// How the template of this name shows.
pub(super) fn treatment(name: &str) -> Treatment {
    let name = name.trim().replace('_', " ").to_lowercase();
    let name = name.as_str();
    let any = |beginnings: &[&str]| beginnings.iter().any(|beginning| name.starts_with(beginning));
    match name {
        "'" => Treatment::Literal("'"),
        "'s" => Treatment::Literal("'s"),
        "\"'" | "' \"" | "'\"" | "\" '" => Treatment::Literal("\"'"),
        "nbsp" | "space" | "thinsp" | "thin space" | "hair space" | "hairsp" => Treatment::Literal(" "),
        "snd" | "spnd" | "spaced ndash" | "spaced en dash" | "spaced endash" | "sndash" | "dash" => {
            Treatment::Literal(" – ")
        }
        "spaced mdash" | "smd" | "smdash" => Treatment::Literal(" — "),
        "ndash" | "en dash" | "endash" => Treatment::Literal("–"),
        "mdash" | "em dash" | "emdash" => Treatment::Literal("—"),
        "pi" => Treatment::Literal("π"),
        "sup" => Treatment::Superscript,
        "circa" | "c." => Treatment::Circa,
        "as of" | "asof" => Treatment::AsOf,
        // {{transl|ar|ALA|Allāh}}: the scheme in the middle does not show.
        "transl" | "transliteration" => Treatment::LastArgument,
        "chem" | "chem2" => Treatment::Joined,
        _ if FIRST_ARGUMENT.contains(&name) => Treatment::Argument(0),
        _ if SECOND_ARGUMENT.contains(&name) => Treatment::Argument(1),
        _ if NOTES.contains(&name) || any(NOTE_BEGINNINGS) => Treatment::Note,
        _ if INVISIBLE.contains(&name) || any(INVISIBLE_BEGINNINGS) => Treatment::Invisible,
        _ => Treatment::Hole,
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The arguments of a template as text; none for one that cannot be shown as such.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// Those without a name, in order.
    pub positional: Vec<Option<String>>,
    /// The names and values of the others, in order.
    pub named: Vec<(Option<String>, Option<String>)>,
}

impl Arguments {
    /// A positional argument, counted from 0.
    pub fn at(&self, index: usize) -> Option<String> {
        self.positional.get(index).cloned().flatten()
    }
}

/// `{{As of|2010|5|lc=y}}`; with a day, or with anything unusual, there is no text.
pub(super) fn as_of(name: &str, arguments: &Arguments) -> Option<String> {
    let mut start =
        if name.trim_start().starts_with('a') && name.contains("asof") { "as of" } else { "As of" };
    for (key, value) in &arguments.named {
        match key.as_ref()?.trim() {
            "lc" if !value.as_ref()?.trim().is_empty() => start = "as of",
            "lc" | "url" | "title" => {}
            "alt" => return value.as_ref().map(|text| text.trim().to_owned()),
            _ => return None,
        }
    }
    let year = arguments.at(0)?.trim().to_owned();
    match (arguments.positional.len(), arguments.at(1)) {
        (1, _) => Some(format!("{start} {year}")),
        (2, Some(month)) => {
            let month = month.trim();
            let name = match month.parse::<usize>() {
                Ok(number) => *MONTHS.get(number.checked_sub(1)?)?,
                Err(_) => *MONTHS.iter().find(|name| name.starts_with(month) && !month.is_empty())?,
            };
            Some(format!("{start} {name} {year}"))
        }
        _ => None,
    }
}

/// `{{chem|H|2|O}}` as `H2O`; a charge would need a raised sign.
pub(super) fn arguments_joined(arguments: Vec<Option<String>>) -> Option<String> {
    let joined = arguments.into_iter().collect::<Option<Vec<_>>>()?.concat();
    joined
        .chars()
        .all(|character| character.is_alphanumeric() || "()[]".contains(character))
        .then_some(joined)
}
