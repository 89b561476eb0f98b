//! Starting a program anew, with what has to be there when it starts: a shared library that it was not linked with, a
//! variable that a library reads only then.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

/// The variable that the system's loader reads: libraries with colons or spaces between them.
const PRELOAD: &str = "LD_PRELOAD";

/// A library that cannot be loaded first, or a program that cannot start anew.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// The loader was told of it and has left it out.
    #[error("{} cannot be loaded; the loader says above what it lacks", .0.display())]
    Refused(PathBuf),
    /// Its path cannot be told to the loader.
    #[error("{} cannot be loaded: its path has a space or a colon", .0.display())]
    Path(PathBuf),
    /// The program cannot be started once more.
    #[error("this program cannot start anew: {0}")]
    Start(#[source] io::Error),
}

/// Starts this program anew where it lacks something: in this process, with the same arguments, with a library loaded
/// before those that it was linked with, and with a variable. For the beginning of a program: what is in memory is
/// gone. The caller has seen that the library is not loaded, or that the variable has another value.
///
/// # Errors
/// [`RestartError`] if that cannot be. Where it returns without an error, nothing was lacking.
pub fn restart(library: Option<&Path>, variable: Option<(&str, &str)>) -> Result<(), RestartError> {
    if library.is_none() && variable.is_none() {
        return Ok(());
    }
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let mut command = Command::new(env::current_exe().map_err(RestartError::Start)?);
    command.arg0(name).args(arguments).envs(variable);
    if let Some(library) = library {
        command.env(PRELOAD, preloaded(library, env::var_os(PRELOAD).as_deref())?);
    }
    Err(RestartError::Start(command.exec()))
}

/// A library in front of those that are loaded first already.
fn preloaded(library: &Path, others: Option<&OsStr>) -> Result<OsString, RestartError> {
    let path = library.as_os_str().as_bytes();
    if path.iter().any(|&byte| separates(byte)) {
        return Err(RestartError::Path(library.to_owned()));
    }
    let mut libraries = library.as_os_str().to_owned();
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        // The loader was told already: once more would be no different.
        if others.as_bytes().split(|&byte| separates(byte)).any(|other| other == path) {
            return Err(RestartError::Refused(library.to_owned()));
        }
        libraries.push(OsStr::new(":"));
        libraries.push(others);
    }
    Ok(libraries)
}

/// What stands between two libraries.
fn separates(byte: u8) -> bool {
    byte == b':' || byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_loaded_before_others_and_told_once() {
        let library = Path::new("/torch/libtorch_cuda.so");
        let with = |others: &str| preloaded(library, Some(OsStr::new(others)));
        assert_eq!(preloaded(library, None).unwrap(), library.as_os_str());
        assert_eq!(with("").unwrap(), library.as_os_str());
        assert_eq!(with("/a.so /b.so").unwrap(), "/torch/libtorch_cuda.so:/a.so /b.so");
        for others in
            ["/torch/libtorch_cuda.so", "/a.so:/torch/libtorch_cuda.so", "/torch/libtorch_cuda.so /a.so"]
        {
            assert!(
                matches!(with(others), Err(RestartError::Refused(named)) if named == library),
                "{others}"
            );
        }
    }

    #[test]
    fn a_path_that_the_loader_would_take_for_two_is_refused() {
        for path in ["/my torch/libtorch_cuda.so", "/a:b/libtorch_cuda.so"] {
            let refused = preloaded(Path::new(path), None);
            assert!(matches!(refused, Err(RestartError::Path(named)) if named == Path::new(path)));
        }
    }

    #[test]
    fn a_program_that_lacks_nothing_goes_on() {
        assert!(restart(None, None).is_ok());
    }
}
