//! The files that texts are read from, by their names.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use onejump_core::files::FileError;

use crate::CaptureError;

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text.
    Text,
    /// A JSON object a line.
    JsonLines,
    /// A table.
    Parquet,
}

/// How a file of text is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstandard,
}

/// A file with texts in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextFile {
    pub path: PathBuf,
    pub format: Format,
    compression: Compression,
}

impl TextFile {
    /// The file of a path; none where its name does not say what it holds.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let compressions = [(".gz", Compression::Gzip), (".zst", Compression::Zstandard)];
        let compressed =
            compressions.into_iter().find_map(|(ending, kind)| Some((name.strip_suffix(ending)?, kind)));
        let (name, compression) = compressed.unwrap_or((&name, Compression::None));
        let formats = [(".txt", Format::Text), (".jsonl", Format::JsonLines), (".parquet", Format::Parquet)];
        let (_, format) = formats.into_iter().find(|(ending, _)| name.ends_with(ending))?;
        // Parquet compresses its columns by itself.
        let possible = format != Format::Parquet || compression == Compression::None;
        possible.then(|| Self { path: path.to_owned(), format, compression })
    }

    /// A file of text, whatever its name.
    pub fn plain(path: &Path) -> Self {
        Self { path: path.to_owned(), format: Format::Text, compression: Compression::None }
    }

    /// Reads the file, uncompressed. `read` counts the bytes as they are in the file.
    pub fn reader(&self, read: &Arc<AtomicU64>) -> Result<Box<dyn BufRead>, FileError> {
        let file = File::open(&self.path).map_err(FileError::reading(&self.path))?;
        let file = BufReader::new(Counting { file, read: Arc::clone(read) });
        Ok(match self.compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(file))),
            Compression::Zstandard => {
                let decoder = zstd::Decoder::with_buffer(file).map_err(FileError::reading(&self.path))?;
                Box::new(BufReader::new(decoder))
            }
        })
    }
}

/// A file whose bytes are counted.
struct Counting {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The files of paths, each a file or a folder of them.
///
/// # Errors
/// [`CaptureError`] if there is no such path, it has another ending, or a folder has no file of texts.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<TextFile>, CaptureError> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(FileError::reading(path))?;
        if metadata.is_dir() {
            let before = files.len();
            add_folder(path, &mut files)?;
            if files.len() == before {
                return Err(CaptureError::NoTextFiles { path: path.clone() });
            }
        } else {
            let file = TextFile::of(path);
            files.push(file.ok_or_else(|| CaptureError::NoTextFiles { path: path.clone() })?);
        }
    }
    Ok(files)
}

/// Adds the files of a folder and of those in it, by name. What is hidden, or ends otherwise, is none of ours: data sets
/// have licences and descriptions beside the data.
fn add_folder(folder: &Path, files: &mut Vec<TextFile>) -> Result<(), FileError> {
    let entries = fs::read_dir(folder).map_err(FileError::reading(folder))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(FileError::reading(folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder could lead into a circle; one to a file is how the hub's cache keeps it.
        if entry.file_type().map_err(FileError::reading(&path))?.is_dir() {
            add_folder(&path, files)?;
        } else if path.is_file() {
            files.extend(TextFile::of(&path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_holds() {
        let of = |name: &str| TextFile::of(Path::new(name)).map(|file| (file.format, file.compression));
        assert_eq!(of("a/b.txt"), Some((Format::Text, Compression::None)));
        assert_eq!(of("B.JSONL.GZ"), Some((Format::JsonLines, Compression::Gzip)));
        assert_eq!(of("b.jsonl.zst"), Some((Format::JsonLines, Compression::Zstandard)));
        assert_eq!(of("train-00000-of-00002.parquet"), Some((Format::Parquet, Compression::None)));
        for name in ["b.parquet.gz", "b.md", "txt", "b.txt.gz.zst", "b.zst"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn a_folder_has_its_files_by_name_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("b/empty")).unwrap();
        fs::create_dir_all(path(".cache")).unwrap();
        for name in ["c.txt", "a.jsonl", "b/x.parquet", "README.md", ".cache/z.txt", ".d.txt"] {
            fs::write(path(name), "").unwrap();
        }
        let found = find(&[path("c.txt"), folder.path().to_owned()]).unwrap();
        let names = found.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        assert_eq!(names, ["c.txt", "a.jsonl", "b/x.parquet", "c.txt"].map(path));
        let refused = |name: &str| find(&[path(name)]).unwrap_err().to_string();
        assert!(refused("README.md").contains(".parquet"), "{}", refused("README.md"));
        assert!(refused("b/empty").contains(".jsonl"));
        assert!(refused("nothing.txt").contains("nothing.txt"));
    }
}
