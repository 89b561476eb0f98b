//! What a shortcut is trained to approximate.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::words::{UnknownWord, Word};

/// What a shortcut was trained to approximate. The model's final norm comes after it in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Self>)]
pub enum Target {
    /// The final hidden state before the model's final norm: the default.
    #[default]
    PreNorm,
    /// The final hidden state scaled to a root mean square of 1, which is what an RMSNorm makes of it
    /// before its gain. All samples weigh the same, and the norm that follows does not change it.
    Normed,
}

impl Target {
    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Word for Target {
    const WHAT: &'static str = "target";
}
