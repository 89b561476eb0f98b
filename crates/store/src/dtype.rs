//! The types that states are stored in.

use arrow::datatypes::DataType;
use onejump_core::words::{UnknownWord, Word};
use parquet::basic::Encoding;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// The type that states are stored in, whatever type they were computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum StoreDtype {
    /// Every state as it was computed, without loss.
    F32,
    /// Half the bytes, with 11 bits of mantissa; values above 65,504 do not fit and are refused.
    F16,
    /// bfloat16: half the bytes, with 8 bits of mantissa and the range of f32. Parquet has no such type: the columns are of
    /// uint16, the upper half of the f32 of the same value.
    Bf16,
}

impl StoreDtype {
    /// The name on the command line and in the manifest.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The type of a state's values in a part.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::F32 => DataType::Float32,
            Self::F16 => DataType::Float16,
            Self::Bf16 => DataType::UInt16,
        }
    }

    /// Bytes of a value, before compression.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 | Self::Bf16 => size_of::<u16>(),
        }
    }

    /// How the values of a level are encoded. Bytes that are stored apart by their place compress better, since exponents
    /// are alike and mantissas are not. DuckDB does not read float16 so; by the value it takes 7 % more.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            Self::F32 | Self::Bf16 => Encoding::BYTE_STREAM_SPLIT,
            Self::F16 => Encoding::PLAIN,
        }
    }
}

impl Word for StoreDtype {
    const WHAT: &'static str = "type to store states in";
}
