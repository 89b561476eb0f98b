//! libtorch out of Python packages, in the user's cache: its shared libraries are those of the `torch` package.
//!
//! On a processor it needs two of NVIDIA's small run-time libraries even so. With CUDA it needs all that `torch` names,
//! in the folders in which `pip` puts them: the libraries find each other by their relative places.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use onejump_core::cache;
use onejump_core::observe::Observer;
use onejump_fetch::packages::{self, Packages};
use onejump_program::remark;

/// The version that tch 0.24 is written for.
pub const VERSION: &str = "2.11.0";

/// A libtorch that can be brought.
pub struct Libtorch {
    /// The name of its folder in the cache.
    name: &'static str,
    /// Where in that folder `lib` and `include` are.
    root: &'static str,
    packages: Packages<'static>,
    /// What it takes, in words.
    size: &'static str,
    /// Libraries without which it is of no use, by their paths in its folder.
    needs: &'static [&'static str],
    /// Where a member of a package belongs in the folder.
    target: fn(&str) -> Option<PathBuf>,
}

/// For processors alone.
pub const CPU: Libtorch = Libtorch {
    name: "libtorch-2.11.0",
    root: "",
    packages: Packages {
        names: &["torch==2.11.0", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"],
        bytes: 540_000_000,
    },
    size: "540 MB to download",
    needs: &CPU_LIBRARIES,
    target: cpu_target,
};

/// For processors and GPUs: `torch` and what it asks for, less what its compilers of kernels would need.
pub const CUDA: Libtorch = Libtorch {
    name: "libtorch-2.11.0-cuda",
    root: "torch",
    packages: Packages {
        names: &[
            "torch==2.11.0",
            "nvidia-cublas==13.1.0.3",
            "nvidia-cuda-cupti==13.0.85",
            "nvidia-cuda-nvrtc==13.0.88",
            "nvidia-cuda-runtime==13.0.96",
            "nvidia-cudnn-cu13==9.19.0.56",
            "nvidia-cufft==12.0.0.61",
            "nvidia-cufile==1.15.1.6",
            "nvidia-curand==10.4.0.35",
            "nvidia-cusolver==12.0.4.66",
            "nvidia-cusparse==12.6.3.3",
            "nvidia-cusparselt-cu13==0.8.0",
            "nvidia-nccl-cu13==2.28.9",
            "nvidia-nvjitlink==13.0.88",
            "nvidia-nvshmem-cu13==3.4.5",
            "nvidia-nvtx==13.0.85",
        ],
        bytes: 2_510_000_000,
    },
    size: "2.5 GB to download, 4 GB on disk and 7 GB meanwhile",
    needs: &[
        "torch/lib/libtorch_cpu.so",
        "torch/lib/libtorch_cuda.so",
        "torch/lib/libtorch_cuda_linalg.so",
        "torch/lib/libc10_cuda.so",
        "nvidia/cu13/lib/libcudart.so.13",
        "nvidia/cu13/lib/libcublas.so.13",
        "nvidia/cudnn/lib/libcudnn.so.9",
    ],
    target: cuda_target,
};

const CPU_LIBRARIES: [&str; 7] = [
    "lib/libtorch_cpu.so",
    "lib/libc10.so",
    "lib/libgomp.so.1",
    "lib/libtorch.so",
    "lib/libtorch_global_deps.so",
    "lib/libcudart.so.13",
    "lib/libcupti.so.13",
];

/// Headers, and all libraries that are needed in one folder.
fn cpu_target(member: &str) -> Option<PathBuf> {
    if let Some(header) = member.strip_prefix("torch/include/") {
        return Some(Path::new("include").join(header));
    }
    let library = format!("lib/{}", member.rsplit('/').next()?);
    (member.contains("/lib/") && CPU_LIBRARIES.contains(&library.as_str())).then(|| library.into())
}

/// Headers and shared libraries, in the places that pip gives them; Python's own is left out.
fn cuda_target(member: &str) -> Option<PathBuf> {
    let header = member.starts_with("torch/include/");
    let (folder, file) = member.rsplit_once('/')?;
    let library = (folder == "torch/lib" || folder.starts_with("nvidia/") && folder.ends_with("/lib"))
        && (file.ends_with(".so") || file.contains(".so."))
        && file != "libtorch_python.so";
    (header || library).then(|| member.into())
}

impl Libtorch {
    /// The folder with `lib` and `include`, whether it is there or not: what `LIBTORCH` names.
    pub fn path(&self) -> PathBuf {
        let folder = self.folder();
        if self.root.is_empty() { folder } else { folder.join(self.root) }
    }

    fn folder(&self) -> PathBuf {
        cache::directory().join(self.name)
    }

    /// Whether it is there.
    pub fn is_there(&self) -> bool {
        packages::is_whole(&self.folder())
    }

    /// Brings it, unless it is there.
    pub fn bring(&self, observer: &dyn Observer) -> Result<PathBuf> {
        ensure!(
            cfg!(all(target_os = "linux", target_arch = "x86_64")),
            "libtorch can be brought for Linux on x86-64 alone; set LIBTORCH to a libtorch {VERSION}"
        );
        if !self.is_there() {
            let (folder, started) = (self.folder(), Instant::now());
            remark!("setup: libtorch {VERSION} ({}) to {}", self.size, folder.display());
            packages::make_whole(&folder, |folder| self.unpack(folder, observer))?;
            remark!("setup: libtorch is there, after {:.0} s", started.elapsed().as_secs_f64());
        }
        Ok(self.path())
    }

    fn unpack(&self, folder: &Path, observer: &dyn Observer) -> Result<()> {
        self.packages.unpack(folder, self.target, observer)?;
        if let Some(missing) = self.needs.iter().find(|file| !folder.join(file).is_file()) {
            bail!("the downloaded packages have no {missing}; the versions do not fit together");
        }
        Ok(fs::write(folder.join(self.root).join("build-version"), VERSION)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_packages_go_where_libraries_look_for_each_other() {
        let cpu = |member: &str| cpu_target(member).map(|path| path.display().to_string());
        let cuda = |member: &str| cuda_target(member).map(|path| path.display().to_string());
        let same = |member: &str| assert_eq!(cuda(member).as_deref(), Some(member));
        for member in [
            "torch/include/ATen/ATen.h",
            "torch/lib/libtorch_cuda.so",
            "nvidia/cu13/lib/libcudart.so.13",
            "nvidia/cusparselt/lib/libcusparseLt.so.0",
        ] {
            same(member);
        }
        for member in [
            "torch/lib/libtorch_python.so",
            "torch/lib/libshm_windows/x.dll",
            "torch/bin/protoc",
            "torch/_C.cpython-311-x86_64-linux-gnu.so",
            "nvidia/cu13/lib/libcudart_static.a",
            "nvidia/cu13/include/cuda.h",
        ] {
            assert_eq!(cuda(member), None, "{member}");
        }
        assert_eq!(cpu("torch/include/ATen/ATen.h").as_deref(), Some("include/ATen/ATen.h"));
        assert_eq!(cpu("nvidia/cu13/lib/libcupti.so.13").as_deref(), Some("lib/libcupti.so.13"));
        assert_eq!(cpu("torch/lib/libtorch_cpu.so").as_deref(), Some("lib/libtorch_cpu.so"));
        for member in ["torch/lib/libtorch_cuda.so", "nvidia/cu13/lib/libcublas.so.13", "torch/libc10.so"] {
            assert_eq!(cpu(member), None, "{member}");
        }
    }
}
