//! The closed-form part: reduced-rank regression of directions on directions, in the metric of the head.
//!
//! With x = h/‖h‖ over all exit levels, y = the final state after the final norm without its gain, and a
//! metric M, the best product A·B in E[(x·A·B − y)·M·(x·A·B − y)ᵀ] is the ordinary one for targets y·M^½,
//! with M^−½ behind it: with G = Σ xᵀx and C = Σ xᵀy, V the leading eigenvectors of M^½·Cᵀ·G⁻¹·C·M^½,
//! A = G⁻¹·C·M^½·V and B = Vᵀ·M^−½.
//!
//! A residual α_k·x + x·A·B is such a product for targets y − α_k·x, and of α_k for a given A·B the squared error is a
//! parabola. The two are solved in turn, [`ROUNDS`] times, from α = 0: the error falls with each, to a minimum that need
//! not be the only one.

use onejump_models::head::Head;
use onejump_shortcuts::map::unit;
use onejump_tensor::rows::values;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::linear::{CUTOFF, eigen, leading, solve};
use crate::moments::{Moments, TargetRows};

/// Rows of the unembedding that are converted to f64 at a time.
const CHUNK: i64 = 4096;

/// What is added to the inputs' second moments before they are whitened, relative to their mean.
const INPUT_DAMPING: f64 = 1e-4;

/// What is added to the metric before its axes are whitened, relative to its mean.
const METRIC_DAMPING: f64 = 1e-3;

/// How often a residual's A·B and its α are solved for in turn; the descent goes on from there.
pub const ROUNDS: usize = 10;

/// Second moments of directions, and the metric.
#[derive(Debug)]
pub struct Quadratic {
    moments: Moments,
    /// M, (H, H) f64.
    metric: Tensor,
    /// Σ y·M·yᵀ.
    target_square: f64,
    /// What a residual needs of each level.
    levels: Vec<LevelMoments>,
}

/// Second moments of the directions of one level.
#[derive(Debug)]
struct LevelMoments {
    /// Σ xᵀx, (H, H) f64.
    xx: Tensor,
    /// Σ x·M·xᵀ.
    own: f64,
    /// Σ x·M·yᵀ.
    with_target: f64,
}

/// Where a descent begins: u = x·A, and ĥ = u·B or α·x + u·B.
#[derive(Debug)]
pub struct Start {
    /// (H, r) f64.
    pub a: Tensor,
    /// (r, H) f64.
    pub b: Tensor,
    /// α of each level, (L) f64, of a residual.
    pub alpha: Option<Tensor>,
}

impl Quadratic {
    /// The moments of the states (N, H) of every exit level and targets (N, H), and the metric for the mean
    /// distribution (V). With the final states x' of the tokens before, (N, H) at length 1, an input is (x, x'), (2·H).
    /// Targets and mean are where the head is; what comes of it is on the processor. With `each`, the
    /// moments of each level are kept besides, which [`Quadratic::fit_residual`] needs: levels · H² values.
    ///
    /// # Errors
    /// [`TrainError`] if the states of a level are an error, or the shapes do not fit together.
    pub fn of(
        levels: impl IntoIterator<Item = Result<Tensor, TrainError>>,
        previous: Option<&Tensor>,
        targets: &Tensor,
        head: &Head,
        mean: &Tensor,
        each: bool,
    ) -> Result<Self, TrainError> {
        let metric = metric(head, mean)?;
        let on_processor = metric.f_to_device(Device::Cpu)?;
        let centred = head.norm.centred(targets)?;
        let directions = centred.f_mul(&head.norm.inverse_scale(&centred)?)?;
        let targets = TargetRows::new(values(&directions)?, directions.size2()?.1 as usize);
        let previous = match previous {
            Some(previous) => {
                let rows = values(previous)?;
                let moments = Moments::of(&rows, &targets)?;
                Some((moments, TargetRows::new(rows, directions.size2()?.1 as usize)))
            }
            None => None,
        };
        let (mut moments, mut count): (Option<Moments>, _) = (None, 0.0);
        let mut by_level = Vec::new();
        for states in levels {
            let inputs = values(&unit(&states?)?)?;
            let level = Moments::of(&inputs, &targets)?;
            let level = match &previous {
                Some((previous, rows)) => level.beside(previous, &rows.cross(&inputs)?)?,
                None => level,
            };
            count += 1.0;
            if each {
                by_level.push(LevelMoments {
                    own: product(&level.xx, &on_processor)?,
                    with_target: product(&level.xy, &on_processor)?,
                    xx: level.xx.shallow_clone(),
                });
            }
            match &mut moments {
                Some(moments) => moments.add(&level)?,
                None => moments = Some(level),
            }
        }
        let moments = moments.ok_or_else(|| TrainError::Usage("the model has no blocks".into()))?;
        let y = directions.f_to_kind(Kind::Double)?;
        let squares = y.f_mm(&metric)?.f_mul(&y)?.f_sum(Kind::Double)?.double_value(&[]);
        Ok(Self { target_square: squares * count, moments, metric: on_processor, levels: by_level })
    }

    /// The best A and B. `ridge` adds ridge·mean(diag G) to the diagonal of G.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] if the moments are not finite.
    pub fn fit(&self, rank: usize, ridge: f64) -> Result<Start, TrainError> {
        let (a, b) = self.product_for(&self.moments.xy, &self.roots()?, rank, ridge)?;
        Ok(Start { a, b, alpha: None })
    }

    /// A, B and α of a residual.
    ///
    /// # Errors
    /// As [`Quadratic::fit`], and [`TrainError::Usage`] if the moments of each level were not kept.
    pub fn fit_residual(&self, rank: usize, ridge: f64) -> Result<Start, TrainError> {
        if self.levels.is_empty() {
            return Err(TrainError::Usage("a residual needs the moments of each level".into()));
        }
        let roots = self.roots()?;
        let (mut cross, mut start) = (self.moments.xy.shallow_clone(), None);
        for _ in 0..ROUNDS {
            let (a, b) = self.product_for(&cross, &roots, rank, ridge)?;
            let through = a.f_mm(&b)?.f_mm(&self.metric)?; // A·B·M, (H, H)
            let mut alphas = Vec::with_capacity(self.levels.len());
            cross = self.moments.xy.shallow_clone();
            for level in &self.levels {
                let alpha =
                    (level.with_target - product(&level.xx, &through)?) / level.own.max(f64::MIN_POSITIVE);
                cross = cross.f_sub(&level.xx.f_mul_scalar(alpha)?)?;
                alphas.push(alpha);
            }
            start = Some(Start { a, b, alpha: Some(Tensor::f_from_slice(&alphas)?) });
        }
        start.ok_or_else(|| TrainError::Usage("a residual needs a round".into()))
    }

    /// The best A and B for a cross moment C.
    fn product_for(
        &self,
        cross: &Tensor,
        (root, inverse_root): &(Tensor, Tensor),
        rank: usize,
        ridge: f64,
    ) -> Result<(Tensor, Tensor), TrainError> {
        let solved = solve(&self.moments.xx, cross, ridge)?; // G⁻¹·C
        let explained = root.f_mm(&cross.f_transpose(0, 1)?.f_mm(&solved)?)?.f_mm(root)?;
        let v = leading(&explained, rank)?; // (H, r)
        Ok((solved.f_mm(root)?.f_mm(&v)?, v.f_transpose(0, 1)?.f_mm(inverse_root)?))
    }

    /// M^½ and M^−½.
    fn roots(&self) -> Result<(Tensor, Tensor), TrainError> {
        let (values, vectors) = eigen(&self.metric)?;
        // Directions that no logit depends on have no root to invert.
        let floor = values.f_max()?.double_value(&[]) * CUTOFF;
        let kept = values.f_clamp_min(floor)?;
        let gone = values.f_le(floor)?;
        let power = |roots: Tensor| turned(&vectors, &roots.f_masked_fill(&gone, 0.0)?);
        Ok((power(kept.f_sqrt()?)?, power(kept.f_rsqrt()?)?))
    }

    /// The squared error in the metric, relative to the targets' mean square in it.
    ///
    /// # Errors
    /// [`TrainError::Torch`] if the shapes do not fit.
    pub fn relative_loss(&self, start: &Start) -> Result<f64, TrainError> {
        let (through, transposed) = (start.a.f_mm(&start.b)?, start.a.f_transpose(0, 1)?);
        let trace = |x: Tensor| Ok::<f64, TrainError>(x.f_trace()?.double_value(&[]));
        let inner = start.b.f_mm(&self.metric)?.f_mm(&start.b.f_transpose(0, 1)?)?; // B·M·Bᵀ, (r, r)
        let square = trace(transposed.f_mm(&self.moments.xx)?.f_mm(&start.a)?.f_mm(&inner)?)?;
        let mut error = square - 2.0 * product(&self.moments.xy, &through.f_mm(&self.metric)?)?;
        if let Some(alpha) = &start.alpha {
            let through = through.f_mm(&self.metric)?;
            for (level, alpha) in self.levels.iter().zip(Vec::<f64>::try_from(alpha)?) {
                let beside = product(&level.xx, &through)? - level.with_target;
                error += alpha * (alpha * level.own + 2.0 * beside);
            }
        }
        Ok(1.0 + error / self.target_square)
    }
}

/// Σ X ⊙ Y: tr(X·Yᵀ).
fn product(x: &Tensor, y: &Tensor) -> Result<f64, TrainError> {
    Ok(x.f_mul(y)?.f_sum(Kind::Double)?.double_value(&[]))
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
