//! One writer for each output. The system keeps the lock and drops it with the process, however that
//! ends: what a crash leaves behind is no obstacle.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

/// Name of the lock of a folder that one process writes.
const FOLDER_LOCK: &str = ".onejump.lock";

/// Held while an output is written; dropping it lets the next writer in.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    // Closing the file drops the lock.
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked: nobody else can be between taking this very file and finding that it is gone.
        let _ = fs::remove_file(&self.path);
    }
}

/// Locks a file that is about to be written, and removes what a crash left of an earlier attempt.
///
/// # Errors
/// [`FileError::Busy`] if another process writes it, [`FileError::Write`] if its folder cannot be written.
pub fn file(path: &Path) -> Result<Lock, FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lock = take(&path.with_file_name(format!(".{name}.onejump.lock")), path)?;
    files::remove_leftovers(files::folder_of(path), &name)?;
    Ok(lock)
}

/// Locks a folder that one process alone writes, and removes what a crash left of an earlier attempt.
///
/// # Errors
/// As [`file()`].
pub fn folder(dir: &Path) -> Result<Lock, FileError> {
    let lock = take(&dir.join(FOLDER_LOCK), dir)?;
    files::remove_leftovers(dir, "")?;
    Ok(lock)
}

/// Takes the lock at `path` for writing `output`.
///
/// # Errors
/// As [`file()`].
pub fn take(path: &Path, output: &Path) -> Result<Lock, FileError> {
    acquire(path, |file| match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(busy(file, output)),
        Err(TryLockError::Error(error)) => Err(FileError::writing(path)(error)),
    })
}

/// Waits for the lock at `path`, for a change that takes a moment.
///
/// # Errors
/// [`FileError::Write`] if its folder cannot be written.
pub fn wait(path: &Path) -> Result<Lock, FileError> {
    acquire(path, |file| file.lock().map_err(FileError::writing(path)))
}

fn acquire(path: &Path, lock: impl Fn(&mut File) -> Result<(), FileError>) -> Result<Lock, FileError> {
    let folder = files::folder_of(path);
    fs::create_dir_all(folder).map_err(FileError::writing(folder))?;
    loop {
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(FileError::writing(path))?;
        lock(&mut file)?;
        // The writer before us may have removed the file between our opening and locking it.
        let locked = file.metadata().map_err(FileError::writing(path))?;
        if fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino())) {
            // For people alone, so a full disk is no obstacle.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            return Ok(Lock { path: path.to_owned(), _file: file });
        }
    }
}

/// Whether another process holds the lock at `path`; it is not taken.
///
/// # Errors
/// [`FileError::Busy`] if so.
pub fn check(path: &Path, output: &Path) -> Result<(), FileError> {
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(busy(&mut file, output)),
        _ => Ok(()),
    }
}

fn busy(file: &mut File, output: &Path) -> FileError {
    let mut id = String::new();
    let _ = file.read_to_string(&mut id);
    let process = if id.is_empty() { "another process".to_owned() } else { format!("process {id}") };
    FileError::Busy { path: output.to_owned(), process }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_at_a_time_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/x.safetensors");
        let lock = file(&path).unwrap();
        let error = file(&path).unwrap_err().to_string();
        assert!(
            error.contains("x.safetensors") && error.contains(&std::process::id().to_string()),
            "{error}"
        );
        file(&path.with_file_name("y.safetensors")).unwrap();
        drop(lock);
        file(&path).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_crash_leaves_is_no_obstacle_and_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for stale in
            [".x.onejump.lock", ".x.abc.onejump.tmp", ".onejump.lock", ".y.abc.onejump.tmp", ".z.tmp"]
        {
            fs::write(dir.path().join(stale), "1").unwrap();
        }
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        drop(file(&path).unwrap());
        assert_eq!(names(), [".onejump.lock", ".y.abc.onejump.tmp", ".z.tmp"]);
        drop(super::folder(dir.path()).unwrap());
        assert_eq!(names(), [".z.tmp"]);
    }

    /// Writers that come and go: each has the output alone.
    #[test]
    fn a_lock_is_never_held_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let Ok(_lock) = file(&path) else { continue };
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
