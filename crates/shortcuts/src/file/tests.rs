use strum::VariantArray;

use super::*;
use crate::card::JumpChoice;
use onejump_core::results::Sureness;
use onejump_core::shortcut::{BATCH_NORM_EPS, LevelConvention, Solver};

const H: usize = 4;
const R: usize = 2;

fn card(kind: ShortcutKind) -> Card {
    Card {
        kind,
        model: "tiny".into(),
        model_sha256: "m".into(),
        hidden_sha256: "h".into(),
        samples: "first 9".into(),
        target: crate::card::Target::Normed,
        label: Some("half".into()),
        hidden_size: H,
        blocks: 3,
        rank: kind.low_rank().then_some(R),
        solver: Solver::Adam,
        seed: 7,
        ridge: 0.25,
        adam: Some("epochs 3".into()),
        norm_eps: BATCH_NORM_EPS,
        training_loss: vec![1.5, 0.1 + 0.2],
        loss_curves: Some(vec![vec![2.0, 1.5]]),
        held_out_curve: kind.fitted_to_head().then(|| vec![2.5, 2.0]),
        previous: false,
        choice: (kind == ShortcutKind::Ojfa).then(|| JumpChoice {
            level: 1,
            levels: LevelConvention::Eq5,
            d_exit: vec![0.1, 0.2, 0.3],
            d_eq5: vec![0.1, 0.4, 0.3],
            sureness: Some(Sureness {
                draws: 1000,
                shares: vec![0.25, 0.75, 0.0],
                d_low: vec![0.05, 0.3, 0.2],
                d_high: vec![0.2, 0.5, 0.4],
            }),
        }),
    }
}

fn values(size: &[i64], start: f64) -> Tensor {
    let count: i64 = size.iter().product();
    (Tensor::arange(count, (tch::Kind::Float, tch::Device::Cpu)) + start).reshape(size)
}

fn map(kind: ShortcutKind, start: f64) -> Map {
    let (h, r) = (H as i64, R as i64);
    if !kind.low_rank() {
        let bias = (kind == ShortcutKind::TunedLens).then(|| values(&[h], start));
        return Map::Full { w: values(&[h, h], start), bias };
    }
    if kind == ShortcutKind::Residual {
        let (scale, shift) = (values(&[r], start + 1.0), values(&[r], start + 2.0));
        let (alpha, a, b) = (values(&[1], start), values(&[h, r], start), values(&[r, h], start));
        return Map::Residual { alpha, scale, shift, a, b };
    }
    let norm = kind.has_norm().then(|| BatchNorm {
        weight: values(&[h], start),
        bias: values(&[h], start + 1.0),
        running_mean: values(&[h], start + 2.0),
        running_var: values(&[h], start + 3.0),
        eps: BATCH_NORM_EPS,
    });
    Map::LowRank { norm, a: values(&[h, r], start), b: values(&[r, h], start) }
}

fn file(kind: ShortcutKind) -> ShortcutFile {
    let maps = if kind.shares_matrices() {
        let same = map(kind, 5.0);
        let (Map::LowRank { a, b, .. } | Map::Residual { a, b, .. }) = &same else { unreachable!() };
        let (a, b) = (|| a.shallow_clone(), || b.shallow_clone());
        let with_own = |level| match map(kind, f64::from(level)) {
            Map::LowRank { norm, .. } => Map::LowRank { norm, a: a(), b: b() },
            Map::Residual { alpha, scale, shift, .. } => {
                Map::Residual { alpha, scale, shift, a: a(), b: b() }
            }
            full => full,
        };
        Maps::PerLevel((0..3).map(with_own).collect())
    } else if kind.per_level() {
        Maps::PerLevel((0..3).map(|level| map(kind, f64::from(level))).collect())
    } else {
        Maps::One(Box::new(map(kind, 5.0)))
    };
    ShortcutFile { card: card(kind), maps, previous: None }
}

#[test]
fn every_kind_comes_back_and_equal_content_gives_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for &kind in ShortcutKind::VARIANTS.iter().filter(|kind| **kind != ShortcutKind::Identity) {
        let path = folder.path().join(format!("{kind}.safetensors"));
        file(kind).write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let read = ShortcutFile::read(&path).unwrap();
        assert_eq!(read.card, card(kind));
        let hidden = values(&[2, H as i64], 0.5);
        for level in 0..3 {
            let (read, written) = (read.map_at(level).unwrap(), file(kind));
            let written = written.map_at(level).unwrap();
            assert_eq!(read.apply(&hidden).unwrap(), written.apply(&hidden).unwrap());
        }
        let error = read.map_at(3).unwrap_err();
        assert!(matches!(error, ShortcutError::NoSuchLevel { level: 3, blocks: 3 }));
        assert!(error.to_string().contains("0 to 2"), "{error}");
        read.write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

/// What reads the token before is no map of a state alone: only who asks for it gets it.
#[test]
fn a_jump_that_reads_the_token_before_is_for_drafts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut file = file(ShortcutKind::OneJump);
    let without = file.card.parameters();
    file.card.previous = true;
    file.previous = Some(values(&[H as i64, R as i64], 3.0));
    assert_eq!(file.card.parameters(), without + (H * R) as u64);
    file.write(&path).unwrap();
    let read = ShortcutFile::read_drafting(&path).unwrap();
    assert_eq!((read.card, read.previous), (file.card.clone(), file.previous));
    let error = ShortcutFile::read(&path).unwrap_err().to_string();
    assert!(error.contains("x.safetensors: is for drafts alone"), "{error}");
    file.previous = Some(values(&[R as i64, H as i64], 3.0));
    file.write(&path).unwrap();
    let error = ShortcutFile::read_drafting(&path).unwrap_err().to_string();
    assert!(error.contains("tensor 'previous' is F32 of shape [2, 4]"), "{error}");
    file.card.previous = false;
    file.write(&path).unwrap();
    let error = ShortcutFile::read(&path).unwrap_err().to_string();
    assert!(error.contains("differ in whether it reads the token before"), "{error}");
    (file.card.previous, file.card.kind) = (true, ShortcutKind::Joint);
    file.write(&path).unwrap();
    let error = ShortcutFile::read_drafting(&path).unwrap_err().to_string();
    assert!(error.contains("'previous' is 'final'; a 'joint' has none"), "{error}");
}

/// Tensors may agree with an impossible rank.
#[test]
fn a_rank_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    for rank in [0, H + 1] {
        let mut file = file(ShortcutKind::NNjtc);
        file.card.rank = Some(rank);
        let size = rank as i64;
        let Maps::PerLevel(maps) = &mut file.maps else { unreachable!() };
        for map in maps {
            if let Map::LowRank { a, b, .. } = map {
                (*a, *b) = (values(&[H as i64, size], 0.0), values(&[size, H as i64], 0.0));
            }
        }
        file.write(&path).unwrap();
        let error = ShortcutFile::read(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("says rank {size}; a 'n-njtc' has rank 1 to H = 4")), "{error}");
    }
}

/// The rank of a tuned lens is how it was made, and what it counts as; its matrices are whole.
#[test]
fn a_tuned_lens_may_have_a_rank() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut file = file(ShortcutKind::TunedLens);
    assert_eq!(file.card.parameters(), 3 * (4 * 4 + 4));
    file.card.rank = Some(1);
    file.write(&path).unwrap();
    let read = ShortcutFile::read(&path).unwrap();
    assert_eq!((read.card.rank, read.card.parameters()), (Some(1), 3 * (2 * 4 + 4)));
    assert_eq!(read.map_at(0).unwrap().hidden_size(), H);
    file.card.rank = Some(H + 1);
    file.write(&path).unwrap();
    let error = ShortcutFile::read(&path).unwrap_err().to_string();
    assert!(error.contains("says rank 5; a 'tuned-lens' has rank 1 to H = 4"), "{error}");
}

/// The names and metadata that scripts rely on.
#[test]
fn the_format_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    file(ShortcutKind::NNjtc).write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<_> = read.names().into_iter().filter(|name| name.starts_with("level.2.")).collect();
    names.sort();
    let expected = ["a", "b", "norm.bias", "norm.running_mean", "norm.running_var", "norm.weight"];
    assert_eq!(names, expected.map(|name| format!("level.2.{name}")));
    assert_eq!(read.tensor("level.0.a").unwrap().shape(), [H, R]);
    file(ShortcutKind::Residual).write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| read.tensor(name).unwrap().shape().to_vec();
    assert_eq!([shape("a"), shape("b")], [[H, R], [R, H]]);
    assert_eq!(shape("level.2.alpha"), [1]);
    assert_eq!([shape("level.2.scale"), shape("level.2.shift")], [[R], [R]]);
    assert_eq!(read.names().len(), 2 + 3 * 3);
    file(ShortcutKind::Ojfa).write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    for (key, value) in [
        ("kind", "ojfa"),
        ("level", "1"),
        ("d", "0.4"),
        ("rank", "2"),
        ("target", "normed"),
        ("samples", "first 9"),
        ("label", "half"),
        ("blocks", "3"),
    ] {
        assert_eq!(metadata[key], value, "{key}");
    }
}

#[test]
fn a_wrong_file_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    file(ShortcutKind::NNjtc).write(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(ShortcutFile::read(&path).unwrap_err().to_string().contains("no usable safetensors"));
    let mut wrong = file(ShortcutKind::NNjtc);
    wrong.card.blocks = 4;
    wrong.write(&path).unwrap();
    let error = ShortcutFile::read(&path).unwrap_err();
    let ShortcutError::MissingTensor { name, .. } = &error else { panic!("{error}") };
    assert_eq!(name, "level.3.norm.weight");
    assert!(error.to_string().ends_with("x.safetensors: tensor 'level.3.norm.weight' is missing"));
    let mut nan = file(ShortcutKind::Joint);
    if let Maps::One(map) = &mut nan.maps
        && let Map::LowRank { a, .. } = map.as_mut()
    {
        *a *= f64::NAN;
    }
    assert!(nan.write(&path).unwrap_err().to_string().contains("'a' would hold NaN"));
    let other = file(ShortcutKind::Joint);
    let error = other.check_model(&path, "m", 8, 3).unwrap_err();
    assert!(matches!(error, ShortcutError::OtherShape { .. }));
    let said = "is for H = 4 and 3 blocks; the hidden states have H = 8 and 3 blocks";
    assert!(error.to_string().contains(said), "{error}");
    let error = other.check_model(&path, "z", 4, 3).unwrap_err();
    assert!(matches!(error, ShortcutError::OtherModel { .. }));
    assert!(error.to_string().contains("was trained on another checkpoint (tiny) than"), "{error}");
}
