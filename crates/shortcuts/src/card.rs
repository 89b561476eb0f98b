//! What a file of shortcuts says of itself: the metadata in the safetensors header.

use std::collections::BTreeMap;
use std::path::Path;

use onejump_core::numbers::largest;
use onejump_core::results::Sureness;
use onejump_core::shortcut::{LevelConvention, ShortcutKind, Solver, parameters};
pub use onejump_core::target::Target;

use crate::ShortcutError;

/// [`Card::samples`] where every sample was used.
pub const ALL_SAMPLES: &str = "all";

/// Which state of the token before a map reads: the one at which it ended.
const FINAL: &str = "final";

/// Everything that a reader must know of the maps in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The kind of shortcut.
    pub kind: ShortcutKind,
    /// The model, as the user named it.
    pub model: String,
    /// SHA-256 of its checkpoint.
    pub model_sha256: String,
    /// Fingerprint of the hidden states that it was trained on.
    pub hidden_sha256: String,
    /// Which samples of them: `all`, `first 900`, `all without position 0`.
    pub samples: String,
    /// What the maps approximate.
    pub target: Target,
    /// A name for the file's rows in tables, where it is one of several variants.
    pub label: Option<String>,
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
    /// r; none for a full map. A tuned lens can have one, though its matrices are stored whole.
    pub rank: Option<usize>,
    /// How the matrices were found.
    pub solver: Solver,
    /// The seed of gradient descent.
    pub seed: u64,
    /// Weight of the ridge term, relative to the mean square of the inputs.
    pub ridge: f64,
    /// Options of gradient descent; none for the closed form.
    pub adam: Option<String>,
    /// BatchNorm's ε.
    pub norm_eps: f64,
    /// Eq. 2 over the training samples: one value per level, or one for all.
    pub training_loss: Vec<f64>,
    /// Mean training loss of every epoch of gradient descent, as `training_loss` is ordered.
    pub loss_curves: Option<Vec<Vec<f64>>>,
    /// The loss on samples that were held out, before the first epoch and after each, where there are such samples. The
    /// maps are those of its least value.
    pub held_out_curve: Option<Vec<f64>>,
    /// Whether the one map reads, beside a state, the one at which the token before ended.
    pub previous: bool,
    /// Of an ojfa file: how the jump was chosen.
    pub choice: Option<JumpChoice>,
}

/// How the one jump was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct JumpChoice {
    /// The level that it was trained at.
    pub level: usize,
    /// The convention that decided.
    pub levels: LevelConvention,
    /// D_m over levels 0..K-1, for every jump m.
    pub d_exit: Vec<f64>,
    /// D_m over levels 1..K, as Eq. 5 is printed.
    pub d_eq5: Vec<f64>,
    /// How sure the choice is; none in files of a version that did not say.
    pub sureness: Option<Sureness>,
}

impl JumpChoice {
    /// D_m of every jump under a convention.
    pub fn d(&self, levels: LevelConvention) -> &[f64] {
        match levels {
            LevelConvention::Exit => &self.d_exit,
            LevelConvention::Eq5 => &self.d_eq5,
        }
    }

    /// The jump with the largest D under a convention, the earliest among equals.
    pub fn best(&self, levels: LevelConvention) -> Option<usize> {
        largest(self.d(levels))
    }
}

impl Card {
    /// How many parameters all maps of the file have.
    pub fn parameters(&self) -> u64 {
        let rank = self.rank.unwrap_or(0);
        let previous = if self.previous { self.hidden_size * rank } else { 0 };
        parameters(self.kind, self.hidden_size, rank, self.blocks) + previous as u64
    }

    pub(crate) fn to_metadata(&self) -> BTreeMap<String, String> {
        let list = |values: &[f64]| serde_json::to_string(values).unwrap_or_default();
        let mut metadata = BTreeMap::from([
            ("kind", self.kind.to_string()),
            ("model", self.model.clone()),
            ("model_sha256", self.model_sha256.clone()),
            ("hidden_sha256", self.hidden_sha256.clone()),
            ("hidden_size", self.hidden_size.to_string()),
            ("blocks", self.blocks.to_string()),
            ("solver", self.solver.to_string()),
            ("seed", self.seed.to_string()),
            ("ridge", self.ridge.to_string()),
            ("norm_eps", format!("{:e}", self.norm_eps)),
            ("target", self.target.name().to_owned()),
            ("training_loss", list(&self.training_loss)),
            ("onejump", env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        // Only what differs from the default is written.
        if self.samples != ALL_SAMPLES {
            metadata.insert("samples", self.samples.clone());
        }
        if self.previous {
            metadata.insert("previous", FINAL.to_owned());
        }
        if let Some(label) = &self.label {
            metadata.insert("label", label.clone());
        }
        if let Some(rank) = self.rank {
            metadata.insert("rank", rank.to_string());
        }
        if let Some(adam) = &self.adam {
            metadata.insert("adam", adam.clone());
        }
        if let Some(curves) = &self.loss_curves {
            metadata.insert("loss_curves", serde_json::to_string(curves).unwrap_or_default());
        }
        if let Some(curve) = &self.held_out_curve {
            metadata.insert("held_out_curve", list(curve));
        }
        if let Some(choice) = &self.choice {
            let d = choice.d(choice.levels).get(choice.level).copied().unwrap_or(f64::NAN);
            metadata.extend([
                ("level", choice.level.to_string()),
                ("d", d.to_string()),
                ("levels", choice.levels.to_string()),
                ("d_exit", list(&choice.d_exit)),
                ("d_eq5", list(&choice.d_eq5)),
            ]);
            if let Some(sureness) = &choice.sureness {
                metadata.extend([
                    ("draws", sureness.draws.to_string()),
                    ("shares", list(&sureness.shares)),
                    ("d_low", list(&sureness.d_low)),
                    ("d_high", list(&sureness.d_high)),
                ]);
            }
        }
        metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    pub(crate) fn from_metadata(
        path: &Path,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, ShortcutError> {
        let fields = Fields { path, metadata };
        let kind: ShortcutKind = fields.parse("kind")?;
        let choice = if metadata.contains_key("d_exit") {
            Some(JumpChoice {
                level: fields.parse("level")?,
                levels: fields.parse("levels")?,
                d_exit: fields.json("d_exit")?,
                d_eq5: fields.json("d_eq5")?,
                sureness: if metadata.contains_key("draws") {
                    Some(Sureness {
                        draws: fields.parse("draws")?,
                        shares: fields.json("shares")?,
                        d_low: fields.json("d_low")?,
                        d_high: fields.json("d_high")?,
                    })
                } else {
                    None
                },
            })
        } else {
            None
        };
        Ok(Self {
            kind,
            model: fields.text("model")?.to_owned(),
            model_sha256: fields.text("model_sha256")?.to_owned(),
            hidden_sha256: fields.text("hidden_sha256")?.to_owned(),
            samples: metadata.get("samples").cloned().unwrap_or_else(|| ALL_SAMPLES.to_owned()),
            target: fields.parse("target")?,
            label: metadata.get("label").cloned(),
            hidden_size: fields.parse("hidden_size")?,
            blocks: fields.parse("blocks")?,
            rank: match kind {
                ShortcutKind::TunedLens if !metadata.contains_key("rank") => None,
                kind if kind.low_rank() || kind == ShortcutKind::TunedLens => Some(fields.parse("rank")?),
                _ => None,
            },
            solver: fields.parse("solver")?,
            seed: fields.parse("seed")?,
            ridge: fields.parse("ridge")?,
            adam: metadata.get("adam").cloned(),
            norm_eps: fields.parse("norm_eps")?,
            training_loss: fields.json("training_loss")?,
            loss_curves: fields.optional_json("loss_curves")?,
            held_out_curve: fields.optional_json("held_out_curve")?,
            previous: match metadata.get("previous").map(String::as_str) {
                None => false,
                Some(FINAL) if kind == ShortcutKind::OneJump => true,
                Some(other) => {
                    let expected =
                        if kind == ShortcutKind::OneJump { "reads 'final' or none" } else { "has none" };
                    let reason = format!("metadata 'previous' is '{other}'; a '{kind}' {expected}");
                    return Err(ShortcutError::content(path, reason));
                }
            },
            choice,
        })
    }
}

struct Fields<'a> {
    path: &'a Path,
    metadata: &'a BTreeMap<String, String>,
}

impl Fields<'_> {
    fn text(&self, key: &str) -> Result<&str, ShortcutError> {
        self.metadata.get(key).map(String::as_str).ok_or_else(|| {
            ShortcutError::content(
                self.path,
                format!("has no '{key}' in its metadata; onejump-train and onejump-score write it"),
            )
        })
    }

    fn parse<T: std::str::FromStr>(&self, key: &str) -> Result<T, ShortcutError>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(key)?;
        text.parse().map_err(|error| {
            ShortcutError::content(self.path, format!("metadata '{key}' is '{text}': {error}"))
        })
    }

    fn optional_json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ShortcutError> {
        if self.metadata.contains_key(key) { self.json(key).map(Some) } else { Ok(None) }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<T, ShortcutError> {
        serde_json::from_str(self.text(key)?).map_err(|error| {
            ShortcutError::content(self.path, format!("metadata '{key}' is no list of numbers: {error}"))
        })
    }
}
