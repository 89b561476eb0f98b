//! The word lists that tell where a sentence ends.

/// Abbreviations that never end a sentence: a name or an example follows. In lower case, without the last full stop.
#[rustfmt::skip]
pub(crate) const BEFORE_NAMES: &[&str] = &[
    "adm", "brig", "ca", "capt", "cardinal", "cdr", "cf", "cmdr", "col", "comm", "cpl", "dr", "e.g", "eds",
    "esp", "fl", "fr", "ft", "gen", "gov", "hon", "i.e", "incl", "lieut", "lt", "maj", "messrs", "mlle", "mme",
    "mr", "mrs", "ms", "msgr", "mt", "pres", "prof", "pvt", "rep", "resp", "rev", "sen", "sgt", "sr", "st",
    "ste", "supt", "trans", "viz", "vs", "v", "d", "r", "b", "c", "lit", "var", "subsp", "spp", "ser",
];

/// Abbreviations that do not end a sentence where a number follows.
#[rustfmt::skip]
pub(crate) const BEFORE_NUMBERS: &[&str] = &[
    "app", "art", "arts", "ch", "chap", "ed", "eq", "fig", "figs", "fol", "jan", "feb", "mar", "apr", "aug",
    "sep", "sept", "oct", "nov", "dec", "no", "nos", "op", "p", "para", "pl", "pp", "pt", "sec", "vol", "vols",
];

/// Abbreviations that may or may not end a sentence: the next word decides.
#[rustfmt::skip]
pub(crate) const AMBIGUOUS: &[&str] = &[
    "al", "approx", "assn", "ave", "bros", "co", "corp", "dept", "dist", "div", "est", "inc", "jr",
    "ltd", "mfg", "mts", "ph.d", "plc", "univ",
];

/// Words that are far more often the first of a sentence than of a name.
#[rustfmt::skip]
pub(crate) const STARTERS: &[&str] = &[
    "A", "About", "According", "Additionally", "After", "All", "Along", "Already", "Also", "Although", "Among",
    "An", "And", "Another", "Any", "Around", "As", "At", "Based", "Because", "Before", "Being", "Between",
    "Both", "But", "By", "Consequently", "Critics", "Despite", "Due", "During", "Each", "Early", "Eventually",
    "Even", "Every", "Finally", "First", "Following", "For", "From", "Further", "Furthermore", "Given", "Had",
    "Having", "He", "Hence", "Her", "Here", "His", "Historically", "How", "However", "If", "Important", "In",
    "Including", "Initially", "Instead", "It", "Its", "Later", "Like", "Many", "Meanwhile", "Modern", "More",
    "Moreover", "Most", "Nevertheless", "No", "Not", "Now", "Of", "On", "Once", "One", "Only", "Other",
    "Others", "Our", "Over", "Prior", "Recent", "Several", "She", "Similarly", "Since", "So", "Some",
    "Sometimes", "Soon", "Still", "Subsequently", "Such", "That", "The", "Their", "Then", "There", "Therefore",
    "These", "They", "This", "Those", "Though", "Three", "Through", "Throughout", "Thus", "To", "Today",
    "Together", "Two", "Under", "Unlike", "Until", "Upon", "Using", "Usually", "We", "What", "When", "Where",
    "Whereas", "Whether", "Which", "While", "Who", "With", "Within", "Without", "Yet", "You",
];

/// Words that cannot be the last of a sentence: where one is, something is missing.
#[rustfmt::skip]
pub(crate) const NEVER_BEFORE_STOP: &[&str] = &[
    "a", "an", "the", "and", "or", "nor", "than", "whose", "their", "its", "our", "my", "every",
];

/// Words that no comma can follow, not even that of an insertion.
#[rustfmt::skip]
pub(crate) const NEVER_BEFORE_COMMA: &[&str] = &["a", "an", "the", "its", "their", "our", "whose"];

/// Words that have a capital only where a sentence begins.
#[rustfmt::skip]
pub(crate) const NEVER_INSIDE: &[&str] = &["This", "These", "However,", "They", "Although", "Thus,", "Therefore,"];

/// Words that may stand twice in a row.
#[rustfmt::skip]
pub(crate) const REPEATABLE: &[&str] = &["had", "is", "that", "very", "so", "to", "in", "on"];

/// Abbreviations that never end a sentence: where one does, the sentence was cut in two.
#[rustfmt::skip]
pub(crate) const NEVER_LAST: &[&str] = &[
    "adm", "capt", "cf", "cmdr", "col", "dr", "e.g", "eds", "esp", "fig", "figs", "gen", "gov", "i.e", "lt", "maj",
    "messrs", "mr", "mrs", "ms", "mt", "nos", "pp", "prof", "rep", "rev", "sen", "sgt", "st", "viz", "vol", "vols", "vs",
    "ca", "p", "c", "b", "r", "d", "v", "ch", "ed", "op", "approx",
];
