//! Sums of made-up parts, added by shards, in any order, with interruptions.

use std::fs;

use super::*;

const H: usize = 3;
const ROWS: usize = 2;

fn inputs() -> CaptureInputs {
    let inputs = serde_json::json!({
        "model": "tiny", "architecture": "llama", "model_sha256": "", "hidden_size": H, "blocks": 2,
        "vocab_size": 3, "sentences": "", "sentences_sha256": "", "samples": 2, "truncated": 0, "seed": 0,
        "position_0": true, "bos": false, "dtype": "f32", "store_dtype": "f32", "device": "cpu",
        "batch_tokens": 512, "onejump": "", "libtorch": "",
    });
    serde_json::from_value(inputs).unwrap()
}

fn value(part: usize, level: usize, place: usize) -> f32 {
    ((part * 31 + level * 7 + place * 13) as f32 * 0.37).sin() * 3.0 + 0.1
}

fn position(part: usize, row: usize) -> u32 {
    ((part + row) % 3) as u32
}

fn rows(part: usize) -> PartRows {
    let states = |level| (0..ROWS * H).map(|place| value(part, level, place)).collect();
    PartRows {
        sample_ids: vec![0; ROWS],
        sentences: vec![None; ROWS],
        token_ids: vec![vec![1]; ROWS],
        positions: (0..ROWS).map(|row| position(part, row)).collect(),
        texts: None,
        levels: (0..3).map(|level| (level, states(level))).collect(),
    }
}

const SELECTIONS: [Selected; 2] = [Selected::All, Selected::NormedNoPosition0];

fn open(dir: &Path, parts: usize, shard: &str) -> Result<MomentsOutput, CaptureError> {
    MomentsOutput::open(dir, &SELECTIONS, &inputs(), Leaves { parts, together: 1 }, shard.parse().unwrap())
}

/// Adds what a shard lacks.
fn run(dir: &Path, parts: usize, shard: &str) {
    let moments = open(dir, parts, shard).unwrap();
    for part in (0..parts).filter(|&part| moments.has(part) && moments.lacks(part)) {
        moments.add(part, rows(part)).unwrap();
    }
    moments.save().unwrap();
}

fn contents(dir: &Path) -> Vec<Vec<u8>> {
    assert_eq!(fs::read_dir(dir).unwrap().count(), SELECTIONS.len());
    SELECTIONS.iter().map(|selected| fs::read(dir.join(selected.file())).unwrap()).collect()
}

fn undisturbed(parts: usize) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), parts, "0/1");
    contents(dir.path())
}

/// Against the sums written out. Of a few hundred products in f64, 1e-12 of their size.
#[test]
fn sums_are_those_of_the_rows() {
    let (parts, dir) = (70, tempfile::tempdir().unwrap());
    run(dir.path(), parts, "0/1");
    for selected in SELECTIONS {
        let mut file = MomentsFile::open(&dir.path().join(selected.file())).unwrap();
        let all = (0..parts).flat_map(|part| (0..ROWS).map(move |row| (part, row)));
        let kept = |&(part, row): &(usize, usize)| !selected.without_position_0() || position(part, row) > 0;
        let kept: Vec<_> = all.filter(kept).collect();
        assert_eq!(file.header().samples, kept.len() as u64);
        let state = |level: usize, &(part, row): &(usize, usize)| -> Vec<f64> {
            (0..H).map(|column| f64::from(value(part, level, row * H + column))).collect()
        };
        let target = |sample: &(usize, usize)| {
            let state = state(2, sample);
            let scale = match selected.target() {
                onejump_core::target::Target::PreNorm => 1.0,
                onejump_core::target::Target::Normed => {
                    (H as f64 / state.iter().map(|x| x * x).sum::<f64>()).sqrt()
                }
            };
            state.into_iter().map(|x| x * scale).collect::<Vec<f64>>()
        };
        // The targets are rounded to f32 where they are scaled.
        let tolerance = if selected == Selected::All { 1e-12 } else { 1e-6 };
        let close = |ours: &[f64], plain: Vec<f64>| {
            assert_eq!(ours.len(), plain.len());
            for (ours, plain) in ours.iter().zip(plain) {
                assert!((ours - plain).abs() < tolerance * 1e3, "{ours} {plain}");
            }
        };
        let sum = |of: &dyn Fn(&(usize, usize)) -> Vec<f64>| {
            let mut sum = vec![0.0; of(&(0, 0)).len()];
            for sample in &kept {
                sum.iter_mut().zip(of(sample)).for_each(|(sum, value)| *sum += value);
            }
            sum
        };
        let outer = |x: Vec<f64>, y: Vec<f64>| -> Vec<f64> {
            x.iter().flat_map(|x| y.iter().map(move |y| x * y)).collect()
        };
        for level in 0..2 {
            let found = file.level(level).unwrap();
            close(&found.sum, sum(&|sample| state(level, sample)));
            close(&found.gram, sum(&|sample| outer(state(level, sample), state(level, sample))));
            close(&found.cross, sum(&|sample| outer(state(level, sample), target(sample))));
        }
        let (targets, gram) = file.targets().unwrap();
        close(&targets, sum(&target));
        close(&gram, sum(&|sample| outer(target(sample), target(sample))));
    }
}

#[test]
fn shards_and_the_order_of_parts_change_no_byte() {
    for (parts, counts) in [(1, &[2][..]), (5, &[64]), (130, &[2, 3])] {
        let expected = undisturbed(parts);
        for &count in counts {
            let dir = tempfile::tempdir().unwrap();
            for index in (0..count).rev() {
                run(dir.path(), parts, &format!("{index}/{count}"));
            }
            assert!(contents(dir.path()) == expected, "{parts} parts, {count} shards");
        }
        let dir = tempfile::tempdir().unwrap();
        let moments = open(dir.path(), parts, "0/1").unwrap();
        for step in 0..parts {
            // Windows of four parts, each backwards.
            let part = (step / 4 * 4 + 3 - step % 4).min(parts - 1);
            moments.add(part, rows(part)).unwrap();
        }
        (0..parts).for_each(|part| moments.add(part, rows(part)).unwrap());
        drop(moments);
        assert!(contents(dir.path()) == expected);
    }
}

#[test]
fn what_was_stopped_goes_on_with_any_number_of_shards() {
    let parts = 200;
    let expected = undisturbed(parts);
    for (first, second) in [("0/1", "0/1"), ("1/2", "0/1")] {
        let dir = tempfile::tempdir().unwrap();
        let moments = open(dir.path(), parts, first).unwrap();
        let own: Vec<usize> = (0..parts).filter(|&part| moments.has(part)).collect();
        for &part in &own[..own.len() / 2] {
            moments.add(part, rows(part)).unwrap();
        }
        moments.save().unwrap();
        drop(moments);
        let moments = open(dir.path(), parts, second).unwrap();
        let lacking = (0..parts).filter(|&part| moments.has(part) && moments.lacks(part)).count();
        drop(moments);
        // A run of three or four parts is lost where it is not the first that the others lack.
        assert!(lacking <= parts - own.len() / 2 + 4, "{first}: {lacking}");
        run(dir.path(), parts, second);
        assert!(contents(dir.path()) == expected, "{first} {second}");
    }
}

#[test]
fn another_capture_or_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 100, "0/2").unwrap();
    open(dir.path(), 100, "1/2").unwrap();
    for overlapping in ["0/2", "0/1", "1/4"] {
        let refused = open(dir.path(), 100, overlapping).err().unwrap().to_string();
        assert!(refused.contains("is being written"), "{refused}");
    }
    first.add(0, rows(0)).unwrap();
    first.save().unwrap();
    drop(first);
    let other = CaptureInputs { seed: 1, ..inputs() };
    let open = |inputs: &CaptureInputs, shard: &str| {
        let leaves = Leaves { parts: 100, together: 1 };
        MomentsOutput::open(dir.path(), &SELECTIONS, inputs, leaves, shard.parse().unwrap()).err()
    };
    let refused = open(&other, "0/1").unwrap().to_string();
    assert!(refused.contains("holds another capture (seed 0 there, 1 here)"), "{refused}");
    let refused = open(&inputs(), "0/65").unwrap().to_string();
    assert!(refused.contains("at most 64 shards"), "{refused}");
    let levels = CaptureInputs { levels: Some(vec![0, 1]), ..inputs() };
    let refused = open(&levels, "0/1").unwrap().to_string();
    assert!(refused.contains("must end with 2"), "{refused}");
}
