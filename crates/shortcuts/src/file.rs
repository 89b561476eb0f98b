//! Files of shortcuts: safetensors with tensors named `level.12.a`, or `a` where one map serves all
//! exit levels (in `joint-norms` one `a` and `b`, with `level.12.norm.weight` and so on; in `residual` with
//! `level.12.alpha`, `level.12.scale` and `level.12.shift`; with `previous` in a one-jump that reads the token before).

use std::collections::BTreeMap;
use std::path::Path;

use onejump_core::files::FileError;
use onejump_core::shortcut::ShortcutKind;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use tch::Tensor;

use crate::batch_norm::BatchNorm;
use crate::card::Card;
use crate::error::{ModelShape, ShortcutError};
use crate::map::Map;
use crate::safetensors as format;

/// The tensor that reads the token before.
const PREVIOUS: &str = "previous";

/// The maps of a file with their card.
#[derive(Debug)]
pub struct ShortcutFile {
    /// What the maps are.
    pub card: Card,
    /// The maps.
    pub maps: Maps,
    /// C (H, r) of a jump that drafts: with x' = h'_K/‖h'_K‖ of the state at which the token before ended,
    /// ĥ = (norm(h)·A + x'·C)·B.
    pub previous: Option<Tensor>,
}

/// One map per exit level, or one for all.
#[derive(Debug)]
pub enum Maps {
    /// The map of level k at index k, for all exit levels.
    PerLevel(Vec<Map>),
    /// The same map at every exit level.
    One(Box<Map>),
}

impl ShortcutFile {
    /// The map that is applied at an exit level.
    ///
    /// # Errors
    /// [`ShortcutError::NoSuchLevel`] if the model has no such exit level.
    pub fn map_at(&self, level: usize) -> Result<&Map, ShortcutError> {
        let blocks = self.card.blocks;
        if level >= blocks {
            return Err(ShortcutError::NoSuchLevel { level, blocks });
        }
        match &self.maps {
            Maps::One(map) => Ok(map),
            Maps::PerLevel(maps) => maps.get(level).ok_or(ShortcutError::NoMap { level }),
        }
    }

    /// Writes the file, atomically. Equal content gives equal bytes.
    ///
    /// # Errors
    /// [`ShortcutError`] if it cannot be written, or a value is NaN or infinite.
    pub fn write(&self, path: &Path) -> Result<(), ShortcutError> {
        let mut tensors = BTreeMap::new();
        let mut add = |prefix: &str, map| {
            for (name, tensor) in Map::tensors(map) {
                tensors.insert(format!("{prefix}{name}"), tensor);
            }
        };
        match &self.maps {
            Maps::One(map) => add("", map.as_ref()),
            Maps::PerLevel(maps) => {
                for (level, map) in maps.iter().enumerate() {
                    add(&level_prefix(level), map);
                }
                if self.card.kind.shares_matrices() {
                    share_matrices(&mut tensors);
                }
            }
        }
        tensors.extend(self.previous.iter().map(|previous| (PREVIOUS.to_owned(), previous)));
        for (name, tensor) in &tensors {
            if tensor.f_isfinite()?.f_all()?.int64_value(&[]) == 0 {
                return Err(ShortcutError::content(
                    path,
                    format!("tensor '{name}' would hold NaN or infinity"),
                ));
            }
        }
        format::write(path, &tensors, &self.card.to_metadata())
    }

    /// Reads a file whose maps are of a state alone.
    ///
    /// # Errors
    /// As [`ShortcutFile::read_drafting`], and [`ShortcutError::Content`] if the map reads the token before too.
    pub fn read(path: &Path) -> Result<Self, ShortcutError> {
        let file = Self::read_drafting(path)?;
        if file.previous.is_some() {
            let reason = "is for drafts alone (onejump-generate --mode speculative): it also reads where the token before \
                          ended. Train one without --previous";
            return Err(ShortcutError::content(path, reason));
        }
        Ok(file)
    }

    /// Reads a file, also of a map that reads the token before.
    ///
    /// # Errors
    /// [`ShortcutError`] if it is not safetensors, lacks a tensor or a piece of metadata, or a
    /// tensor is misshapen or not finite.
    pub fn read_drafting(path: &Path) -> Result<Self, ShortcutError> {
        let bytes = std::fs::read(path).map_err(FileError::reading(path))?;
        let broken = |error: safetensors::SafeTensorError| {
            ShortcutError::content(path, format!("is no usable safetensors file: {error}"))
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(broken)?;
        let metadata = header.metadata().iter().flatten();
        let metadata = metadata.map(|(key, value)| (key.clone(), value.clone())).collect();
        let card = Card::from_metadata(path, &metadata)?;
        let reader = Reader { path, tensors, card: &card };
        let maps = if card.kind.per_level() {
            let maps = (0..card.blocks).map(|level| reader.map(&level_prefix(level)));
            Maps::PerLevel(maps.collect::<Result<_, _>>()?)
        } else {
            Maps::One(Box::new(reader.map("")?))
        };
        let size = [card.hidden_size, card.rank.unwrap_or(0)];
        // A map that is read without what belongs to it would answer something else without a word.
        if card.previous != reader.tensors.names().contains(&PREVIOUS) {
            let reason =
                "its metadata and its tensors differ in whether it reads the token before ('previous')";
            return Err(ShortcutError::content(path, reason));
        }
        let previous = if card.previous { Some(reader.tensor(PREVIOUS, &size)?) } else { None };
        Ok(Self { maps, previous, card })
    }

    /// Refuses a file that was made for another model or hidden size.
    ///
    /// # Errors
    /// [`ShortcutError::OtherShape`] or [`ShortcutError::OtherModel`].
    pub fn check_model(
        &self,
        path: &Path,
        model_sha256: &str,
        hidden_size: usize,
        blocks: usize,
    ) -> Result<(), ShortcutError> {
        let card = &self.card;
        let expected = ModelShape { hidden_size: card.hidden_size, blocks: card.blocks };
        let found = ModelShape { hidden_size, blocks };
        if expected != found {
            return Err(ShortcutError::OtherShape { path: path.to_owned(), expected, found });
        }
        if card.model_sha256 != model_sha256 {
            return Err(ShortcutError::OtherModel { path: path.to_owned(), model: card.model.clone() });
        }
        Ok(())
    }
}

/// Replaces the matrices of all levels, which are the same ones, by one `a` and one `b`.
fn share_matrices(tensors: &mut BTreeMap<String, &Tensor>) {
    for name in ["a", "b"] {
        let first = tensors.get(&format!("{}{name}", level_prefix(0))).copied();
        tensors.retain(|key, _| !key.ends_with(&format!(".{name}")));
        tensors.extend(first.map(|tensor| (name.to_owned(), tensor)));
    }
}

fn level_prefix(level: usize) -> String {
    format!("level.{level}.")
}

struct Reader<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    card: &'a Card,
}

impl Reader<'_> {
    fn map(&self, prefix: &str) -> Result<Map, ShortcutError> {
        let hidden = self.card.hidden_size;
        let vector = |name: &str| self.tensor(&format!("{prefix}{name}"), &[hidden]);
        let matrix = || self.tensor(&format!("{prefix}w"), &[hidden, hidden]);
        if let Some(rank) = self.card.rank.filter(|rank| !(1..=hidden).contains(rank)) {
            let kind = self.card.kind;
            let what = format!("says rank {rank}; a '{kind}' has rank 1 to H = {hidden}: train it again");
            return Err(ShortcutError::content(self.path, what));
        }
        match self.card.kind {
            ShortcutKind::Jtc | ShortcutKind::JacobianLens => {
                return Ok(Map::Full { w: matrix()?, bias: None });
            }
            ShortcutKind::TunedLens => return Ok(Map::Full { w: matrix()?, bias: Some(vector("bias")?) }),
            _ => {}
        }
        let rank = self.card.rank.unwrap_or(0);
        let matrices = if self.card.kind.shares_matrices() { "" } else { prefix };
        let norm = if self.card.kind.has_norm() {
            Some(BatchNorm {
                weight: vector("norm.weight")?,
                bias: vector("norm.bias")?,
                running_mean: vector("norm.running_mean")?,
                running_var: vector("norm.running_var")?,
                eps: self.card.norm_eps,
            })
        } else {
            None
        };
        let a = self.tensor(&format!("{matrices}a"), &[hidden, rank])?;
        let b = self.tensor(&format!("{matrices}b"), &[rank, hidden])?;
        if self.card.kind == ShortcutKind::Residual {
            let of_level = |name: &str, size| self.tensor(&format!("{prefix}{name}"), &[size]);
            let alpha = of_level("alpha", 1)?;
            return Ok(Map::Residual {
                alpha,
                scale: of_level("scale", rank)?,
                shift: of_level("shift", rank)?,
                a,
                b,
            });
        }
        Ok(Map::LowRank { norm, a, b })
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ShortcutError> {
        let missing = |_| ShortcutError::MissingTensor { path: self.path.to_owned(), name: name.to_owned() };
        let view: TensorView = self.tensors.tensor(name).map_err(missing)?;
        let wrong = |reason: String| ShortcutError::content(self.path, format!("tensor '{name}' {reason}"));
        if view.shape() != shape || view.dtype() != Dtype::F32 {
            return Err(wrong(format!(
                "is {:?} of shape {:?}, expected F32 of shape {shape:?}",
                view.dtype(),
                view.shape()
            )));
        }
        let size: Vec<i64> = shape.iter().map(|&length| length as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &size, tch::Kind::Float)?;
        if tensor.f_isfinite()?.f_all()?.int64_value(&[]) == 0 {
            return Err(wrong("holds NaN or infinity".into()));
        }
        Ok(tensor)
    }
}

#[cfg(test)]
mod tests {
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
        let mut names: Vec<_> =
            read.names().into_iter().filter(|name| name.starts_with("level.2.")).collect();
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
}
