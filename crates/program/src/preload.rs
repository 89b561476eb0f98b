//! Starting a program anew with a shared library that it was not linked with.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

/// The variable that the system's loader reads: libraries with colons or spaces between them.
const VARIABLE: &str = "LD_PRELOAD";

/// A library that cannot be loaded first.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// The loader was told of it and has left it out.
    #[error("{} cannot be loaded; the loader says above what it lacks", .0.display())]
    Refused(PathBuf),
    /// Its path cannot be told to the loader.
    #[error("{} cannot be loaded: its path has a space or a colon", .0.display())]
    Path(PathBuf),
    /// The program cannot be started once more.
    #[error("this program cannot start anew, to load {}: {source}", library.display())]
    Start {
        /// The library.
        library: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Starts this program anew, in this process, with the same arguments, and with a library loaded before those that it
/// was linked with. For the beginning of a program: what is in memory is gone. The caller has seen that the
/// library is not loaded.
///
/// # Errors
/// [`PreloadError`], where it returns at all.
pub fn preload(library: &Path) -> Result<(), PreloadError> {
    let path = library.as_os_str().as_bytes();
    if path.iter().any(|&byte| separates(byte)) {
        return Err(PreloadError::Path(library.to_owned()));
    }
    let mut libraries = library.as_os_str().to_owned();
    if let Some(others) = env::var_os(VARIABLE).filter(|others| !others.is_empty()) {
        // It was told already: once more would be no different.
        if others.as_bytes().split(|&byte| separates(byte)).any(|other| other == path) {
            return Err(PreloadError::Refused(library.to_owned()));
        }
        libraries.push(OsString::from(":"));
        libraries.push(others);
    }
    let start = |source| PreloadError::Start { library: library.to_owned(), source };
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let mut command = Command::new(env::current_exe().map_err(start)?);
    Err(start(command.arg0(name).args(arguments).env(VARIABLE, libraries).exec()))
}

/// What stands between two libraries.
fn separates(byte: u8) -> bool {
    byte == b':' || byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_the_loader_would_take_for_two_is_refused() {
        for path in ["/my torch/libtorch_cuda.so", "/a:b/libtorch_cuda.so"] {
            assert!(
                matches!(preload(Path::new(path)), Err(PreloadError::Path(named)) if named == Path::new(path))
            );
        }
    }
}
