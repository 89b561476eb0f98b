//! One writer for each output. The operating system holds the lock and drops it when the process ends, in whatever
//! way: a lock's file that a crash leaves behind is no obstacle.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

/// The name of the lock of a whole folder.
const FOLDER_LOCK: &str = ".onejump.lock";

/// The right to write an output. Dropping it lets the next writer in.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    // Closing the file drops the lock.
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file is removed while it is still locked, so nobody else can hold it. Whoever waits for it finds, once it
        // is locked, that it is gone, and makes a new one.
        let _ = fs::remove_file(&self.path);
    }
}

/// Locks a file that is about to be written, and removes the unfinished files that a crash left.
///
/// # Errors
/// [`FileError::Busy`] if another process writes it, [`FileError::Write`] if its folder cannot be written.
pub fn file(path: &Path) -> Result<Lock, FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lock = take(&path.with_file_name(format!(".{name}.onejump.lock")), path)?;
    files::remove_leftovers(files::folder_of(path), &name)?;
    Ok(lock)
}

/// Locks a folder that only one process may write, and removes the unfinished files that a crash left.
///
/// # Errors
/// As [`file()`].
pub fn folder(dir: &Path) -> Result<Lock, FileError> {
    let lock = take(&dir.join(FOLDER_LOCK), dir)?;
    files::remove_leftovers(dir, "")?;
    Ok(lock)
}

/// Takes the lock at `path`, for writing `output`.
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

/// Takes the lock at `path`, waiting until it is free: for changes that take only a moment.
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
        // The writer before us may have removed the file after we opened it; then the lock is worth nothing.
        let locked = file.metadata().map_err(FileError::writing(path))?;
        if fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino())) {
            // The number is only for messages: a full disk, where it cannot be written, does no harm.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            return Ok(Lock { path: path.to_owned(), _file: file });
        }
    }
}

/// Checks that no process holds the lock at `path`, without taking it.
///
/// # Errors
/// [`FileError::Busy`] if one does.
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
    fn there_is_one_writer_at_a_time_and_no_lock_stays_behind() {
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

    /// Four writers come and go; each has the output to itself.
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
