//! What the paper leaves open: each a switch of the experiment, recorded in `run.toml`.

use onejump_core::shortcut::LevelConvention;
use serde::{Deserialize, Serialize};

/// Switches for the stages. The stages check the values: they know what is possible.
#[derive(Debug, Clone, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Switches {
    /// What the model computes in: f32, bf16 or f16
    #[arg(long, default_value = Self::DTYPE)]
    pub dtype: String,
    /// What the states are stored in: f32, f16 or bf16
    #[arg(long, default_value = Self::STORE_DTYPE)]
    pub store_dtype: String,
    /// Whether a beginning-of-sequence token comes first: auto (as the tokenizer does), always, never
    #[arg(long, default_value = Self::BOS)]
    pub bos: String,
    /// Positions of a sentence that are sampled: a number, or all
    #[arg(long, value_name = "N|all", default_value = Self::POSITIONS)]
    #[serde(skip_serializing_if = "is_one")] // Runs from before there was a choice go on.
    pub positions: String,
    /// Never sample position 0
    #[arg(long)]
    pub no_position_0: bool,
    /// What shortcuts approximate: the final hidden state as it is (pre-norm), or normed
    #[arg(long, default_value = Self::TARGET)]
    pub target: String,
    /// Which levels decide the choice of the jump: exit (0 to K-1) or eq5 (1 to K, as Eq. 5 is printed)
    #[arg(long, alias = "levels", value_name = "exit|eq5", default_value_t = Self::CONVENTION)]
    #[serde(rename = "levels")] // The name that run.toml has had from the beginning.
    pub convention: LevelConvention,
    /// Gradient descent: passes over the samples [default: that of onejump-train]
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Gradient descent: samples in a step [default: that of onejump-train]
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Gradient descent: learning rate of the first step [default: that of onejump-train]
    #[arg(long)]
    pub learning_rate: Option<f64>,
}

impl Switches {
    const DTYPE: &str = "f32";
    const STORE_DTYPE: &str = "f32";
    const BOS: &str = "auto";
    const POSITIONS: &str = "1";
    const TARGET: &str = "pre-norm";
    const CONVENTION: LevelConvention = LevelConvention::Exit;

    /// Arguments of onejump-capture.
    pub(crate) fn capture(&self) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--dtype", &self.dtype, "--store-dtype", &self.store_dtype, "--bos", &self.bos]
                .map(Into::into)
                .into();
        if !is_one(&self.positions) {
            arguments.extend(["--positions".to_owned(), self.positions.clone()]);
        }
        if self.no_position_0 {
            arguments.push("--no-position-0".to_owned());
        }
        arguments
    }

    /// Arguments of onejump-train, whatever the solver.
    pub(crate) fn train(&self) -> Vec<String> {
        vec!["--target".to_owned(), self.target.clone()]
    }

    /// Arguments of onejump-train with the paper's gradient descent.
    pub(crate) fn adam(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            arguments.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        option("--epochs", self.epochs.map(|epochs| epochs.to_string()));
        option("--batch-size", self.batch_size.map(|size| size.to_string()));
        option("--learning-rate", self.learning_rate.map(|rate| rate.to_string()));
        arguments
    }

    /// Arguments of onejump-score.
    pub(crate) fn score(&self) -> Vec<String> {
        vec!["--convention".to_owned(), self.convention.to_string()]
    }
}

fn is_one(positions: &str) -> bool {
    positions == Switches::POSITIONS
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            dtype: Self::DTYPE.into(),
            store_dtype: Self::STORE_DTYPE.into(),
            bos: Self::BOS.into(),
            positions: Self::POSITIONS.into(),
            no_position_0: false,
            target: Self::TARGET.into(),
            convention: Self::CONVENTION,
            epochs: None,
            batch_size: None,
            learning_rate: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_said_where_there_are_several() {
        let with = |positions: &str| Switches { positions: positions.into(), ..Switches::default() };
        assert!(!with("1").capture().contains(&"--positions".to_owned()));
        assert!(with("8").capture().ends_with(&["--positions".to_owned(), "8".to_owned()]));
        let text = |positions| toml::to_string(&with(positions)).unwrap();
        assert!(!text("1").contains("positions = "));
        for positions in ["1", "8", "all"] {
            assert_eq!(toml::from_str::<Switches>(&text(positions)).unwrap(), with(positions));
        }
    }
}
