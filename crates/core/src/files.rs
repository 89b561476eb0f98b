//! Files that are whole or absent: each is written to a temporary file beside its place, synced, and renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

pub use crate::file_error::FileError;
use crate::sniff;

/// The ending of files that are not whole yet.
pub const TEMPORARY: &str = ".onejump.tmp";

/// Writes a file through `fill`: the file appears under its name once it is whole and on disk.
///
/// Makes the folders that are missing. `E` is the error type of `fill`.
///
/// # Errors
/// What `fill` returns, or a [`FileError`] from the file system.
pub fn write_with<E: From<FileError>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(FileError::writing(folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(TEMPORARY)
        .permissions(permissions())
        .tempfile_in(folder)
        .map_err(FileError::writing(path))?;
    let mut writer = BufWriter::new(temporary.as_file());
    fill(&mut writer)?;
    writer.flush().map_err(FileError::writing(path))?;
    drop(writer);
    temporary.as_file().sync_all().map_err(FileError::writing(path))?;
    temporary.persist(path).map_err(|error| FileError::writing(path)(error.error))?;
    Ok(())
}

/// The folder that a file lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes the unfinished files that a killed process has left in a folder: those of the file `name`, or all of them
/// where `name` is empty. The caller makes sure that no process is still writing them, with a [`lock`](crate::lock).
///
/// # Errors
/// [`FileError`] if the folder cannot be read or written.
pub fn remove_leftovers(folder: &Path, name: &str) -> Result<(), FileError> {
    let prefix = if name.is_empty() { ".".to_owned() } else { format!(".{name}.") };
    for entry in fs::read_dir(folder).map_err(FileError::reading(folder))? {
        let entry = entry.map_err(FileError::reading(folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(TEMPORARY) {
            fs::remove_file(entry.path()).map_err(FileError::writing(&entry.path()))?;
        }
    }
    Ok(())
}

/// The mode of an ordinary new file, from which the system takes the user's umask. Without it, temporary files are
/// for their owner alone.
fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o666)
}

/// Writes bytes as a whole file.
///
/// # Errors
/// [`FileError::Write`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, |writer| writer.write_all(bytes).map_err(FileError::writing(path)))
}

/// Writes a value as indented JSON with a newline at the end.
///
/// # Errors
/// [`FileError::Write`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    write_with(path, |writer| {
        serde_json::to_writer_pretty(&mut *writer, value)
            .map_err(io::Error::from)
            .and_then(|()| writer.write_all(b"\n"))
            .map_err(FileError::writing(path))
    })
}

/// Reads a value from JSON.
///
/// # Errors
/// [`FileError::Read`] if the file cannot be read, [`FileError::Content`] if it is not such a value.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let bytes = fs::read(path).map_err(FileError::reading(path))?;
    serde_json::from_slice(sniff::unmarked(&bytes)).map_err(|error| FileError::Content {
        path: path.to_owned(),
        reason: match sniff::kind(&bytes) {
            Some(odd) => odd.to_string(),
            None => format!("is not the JSON expected here: {error}"),
        },
    })
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of bytes that come one after another.
#[derive(Debug, Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    /// In hexadecimal.
    pub fn finish(self) -> String {
        hex(&sha2::Digest::finalize(self.0))
    }
}

/// SHA-256 of a file's content, in hexadecimal.
///
/// # Errors
/// [`FileError::Read`].
pub fn sha256_file(path: &Path) -> Result<String, FileError> {
    let mut file = File::open(path).map_err(FileError::reading(path))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(FileError::reading(path))? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file.txt");
        write_bytes(&path, b"old").unwrap();
        let failed = write_with(&path, |writer| {
            writer.write_all(b"half").unwrap();
            Err(FileError::Content { path: path.clone(), reason: "stopped".into() })
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    /// The system removes the umask's bits from the mode, as for any new file.
    #[test]
    fn the_mode_is_left_to_the_umask() {
        use std::os::unix::fs::MetadataExt;
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
        let umask = u32::from_str_radix(umask.trim(), 8).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        write_bytes(&path, b"text").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o666 & !umask);
    }

    #[test]
    fn json_may_begin_with_a_byte_order_mark() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"\xef\xbb\xbf[1]").unwrap();
        assert_eq!(read_json::<Vec<u32>>(file.path()).unwrap(), [1]);
    }

    /// FIPS 180-4's example for "abc".
    #[test]
    fn sha256_is_the_standards() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_bytes(b"abc"), expected);
        let mut digest = Digest::new();
        ["a", "", "bc"].iter().for_each(|bytes| digest.update(bytes.as_bytes()));
        assert_eq!(digest.finish(), expected);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"abc").unwrap();
        assert_eq!(sha256_file(file.path()).unwrap(), expected);
    }

    #[test]
    fn wrong_json_names_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"{").unwrap();
        let error = read_json::<Vec<u32>>(file.path()).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()), "{error}");
    }
}
