//! Files that llama.cpp's `gguf-split` has cut: `NAME-00001-of-00003.gguf` and so on. The first has the metadata.

use std::path::{Path, PathBuf};

use crate::GgufError;
use crate::file::{GgufFile, Part, integer};

impl GgufFile {
    /// Opens a file, and where it is one part of several, all of them, whichever was given.
    pub(crate) fn open_parts(path: &Path) -> Result<Vec<Part>, GgufError> {
        let given = Part::open(path)?;
        let count = given.whole("split.count").unwrap_or(1);
        if count <= 1 {
            return Ok(vec![given]);
        }
        let names = names(path, count).ok_or_else(|| {
            given.error(format!(
                "is one part of {count} of a GGUF file, and its name does not tell the others' names; give it back \
                 the name that gguf-split gave it (NAME-00001-of-{count:05}.gguf), or join the parts with \
                 llama-gguf-split --merge"
            ))
        })?;
        let mut parts: Vec<Part> = Vec::with_capacity(names.len());
        for (number, name) in names.iter().enumerate() {
            if !name.is_file() {
                return Err(given.error(format!(
                    "is one part of {count} of a GGUF file, and {} is not beside it",
                    name.file_name().unwrap_or_default().display()
                )));
            }
            let part = Part::open(name)?;
            let says = (part.whole("split.no"), part.whole("split.count"));
            if says != (Some(number as u64), Some(count)) {
                return Err(part.error(format!(
                    "should be part {} of {count} by its name; its 'split.no' is {} (counted from 0) and its \
                     'split.count' {}",
                    number + 1,
                    says.0.map_or("missing".into(), |no| no.to_string()),
                    says.1.map_or("missing".into(), |count| count.to_string()),
                )));
            }
            for name in part.content.tensor_infos.keys() {
                if parts.iter().any(|earlier| earlier.content.tensor_infos.contains_key(name)) {
                    return Err(part.error(format!("has the tensor '{name}' that an earlier part has too")));
                }
            }
            parts.push(part);
        }
        let found: usize = parts.iter().map(|part| part.content.tensor_infos.len()).sum();
        match parts[0].whole("split.tensors.count") {
            Some(expected) if expected != found as u64 => Err(parts[0].error(format!(
                "'split.tensors.count' is {expected}, but the {count} parts have {found} tensors: they do not belong \
                 together"
            ))),
            _ => Ok(parts),
        }
    }
}

impl Part {
    fn whole(&self, key: &str) -> Option<u64> {
        integer(self.content.metadata.get(key)?)
    }

    fn error(&self, reason: String) -> GgufError {
        GgufError::Content { path: self.path.clone(), reason }
    }
}

/// The paths of all parts, by the name of one.
fn names(path: &Path, count: u64) -> Option<Vec<PathBuf>> {
    let name = path.file_name()?.to_str()?;
    let ending = name.get(name.len().checked_sub(5)?..)?;
    let stem = name.strip_suffix(ending).filter(|_| ending.eq_ignore_ascii_case(".gguf"))?;
    let (stem, number) = stem.strip_suffix(&format!("-of-{count:05}"))?.rsplit_once('-')?;
    let number = number.parse::<u64>().ok().filter(|_| number.len() == 5)?;
    // No file is cut into more parts than five digits can count.
    let all = (1..=count).map(|part| path.with_file_name(format!("{stem}-{part:05}-of-{count:05}{ending}")));
    ((1..=count).contains(&number) && count <= 99_999).then(|| all.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_tells_all() {
        let all = names("d/m-00002-of-00002.gguf".as_ref(), 2).unwrap();
        assert_eq!(all, ["d/m-00001-of-00002.gguf", "d/m-00002-of-00002.gguf"].map(PathBuf::from));
        for other in ["m.gguf", "m-00003-of-00002.gguf", "m-2-of-00002.gguf", "m-00001-of-00003.gguf"] {
            assert_eq!(names(other.as_ref(), 2), None, "{other}");
        }
    }
}
