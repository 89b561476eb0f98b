//! The text of an article as it grows, paragraph by paragraph.

/// Stands where something was taken out of a sentence.
pub const HOLE: char = '\u{FFFC}';

/// A line without a full stop is prose that was wrapped by hand if it is at least this long; a shorter one is a
/// caption or a heading.
const SHORT_LINE: usize = 60;

/// Collects paragraphs.
#[derive(Default)]
pub(super) struct Prose {
    done: Vec<String>,
    current: String,
    line_start: usize,
    /// A footnote was taken out here: the next word needs one space before it.
    after_note: bool,
    superscript: Option<usize>,
}

impl Prose {
    /// Adds text; its line ends are those of the wikitext.
    pub(super) fn text(&mut self, text: &str) {
        let mut lines = text.split('\n');
        if let Some(first) = lines.next() {
            self.piece(first);
        }
        for line in lines {
            self.end_line();
            self.piece(line);
        }
    }

    fn piece(&mut self, text: &str) {
        let Some(first) = text.chars().next() else { return };
        if std::mem::take(&mut self.after_note) && first.is_alphanumeric() {
            self.current.push(' ');
        }
        self.current.push_str(text);
    }

    fn end_line(&mut self) {
        self.after_note = false;
        let line = self.current[self.line_start..].trim();
        let closing = ['"', '”', '’', '\'', ')'];
        let finished = line.trim_end_matches(closing).ends_with(['.', '!', '?', ':', ',', ';']);
        if !line.is_empty() && !finished && line.chars().count() < SHORT_LINE {
            self.end_paragraph();
        } else {
            self.current.push(' ');
            self.line_start = self.current.len();
        }
    }

    /// Ends the paragraph, if one is open.
    pub(super) fn end_paragraph(&mut self) {
        if !self.current.trim().is_empty() {
            self.done.push(std::mem::take(&mut self.current));
        }
        self.current.clear();
        self.line_start = 0;
        self.after_note = false;
        self.superscript = None;
    }

    /// Marks where something that belongs to the sentence cannot be shown.
    pub(super) fn hole(&mut self) {
        self.after_note = false;
        self.current.push(HOLE);
    }

    /// Leaves out a footnote, with the space before it.
    pub(super) fn note(&mut self) {
        let kept = self.current[self.line_start..].trim_end().len() + self.line_start;
        self.after_note = kept > self.line_start;
        if self.after_note {
            self.current.truncate(kept);
        }
    }

    /// Whether the line has no text yet.
    pub(super) fn at_line_start(&self) -> bool {
        self.current[self.line_start..].trim().is_empty()
    }

    pub(super) fn begin_superscript(&mut self) {
        self.superscript = Some(self.current.len());
    }

    /// Raises the text since [`begin_superscript`](Self::begin_superscript), if Unicode can.
    pub(super) fn end_superscript(&mut self) {
        let Some(start) = self.superscript.take() else { return };
        let raised = self.current.get(start..).map(superscript);
        self.current.truncate(start);
        match raised.flatten() {
            Some(text) => self.current.push_str(&text),
            None => self.hole(),
        }
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        self.end_paragraph();
        self.done
    }
}

/// `2` becomes `²`, the ending of an ordinal number stays as it is, and anything else has no plain form.
pub(super) fn superscript(text: &str) -> Option<String> {
    let text = text.trim();
    if ["st", "nd", "rd", "th", "o", "TM", "e"].contains(&text) {
        return Some(text.to_owned());
    }
    text.chars()
        .map(|character| {
            Some(match character {
                '0' => '⁰',
                '1' => '¹',
                '2' => '²',
                '3' => '³',
                '4'..='9' => char::from_u32('⁴' as u32 + (character as u32 - '4' as u32))?,
                '+' => '⁺',
                '-' | '−' | '–' => '⁻',
                _ => return None,
            })
        })
        .collect()
}
