//! The model that a run's shortcuts are of, as the hub knows it, and the licence that follows from it.

use std::fmt;
use std::path::Path;

use onejump_fetch::builtin::BuiltinModel;
use onejump_fetch::hub::Id;

use crate::error::ReproduceError;

/// What the hub calls a licence that is not in its list; its name says whose it is.
const OTHER: &str = "other";

/// What whoever publishes should know, and can mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// The run's model is not one of the hub's.
    NoBaseModel {
        /// What it is called in the run.
        model: String,
    },
    /// The model's licence is not known here.
    NoLicense,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBaseModel { model } => write!(
                f,
                "the model was named {model}, which is no id on the hub: README.md has no base_model, and the files of \
                 shortcuts keep that name"
            ),
            Self::NoLicense => f.write_str(
                "the model's licence is not known here, and shortcuts are derived from the model: README.md refers to \
                 it; --license names one",
            ),
        }
    }
}

/// The model, and the licence.
pub(super) struct Origin {
    /// What commands call the model: a built-in name or a hub id, else the last part of its path.
    pub name: String,
    /// Its id on the hub.
    pub base_model: Option<String>,
    /// A built-in model's file, which may round what the hub has.
    pub converted: Option<&'static str>,
    /// As the hub abbreviates it.
    pub license: String,
    /// Whose licence it is, where it was not given.
    pub license_of_model: bool,
    pub remarks: Vec<Remark>,
}

impl Origin {
    pub fn of(model: &str, license: Option<&str>) -> Result<Self, ReproduceError> {
        if let Some(license) = license
            && !license.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
        {
            return Err(ReproduceError::License(license.to_owned()));
        }
        let builtin = BuiltinModel::by_name(model);
        // A directory of this name was the model, as the stages have it.
        let on_hub = Id::parse(model).filter(|_| !Path::new(model).exists()).map(|id| id.repository);
        let base_model = builtin.map(|model| model.hub.to_owned()).or(on_hub);
        let mut remarks = Vec::new();
        if base_model.is_none() {
            remarks.push(Remark::NoBaseModel { model: model.to_owned() });
        }
        let known = license.or(builtin.map(|model| model.license));
        if known.is_none() {
            remarks.push(Remark::NoLicense);
        }
        // A path of this machine is nobody's business.
        let last = Path::new(model).file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            name: if base_model.is_some() { model.to_owned() } else { last.into_owned() },
            base_model,
            converted: builtin.map(|model| model.file),
            license: known.unwrap_or(OTHER).to_owned(),
            license_of_model: license.is_none(),
            remarks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_follows_from_the_model_unless_it_is_given() {
        let of = |model: &str, license| Origin::of(model, license).unwrap();
        let smol = of("smollm2-135m", None);
        assert_eq!(smol.base_model.as_deref(), Some("HuggingFaceTB/SmolLM2-135M-Instruct"));
        assert_eq!((&*smol.license, smol.remarks.len()), ("apache-2.0", 0));
        assert_eq!(of("gemma3-270m", None).license, "gemma");
        let gpt2 = of("openai-community/gpt2@main", None);
        assert_eq!(gpt2.base_model.as_deref(), Some("openai-community/gpt2"));
        assert_eq!((&*gpt2.license, gpt2.remarks), ("other", vec![Remark::NoLicense]));
        let local = of("/home/me/models/tiny.gguf", Some("mit"));
        assert_eq!((&*local.name, &*local.license), ("tiny.gguf", "mit"));
        assert!(matches!(local.remarks[..], [Remark::NoBaseModel { .. }]));
        let error = Origin::of("smollm2-135m", Some("MIT: yes")).err().unwrap();
        assert!(error.to_string().contains("'MIT: yes'"), "{error}");
    }
}
