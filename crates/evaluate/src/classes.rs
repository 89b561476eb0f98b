//! Where a single jump loses to a full matrix per level: both over classes of samples, at each exit level and on average:
//! `classes.parquet`.

use onejump_core::layout::TRAIN_TRUTH;
use onejump_core::observe::Observer;
use onejump_core::shortcut::ShortcutKind;
use onejump_exit::SharedHead;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_store::analyses::{ClassBy, OfClass, write_rows};
use tokenizers::Tokenizer;

use crate::EvaluateError;
use crate::bootstrap::{Bootstrap, Interval, Quality, minus};
use crate::config::Config;
use crate::constant::Constant;
use crate::inputs::States;
use crate::methods::{Entry, Methods};
use crate::run::open;
use crate::sweep::sweep;
use crate::truth;

/// The first position of each class, and its name.
const POSITIONS: [(u32, &str); 6] = [
    (0, "position 0"),
    (1, "positions 1–3"),
    (4, "positions 4–7"),
    (8, "positions 8–15"),
    (16, "positions 16–31"),
    (32, "positions from 32 on"),
];

/// How many tokens the model predicts more often in the training samples, and the name of the class from there on.
const FREQUENCIES: [(u32, &str); 4] = [
    (0, "the 10 commonest tokens"),
    (10, "tokens 11 to 100"),
    (100, "tokens 101 to 1,000"),
    (1000, "rarer tokens"),
];

const WORDS: [&str; 3] = ["begins a word", "goes on in a word", "without letters and digits"];
const CONTEXT: [&str; 2] = ["stands in the text before", "is new in the text"];

/// Compares every single jump with every jtc among the given files.
pub(crate) fn classes(config: &Config, observer: &dyn Observer) -> Result<usize, EvaluateError> {
    let (hidden, train, mut checkpoint) = open(config, observer)?;
    let methods = Methods::read(&hidden.manifest().inputs, &config.shortcuts, &config.ojfa, &[])?;
    let pairs = pairs(&methods)?;
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    let states = States::read(hidden, "test", &head, &config.out, observer)?;
    let training = truth::truth(&train, &head, &config.out.join(TRAIN_TRUTH), observer)?;
    let ranks = Constant::new(&training.tokens, head.head().vocab_size()).ranks();
    let tokenizer = checkpoint
        .tokenizer()
        .inspect_err(|error| tracing::warn!("without classes by word, since tokens have no text: {error}"));
    let classes = of_samples(&states, &ranks, tokenizer.ok().as_ref())?;
    let levels = states.exit_levels();
    let swept = sweep("classes", &states, &methods, &levels, observer, |outcomes| {
        outcomes.iter().map(Quality::of).collect::<Vec<_>>()
    })?;
    let text_ids = states.hidden.text_ids()?;
    let mut rows = Vec::new();
    for class in &classes {
        let own =
            |values: &[u64]| -> Vec<u64> { class.samples.iter().map(|&sample| values[sample]).collect() };
        let bootstrap = Bootstrap::new(&own(&text_ids), config.seed)?;
        for &(ours, theirs) in &pairs {
            let [precision, surprisal] = [Quality::precise, Quality::surprisal].map(|value| {
                [&swept[ours], &swept[theirs]].map(|levels| columns(levels, &class.samples, value))
            });
            let (precision, surprisal) =
                (Compared::of(precision, &bootstrap)?, Compared::of(surprisal, &bootstrap)?);
            let method = &methods.entries[ours].method;
            for place in 0..=levels.len() {
                let [precision, surprisal] = [&precision, &surprisal].map(|values| values.at(place));
                rows.push(OfClass {
                    method: methods.kind(&methods.entries[ours]),
                    solver: method.solver,
                    rank: method.rank.map(|rank| rank as u32),
                    other_solver: methods.entries[theirs].method.solver,
                    by: class.by,
                    class: class.name.to_owned(),
                    level: levels.get(place).map(|&level| level as u32),
                    samples: class.samples.len() as u32,
                    precision_1: precision.ours,
                    other_precision_1: precision.theirs,
                    precision_1_difference: precision.difference.mean,
                    precision_1_difference_low: precision.difference.low,
                    precision_1_difference_high: precision.difference.high,
                    surprisal: surprisal.ours,
                    other_surprisal: surprisal.theirs,
                    surprisal_difference: surprisal.difference.mean,
                    surprisal_difference_low: surprisal.difference.low,
                    surprisal_difference_high: surprisal.difference.high,
                });
            }
        }
    }
    write_rows(&config.out.join("classes.parquet"), &rows)?;
    Ok(rows.len())
}

/// The places of single jumps and of what each is compared with.
fn pairs(methods: &Methods) -> Result<Vec<(usize, usize)>, EvaluateError> {
    let those = |is: &dyn Fn(&Entry) -> bool| -> Vec<usize> {
        let unlabelled =
            |entry: &Entry| methods.card(entry).is_some_and(|card| card.label.is_none()) && is(entry);
        (0..methods.entries.len()).filter(|&place| unlabelled(&methods.entries[place])).collect()
    };
    let jumps = those(&|entry| methods.is_one_map(entry) || methods.kind(entry).single_jump());
    let matrices = those(&|entry| methods.kind(entry) == ShortcutKind::Jtc);
    if jumps.is_empty() || matrices.is_empty() {
        return Err(EvaluateError::Usage(
            "--analyses classes compares single jumps (joint, one-jump, residual, ojfa) with jtc; give files of both".into(),
        ));
    }
    Ok(jumps.iter().flat_map(|&jump| matrices.iter().map(move |&matrix| (jump, matrix))).collect())
}

/// Some samples.
struct Class {
    by: ClassBy,
    name: &'static str,
    /// Ascending.
    samples: Vec<usize>,
}

/// The classes that have samples, of the tokens that the model itself predicts; those of words where a tokenizer says what
/// tokens look like.
fn of_samples(
    states: &States,
    ranks: &[u32],
    tokenizer: Option<&Tokenizer>,
) -> Result<Vec<Class>, EvaluateError> {
    let (positions, tokens) = (&states.positions, &states.truth.tokens);
    let before = states.hidden.token_ids()?;
    let band = |bands: &[(u32, &str)], value: u32| bands.partition_point(|(first, _)| *first <= value) - 1;
    let names = |bands: &[(u32, &'static str)]| bands.iter().map(|(_, name)| *name).collect::<Vec<_>>();
    let samples = 0..states.count();
    let all = |by, names: Vec<&'static str>, class: &dyn Fn(usize) -> usize| {
        let mut classes: Vec<Class> =
            names.into_iter().map(|name| Class { by, name, samples: Vec::new() }).collect();
        samples.clone().for_each(|sample| classes[class(sample)].samples.push(sample));
        classes
    };
    let mut classes = all(ClassBy::All, vec!["all samples"], &|_| 0);
    classes.extend(all(ClassBy::Position, names(&POSITIONS), &|sample| band(&POSITIONS, positions[sample])));
    classes.extend(all(ClassBy::Frequency, names(&FREQUENCIES), &|sample| {
        band(&FREQUENCIES, ranks[tokens[sample] as usize])
    }));
    if let Some(tokenizer) = tokenizer {
        classes.extend(all(ClassBy::Word, WORDS.to_vec(), &|sample| {
            word(&tokenizer.id_to_token(tokens[sample]).unwrap_or_default())
        }));
    }
    classes.extend(all(ClassBy::Context, CONTEXT.to_vec(), &|sample| {
        let text = &before[sample][..before[sample].len().min(positions[sample] as usize + 1)];
        usize::from(!text.iter().any(|&id| u32::try_from(id) == Ok(tokens[sample])))
    }));
    classes.retain(|class| !class.samples.is_empty());
    Ok(classes)
}

/// The place in [`WORDS`] of a token as its vocabulary writes it: a space is `Ġ` in vocabularies of bytes, and `▁` in
/// those of SentencePiece.
fn word(token: &str) -> usize {
    let rest = token.trim_start_matches(['Ġ', '▁', ' ']);
    match rest.chars().any(char::is_alphanumeric) {
        false => 2,
        true => usize::from(rest.len() == token.len()),
    }
}

/// A value of these samples at each level, and its mean over the levels.
fn columns(levels: &[Vec<Quality>], samples: &[usize], value: fn(&Quality) -> f64) -> Vec<Vec<f64>> {
    let mut columns: Vec<Vec<f64>> =
        levels.iter().map(|level| samples.iter().map(|&sample| value(&level[sample])).collect()).collect();
    let mean = |place: usize| columns.iter().map(|column| column[place]).sum::<f64>() / levels.len() as f64;
    let means = (0..samples.len()).map(mean).collect();
    columns.push(means);
    columns
}

/// Values of two methods at each level and on average.
struct Compared {
    ours: Vec<f64>,
    theirs: Vec<f64>,
    differences: Vec<Interval>,
}

/// One of them.
struct At {
    ours: f64,
    theirs: f64,
    difference: Interval,
}

impl Compared {
    fn of([ours, theirs]: [Vec<Vec<f64>>; 2], bootstrap: &Bootstrap) -> Result<Self, EvaluateError> {
        let mean = |column: &Vec<f64>| column.iter().sum::<f64>() / column.len() as f64;
        let differences: Vec<Vec<f64>> =
            ours.iter().zip(&theirs).map(|(ours, theirs)| minus(ours, theirs)).collect();
        Ok(Self {
            ours: ours.iter().map(mean).collect(),
            theirs: theirs.iter().map(mean).collect(),
            differences: bootstrap.intervals(&differences)?,
        })
    }

    fn at(&self, place: usize) -> At {
        At { ours: self.ours[place], theirs: self.theirs[place], difference: self.differences[place] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_begin_words_or_go_on_in_them() {
        let classes = ["Ġthe", "▁the", "the", "Ġ(", ",", "Ċ", "Ġ", "3", "é"].map(word);
        assert_eq!(classes.map(|class| &WORDS[class][..1]), ["b", "b", "g", "w", "w", "g", "w", "g", "g"]);
    }
}
