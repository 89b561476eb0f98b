//! Text files as people have them: UTF-8, with or without a byte order mark, or refused with the place and the reason.

/// What is wrong with bytes that are not UTF-8 from the first on.
pub(crate) fn not_utf8(bytes: &[u8]) -> String {
    match bytes {
        // The code points from D800 to DFFF stand for nothing alone; Python writes them with `surrogatepass`.
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            let code = 0xd000 | u32::from(second & 0x3f) << 6 | u32::from(third & 0x3f);
            format!(
                "U+{code:04X} is half of a surrogate pair, which UTF-8 cannot have; take it out or replace it"
            )
        }
        [first, ..] => format!(
            "byte 0x{first:02x} is not UTF-8 text; save the file as UTF-8, for instance from Latin-1 with \
             `iconv -f LATIN1 -t UTF-8`"
        ),
        [] => "is not UTF-8 text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    fn read_bytes(bytes: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let read = Arc::default();
        let lines = crate::texts::lines(file.path(), file.path(), &read);
        let lines = lines.and_then(|lines| lines.map(|line| Ok(line?.text)).collect::<Result<Vec<_>, _>>());
        lines.map(|lines| lines.join("\n")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_byte_order_mark_is_dropped_where_the_file_begins() {
        assert_eq!(read_bytes("\u{feff}one\n\u{feff}two".as_bytes()).unwrap(), "one\n\u{feff}two");
        assert_eq!(read_bytes(b"").unwrap(), "");
        assert_eq!(read_bytes(b"a\0b\0").unwrap(), "a\0b\0");
    }

    #[test]
    fn utf16_is_named_with_its_mark_or_without() {
        let units = |mark: &str| format!("{mark}A first line.\n").encode_utf16().collect::<Vec<_>>();
        for mark in ["", "\u{feff}"] {
            let little: Vec<u8> = units(mark).iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units(mark).iter().flat_map(|unit| unit.to_be_bytes()).collect();
            for bytes in [little, big] {
                assert!(read_bytes(&bytes).unwrap_err().contains("is UTF-16 text"));
            }
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (bytes, expected) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"[..], "is a Git LFS pointer"),
            (b"\x1f\x8b\x08\0\0", "is compressed"),
        ] {
            let error = read_bytes(bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(
            read_bytes(b"BZh is how bzip2's files begin.").unwrap(),
            "BZh is how bzip2's files begin."
        );
    }

    #[test]
    fn the_first_line_that_is_not_utf8_is_named() {
        for (bytes, expected) in [
            (&b"gut\nZ\xfcrich\n"[..], "line 2: byte 0xfc is not UTF-8 text"),
            (b"ok\nlone \xed\xa0\x80 s\n", "line 2: U+D800 is half of a surrogate pair"),
            (b"\xed\xbf\xbf", "line 1: U+DFFF is half of a surrogate pair"),
            (b"one\ntwo\ncut \xe2\x82", "line 3: byte 0xe2 is not UTF-8 text"),
        ] {
            let error = read_bytes(bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
