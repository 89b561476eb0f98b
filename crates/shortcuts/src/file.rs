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
mod tests;
