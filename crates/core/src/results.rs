//! `results/summary.json`: what an evaluation found, averaged over the exit levels.

use serde::{Deserialize, Serialize};

use crate::shortcut::{ShortcutKind, Solver};

/// Quality of one method at one level, or averaged over the exit levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Share of samples whose true top token is the shortcut's most likely one (the paper's precision).
    pub precision_1: f64,
    /// Share of samples whose true top token is among the shortcut's 5 most likely.
    pub precision_5: f64,
    /// Share of samples whose true top token is among the shortcut's 10 most likely.
    pub precision_10: f64,
    /// Mean −ln of the probability that the shortcut's distribution gives to the true top token, in nats.
    pub surprisal: f64,
    /// Din et al.'s: mean −ln of the probability that the true distribution gives to the shortcut's top
    /// token, in nats.
    pub mat_surprisal: f64,
    /// Mean cosine between ĥ and the final hidden state; none for a method without ĥ (`constant`).
    pub cosine: Option<f64>,
    /// Σ‖ĥ − h_K‖² / Σ‖h_K − mean h_K‖²: 1 is as good as the mean of the final hidden states.
    pub relative_mse: Option<f64>,
}

/// Names of the metrics, in the order of [`Metrics::values`]: the columns of `per_level.parquet`.
pub const METRICS: [&str; 7] =
    ["precision_1", "precision_5", "precision_10", "surprisal", "mat_surprisal", "cosine", "relative_mse"];

/// What follows a metric's name where the samples at position 0 are left out.
pub const WITHOUT_0: &str = "_without_0";

impl Metrics {
    /// The values in the order of [`METRICS`].
    pub fn values(&self) -> [Option<f64>; 7] {
        [
            Some(self.precision_1),
            Some(self.precision_5),
            Some(self.precision_10),
            Some(self.surprisal),
            Some(self.mat_surprisal),
            self.cosine,
            self.relative_mse,
        ]
    }

    /// The mean of several levels' metrics; `None` if there are none.
    pub fn mean(levels: &[Self]) -> Option<Self> {
        if levels.is_empty() {
            return None;
        }
        let n = levels.len() as f64;
        let mean = |get: fn(&Self) -> f64| levels.iter().map(get).sum::<f64>() / n;
        let mean_some =
            |get: fn(&Self) -> Option<f64>| levels.iter().map(get).sum::<Option<f64>>().map(|sum| sum / n);
        Some(Self {
            precision_1: mean(|m| m.precision_1),
            precision_5: mean(|m| m.precision_5),
            precision_10: mean(|m| m.precision_10),
            surprisal: mean(|m| m.surprisal),
            mat_surprisal: mean(|m| m.mat_surprisal),
            cosine: mean_some(|m| m.cosine),
            relative_mse: mean_some(|m| m.relative_mse),
        })
    }
}

/// One method: a shortcut kind with its solver and rank, a single jump, or a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// `constant`, `identity`, `jtc`, `njtc`, `n-njtc`, `joint`, `ojfa`, or `jump-8` for the jump
    /// trained at level 8, applied at every exit level ("arbitrary" in the paper's Fig. 2).
    pub method: String,
    /// How it was trained; none for the baselines.
    pub solver: Option<Solver>,
    /// Its rank; none for the baselines and for `jtc`.
    pub rank: Option<usize>,
    /// The level that the single jump was trained at, for `ojfa` and `jump-m`.
    pub jump: Option<usize>,
    /// Shortcut parameters kept for all exit levels.
    pub parameters: u64,
}

impl Method {
    /// Whether this is a method of the given kind.
    pub fn is(&self, kind: ShortcutKind) -> bool {
        self.method == kind.name()
    }
}

/// A method and its metrics, averaged over the exit levels 0..K-1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Average {
    /// The method.
    #[serde(flatten)]
    pub method: Method,
    /// Over all samples.
    pub all: Metrics,
    /// Over the samples whose position is not 0; none if there are no such samples.
    pub without_0: Option<Metrics>,
}

/// The choice of the one jump among the jumps of one solver and rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// How the jumps were trained.
    pub solver: Solver,
    /// Their rank.
    pub rank: usize,
    /// The jump in `ojfa.safetensors`: argmax of D under the convention that `onejump-score` was given.
    pub jump: usize,
    /// The convention that decided: `exit` or `eq5`.
    pub levels: crate::shortcut::LevelConvention,
    /// argmax of `d_exit`.
    pub jump_exit: usize,
    /// argmax of `d_eq5`.
    pub jump_eq5: usize,
    /// D_m over levels 0..K-1, for m = 0..K-1 (training samples).
    pub d_exit: Vec<f64>,
    /// D_m over levels 1..K, as Eq. 5 is printed.
    pub d_eq5: Vec<f64>,
}

/// `results/summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The model, as the user named it.
    pub model: String,
    /// `model_type` of its configuration.
    pub architecture: String,
    /// H.
    pub hidden_size: usize,
    /// K.
    pub blocks: usize,
    /// V.
    pub vocab_size: usize,
    /// Samples that the shortcuts were trained on.
    pub train_samples: usize,
    /// Samples that the metrics are over.
    pub test_samples: usize,
    /// Of those, the ones at position 0.
    pub test_samples_at_0: usize,
    /// One entry per `ojfa` file.
    pub choices: Vec<Choice>,
    /// One entry per method, in the order of evaluation: `constant` and `identity` first.
    pub averages: Vec<Average>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_is_flat_json() {
        let metrics = Metrics {
            precision_1: 0.25,
            precision_5: 0.5,
            precision_10: 0.5,
            surprisal: 3.0,
            mat_surprisal: 4.0,
            cosine: None,
            relative_mse: None,
        };
        let method =
            Method { method: "constant".into(), solver: None, rank: None, jump: None, parameters: 0 };
        let average = Average { method, all: metrics, without_0: None };
        let json = serde_json::to_value(&average).unwrap();
        assert_eq!(json["method"], "constant");
        assert_eq!(json["all"]["precision_1"], 0.25);
        assert_eq!(serde_json::from_value::<Average>(json).unwrap(), average);
    }

    #[test]
    fn the_mean_of_a_missing_metric_is_missing() {
        let one = Metrics {
            precision_1: 0.2,
            precision_5: 0.0,
            precision_10: 0.0,
            surprisal: 1.0,
            mat_surprisal: 1.0,
            cosine: Some(0.5),
            relative_mse: None,
        };
        let other = Metrics { precision_1: 0.4, cosine: Some(0.7), ..one };
        let mean = Metrics::mean(&[one, other]).unwrap();
        assert!((mean.precision_1 - 0.3).abs() < 1e-12);
        assert!((mean.cosine.unwrap() - 0.6).abs() < 1e-12);
        assert_eq!(mean.relative_mse, None);
        assert_eq!(Metrics::mean(&[]), None);
    }
}
