//! Which tokens of a sequence are looked at.

/// A sequence, and the tokens in it whose states are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled<'a> {
    /// The token ids. What comes after the last wanted token is not computed.
    pub tokens: &'a [i64],
    /// The wanted positions, ascending.
    pub positions: &'a [usize],
}
