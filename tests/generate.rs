//! `onejump-generate`: speculative text is that in full for every family, and the text is transformers'.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::sync::Arc;

use onejump_exit::SessionHead;
use onejump_generate::{
    Decoder, Drafter, Gate, Jump, Move, Ngram, Pace, Reading, Sampling, Shape, Step, Way,
};
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head;
use onejump_models::session::{Format, Head, Model, Session};
use onejump_shortcuts::map::Map;
use onejump_tensor::rows;
use onejump_tests::{fail, folder, relative_error, run, succeed};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const MODEL: &str = "smollm2-135m";
const PROMPT: &str = "The University of Oxford is";

/// How many tokens each family adds to a prompt of four.
const ADDED: usize = 40;

/// The tokens that a model adds, how often all its blocks were run, and how many drafts it accepted.
fn tokens(
    model: &Arc<Model>,
    head: &Head,
    sampling: Sampling,
    way: Way,
    threads: usize,
) -> (Vec<i64>, usize, usize) {
    let session = Session::new(model, 4 + ADDED, threads).unwrap();
    let mut decoder = Decoder::new(session, head, &[5, 1, 4, 1], sampling, way, &[]).unwrap();
    let mut tokens = Vec::new();
    while tokens.len() < ADDED {
        tokens.extend(decoder.step(Step { most: ADDED - tokens.len() }).unwrap());
    }
    (tokens, decoder.drafts().steps, decoder.drafts().accepted)
}

#[test]
fn speculative_is_full_for_every_family() {
    let (mut families, mut accepted) = (0, 0);
    for case in fs::read_dir(folder().join("parity/cases")).unwrap() {
        let case = case.unwrap().path();
        let name = case.display().to_string();
        let mut checkpoint = Checkpoint::open(&name).unwrap();
        let model = Arc::new(Model::load(&mut checkpoint).unwrap());
        let loaded = head::Head::load(&mut checkpoint, Place::CPU).unwrap();
        let head = Head::new(&loaded, &model).unwrap();
        let h = model.hidden_size() as i64;
        let most_likely = Sampling::default();
        let drawn = Sampling {
            temperature: 0.8,
            top_k: 20,
            top_p: 0.95,
            repeat_penalty: 1.1,
            seed: 7,
            ..most_likely
        };
        for sampling in [most_likely, drawn] {
            let (full, steps, _) = tokens(&model, &head, sampling, Way::Verify(&[]), 1);
            assert_eq!((full.len(), steps), (ADDED, ADDED));
            let map = Map::LowRank { norm: None, a: random(h, 4), b: random(4, h) };
            let mut check = |drafters: &[Drafter], what: String| {
                let (ours, steps, right) = tokens(&model, &head, sampling, Way::Verify(drafters), 2);
                assert_eq!(ours, full, "{name}, {what}, {sampling:?}");
                assert_eq!(steps + right, ADDED, "a step adds one token and the accepted drafts");
                accepted += right;
            };
            for (level, map) in (0..model.blocks()).flat_map(|level| [(level, None), (level, Some(&map))]) {
                for most in [1, 2, 5] {
                    let gate = || Gate {
                        level,
                        head: Arc::new(SessionHead::new(map, &loaded, &model, None).unwrap()),
                    };
                    let jump = || Drafter::Jump(Jump::new(gate(), Shape::Chain(most)));
                    let ngram = || Drafter::Ngram(Ngram::new(2, most));
                    check(&[jump()], format!("level {level}, {most} drafts"));
                    check(&[ngram(), jump()], format!("two tokens looked up, level {level}, {most} drafts"));
                    if most > 1 && map.is_some() {
                        let siblings = Drafter::Jump(Jump::new(gate(), Shape::Siblings(most)));
                        check(&[siblings], format!("level {level}, {most} siblings"));
                        let siblings = Drafter::Jump(Jump::new(gate(), Shape::Siblings(most)));
                        check(&[ngram(), siblings], format!("looked up, level {level}, {most} siblings"));
                        for shape in [Shape::Chain(most), Shape::Siblings(most)] {
                            let Gate { level, head } = gate();
                            let head = Arc::into_inner(head).unwrap();
                            let head = Arc::new(head.with_previous(&random(h, 4), &model).unwrap());
                            let beside = Drafter::Jump(Jump::new(Gate { level, head }, shape));
                            check(&[beside], format!("level {level}, {shape}, beside the token before"));
                        }
                    }
                }
            }
            check(&[Drafter::Ngram(Ngram::new(1, 7))], "one token looked up".into());
        }
        families += 1;
    }
    assert!(families >= 24 && accepted > 100, "{families} families, {accepted} drafts accepted");
}

/// A look that is not worth its cost is left out from then on; what stood in the text before is drafted all the same.
#[test]
fn a_pause_of_looks_leaves_the_text_so_far() {
    let mut checkpoint = Checkpoint::open(&folder().join("parity/cases/gpt2").display().to_string()).unwrap();
    let model = Arc::new(Model::load(&mut checkpoint).unwrap());
    let loaded = head::Head::load(&mut checkpoint, Place::CPU).unwrap();
    let head = Head::new(&loaded, &model).unwrap();
    let gate = Gate { level: 0, head: Arc::new(SessionHead::new(None, &loaded, &model, None).unwrap()) };
    let drafters = [Drafter::Ngram(Ngram::new(1, 3)), Drafter::Jump(Jump::new(gate, Shape::Chain(1)))];
    // A step with a look costs as much as 20, so the first one ends them.
    let reading = Reading {
        jump_sha256: None,
        jump: None,
        level: 0,
        acceptance: vec![1.0],
        look_share: 20.0,
        shape: Shape::Chain(1),
        speedup: 0.1,
    };
    let session = Session::new(&model, 4 + ADDED, 1).unwrap();
    let decoder =
        Decoder::new(session, &head, &[5, 1, 4, 2], Sampling::default(), Way::Verify(&drafters), &[]);
    let mut decoder = decoder.unwrap().paced(Some(Pace::new(&reading)));
    while decoder.text().len() < 4 + ADDED {
        decoder.step(Step { most: 4 + ADDED - decoder.text().len() }).unwrap();
    }
    let looked = |found: &&Move| found.looks > 0;
    let moves = decoder.moves();
    assert_eq!(moves.iter().filter(looked).count(), 1, "{moves:?}");
    let last = moves.iter().position(|found| found.looks > 0).unwrap();
    assert!(moves[last + 1..].iter().any(|found| found.draft.is_some()), "{moves:?}");
}

/// The fused head on slices against the map and the model's head in libtorch: sums over a few dozen values in another
/// order.
#[test]
fn the_head_behind_a_map_is_that_of_libtorch() {
    tch::manual_seed(5);
    for case in ["gpt2", "llama-grouped-tied", "gpt_neox-parallel"] {
        let mut checkpoint =
            Checkpoint::open(&folder().join("parity/cases").join(case).display().to_string()).unwrap();
        let model = Arc::new(Model::load(&mut checkpoint).unwrap());
        let loaded = head::Head::load(&mut checkpoint, Place::CPU).unwrap();
        let head = Head::new(&loaded, &model).unwrap();
        let session = Session::new(&model, 1, 2).unwrap();
        let h = model.hidden_size() as i64;
        let row = |columns: i64| random(1, columns).view([-1]);
        let (alpha, scale, shift) = (row(1), row(5), row(5));
        let maps = [
            Map::LowRank { norm: None, a: random(h, 5), b: random(5, h) },
            Map::Residual { alpha, scale, shift, a: random(h, 5), b: random(5, h) },
            Map::Full { w: random(h, h), bias: None },
            Map::Full { w: random(h, h), bias: Some(random(1, h).view([-1])) },
        ];
        for map in maps.iter().map(Some).chain([None]) {
            let state = random(1, h);
            let approximation = map.map_or_else(|| state.shallow_clone(), |map| map.apply(&state).unwrap());
            let expected = rows::values(&loaded.logits(&approximation).unwrap()).unwrap();
            let state = rows::values(&state).unwrap();
            // A matrix of 8 bits errs by half a step in 127, in the logits by the mean of some such errors.
            for (rounding, tolerance) in [(None, 1e-5), (Some(Format::Q8), 1e-2)] {
                let ours = SessionHead::new(map, &loaded, &model, rounding).unwrap();
                let ours = ours.logits(&session, &head, &state).unwrap();
                let error = relative_error(&ours, &expected);
                assert!(error < tolerance, "{case} {map:?} {rounding:?}: {error}");
                let rounded = rounding.is_some() && matches!(map, Some(Map::LowRank { .. }));
                assert_eq!(error > 1e-5, rounded, "{case} {map:?}: a fused head alone is rounded");
            }
        }
        // A token of a session beside where the one before it ended.
        let (map, previous) = (&maps[0], random(h, 5));
        let ours = SessionHead::new(Some(map), &loaded, &model, None).unwrap();
        let ours = ours.with_previous(&previous, &model).unwrap();
        let mut session = Session::new(&model, 2, 2).unwrap();
        session.push(&[5, 1]).unwrap();
        session.advance(model.blocks(), 1).unwrap();
        session.advance(1, 2).unwrap();
        let state = |place| rows::tensor(&session.state(place).unwrap(), h as usize).unwrap();
        let Map::LowRank { a, b, .. } = map else { unreachable!() };
        for place in [0, 1] {
            let mut u = state(place).mm(a);
            if place > 0 {
                let before = state(place - 1);
                u += (&before / before.norm()).mm(&previous);
            }
            let expected = rows::values(&loaded.logits(&u.mm(b)).unwrap()).unwrap();
            let error = relative_error(&ours.look(&session, &head, place).unwrap(), &expected);
            assert!(error < 1e-5, "{case}, token {place}: {error}");
        }
        let other = Map::Full { w: random(7, 7), bias: None };
        assert!(SessionHead::new(Some(&other), &loaded, &model, None).is_err());
    }
}

fn random(rows: i64, columns: i64) -> Tensor {
    Tensor::randn([rows, columns], (Kind::Float, Device::Cpu))
}

/// The most likely tokens of SmolLM2, f32, from `tests/golden/generate.py`.
#[test]
fn the_text_is_transformers() {
    let golden: Value =
        serde_json::from_slice(&fs::read(folder().join("golden/generate.json")).unwrap()).unwrap();
    for row in golden.as_array().unwrap() {
        let (prompt, text) = (row["prompt"].as_str().unwrap(), row["text"].as_str().unwrap());
        let count = row["tokens"].as_array().unwrap().len().to_string();
        for mode in [vec![], vec!["--mode", "speculative", "--level", "20", "--draft-max", "3", "--check"]] {
            let arguments = [&["-m", MODEL, "-p", prompt, "-n", &count, "--json"][..], &mode].concat();
            let outcome: Value = serde_json::from_str(&succeed("onejump-generate", &arguments)).unwrap();
            assert_eq!(outcome["tokens"], row["tokens"], "{prompt:?} {mode:?}");
            assert_eq!(outcome["text"].as_str().unwrap(), text);
        }
    }
}

/// A list that the model goes on copying: nearly every draft is right, and a step adds several tokens.
#[test]
fn a_text_that_repeats_itself_accepts_what_is_looked_up() {
    let prompt = "red apple, green pear, yellow lemon, ".repeat(3) + "red apple,";
    let arguments = ["-m", MODEL, "-p", &prompt, "-n", "48", "--mode", "speculative", "--ngram", "--check"];
    let outcome: Value =
        serde_json::from_str(&succeed("onejump-generate", &[&arguments[..], &["--json"]].concat())).unwrap();
    let drafts = |name: &str| outcome["drafts"][name].as_u64().unwrap();
    assert!(drafts("accepted") * 10 >= drafts("drafted") * 8, "{outcome}");
    assert!(drafts("steps") <= 14 && drafts("steps") + drafts("accepted") == 48, "{outcome}");
}

/// Four bits hold less than the checkpoint's blocks do where those have eight: another model, and the outcome says so.
#[test]
fn rounded_weights_are_said() {
    let json = |more: &[&str]| -> Value {
        let arguments = [&["-m", MODEL, "-p", PROMPT, "-n", "12", "--json"][..], more].concat();
        serde_json::from_str(&succeed("onejump-generate", &arguments)).unwrap()
    };
    let (exact, wide, narrow) = (json(&[]), json(&["--weights", "f32"]), json(&["--weights", "q4"]));
    assert_eq!((&exact["weights"], &wide["weights"]), (&Value::Null, &"f32".into()));
    assert_eq!(exact["tokens"], wide["tokens"], "f32 holds what 4 and 8 bits do");
    assert_eq!(narrow["weights"], "q4");
    let bytes = |more: &[&str]| -> f64 {
        let arguments =
            [&["bench", "-m", MODEL, "-p", "2", "-n", "2", "-r", "1", "--json"][..], more].concat();
        let rates: Value = serde_json::from_str(&succeed("onejump-generate", &arguments)).unwrap();
        rates["bytes"].as_f64().unwrap()
    };
    // 106 million weights of blocks in 6 bits, rows of 576 in whole chunks of 128, and 28 million of the head in 9.
    assert!((115e6..120e6).contains(&bytes(&[])) && bytes(&["--weights", "f32"]) > 530e6);
}

#[test]
fn a_text_ends_where_it_should() {
    let json = |more: &[&str]| -> Value {
        let arguments = [&["-m", MODEL, "-p", PROMPT, "-n", "24", "--json"][..], more].concat();
        serde_json::from_str(&succeed("onejump-generate", &arguments)).unwrap()
    };
    let plain = json(&[]);
    assert_eq!((&plain["end"], plain["tokens"].as_array().unwrap().len()), (&"tokens".into(), 24));
    let text = plain["text"].as_str().unwrap();
    // From within one token to within another.
    let stop = &text[text.len() / 2 - 3..text.len() / 2 + 3];
    let stopped = json(&["--stop", "never there", "--stop", stop]);
    assert_eq!(
        (&stopped["end"], stopped["text"].as_str().unwrap()),
        (&"stop".into(), text.split(stop).next().unwrap())
    );
    let full = json(&["--context", "12"]);
    assert_eq!((&full["end"], full["prompt_tokens"].as_u64().unwrap()), (&"context".into(), 5));
    assert_eq!(full["tokens"].as_array().unwrap()[..], plain["tokens"].as_array().unwrap()[..7]);
    // What comes piece by piece is the same text, and a line's end.
    let arguments = ["-m", MODEL, "-p", PROMPT, "-n", "24"];
    assert_eq!(succeed("onejump-generate", &arguments), format!("{text}\n"));
    let output = run("onejump-generate", &arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("prompt:") && said.contains("24 tokens, ") && said.contains("tokens/s"), "{said}");
}

#[test]
fn what_cannot_be_is_said_in_a_line() {
    for (arguments, line) in [
        (vec!["-p", PROMPT, "--context", "5"], "the prompt has 5 tokens, and there is room for 5"),
        (vec!["-p", ""], "the prompt is empty"),
        (vec!["-p", PROMPT, "--top-p", "2"], "top-p is 2; possible is what is above 0, up to 1"),
        (vec!["-p", PROMPT, "--context", "100000"], "a sequence of 100000 tokens; the model takes 1 to 8192"),
        (vec!["-f", "missing.txt"], "missing.txt"),
        (vec!["-p", PROMPT, "--device", "gpu"], "'gpu' is no device; known: cpu, cuda, cuda:N, auto"),
        (vec!["-p", PROMPT, "--device", "cuda"], "device 'cuda': the libtorch in"),
        (
            vec!["-p", PROMPT, "--mode", "speculative", "--level", "30"],
            "level 30 is not an early one: the model has 30 blocks; give a level from 0 to 29",
        ),
    ] {
        let said = fail("onejump-generate", &[&["-m", MODEL][..], &arguments].concat());
        assert!(said.contains(line), "{arguments:?}: {said}");
    }
    for arguments in [
        vec!["--level", "3"],
        vec!["--ngram"],
        vec!["--mode", "speculative"],
        vec!["--mode", "speculative", "--ngram", "--jump", "x"],
        vec!["--mode", "speculative", "--ngram=0"],
        vec!["--stop", ""],
        vec!["-f", "x"],
        vec!["--dtype", "bf16"],
    ] {
        let output = run("onejump-generate", &[&["-m", MODEL, "-p", PROMPT][..], &arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
