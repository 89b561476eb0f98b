//! A model's weights as a checkpoint stores them, for products with few rows.

use std::borrow::Cow;
use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use crate::few_rows::{FewRows, MOST_ROWS, interleaved};
use crate::format::{Bf16Chunk, Chunk, F16Chunk, F32Chunk, Format, Q4Chunk, Q8Chunk, Q8kChunk};

/// A matrix W (out, in), for x·Wᵀ with one row x or a few.
///
/// With one row a product takes as long as its weights take to come from memory, so what counts is their bytes. They
/// are stored in one of several [formats](Format) and widened to f32 in registers, which is exact: a product is the
/// same, bit for bit, in every format that holds the weights exactly.
///
/// A sum of products is computed in an order of its own, however many rows are multiplied at a time, and whichever
/// outputs beside it.
#[derive(PartialEq)]
pub struct Weights {
    inputs: usize,
    outputs: usize,
    values: Values,
}

/// Row by row, each in whole chunks. What the last one has too much is finite.
#[derive(PartialEq)]
enum Values {
    F32(Vec<F32Chunk>),
    Bf16(Vec<Bf16Chunk>),
    F16(Vec<F16Chunk>),
    Q8(Vec<Q8Chunk>),
    Q4(Vec<Q4Chunk>),
    Q8k(Vec<Q8kChunk>),
}

/// `$chunks` stands for the values' chunks, whatever their format.
macro_rules! each_format {
    ($values:expr, $chunks:ident => $body:expr) => {
        match $values {
            Values::F32($chunks) => $body,
            Values::Bf16($chunks) => $body,
            Values::F16($chunks) => $body,
            Values::Q8($chunks) => $body,
            Values::Q4($chunks) => $body,
            Values::Q8k($chunks) => $body,
        }
    };
}

impl Weights {
    /// All formats.
    const FORMATS: [Format; 6] =
        [Format::Q4, Format::Q8, Format::Q8k, Format::Bf16, Format::F16, Format::F32];

    /// Stores a matrix (out, in), given row by row, in the format of the fewest bytes that holds every value exactly.
    ///
    /// # Panics
    /// If `inputs` is 0, or the values are no whole rows.
    pub fn exactly(inputs: usize, matrix: &[f32]) -> Self {
        let mut formats = Self::FORMATS;
        formats.sort_by_key(|format| format.row_bytes(inputs));
        let exact = formats.into_iter().find_map(|format| Self::stored(format, inputs, matrix, true));
        exact.unwrap_or_else(|| unreachable!("f32 holds every f32"))
    }

    /// Stores it in this format, each value rounded to the nearest that the format has; none if a value is too large
    /// for it.
    ///
    /// # Panics
    /// As [`Weights::exactly`].
    pub fn rounded(format: Format, inputs: usize, matrix: &[f32]) -> Option<Self> {
        Self::stored(format, inputs, matrix, false)
    }

    /// Stores it in a format, rounded, or without one as [`Weights::exactly`].
    ///
    /// # Panics
    /// As [`Weights::exactly`].
    pub fn kept(format: Option<Format>, inputs: usize, matrix: &[f32]) -> Option<Self> {
        match format {
            Some(format) => Self::rounded(format, inputs, matrix),
            None => Some(Self::exactly(inputs, matrix)),
        }
    }

    fn stored(format: Format, inputs: usize, matrix: &[f32], exact: bool) -> Option<Self> {
        let values = match format {
            Format::F32 => Values::F32(chunks(inputs, matrix, false)?),
            Format::Bf16 => Values::Bf16(chunks(inputs, matrix, exact)?),
            Format::F16 => Values::F16(chunks(inputs, matrix, exact)?),
            Format::Q8 => Values::Q8(chunks(inputs, matrix, exact)?),
            Format::Q4 => Values::Q4(chunks(inputs, matrix, exact)?),
            Format::Q8k => Values::Q8k(chunks(inputs, matrix, exact)?),
        };
        Some(Self { inputs, outputs: matrix.len() / inputs, values })
    }

    /// How many values a row has.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many rows there are.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How the values are stored.
    pub fn format(&self) -> Format {
        match self.values {
            Values::F32(_) => Format::F32,
            Values::Bf16(_) => Format::Bf16,
            Values::F16(_) => Format::F16,
            Values::Q8(_) => Format::Q8,
            Values::Q4(_) => Format::Q4,
            Values::Q8k(_) => Format::Q8k,
        }
    }

    /// The bytes that a product reads.
    pub fn bytes(&self) -> usize {
        each_format!(&self.values, chunks => std::mem::size_of_val(chunks.as_slice()))
    }

    /// Copies the values of a row, widened.
    ///
    /// # Panics
    /// If there is no such row, or `row` has another length.
    pub fn copy_row(&self, output: usize, row: &mut [f32]) {
        assert_eq!(row.len(), self.inputs, "a row of {} values", self.inputs);
        each_format!(&self.values, chunks => {
            let own = &chunks[rows_of(chunks, self.inputs, output..output + 1)];
            copy(own, row);
        });
    }

    /// Whether a matrix (out, in), given row by row, has these very values.
    pub fn holds(&self, matrix: &[f32]) -> bool {
        let same = |output: usize, values: &[f32]| {
            let mut row = vec![0.0; self.inputs];
            self.copy_row(output, &mut row);
            row == values
        };
        let rows = matrix.par_chunks_exact(self.inputs).enumerate();
        matrix.len() == self.inputs * self.outputs && rows.all(|(output, values)| same(output, values))
    }

    /// Computes some outputs of x·Wᵀ for the rows of x (n, in): `products` is (outputs, n), for each output its
    /// products with the rows one after another.
    ///
    /// # Panics
    /// If x is no whole number of rows, or there are no such outputs, or `products` has another length.
    pub fn multiply(&self, x: &[f32], outputs: Range<usize>, products: &mut [f32]) {
        let rows = x.len() / self.inputs;
        assert_eq!(x.len(), rows * self.inputs, "{} values are no rows of {}", x.len(), self.inputs);
        assert_eq!(products.len(), rows * outputs.len(), "products of {rows} rows with outputs {outputs:?}");
        each_format!(&self.values, chunks => {
            multiply(x, self.inputs, &chunks[rows_of(chunks, self.inputs, outputs)], rows, products);
        });
    }
}

/// The chunks of some rows of a matrix.
fn rows_of<C: Chunk>(_: &[C], inputs: usize, rows: Range<usize>) -> Range<usize> {
    let chunks = inputs.div_ceil(C::VALUES);
    rows.start * chunks..rows.end * chunks
}

/// A matrix in a format; none if that cannot hold it, or not `exact`ly where this is wanted.
fn chunks<C: Chunk>(inputs: usize, matrix: &[f32], exact: bool) -> Option<Vec<C>> {
    assert_eq!(matrix.len() % inputs, 0, "{} values are no rows of {inputs}", matrix.len());
    let stored = if exact { C::exactly } else { C::nearest };
    matrix.par_chunks_exact(inputs).flat_map_iter(|row| row.chunks(C::VALUES)).map(stored).collect()
}

/// The values of a row, widened.
fn copy<C: Chunk>(chunks: &[C], row: &mut [f32]) {
    for (row, chunk) in row.chunks_mut(C::VALUES).zip(chunks) {
        row.iter_mut().enumerate().for_each(|(place, value)| *value = chunk.value(place));
    }
}

/// Rows of x in whole chunks of `size` values, filled up with zeros: what stands behind the end of a row of weights counts
/// for nothing.
fn in_chunks(x: &[f32], inputs: usize, size: usize) -> Cow<'_, [f32]> {
    if inputs.is_multiple_of(size) {
        return Cow::Borrowed(x);
    }
    let width = inputs.next_multiple_of(size);
    let mut filled = vec![0.0; x.len() / inputs * width];
    for (filled, row) in filled.chunks_exact_mut(width).zip(x.chunks_exact(inputs)) {
        filled[..inputs].copy_from_slice(row);
    }
    Cow::Owned(filled)
}

/// The products of any number of rows with some rows of weights, (outputs, n).
fn multiply<C: Chunk>(x: &[f32], inputs: usize, weights: &[C], rows: usize, products: &mut [f32]) {
    let (arch, chunks) = (Arch::new(), inputs.div_ceil(C::VALUES));
    let x = &in_chunks(x, inputs, C::VALUES)[..];
    if rows == 1 {
        return arch.dispatch(FewRows { x, weights, chunks, products });
    }
    let width = chunks * C::VALUES;
    let groups: Vec<_> = x.chunks(MOST_ROWS * width).map(|x| interleaved(x, width)).collect();
    if let [x] = &groups[..] {
        return arch.dispatch(FewRows { x, weights, chunks, products });
    }
    /// Weights that stay in the nearest cache while all rows are multiplied with them.
    const SPAN_VALUES: usize = 1 << 12;
    let span = (SPAN_VALUES / width).max(1);
    let mut part = vec![0.0; span * MOST_ROWS];
    for (weights, products) in weights.chunks(span * chunks).zip(products.chunks_mut(span * rows)) {
        let outputs = weights.len() / chunks;
        for (group, x) in groups.iter().enumerate() {
            let count = x.len() / width;
            let part = &mut part[..outputs * count];
            arch.dispatch(FewRows { x, weights, chunks, products: part });
            for (products, part) in products.chunks_exact_mut(rows).zip(part.chunks_exact(count)) {
                products[group * MOST_ROWS..][..count].copy_from_slice(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [Format; 6] = Weights::FORMATS;

    /// Values between −1 and 1 that look random.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
    }

    /// All values of a matrix, widened.
    fn widened(weights: &Weights) -> Vec<f32> {
        let mut all = vec![0.0; weights.inputs() * weights.outputs()];
        for (output, row) in all.chunks_exact_mut(weights.inputs()).enumerate() {
            weights.copy_row(output, row);
        }
        all
    }

    /// Products (outputs, n) whose outputs some threads share.
    fn shared(weights: &Weights, x: &[f32], threads: usize) -> Vec<f32> {
        let (rows, outputs) = (x.len() / weights.inputs(), weights.outputs());
        let mut products = vec![f32::NAN; outputs * rows];
        let count = outputs.div_ceil(threads);
        std::thread::scope(|scope| {
            for (index, products) in products.chunks_mut(count * rows).enumerate() {
                let start = index * count;
                scope.spawn(move || weights.multiply(x, start..start + products.len() / rows, products));
            }
        });
        products
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// However many rows are multiplied together and however many threads share the outputs, every product has the
        /// same bits; and it is that in f64 of the stored values. An f32 sum of 700 products of size 1 with mixed signs
        /// errs by far less than 1e-3.
        #[test]
        fn a_product_depends_on_its_own_row_alone(
            rows in 1..20usize,
            inputs in prop_oneof![1..9usize, 60..70usize, 500..700usize],
            outputs in prop_oneof![1..9usize, 60..70usize],
        ) {
            let (x, matrix) = (values(rows * inputs, 1), values(outputs * inputs, 2));
            for format in FORMATS {
                let weights = Weights::rounded(format, inputs, &matrix).unwrap();
                let stored = widened(&weights);
                let single: Vec<Vec<f32>> = x.chunks(inputs).map(|row| shared(&weights, row, 1)).collect();
                for (row, x) in x.chunks(inputs).enumerate() {
                    for (output, weights) in stored.chunks(inputs).enumerate() {
                        let exact: f64 = x.iter().zip(weights).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                        prop_assert!((f64::from(single[row][output]) - exact).abs() < 1e-3, "{format:?}");
                    }
                }
                for count in (1..=rows.min(MOST_ROWS)).chain([rows]) {
                    for threads in 1..=4 {
                        let products = shared(&weights, &x[..count * inputs], threads);
                        for (output, products) in products.chunks(count).enumerate() {
                            for (row, product) in products.iter().enumerate() {
                                prop_assert_eq!(product.to_bits(), single[row][output].to_bits());
                            }
                        }
                    }
                }
            }
        }

        /// What a format holds exactly comes back, whatever is asked of it, in no more bytes than need be; and the
        /// products are those of the f32 matrix, bit for bit.
        #[test]
        fn the_narrowest_exact_format_changes_no_product(inputs in 1..200usize, outputs in 1..20usize) {
            let matrix = values(outputs * inputs, 3);
            let x = values(inputs, 4);
            for format in FORMATS {
                let matrix = widened(&Weights::rounded(format, inputs, &matrix).unwrap());
                let exact = Weights::exactly(inputs, &matrix);
                prop_assert_eq!(&widened(&exact), &matrix);
                prop_assert!(exact.holds(&matrix));
                let (mut other, last) = (matrix.clone(), matrix.len() - 1);
                other[last] += 1.0;
                prop_assert!(!exact.holds(&other) && !exact.holds(&matrix[inputs..]));
                // In the finer blocks what llama.cpp stores is looked for, of 5 or 6 bits; our own rounding has 8.
                if format != Format::Q8k {
                    prop_assert!(exact.bytes() <= Weights::rounded(format, inputs, &matrix).unwrap().bytes());
                }
                let plain = Weights::rounded(Format::F32, inputs, &matrix).unwrap();
                prop_assert_eq!(shared(&exact, &x, 1), shared(&plain, &x, 1));
            }
        }
    }

    /// Every rounding is to the nearest: half a step of bf16 is 2⁻⁹ of a value, of f16 2⁻¹²; of 8 bits 1/254 of the
    /// largest in the block, and their scale is itself an f16; of 4 bits 1/30 of what lies between its ends, and of 8
    /// bits in the finer blocks 1/508.
    #[test]
    fn rounding_is_to_the_nearest() {
        let matrix = values(64, 5);
        for (format, step) in [
            (Format::Bf16, 1.0 / 512.0),
            (Format::F16, 1.0 / 4096.0),
            (Format::Q8, 1.0 / 254.0 + 1.0 / 4096.0),
            (Format::Q4, 2.0 / 30.0 + 3.0 / 4096.0),
            (Format::Q8k, 2.0 / 508.0 + 1.0 / 65536.0),
        ] {
            let stored = widened(&Weights::rounded(format, 64, &matrix).unwrap());
            assert!(
                stored.iter().zip(&matrix).all(|(ours, value)| (ours - value).abs() <= step),
                "{format:?}"
            );
        }
        assert!(Weights::rounded(Format::F16, 1, &[1e9]).is_none());
        assert_eq!(Weights::exactly(8, &values(16, 6)).format(), Format::F32);
    }

    /// A NaN or an infinity of the rows stays one.
    #[test]
    fn what_is_not_finite_stays() {
        let weights = Weights::exactly(3, &[1.0, 2.0, 3.0]);
        let product = |x: &[f32]| shared(&weights, x, 1)[0];
        assert!(product(&[f32::NAN, 0.0, 0.0]).is_nan() && product(&[f32::INFINITY, 0.0, 0.0]).is_infinite());
    }
}
