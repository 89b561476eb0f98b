//! What the libtorch at hand can do with GPUs.
//!
//! A binary is linked with `libtorch_cpu.so` alone, so that it starts with every libtorch. Where `libtorch_cuda.so`
//! lies beside it, that one has only to be in the process as well: libtorch then finds its CUDA functions by
//! itself. Loading it at run time would take `unsafe`; a program that starts itself anew with the library
//! preloaded does not ([`library`] says which).

use std::fs;
use std::path::{Path, PathBuf};

/// What every program of ours is linked with.
const CPU: &str = "libtorch_cpu.so";

/// What has libtorch's functions for GPUs.
const CUDA: &str = "libtorch_cuda.so";

/// What stands between this process and a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gpus {
    /// libtorch has no functions for GPUs.
    NoCuda {
        /// The folder of the libtorch that is loaded, where the system says it.
        libtorch: Option<PathBuf>,
    },
    /// libtorch has them, but there is no GPU, or no driver for it.
    NoneFound,
    /// So many GPUs can be used.
    Found(usize),
}

/// Asks libtorch for its GPUs.
pub fn gpus() -> Gpus {
    if !tch::utils::has_cudart() {
        return Gpus::NoCuda {
            libtorch: loaded(&maps(), CPU).and_then(|path| Some(path.parent()?.to_owned())),
        };
    }
    match usize::try_from(tch::Cuda::device_count()) {
        Ok(count) if count > 0 && tch::Cuda::is_available() => Gpus::Found(count),
        _ => Gpus::NoneFound,
    }
}

/// The library that this process lacks to use GPUs, and could have: it lies beside the loaded libtorch.
pub fn library() -> Option<PathBuf> {
    let maps = maps();
    if loaded(&maps, CUDA).is_some() {
        return None;
    }
    let library = loaded(&maps, CPU)?.with_file_name(CUDA);
    library.is_file().then_some(library)
}

/// What is mapped into this process, as Linux lists it; nothing on other systems.
fn maps() -> String {
    fs::read_to_string("/proc/self/maps").unwrap_or_default()
}

/// The path of a library among what is mapped. A path stands behind five columns, and may have spaces itself.
fn loaded<'a>(maps: &'a str, name: &str) -> Option<&'a Path> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    paths.into_iter().find(|path| path.file_name().is_some_and(|file| file == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_by_name_among_what_is_mapped() {
        let maps = "7f00-7f01 r--p 00000000 fe:00 12    /opt/my torch/lib/libtorch_cpu.so\n\
                    7f01-7f02 rw-p 00000000 00:00 0 \n\
                    7f02-7f03 r--p 00000000 fe:00 13    /usr/lib/libc.so.6\n";
        assert_eq!(loaded(maps, CPU), Some(Path::new("/opt/my torch/lib/libtorch_cpu.so")));
        assert_eq!(loaded(maps, CUDA), None);
    }

    #[test]
    fn this_process_has_the_libtorch_that_it_was_linked_with() {
        // Something of libtorch has to be called, or the linker leaves it out.
        let gpus = gpus();
        let libtorch = loaded(&maps(), CPU).map(Path::to_owned).unwrap();
        match gpus {
            Gpus::NoCuda { libtorch: Some(folder) } => assert_eq!(libtorch.parent(), Some(folder.as_path())),
            other => assert!(loaded(&maps(), CUDA).is_some(), "{other:?}"),
        }
        assert_eq!(
            library().is_some(),
            libtorch.with_file_name(CUDA).is_file() && loaded(&maps(), CUDA).is_none()
        );
    }
}
