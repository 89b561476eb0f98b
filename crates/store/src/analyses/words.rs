//! The words in the columns of the analyses' tables.

use serde::{Deserialize, Serialize};
use strum::{Display, VariantArray};

/// What a jump is chosen by, on training samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Criterion {
    /// The highest D, the mean of sgn(C)·C²: the paper's (Eq. 5).
    SignedSquare,
    /// The highest mean of C.
    Cosine,
    /// The lowest mean of ‖ĥ − h_K‖².
    Mse,
    /// The lowest mean KL divergence from the true distribution.
    Kl,
    /// D with each sample weighted by how many tokens its text has: so all tokens count alike, where one sample of each
    /// text makes those of short texts, and position 0, count more.
    SignedSquareByTokens,
    /// The highest precision@1 on these samples, which needs the head as [`Criterion::Kl`] does.
    #[serde(rename = "precision_1")]
    #[strum(serialize = "precision_1")]
    Precision1,
}

/// What a chosen jump is measured by, on test samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Measure {
    /// Precision@1: more is better.
    #[serde(rename = "precision_1")]
    #[strum(serialize = "precision_1")]
    Precision1,
    /// Surprisal: less is better.
    Surprisal,
    /// The KL divergence from the true distribution: less is better.
    Kl,
}

/// When a level is sure enough to exit at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ExitRule {
    /// Din et al. (2023), after Schuster et al. (2022): the gap between the two largest probabilities is
    /// over 0.9·λ + 0.1·exp(−τ·t/N), for position t of N tokens, with τ = 4.
    Gap,
    /// The largest probability is λ or more.
    Probability,
}

/// How a level is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LookingHead {
    /// P = B·diag(g)·Eᵀ, prepared once.
    Fused,
    /// The approximation, then the model's own head.
    Full,
}

/// Which levels are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LookSchedule {
    /// Every exit level.
    Every,
    /// Those of the schedule that is cheapest on the training samples.
    Best,
}

/// What a class of samples has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ClassBy {
    /// Nothing: all samples.
    All,
    /// The position in the text.
    Position,
    /// How often the model predicts the token that it predicts here, in the training samples.
    Frequency,
    /// Whether that token begins a word.
    Word,
    /// Whether that token stands in the text before.
    Context,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that scripts rely on, and that the report prints.
    #[test]
    fn words_are_pinned() {
        fn words<W: VariantArray + Serialize + ToString>() -> String {
            let word = |word: &W| {
                assert_eq!(serde_json::to_value(word).unwrap(), word.to_string());
                word.to_string()
            };
            W::VARIANTS.iter().map(word).collect::<Vec<_>>().join(" ")
        }
        assert_eq!(words::<Criterion>(), "signed-square cosine mse kl signed-square-by-tokens precision_1");
        assert_eq!(words::<Measure>(), "precision_1 surprisal kl");
        assert_eq!(words::<ExitRule>(), "gap probability");
        assert_eq!(words::<LookingHead>(), "fused full");
        assert_eq!(words::<LookSchedule>(), "every best");
        assert_eq!(words::<ClassBy>(), "all position frequency word context");
    }
}
