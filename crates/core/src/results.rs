//! `results/summary.json`: what an evaluation found, averaged over the exit levels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use crate::shortcut::{LevelConvention, ShortcutKind, Solver};
use crate::words::UnknownWord;

/// What follows a metric's name where the samples at position 0 are left out.
pub const WITHOUT_0: &str = "_without_0";

/// A metric's field: a number, or a number that some methods lack.
trait MetricField: Sized {
    /// The field of what a table holds; none if every method must have a value and there is none.
    fn read(value: Option<f64>) -> Option<Self>;
}

impl MetricField for f64 {
    fn read(value: Option<f64>) -> Option<Self> {
        value
    }
}

impl MetricField for Option<f64> {
    fn read(value: Option<f64>) -> Option<Self> {
        Some(value)
    }
}

/// Makes [`Metrics`] and [`METRICS`] of one list, so that writers and readers cannot differ in the order.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty,)+) => {
        /// Quality of one method at one level, or averaged over the exit levels.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        pub struct Metrics {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        /// Names of the metrics, in the order of [`Metrics::values`]: the columns of `per_level.parquet`.
        pub const METRICS: [&str; [$(stringify!($name)),+].len()] = [$(stringify!($name)),+];

        impl Metrics {
            /// The values in the order of [`METRICS`].
            pub fn values(&self) -> [Option<f64>; METRICS.len()] {
                [$(Option::from(self.$name)),+]
            }

            /// The metrics of values in the order of [`METRICS`]; none if one that every method has is missing.
            pub fn from_values(values: [Option<f64>; METRICS.len()]) -> Option<Self> {
                let [$($name),+] = values;
                Some(Self { $($name: MetricField::read($name)?),+ })
            }
        }
    };
}

metrics! {
    /// Share of samples whose true top token is the shortcut's most likely one (the paper's precision).
    precision_1: f64,
    /// Share of samples whose true top token is among the shortcut's 5 most likely.
    precision_5: f64,
    /// Share of samples whose true top token is among the shortcut's 10 most likely.
    precision_10: f64,
    /// Mean −ln of the probability that the shortcut's distribution gives to the true top token, in nats.
    surprisal: f64,
    /// Din et al.'s: mean −ln of the probability that the true distribution gives to the shortcut's top
    /// token, in nats.
    mat_surprisal: f64,
    /// Mean cosine between ĥ and the final hidden state; none for a method without ĥ (`constant`).
    cosine: Option<f64>,
    /// Σ‖ĥ − h_K‖² / Σ‖h_K − mean h_K‖²: 1 is as good as the mean of the final hidden states.
    relative_mse: Option<f64>,
}

impl Metrics {
    /// The mean of several levels' metrics; `None` if there are none.
    pub fn mean(levels: &[Self]) -> Option<Self> {
        let mean = |index: usize| {
            let sum = levels.iter().map(|metrics| metrics.values()[index]).sum::<Option<f64>>();
            sum.map(|sum| sum / levels.len() as f64)
        };
        if levels.is_empty() { None } else { Self::from_values(std::array::from_fn(mean)) }
    }
}

/// What tables call a method.
///
/// ```
/// use onejump_core::results::MethodName;
/// use onejump_core::shortcut::ShortcutKind;
///
/// assert_eq!("jump-8".parse(), Ok(MethodName::Jump(8)));
/// assert_eq!(MethodName::Kind(ShortcutKind::NNjtc).to_string(), "n-njtc");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum MethodName {
    /// The baseline: the training samples' distribution of true top tokens, the same for every sample.
    Constant,
    /// The shortcuts of a kind.
    Kind(ShortcutKind),
    /// The jump trained at this level, applied at every exit level ("arbitrary" in the paper's Fig. 2).
    Jump(usize),
}

const CONSTANT: &str = "constant";
const JUMP: &str = "jump-";

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => f.pad(CONSTANT),
            Self::Kind(kind) => f.pad(kind.name()),
            Self::Jump(level) => f.pad(&format!("{JUMP}{level}")),
        }
    }
}

impl FromStr for MethodName {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let jump = text.strip_prefix(JUMP).and_then(|level| level.parse().ok()).map(Self::Jump);
        let constant = (text == CONSTANT).then_some(Self::Constant);
        constant.or(jump).or_else(|| text.parse().map(Self::Kind).ok()).ok_or_else(|| {
            let kinds: Vec<&str> = ShortcutKind::VARIANTS.iter().map(|kind| kind.name()).collect();
            let known = format!("{CONSTANT}, {JUMP}LEVEL, {}", kinds.join(", "));
            UnknownWord { text: text.to_owned(), what: "method", known }
        })
    }
}

impl From<MethodName> for String {
    fn from(name: MethodName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for MethodName {
    type Error = UnknownWord;

    fn try_from(text: String) -> Result<Self, UnknownWord> {
        text.parse()
    }
}

/// One method: a shortcut kind with its solver and rank, a single jump, or a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Its name.
    #[serde(rename = "method")]
    pub name: MethodName,
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
    /// A method that is not trained and keeps no parameters.
    pub const fn untrained(name: MethodName) -> Self {
        Self { name, solver: None, rank: None, jump: None, parameters: 0 }
    }

    /// Whether this is a method of the given kind.
    pub fn is(&self, kind: ShortcutKind) -> bool {
        self.name == MethodName::Kind(kind)
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
    pub levels: LevelConvention,
    /// argmax of `d_exit`.
    pub jump_exit: usize,
    /// argmax of `d_eq5`.
    pub jump_eq5: usize,
    /// D_m over levels 0..K-1, for m = 0..K-1 (training samples).
    pub d_exit: Vec<f64>,
    /// D_m over levels 1..K, as Eq. 5 is printed.
    pub d_eq5: Vec<f64>,
    /// How sure the choice is; none of files of a version that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sureness: Option<Sureness>,
}

/// How sure the choice of a jump is, by a bootstrap over the training texts: each draw takes as many texts as there are,
/// with replacement and each with all of its samples, and chooses by the D of these, under the convention that decided. The
/// jumps stay as they are: what others, trained on other texts or positions, would be is not in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sureness {
    /// How many draws there were.
    pub draws: usize,
    /// The share of draws that choose jump m.
    pub shares: Vec<f64>,
    /// Where the 95 % interval of D_m begins.
    pub d_low: Vec<f64>,
    /// Where it ends.
    pub d_high: Vec<f64>,
}

impl Sureness {
    /// The jump that most draws choose beside this one, and the share of them; none if no other is ever chosen.
    pub fn next(&self, chosen: usize) -> Option<(usize, f64)> {
        let others = self.shares.iter().copied().enumerate();
        let others = others.filter(|&(jump, share)| jump != chosen && share > 0.0);
        others.reduce(|best, other| if other.1 > best.1 { other } else { best })
    }
}

/// `results/summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The model, as the user named it.
    pub model: String,
    /// SHA-256 of its checkpoint; older results have none.
    #[serde(default)]
    pub model_sha256: Option<String>,
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
        let values = [Some(0.25), Some(0.5), Some(0.5), Some(3.0), Some(4.0), None, None];
        let metrics = Metrics::from_values(values).unwrap();
        let method = Method::untrained(MethodName::Constant);
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

    #[test]
    fn every_method_has_one_spelling() {
        let kinds = ShortcutKind::VARIANTS.iter().map(|&kind| MethodName::Kind(kind));
        for name in kinds.chain([MethodName::Constant, MethodName::Jump(0), MethodName::Jump(28)]) {
            assert_eq!(name.to_string().parse(), Ok(name));
            assert_eq!(serde_json::to_value(name).unwrap(), name.to_string());
        }
        let unknown = serde_json::from_value::<MethodName>("jump-x".into()).unwrap_err().to_string();
        assert!(
            unknown.starts_with("'jump-x' is no method; known: constant, jump-LEVEL, identity, jtc"),
            "{unknown}"
        );
    }

    #[test]
    fn values_come_back_in_the_order_of_the_names() {
        assert_eq!(METRICS[0], "precision_1");
        assert_eq!(METRICS[6], "relative_mse");
        let values = [Some(0.1), Some(0.2), Some(0.3), Some(4.0), Some(5.0), None, Some(0.9)];
        let metrics = Metrics::from_values(values).unwrap();
        assert_eq!((metrics.precision_10, metrics.cosine, metrics.relative_mse), (0.3, None, Some(0.9)));
        assert_eq!(metrics.values(), values);
        let [_, rest @ ..] = values;
        assert_eq!(Metrics::from_values([[None].as_slice(), &rest].concat().try_into().unwrap()), None);
    }
}
