//! What an early exit costs, in multiply-adds per token.
//!
//! | part | multiply-adds |
//! |---|---|
//! | a block | its weights, each once, and 2·H per token of the context for attention |
//! | the full head | V·H, and H² more behind a full matrix, 2·H·r more behind a low-rank map or a residual |
//! | the fused head of a low-rank map | H·r for u, r² for the norm's scale, r·V for the logits |
//!
//! Norms, softmax and comparisons are left out: they are of order H or V without a factor. The keys and values that
//! later tokens need of a skipped block are left out too.

use onejump_models::transformer::Outline;
use onejump_store::analyses::LookingHead;

/// The parts of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Operations {
    hidden_size: f64,
    vocab_size: f64,
    blocks: f64,
    block: f64,
}

/// What has to be multiplied before the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Matrix,
    LowRank(usize),
    /// A low-rank part beside a multiple of the state, which no head can be fused with.
    Residual(usize),
}

impl Operations {
    /// The parts of a model, where the sampled token attends to `context` tokens on average, itself included.
    pub fn new(outline: &Outline, context: f64) -> Self {
        let (h, v) = (outline.hidden_size as f64, outline.vocab_size as f64);
        let blocks = outline.blocks as f64;
        let outside = outline.vocabulary_matrices as f64 * h * v;
        let weights = (outline.parameters as f64 - outside).max(0.0) / blocks;
        Self { hidden_size: h, vocab_size: v, blocks, block: weights + 2.0 * h * context }
    }

    /// The full model for one token.
    pub fn model(&self) -> f64 {
        self.blocks * self.block + self.hidden_size * self.vocab_size
    }

    /// So many blocks.
    pub fn run(&self, blocks: usize) -> f64 {
        blocks as f64 * self.block
    }

    /// One look at a level; the fused head exists behind a low-rank map alone.
    pub fn look(&self, head: LookingHead, before: Before) -> f64 {
        let (h, v) = (self.hidden_size, self.vocab_size);
        match (head, before) {
            (LookingHead::Fused, Before::LowRank(r)) => {
                let r = r as f64;
                h * r + r * r + r * v
            }
            (_, Before::LowRank(r) | Before::Residual(r)) => 2.0 * h * r as f64 + h * v,
            (_, Before::Matrix) => h * h + h * v,
            (_, Before::Nothing) => h * v,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SmolLM2-135M: 30 blocks of 3.5 million weights, a tied vocabulary of 49,152·576. At rank 5 a
    /// fused look is 1/114 of a full one.
    #[test]
    fn a_fused_look_is_a_hundredth_of_a_full_one() {
        let outline = Outline {
            hidden_size: 576,
            blocks: 30,
            vocab_size: 49_152,
            context: 8192,
            parameters: 134_515_008,
            vocabulary_matrices: 1,
        };
        let operations = Operations::new(&outline, 10.0);
        let block = (134_515_008.0 - 28_311_552.0) / 30.0 + 2.0 * 576.0 * 10.0;
        assert!((operations.run(1) - block).abs() < 1.0);
        assert!((operations.model() - (30.0 * block + 28_311_552.0)).abs() < 1.0);
        let fused = operations.look(LookingHead::Fused, Before::LowRank(5));
        assert_eq!(fused, 576.0 * 5.0 + 25.0 + 5.0 * 49_152.0);
        assert_eq!(operations.look(LookingHead::Full, Before::LowRank(5)), 5760.0 + 28_311_552.0);
        let residual = operations.look(LookingHead::Full, Before::Residual(5));
        assert_eq!(residual, operations.look(LookingHead::Full, Before::LowRank(5)));
        assert_eq!(operations.look(LookingHead::Full, Before::Matrix), 331_776.0 + 28_311_552.0);
        assert_eq!(operations.look(LookingHead::Full, Before::Nothing), 28_311_552.0);
    }
}
