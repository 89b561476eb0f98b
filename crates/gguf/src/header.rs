//! What a file's header says where candle refuses it: its byte order and version, and the types of its tensors.

use std::io::{self, Read, Seek, SeekFrom};

/// Types of values that candle does not read, with llama.cpp's names.
const TYPES: [(u32, &str); 26] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

/// The largest number of a type that candle reads (BF16).
const LAST_READ: u32 = 30;

/// Why candle cannot read a file that begins with GGUF's magic; none if this module does not know either.
pub(crate) fn reason(reader: &mut (impl Read + Seek)) -> Option<String> {
    reader.seek(SeekFrom::Start(4)).ok()?;
    let version = u32::from_le_bytes(bytes(reader).ok()?);
    if version != 0 && version.trailing_zeros() >= 16 {
        return Some(
            "is a big-endian GGUF file, which is not supported; convert it with gguf-py's gguf_convert_endian.py, \
             or download the little-endian one"
                .into(),
        );
    }
    if version > 3 {
        return Some(format!(
            "is a GGUF file of version {version}; known are 1 to 3: this program is older than the file"
        ));
    }
    let (tensor, number) = unread(reader, version).ok()??;
    let name = TYPES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    let name = name.map_or_else(|| format!("number {number}"), |name| format!("{name} (number {number})"));
    Some(format!(
        "its tensor '{tensor}' is of the type {name}, which is not supported; take a file in F32, F16, BF16, Q4_0, Q4_1, \
         Q5_0, Q5_1, Q8_0 or Q2_K to Q6_K, or the model's Hugging Face directory"
    ))
}

/// The first tensor of a type that candle does not read.
fn unread(reader: &mut (impl Read + Seek), version: u32) -> io::Result<Option<(String, u32)>> {
    let tensors = length(reader, version)?;
    for _ in 0..length(reader, version)? {
        skip_text(reader, version)?;
        let kind = u32::from_le_bytes(bytes(reader)?);
        skip_value(reader, version, kind)?;
    }
    for _ in 0..tensors {
        let size = length(reader, version)?;
        let mut name = Vec::new();
        reader.by_ref().take(size).read_to_end(&mut name)?;
        let axes = u32::from_le_bytes(bytes(reader)?);
        for _ in 0..axes.min(8) {
            length(reader, version)?;
        }
        let kind = u32::from_le_bytes(bytes(reader)?);
        if kind > LAST_READ || TYPES.iter().any(|(known, _)| *known == kind) {
            return Ok(Some((String::from_utf8_lossy(&name).into_owned(), kind)));
        }
        bytes::<8>(reader)?;
    }
    Ok(None)
}

fn skip_value(reader: &mut (impl Read + Seek), version: u32, kind: u32) -> io::Result<()> {
    let width = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        8 => return skip_text(reader, version),
        9 => {
            let kind = u32::from_le_bytes(bytes(reader)?);
            // Candle reads nested lists; no model has any, and none are followed here.
            if kind == 9 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            for _ in 0..length(reader, version)? {
                skip_value(reader, version, kind)?;
            }
            return Ok(());
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut value = [0; 8];
    reader.read_exact(&mut value[..width])
}

fn skip_text(reader: &mut (impl Read + Seek), version: u32) -> io::Result<()> {
    let size = length(reader, version)?;
    match io::copy(&mut reader.by_ref().take(size), &mut io::sink())? == size {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A count, which version 1 stores in 4 bytes and the later ones in 8.
fn length(reader: &mut impl Read, version: u32) -> io::Result<u64> {
    match version {
        1 => Ok(u32::from_le_bytes(bytes(reader)?).into()),
        _ => Ok(u64::from_le_bytes(bytes(reader)?)),
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
