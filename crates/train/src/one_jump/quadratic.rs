//! The closed-form part: reduced-rank regression of directions on directions, in the metric of the head.
//!
//! With x = h/‖h‖ over all exit levels, y = the final state after the final norm without its gain, and a
//! metric M, the best product A·B in E[(x·A·B − y)·M·(x·A·B − y)ᵀ] is the ordinary one for targets y·M^½,
//! with M^−½ behind it: with G = Σ xᵀx and C = Σ xᵀy, V the leading eigenvectors of M^½·Cᵀ·G⁻¹·C·M^½,
//! A = G⁻¹·C·M^½·V and B = Vᵀ·M^−½.

use onejump_models::head::Head;
use onejump_tensor::rows::values;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::linear::{CUTOFF, eigen, leading, single, solve};
use crate::moments::{Moments, TargetRows};

/// Rows of the unembedding that are converted to f64 at a time.
const CHUNK: i64 = 4096;

/// What is added to the inputs' second moments before they are whitened, relative to their mean.
const INPUT_DAMPING: f64 = 1e-4;

/// What is added to the metric before its axes are whitened, relative to its mean.
const METRIC_DAMPING: f64 = 1e-3;

/// Second moments of directions, and the metric.
#[derive(Debug)]
pub struct Quadratic {
    moments: Moments,
    /// M, (H, H) f64.
    metric: Tensor,
    /// Σ y·M·yᵀ.
    target_square: f64,
}

impl Quadratic {
    /// The moments of the states (N, H) of every exit level and targets (N, H), and the metric for the mean
    /// distribution (V). Targets and mean are where the head is; what comes of it is on the processor.
    ///
    /// # Errors
    /// [`TrainError`] if the states of a level are an error, or the shapes do not fit together.
    pub fn of(
        levels: impl IntoIterator<Item = Result<Tensor, TrainError>>,
        targets: &Tensor,
        head: &Head,
        mean: &Tensor,
    ) -> Result<Self, TrainError> {
        let centred = head.norm.centred(targets)?;
        let directions = centred.f_mul(&head.norm.inverse_scale(&centred)?)?;
        let targets = TargetRows::new(values(&directions)?, directions.size2()?.1 as usize);
        let (mut moments, mut count): (Option<Moments>, _) = (None, 0.0);
        for states in levels {
            let inputs = values(&unit(&states?)?)?;
            let level = Moments::of(&inputs, &targets)?;
            count += 1.0;
            match &mut moments {
                Some(moments) => moments.add(&level)?,
                None => moments = Some(level),
            }
        }
        let moments = moments.ok_or_else(|| TrainError::Usage("the model has no blocks".into()))?;
        let metric = metric(head, mean)?;
        let y = directions.f_to_kind(Kind::Double)?;
        let squares = y.f_mm(&metric)?.f_mul(&y)?.f_sum(Kind::Double)?.double_value(&[]);
        Ok(Self { target_square: squares * count, moments, metric: metric.f_to_device(Device::Cpu)? })
    }

    /// The best A (H, r) and B (r, H), f64. `ridge` adds ridge·mean(diag G) to the diagonal of G.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] if the moments are not finite.
    pub fn fit(&self, rank: usize, ridge: f64) -> Result<(Tensor, Tensor), TrainError> {
        let (gram, cross) = (&self.moments.xx, &self.moments.xy);
        let solved = solve(gram, cross, ridge)?; // G⁻¹·C
        let (values, vectors) = eigen(&self.metric)?;
        // Directions that no logit depends on have no root to invert.
        let floor = values.f_max()?.double_value(&[]) * CUTOFF;
        let kept = values.f_clamp_min(floor)?;
        let gone = values.f_le(floor)?;
        let power = |roots: Tensor| turned(&vectors, &roots.f_masked_fill(&gone, 0.0)?);
        let (root, inverse_root) = (power(kept.f_sqrt()?)?, power(kept.f_rsqrt()?)?);
        let explained = root.f_mm(&cross.f_transpose(0, 1)?.f_mm(&solved)?)?.f_mm(&root)?;
        let v = leading(&explained, rank)?; // (H, r)
        Ok((solved.f_mm(&root)?.f_mm(&v)?, v.f_transpose(0, 1)?.f_mm(&inverse_root)?))
    }

    /// The squared error of A·B in the metric, relative to the targets' mean square in it.
    ///
    /// # Errors
    /// [`TrainError::Torch`] if the shapes do not fit.
    pub fn relative_loss(&self, a: &Tensor, b: &Tensor) -> Result<f64, TrainError> {
        let transposed = a.f_transpose(0, 1)?;
        let trace = |x: Tensor| Ok::<f64, TrainError>(x.f_trace()?.double_value(&[]));
        let inner = b.f_mm(&self.metric)?.f_mm(&b.f_transpose(0, 1)?)?; // B·M·Bᵀ, (r, r)
        let square = trace(transposed.f_mm(&self.moments.xx)?.f_mm(a)?.f_mm(&inner)?)?;
        let cross = transposed.f_mm(&self.moments.xy)?.f_mm(&self.metric)?.f_mm(&b.f_transpose(0, 1)?)?;
        Ok(1.0 + (square - 2.0 * trace(cross)?) / self.target_square)
    }
}

/// The coordinates of gradient descent, in which inputs and outputs are white: A = W_in·A', B = B'·W_out.
/// Adam scales each coordinate by itself; in the model's own axes they are too correlated for that.
pub(crate) struct Coordinates {
    /// W_in and its inverse, (H, H).
    pub input: (Tensor, Tensor),
    /// W_out and its inverse, (H, H).
    pub output: (Tensor, Tensor),
}

impl Coordinates {
    pub fn of(quadratic: &Quadratic) -> Result<Self, TrainError> {
        Ok(Self {
            input: whitening(&quadratic.moments.xx, INPUT_DAMPING)?,
            output: whitening(&quadratic.metric, METRIC_DAMPING)?,
        })
    }
}

/// (S/mean(diag S) + damping)^−½ and its inverse, for a symmetric S ≥ 0.
fn whitening(symmetric: &Tensor, damping: f64) -> Result<(Tensor, Tensor), TrainError> {
    let mean = symmetric.f_trace()?.double_value(&[]) / symmetric.size2()?.0 as f64;
    let (values, vectors) = eigen(&symmetric.f_div_scalar(mean.max(f64::MIN_POSITIVE))?)?;
    let roots = values.f_clamp_min(0.0)?.f_add_scalar(damping)?.f_sqrt()?;
    Ok((turned(&vectors, &roots.f_reciprocal()?)?, turned(&vectors, &roots)?))
}

/// V·diag(values)·Vᵀ.
fn turned(vectors: &Tensor, values: &Tensor) -> Result<Tensor, TrainError> {
    Ok(vectors.f_mul(values)?.f_mm(&vectors.f_transpose(0, 1)?)?)
}

/// M = Σ p̄(t)·(e_t − ē)·(e_t − ē)ᵀ, (H, H) f64: the covariance of the rows of the unembedding behind the
/// norm's gain, and behind its centring where it centres, with the tokens drawn from p̄. A soft-cap of the logits is left
/// out of it: gradient descent, which starts here, has it.
fn metric(head: &Head, mean: &Tensor) -> Result<Tensor, TrainError> {
    let (vocab, hidden) = head.unembedding.size2()?;
    let zeros = |shape: &[i64]| Tensor::f_zeros(shape, (Kind::Double, head.unembedding.device()));
    let (mut second, mut first) = (zeros(&[hidden, hidden])?, zeros(&[1, hidden])?);
    let mut start = 0;
    while start < vocab {
        let rows = CHUNK.min(vocab - start);
        let gained = head.unembedding.f_narrow(0, start, rows)?.f_mul(head.norm.weight())?;
        let e = head.norm.centred(&gained.f_to_kind(Kind::Double)?)?; // (n, H)
        let weighted = e.f_mul(&mean.f_narrow(0, start, rows)?.f_unsqueeze(1)?)?;
        second = second.f_addmm(&weighted.f_transpose(0, 1)?, &e)?;
        first += weighted.f_sum_dim_intlist([0i64].as_slice(), true, Kind::Double)?;
        start += rows;
    }
    Ok(second.f_sub(&first.f_transpose(0, 1)?.f_mm(&first)?)?)
}

/// States (N, H) at length 1; a state of 0 stays 0.
fn unit(states: &Tensor) -> Result<Tensor, TrainError> {
    let squares = states.f_square()?.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
    let inverse = squares.f_clamp_min(f64::MIN_POSITIVE)?.f_rsqrt()?;
    single(&states.f_to_kind(Kind::Double)?.f_mul(&inverse)?)
}
