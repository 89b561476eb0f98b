//! The whole run: it reads articles in batches, filters their sentences, draws among them and writes the files.

use std::sync::Arc;

use onejump_core::files::FileError;
use onejump_core::lock;
use onejump_core::observe::{BYTES, Observer, Task};
use rayon::prelude::*;

use crate::dump::{Article, DumpReader};
use crate::filter::{Rejected, check};
use crate::markup::{MarkupError, Stripper};
use crate::sample::{Drawn, Offer, Sampler};
use crate::split::sentences;
use crate::tidy::tidy;
use crate::{Config, CorpusError, Summary, output};

/// Articles that are parsed in parallel.
const BATCH_ARTICLES: usize = 128;
/// A batch takes no further article once it has so many bytes of wikitext.
const BATCH_BYTES: usize = 8 << 20;

/// Draws sentences from a dump and writes them.
///
/// # Errors
/// The dump cannot be read to its end, holds too few usable sentences, or the folder cannot be
/// written. No file is written before the whole dump was read.
pub fn build(config: &Config, observer: &dyn Observer) -> Result<Summary, CorpusError> {
    let bytes = std::fs::metadata(&config.dump).map_err(FileError::reading(&config.dump))?.len();
    let mut dump = DumpReader::open(&config.dump)?;
    let stripper = Stripper::new();
    let asked = config.train + config.test;
    let mut sampler = Sampler::new(config.seed, asked);
    let mut summary = Summary::default();
    let meter = observer.begin(Task { name: "articles", unit: BYTES, total: bytes });
    let mut read = 0;
    loop {
        observer.check()?;
        let batch = next_batch(&mut dump)?;
        if batch.is_empty() {
            break;
        }
        let outcomes: Vec<_> = batch.par_iter().map(|article| usable(&stripper, &article.text)).collect();
        for (article, outcome) in batch.iter().zip(outcomes) {
            summary.articles += 1;
            match outcome {
                Ok(found) => draw(&mut sampler, &mut summary, &article.title, found),
                Err(error) => {
                    summary.unreadable += 1;
                    tracing::warn!("article {:?} skipped: {error}", article.title);
                }
            }
        }
        meter.advance(dump.bytes_read() - read);
        read = dump.bytes_read();
    }
    drop(meter);
    summary.skipped = dump.skipped();
    if sampler.len() < asked {
        return Err(CorpusError::TooFew { path: config.dump.clone(), found: sampler.len(), asked });
    }
    let drawn: Vec<Drawn> = sampler.into_sentences().collect();
    // The test sentences come first, so that they stay the same when --train grows.
    let (test, train) = drawn.split_at(config.test);
    summary.train = train.len();
    summary.test = test.len();
    let _lock = lock::folder(&config.out)?;
    summary.written = output::write(config, train, test)?;
    Ok(summary)
}

fn next_batch(dump: &mut DumpReader) -> Result<Vec<Article>, CorpusError> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < BATCH_ARTICLES && bytes < BATCH_BYTES {
        let Some(article) = dump.next_article()? else { break };
        bytes += article.text.len();
        batch.push(article);
    }
    Ok(batch)
}

/// The sentences of one article that pass the filter.
struct Usable {
    sentences: Vec<String>,
    rejected: Rejected,
}

fn usable(stripper: &Stripper, wikitext: &str) -> Result<Usable, MarkupError> {
    let mut usable = Usable { sentences: Vec::new(), rejected: Rejected::default() };
    for paragraph in stripper.paragraphs(wikitext)? {
        for sentence in sentences(&tidy(&paragraph)) {
            match check(&sentence) {
                Ok(()) => usable.sentences.push(sentence),
                Err(reason) => usable.rejected.count(reason),
            }
        }
    }
    Ok(usable)
}

fn draw(sampler: &mut Sampler, summary: &mut Summary, title: &str, found: Usable) {
    let title: Arc<str> = title.into();
    summary.rejected += found.rejected;
    summary.usable += found.sentences.len() as u64;
    for sentence in found.sentences {
        if sampler.offer(&title, sentence) == Offer::Repeat {
            summary.repeats += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::path::Path;

    use arrow::array::{AsArray, RecordBatch};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use onejump_core::observe::Silent;

    use super::*;
    use crate::{PARQUET_FILE, TEST_FILE, TRAIN_FILE, schema};

    const DISHES: [&str; 5] = ["soup", "bread", "cheese", "honey", "porridge"];

    /// Forty sentences in four articles, with things between them that are no sentences.
    fn dump(folder: &Path) -> std::path::PathBuf {
        let mut xml = String::from("<mediawiki>");
        for article in 0..4 {
            xml += &format!("<page><title>Town {article}</title><ns>0</ns><revision><text>{{{{Infobox}}}}\n");
            for number in 0..10 {
                let dish = DISHES[number % 5];
                xml += &format!(
                    "The people of '''town {article}''' ate [[{dish}]] on day {number}.&lt;ref&gt;A book.&lt;/ref&gt; \
                     It cost {{{{convert|{number}|oz}}}} of silver and gold.\n\n* List\n"
                );
            }
            xml += "It was the best food of all.\n</text></revision></page>";
        }
        let path = folder.join("dump.xml");
        fs::write(&path, xml + "</mediawiki>").unwrap();
        path
    }

    fn run(folder: &Path, train: usize, test: usize, seed: u64) -> (Vec<String>, Vec<String>, Summary) {
        let mut config = Config::new(dump(folder), folder.join("out"));
        (config.train, config.test, config.seed) = (train, test, seed);
        let summary = build(&config, &Silent).unwrap();
        let lines = |name| {
            let text = fs::read_to_string(config.out.join(name)).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        (lines(TRAIN_FILE), lines(TEST_FILE), summary)
    }

    #[test]
    fn the_split_is_disjoint_and_follows_from_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let (train, test, summary) = run(folder.path(), 30, 10, 0);
        assert_eq!((train.len(), test.len()), (30, 10));
        let different: HashSet<_> = train.iter().chain(&test).collect();
        assert_eq!(different.len(), 40);
        assert_eq!((summary.articles, summary.usable, summary.repeats), (4, 44, 3));
        assert_eq!(run(folder.path(), 30, 10, 0), (train.clone(), test.clone(), summary));
        let (fewer, same_test, _) = run(folder.path(), 5, 10, 0);
        assert_eq!((fewer.as_slice(), same_test), (&train[..5], test.clone()));
        assert_ne!(run(folder.path(), 30, 10, 1).1, test);
    }

    #[test]
    fn parquet_holds_the_same_sentences_with_titles() {
        let folder = tempfile::tempdir().unwrap();
        let (train, test, _) = run(folder.path(), 8, 4, 0);
        let file = fs::File::open(folder.path().join("out").join(PARQUET_FILE)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(batches[0].schema().fields(), schema().fields());
        let rows: Vec<[String; 3]> = batches
            .iter()
            .flat_map(|batch| {
                (0..batch.num_rows()).map(|row| {
                    [0, 1, 2].map(|column| batch.column(column).as_string::<i32>().value(row).to_owned())
                })
            })
            .collect();
        let expected = train
            .iter()
            .map(|sentence| ("train", sentence))
            .chain(test.iter().map(|sentence| ("test", sentence)));
        for ([split, title, sentence], expected) in rows.iter().zip(expected) {
            assert_eq!((split.as_str(), sentence), expected);
            assert!(title.starts_with("Town "), "{title}");
        }
        assert_eq!(rows.len(), 12);
    }

    #[test]
    fn too_few_sentences_write_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(dump(folder.path()), folder.path().join("out"));
        config.test = 50;
        let error = build(&config, &Silent).unwrap_err().to_string();
        assert!(error.starts_with("found 41 usable sentences in "), "{error}");
        assert!(error.ends_with("9050 asked; use a larger dump or lower --train/--test"), "{error}");
        assert!(!config.out.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(dump(folder.path()), folder.path().join("dump.xml/out"));
        (config.train, config.test) = (3, 3);
        let error = build(&config, &Silent).unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("dump.xml"), "{error}");
    }
}
