//! The draw: every different sentence has the same chance, and memory holds only the sentences drawn so far.
//!
//! A sentence's priority is a hash of the seed and its letters, so it depends neither on the order
//! of the dump nor on any other sentence. The sentences with the smallest priorities are kept. Repeats have the same
//! priority: they are recognised without a list of all sentences, and a sentence that was passed over once is passed
//! over again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// A drawn sentence and its article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// Title of the article.
    pub title: Arc<str>,
    /// The sentence.
    pub sentence: String,
}

/// What became of an offered sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is among those with the smallest priorities so far.
    Kept,
    /// A sentence with the same letters is there already.
    Repeat,
    /// Enough others have smaller priorities.
    Passed,
}

/// Keeps the `capacity` sentences with the smallest priorities.
#[derive(Debug)]
pub struct Sampler {
    seed: u64,
    capacity: usize,
    kept: BTreeMap<u128, Drawn>,
}

impl Sampler {
    /// An empty draw of at most `capacity` sentences.
    pub fn new(seed: u64, capacity: usize) -> Self {
        Self { seed, capacity, kept: BTreeMap::new() }
    }

    /// Takes a sentence into account.
    pub fn offer(&mut self, title: &Arc<str>, sentence: String) -> Offer {
        let priority = priority(self.seed, &sentence);
        let full = self.kept.len() >= self.capacity;
        if full && self.kept.last_key_value().is_none_or(|(&last, _)| priority > last) {
            return Offer::Passed;
        }
        match self.kept.entry(priority) {
            Entry::Occupied(_) => return Offer::Repeat,
            Entry::Vacant(place) => place.insert(Drawn { title: Arc::clone(title), sentence }),
        };
        if full {
            self.kept.pop_last();
        }
        Offer::Kept
    }

    /// How many sentences are kept. If they are fewer than the capacity, there were no others.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether nothing was drawn.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The sentences by priority: a random order that only seed and sentences decide.
    pub fn into_sentences(self) -> impl Iterator<Item = Drawn> {
        self.kept.into_values()
    }
}

/// Sentences that differ only in case, spaces or punctuation count as the same.
fn priority(seed: u64, sentence: &str) -> u128 {
    let mut letters = String::with_capacity(sentence.len());
    letters.extend(
        sentence.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase),
    );
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(letters.as_bytes());
    digest.finalize().iter().take(16).fold(0, |priority, &byte| priority << 8 | u128::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, capacity: usize, sentences: impl Iterator<Item = String>) -> Vec<String> {
        let mut sampler = Sampler::new(seed, capacity);
        let title = Arc::from("T");
        for sentence in sentences {
            sampler.offer(&title, sentence);
        }
        sampler.into_sentences().map(|drawn| drawn.sentence).collect()
    }

    fn numbered() -> impl DoubleEndedIterator<Item = String> {
        (0..500).map(|number| format!("Sentence number {number}."))
    }

    #[test]
    fn the_draw_depends_on_the_seed_and_not_on_the_order() {
        let drawn = draw(0, 50, numbered());
        assert_eq!(drawn.len(), 50);
        assert_eq!(drawn, draw(0, 50, numbered().rev()));
        assert_ne!(drawn, draw(1, 50, numbered()));
    }

    #[test]
    fn a_smaller_draw_is_the_beginning_of_a_larger_one() {
        assert_eq!(draw(0, 20, numbered()), draw(0, 50, numbered())[..20]);
    }

    /// The sentences that ship must be the same on every machine and release. From Python:
    /// `sorted(range(500), key=lambda n: sha256(bytes(8) + b"sentencenumber%d" % n).digest())[:3]`.
    #[test]
    fn the_draw_is_the_same_everywhere() {
        assert_eq!(
            draw(0, 3, numbered()),
            ["Sentence number 111.", "Sentence number 325.", "Sentence number 86."]
        );
    }

    #[test]
    fn repeats_are_seen_whether_drawn_or_not() {
        let mut sampler = Sampler::new(0, 10);
        let title = Arc::from("T");
        assert_eq!(sampler.offer(&title, "It is so.".into()), Offer::Kept);
        assert_eq!(sampler.offer(&title, "It is  SO!".into()), Offer::Repeat);
        assert_eq!(draw(0, 50, numbered().chain(numbered())), draw(0, 50, numbered()));
        assert_eq!(draw(0, 600, numbered().chain(numbered())).len(), 500);
    }

    /// 100 of 500, 200 seeds: each sentence is drawn 40 times on average, and within six standard
    /// deviations (6·√(200·0.2·0.8) ≈ 34) every time.
    #[test]
    fn every_sentence_has_the_same_chance() {
        let mut counts = std::collections::HashMap::new();
        for seed in 0..200 {
            for sentence in draw(seed, 100, numbered()) {
                *counts.entry(sentence).or_insert(0_i32) += 1;
            }
        }
        assert!(numbered().all(|sentence| (counts[&sentence] - 40).abs() < 34));
    }
}
