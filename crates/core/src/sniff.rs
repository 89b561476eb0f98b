//! Files that are not what their names say, told by their first bytes: what `git clone` without Git LFS, a browser, or
//! another program leaves in a file's place.
//!
//! Ask only about a file that its own reader has refused: some of these bytes can begin a sound safetensors file.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::file_error::FileError;

/// How many bytes are enough for [`kind`].
pub const ENOUGH: u64 = 512;

/// What a file is that is not what it should be. Its text goes after the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// Nothing.
    Empty,
    /// What Git keeps in place of a large file.
    LfsPointer,
    /// A page for a browser, mostly a server's error.
    Html,
    /// Text with two bytes a character.
    Utf16,
    /// Text with four bytes a character.
    Utf32,
    /// Python objects, which can run code.
    Pickle,
    /// An archive; PyTorch's files are of this kind.
    Zip,
    /// Something compressed, by the program named.
    Compressed(&'static str),
    /// A GGUF file.
    Gguf,
    /// llama.cpp's files before GGUF.
    Ggml,
}

impl fmt::Display for Odd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Empty => "is empty; its download or copy did not succeed",
            Self::LfsPointer => {
                "is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository, or download the file"
            }
            Self::Html => "is a web page, not the file itself (often a server's error message); download it again",
            Self::Utf16 => {
                "is UTF-16 text; UTF-8 is needed: iconv -f UTF-16 -t UTF-8 (in PowerShell: Set-Content -Encoding utf8)"
            }
            Self::Utf32 => "is UTF-32 text; UTF-8 is needed: iconv -f UTF-32 -t UTF-8",
            Self::Pickle => {
                "is a Python pickle, a format that can run code and is never read; save the model as safetensors"
            }
            Self::Zip => {
                "is a zip archive; unpack it, or if it is PyTorch's (.bin, .pt) save the model as safetensors"
            }
            Self::Compressed(program) => return write!(out, "is compressed; unpack it with {program}"),
            Self::Gguf => "is a GGUF file; give its path as the model",
            Self::Ggml => "is in llama.cpp's format from before August 2023 (GGML); download the model as GGUF",
        })
    }
}

/// What the beginning of a file shows; none if it is nothing that is known here. [`ENOUGH`] bytes are enough.
///
/// ```
/// use onejump_core::sniff::{Odd, kind};
///
/// assert_eq!(kind(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a"), Some(Odd::LfsPointer));
/// assert_eq!(kind(b"{\"model_type\": \"llama\"}"), None);
/// ```
pub fn kind(bytes: &[u8]) -> Option<Odd> {
    const MAGIC: [(&[u8], Odd); 21] = [
        (b"version https://git-lfs", Odd::LfsPointer),
        (b"version https://hawser", Odd::LfsPointer),
        (b"GGUF", Odd::Gguf),
        (b"lmgg", Odd::Ggml),
        (b"fmgg", Odd::Ggml),
        (b"tjgg", Odd::Ggml),
        (b"algg", Odd::Ggml),
        (b"PK\x03\x04", Odd::Zip),
        (b"\x1f\x8b", Odd::Compressed("gunzip")),
        (b"BZh", Odd::Compressed("bunzip2")),
        (b"\xfd7zXZ", Odd::Compressed("unxz")),
        (b"\x28\xb5\x2f\xfd", Odd::Compressed("unzstd")),
        // Before UTF-16, whose mark begins this one.
        (b"\xff\xfe\0\0", Odd::Utf32),
        (b"\0\0\xfe\xff", Odd::Utf32),
        (b"\xff\xfe", Odd::Utf16),
        (b"\xfe\xff", Odd::Utf16),
        (b"\x80\x02", Odd::Pickle),
        (b"\x80\x03", Odd::Pickle),
        (b"\x80\x04", Odd::Pickle),
        (b"\x80\x05", Odd::Pickle),
        (b"<?xml", Odd::Html),
    ];
    if bytes.is_empty() {
        return Some(Odd::Empty);
    }
    // A safetensors file: the length of its header, whose low bytes can be anything, then the header.
    if bytes.get(4..9) == Some(b"\0\0\0\0{") {
        return None;
    }
    if let Some((_, odd)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(*odd);
    }
    let text = unmarked(bytes).trim_ascii_start();
    let begins = |tag: &[u8]| text.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag));
    if begins(b"<!doctype html") || begins(b"<html") {
        return Some(Odd::Html);
    }
    let wide = is_unmarked_utf32(bytes).then_some(Odd::Utf32);
    wide.or_else(|| is_unmarked_utf16(bytes).then_some(Odd::Utf16))
}

/// UTF-8 text without the byte order mark that some editors write.
pub fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// ASCII in UTF-32 without a byte order mark: three of four bytes are zero.
fn is_unmarked_utf32(bytes: &[u8]) -> bool {
    let characters = &bytes.as_chunks::<4>().0[..(bytes.len() / 4).min(16)];
    let ascii = |place: usize| {
        characters.iter().all(|four| (0..4).all(|index| (four[index] != 0) == (index == place)))
    };
    characters.len() >= 4 && (ascii(0) || ascii(3))
}

/// ASCII in UTF-16 without a byte order mark: every other byte is zero.
fn is_unmarked_utf16(bytes: &[u8]) -> bool {
    let pairs = &bytes.as_chunks::<2>().0[..(bytes.len() / 2).min(32)];
    let ascii = |zero: usize| pairs.iter().all(|pair| pair[zero] == 0 && pair[1 - zero] != 0);
    pairs.len() >= 4 && (ascii(0) || ascii(1))
}

/// What a file is, by its beginning; none if it is nothing that is known here, or cannot be read.
pub fn file(path: &Path) -> Option<Odd> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(ENOUGH).read_to_end(&mut bytes).ok()?;
    kind(&bytes)
}

/// The error that says what a file is, where [`file()`] knows it.
pub fn refusal(path: &Path) -> Option<FileError> {
    file(path).map(|odd| FileError::Content { path: path.to_owned(), reason: odd.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_files_are_told_by_their_first_bytes() {
        let utf16: Vec<u8> = "{\"a\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf32 = |bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
            "{\"a\": 1}".chars().flat_map(|character| bytes(character.into())).collect()
        };
        let (little, big) = (utf32(u32::to_le_bytes), utf32(u32::to_be_bytes));
        let odd: [(&[u8], Odd); 12] = [
            (&little, Odd::Utf32),
            (&big, Odd::Utf32),
            (b"\xff\xfe\0\0T\0\0\0", Odd::Utf32),
            (b"\0\0\xfe\xff\0\0\0T", Odd::Utf32),
            (b"", Odd::Empty),
            (b"\xef\xbb\xbf\n <!DOCTYPE HTML><html>", Odd::Html),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", Odd::Html),
            (b"\xff\xfeT\0e\0", Odd::Utf16),
            (&utf16, Odd::Utf16),
            (b"\x80\x02}q\0", Odd::Pickle),
            (b"PK\x03\x04\0\0", Odd::Zip),
            (b"\x1f\x8b\x08", Odd::Compressed("gunzip")),
        ];
        for (bytes, expected) in odd {
            assert_eq!(kind(bytes), Some(expected), "{bytes:?}");
        }
        for plain in [&b"{}"[..], b"Versions of a text", b"<unk> a word", b"\x80\x02\0\0\0\0\0\0{\"w\":{"] {
            assert_eq!(kind(plain), None, "{plain:?}");
        }
    }
}
