//! Tokens that leave early: nothing changes where none does, and what waits is finished exactly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::sync::Arc;

use onejump_exit::{Look, SessionHead};
use onejump_generate::{Decoder, Exits, Gate, KeyValues, Sampling, Step, Way};
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head;
use onejump_models::session::{Head, Model, Session};
use onejump_tests::{fail, folder, run, succeed};
use serde_json::Value;

const MODEL: &str = "smollm2-135m";
const PROMPT: [i64; 4] = [5, 1, 4, 1];
const ADDED: usize = 30;

/// A family's small model.
struct Case {
    name: String,
    model: Arc<Model>,
    head: Head,
    gates: Vec<Gate>,
}

/// Every family, with gates at all levels that read states with the model's own head.
fn cases() -> Vec<Case> {
    let folders = fs::read_dir(folder().join("parity/cases")).unwrap().map(|case| case.unwrap().path());
    let cases: Vec<Case> = folders
        .map(|case| {
            let name = case.display().to_string();
            let mut checkpoint = Checkpoint::open(&name).unwrap();
            let model = Arc::new(Model::load(&mut checkpoint).unwrap());
            let loaded = head::Head::load(&mut checkpoint, Place::CPU).unwrap();
            let identity = Arc::new(SessionHead::new(None, &loaded, &model, None).unwrap());
            let gates =
                (0..model.blocks()).map(|level| Gate { level, head: Arc::clone(&identity) }).collect();
            Case { name, head: Head::new(&loaded, &model).unwrap(), model, gates }
        })
        .collect();
    assert!(cases.len() >= 24, "only {} cases", cases.len());
    cases
}

/// The decoder after so many tokens.
fn decoded<'a>(case: &'a Case, way: Way<'a>) -> Decoder<'a> {
    let session = Session::new(&case.model, PROMPT.len() + ADDED, 2).unwrap();
    let mut decoder = Decoder::new(session, &case.head, &PROMPT, Sampling::default(), way, &[]).unwrap();
    for _ in 0..ADDED {
        decoder.step(Step { most: 1 }).unwrap();
    }
    decoder
}

/// Half the looks of a small random model are surer than this.
fn usual_confidence(case: &Case) -> f64 {
    let never = Exits { gates: case.gates.clone(), threshold: 1.0, key_values: KeyValues::Deferred };
    let mut seen: Vec<f64> =
        decoded(case, Way::Exit(&never)).moves().iter().filter_map(|found| found.confidence).collect();
    seen.sort_by(f64::total_cmp);
    seen[seen.len() / 2]
}

#[test]
fn a_threshold_of_one_is_full() {
    for case in cases() {
        let full = decoded(&case, Way::Verify(&[])).text().to_vec();
        for key_values in [KeyValues::Deferred, KeyValues::Propagate] {
            let exits = Exits { gates: case.gates.clone(), threshold: 1.0, key_values };
            let ours = decoded(&case, Way::Exit(&exits));
            assert_eq!(ours.text(), full, "{}, {key_values}", case.name);
            assert_eq!(ours.mean_level(), case.model.blocks() as f64);
        }
    }
}

/// A full pass over the text that came about: at the level where a token left, the look at the full pass's state is the
/// same to the bit, and no look before it was sure. So what waited was finished as if it had never waited.
#[test]
fn deferred_states_are_those_of_a_full_pass() {
    let (mut early, mut late) = (0, 0);
    for case in cases() {
        let threshold = usual_confidence(&case);
        let exits = Exits { gates: case.gates.clone(), threshold, key_values: KeyValues::Deferred };
        let ours = decoded(&case, Way::Exit(&exits));
        let (text, blocks) = (ours.text(), case.model.blocks());
        let mut session = Session::new(&case.model, PROMPT.len() + ADDED, 1).unwrap();
        session.push(text).unwrap();
        let mut looks = Vec::new();
        for level in 0..=blocks {
            session.advance(level, text.len()).unwrap();
            let logits = session.logits(&case.head, 0..text.len()).unwrap();
            looks.push(logits.chunks_exact(case.head.vocab_size()).map(Look::at).collect::<Vec<_>>());
        }
        for (index, found) in ours.moves().iter().enumerate() {
            let last = PROMPT.len() + index - 1;
            let sure = (0..blocks).find(|&level| looks[level][last].probability() > threshold);
            assert_eq!(found.level, sure.unwrap_or(blocks), "{}, token {index}", case.name);
            let seen = looks[sure.unwrap_or(blocks - 1)][last].probability();
            assert_eq!(found.confidence, Some(seen), "{}, token {index}", case.name);
            assert_eq!(text[last + 1], looks[found.level][last].token, "{}, token {index}", case.name);
            if sure.is_some() { early += 1 } else { late += 1 }
        }
    }
    assert!(early > 400 && late > 40, "{early} tokens left early, {late} did not");
}

/// The keys and values of one skipped block are exact, since its input is; those of the block after it are not.
#[test]
fn propagated_keys_are_exact_for_one_block() {
    for case in cases() {
        let blocks = case.model.blocks();
        let last_state = |waiting: usize, propagate: bool| {
            let mut session = Session::new(&case.model, PROMPT.len(), 2).unwrap();
            let last = PROMPT.len() - 1;
            session.push(&PROMPT).unwrap();
            session.advance(waiting, last).unwrap();
            if propagate {
                let before = session.states(0..last).unwrap().to_vec();
                session.propagate(blocks, last).unwrap();
                assert_eq!(*session.states(0..last).unwrap(), before, "states stay");
            }
            session.advance(blocks, last + 1).unwrap();
            session.state(last).unwrap().to_vec()
        };
        let exact = last_state(0, false);
        assert_eq!(last_state(blocks - 1, true), exact, "{}", case.name);
        let inexact = last_state(blocks - 2, true);
        assert!(inexact != exact && inexact.iter().all(|value| value.is_finite()), "{}", case.name);
    }
}

#[test]
fn an_agreement_sets_the_threshold_and_is_checked() {
    let arguments =
        ["-m", MODEL, "-p", "The University of Oxford is", "-n", "16", "--mode", "exit", "--json"];
    let json = |more: &[&str]| -> Value {
        serde_json::from_str(&succeed("onejump-generate", &[&arguments[..], more].concat())).unwrap()
    };
    let levels = ["--level", "20..29/3", "--check"];
    let full = json(&[&levels[..], &["--threshold", "1"]].concat());
    assert_eq!((&full["mean_level"], &full["check"]["agreement"]), (&30.0.into(), &1.0.into()));
    assert_eq!(full["check"]["surprisal"], full["check"]["full_surprisal"]);
    let lossy = json(&[&levels[..], &["--threshold", "0", "--kv", "propagate"]].concat());
    assert_eq!(lossy["mean_level"], 20.0);
    assert!(lossy["check"]["agreement"].as_f64().unwrap() < 1.0, "{lossy}");
    assert!(lossy["check"]["surprisal"].as_f64() > full["check"]["surprisal"].as_f64(), "{lossy}");
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.parquet").display().to_string();
    let measured = json(&["--level", "26,28", "--agreement", "0.9", "--trace", &trace]);
    assert!(fs::read(&trace).unwrap().ends_with(b"PAR1"));
    let threshold = measured["threshold"].as_f64().unwrap();
    assert!(threshold > 0.0 && threshold < 1.0, "{measured}");

    let said = fail("onejump-generate", &[&arguments[..], &["--agreement", "2"]].concat());
    assert!(said.contains("the agreement is 2; possible is 0 to 1"), "{said}");
    for wrong in [["--ngram", "--check"], ["--level", "3..1"], ["--kv", "none"]] {
        let output = run("onejump-generate", &[&arguments[..], &wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
