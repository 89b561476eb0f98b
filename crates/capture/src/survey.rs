//! The first pass over an input: what there is, and where each batch of texts begins.

use std::hash::{DefaultHasher, Hash as _, Hasher};

use onejump_core::files::{self, Digest};
use onejump_core::observe::{BYTES, Observer, Task};

use crate::CaptureError;
use crate::samples::{Made, Sequence, Start};
use crate::source::Source;
use crate::texts::Text;

/// How many of the longest sequences are remembered: as many as are computed at the same time, and more.
const LONGEST: usize = 256;

/// What an input comes to. It takes 32 bytes for 1,024 texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey {
    /// Where each batch of texts begins.
    pub starts: Vec<Start>,
    /// What tells whether the batches of another pass are the same.
    pub checks: Vec<u64>,
    /// How many texts, sequences and rows there are.
    pub end: Start,
    /// Texts that have a row.
    pub used_texts: usize,
    /// Whether a text has several rows, or a sequence that is not its first.
    pub several: bool,
    /// Rows of a sequence, at most.
    pub most_rows: usize,
    /// Tokens up to the last sampled one of each sequence.
    pub tokens: usize,
    /// The most tokens of a sequence, longest first.
    pub longest: Vec<usize>,
    /// SHA-256 of the input: of its lines, or of its texts one after another; those left out included.
    pub sha256: String,
    /// Whether the first sequence begins with a beginning-of-sequence token of the tokenizer or of `--bos`.
    pub bos: bool,
    /// Sentences that were longer than the model's context, and are cut.
    pub truncated: usize,
    /// Texts without a usable token, which are left out.
    pub skipped: usize,
}

impl Survey {
    /// Reads and tokenises the whole input.
    ///
    /// # Errors
    /// [`CaptureError`] if a text is not what it should be, there is no usable one, or the caller asks to stop.
    pub fn of(source: &Source, observer: &dyn Observer) -> Result<Self, CaptureError> {
        let mut survey = Self::default();
        let mut hash =
            if source.is_lines() { InputHash::Lines(Digest::new()) } else { InputHash::Chain(String::new()) };
        let meter = observer.begin(Task { name: "read", unit: BYTES, total: source.bytes()? });
        let mut read = source.read();
        for batch in source.batches()? {
            observer.check()?;
            let batch = batch?;
            for (place, text) in batch.iter().enumerate() {
                hash.add(&text.text, survey.end.text == 0 && place == 0);
            }
            let made = source.sequences(&batch, survey.end)?;
            survey.checks.push(check(&batch));
            survey.add(batch.len(), &made);
            meter.advance(source.read() - read);
            read = source.read();
        }
        survey.sha256 = hash.finish();
        let path = source.path();
        if survey.end.sequence == 0 {
            return Err(CaptureError::NoSamples { path });
        }
        if survey.skipped > 0 {
            tracing::warn!("{}: left out {} lines without a usable token", path.display(), survey.skipped);
        }
        if survey.truncated > 0 {
            tracing::warn!("{}: cut {} sentences to the model's context", path.display(), survey.truncated);
        }
        Ok(survey)
    }

    fn add(&mut self, texts: usize, made: &Made) {
        let Made { sequences, bos, truncated, skipped } = made;
        self.bos |= *bos && self.end.sequence == 0;
        self.truncated += truncated;
        self.skipped += skipped;
        self.starts.push(self.end);
        self.end.text += texts as u64;
        self.end.sequence += sequences.len() as u64;
        let texts = sequences.iter().flat_map(|sequence| {
            sequence.positions.iter().filter_map(|&position| Some(sequence.share_at(position)?.text_id))
        });
        let mut last = None;
        self.used_texts += texts.filter(|&text| last.replace(text) != Some(text)).count();
        for sequence in sequences {
            self.add_sequence(sequence);
        }
        self.longest.sort_unstable_by(|a, b| b.cmp(a));
        self.longest.truncate(LONGEST);
    }

    fn add_sequence(&mut self, sequence: &Sequence) {
        let (rows, tokens) = (sequence.positions.len(), sequence.sampled_tokens());
        self.end.row += rows;
        self.several |= rows > 1 || sequence.shares.iter().any(|share| share.chunk > 0);
        self.most_rows = self.most_rows.max(rows);
        self.tokens += tokens;
        self.longest.push(tokens);
    }

    /// The rows of a batch of texts; none where there is no such batch.
    pub fn rows_of(&self, batch: usize) -> Option<std::ops::Range<usize>> {
        let start = self.starts.get(batch)?;
        Some(start.row..self.starts.get(batch + 1).unwrap_or(&self.end).row)
    }
}

/// What tells whether a batch is the same in another pass of this process.
pub(crate) fn check(batch: &[Text]) -> u64 {
    let mut hasher = DefaultHasher::new();
    batch.iter().for_each(|text| text.text.hash(&mut hasher));
    hasher.finish()
}

/// A hash of the input.
enum InputHash {
    /// Of lines with newlines between them.
    Lines(Digest),
    /// Of a text behind the hash of those before it.
    Chain(String),
}

impl InputHash {
    fn add(&mut self, text: &str, first: bool) {
        match self {
            Self::Lines(digest) => {
                if !first {
                    digest.update(b"\n");
                }
                digest.update(text.as_bytes());
            }
            Self::Chain(hash) => *hash = files::sha256_bytes(&[hash.as_bytes(), text.as_bytes()].concat()),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Lines(digest) => digest.finish(),
            Self::Chain(hash) => hash,
        }
    }
}
