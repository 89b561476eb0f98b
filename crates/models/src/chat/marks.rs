//! Marks in templates that Jinja does not know.

/// The template without the marks around what the model says, which transformers reads for training and Jinja does not
/// know. A condition in their place keeps the spaces around them what they were.
pub(super) fn without(source: &str) -> String {
    let mut source = source.to_owned();
    for (mark, condition) in [("generation", "if true"), ("endgeneration", "endif")] {
        for (open, close) in [("{%", "%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%-", "-%}")] {
            let (from, to) = (format!("{open} {mark} {close}"), format!("{open} {condition} {close}"));
            source = source.replace(&from, &to);
        }
    }
    source
}
