//! Damaged files: what a seeded generator makes of a good one.

use onejump_core::seed::{self, Purpose, below};
use rand_chacha::ChaCha8Rng;

/// Whole numbers that are wrong for nearly every length, count, offset and index.
const NUMBERS: [u64; 9] = [0, 1, 255, 1 << 16, 1 << 31, 1 << 32, 1 << 40, i64::MAX as u64, u64::MAX];

/// What stands in a text where a number or a word stood.
const WORDS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "7",
    "1000000",
    "99999999999",
    "18446744073709551615",
    "1e308",
    "1e-400",
    "0.5",
    "null",
    "\"\"",
    "[]",
    "{}",
];

/// Bytes at the start and at the end that hold a binary file's structure, about.
const STRUCTURE: usize = 2048;

/// Levels of nesting that a careless parser would follow.
const DEPTH: usize = 20_000;

/// The damaged form number `index` of a file; the same seed gives the same form.
pub fn mutate(original: &[u8], seed: u64, index: u64) -> Vec<u8> {
    let mut random = seed::stream(seed, Purpose::Corpus, index);
    let mut bytes = original.to_vec();
    for _ in 0..=below(&mut random, 3) {
        damage(&mut bytes, &mut random);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        bytes.push(below(random, 256) as u8);
        return;
    }
    let place = place(bytes.len(), random);
    let length = below(random, 64) as usize;
    let end = (place + length).min(bytes.len());
    match below(random, 12) {
        0 => bytes[place] ^= 1 << below(random, 8),
        1 => bytes[place] = [0, 0xff, below(random, 256) as u8][below(random, 3) as usize],
        2 => bytes.truncate(place),
        3 => drop(bytes.drain(place..end)),
        4 => bytes.splice(place..place, bytes[place..end].to_vec()).for_each(drop),
        5 => bytes.iter_mut().take(end).skip(place).for_each(|byte| *byte = below(random, 256) as u8),
        6 | 7 => {
            let width = [4, 8][below(random, 2) as usize];
            let number = NUMBERS[below(random, NUMBERS.len() as u64) as usize].to_le_bytes();
            bytes.iter_mut().skip(place).zip(&number[..width]).for_each(|(byte, new)| *byte = *new);
        }
        8..=10 => replace_word(bytes, place, random),
        _ => {
            let opening = [b"[".as_slice(), b"{\"a\":", b"<a>", b"{{"][below(random, 4) as usize];
            bytes.splice(place..place, opening.repeat(DEPTH)).for_each(drop);
        }
    }
}

/// Anywhere, but half of the time near the start or the end.
fn place(length: usize, random: &mut ChaCha8Rng) -> usize {
    let near = below(random, length.min(STRUCTURE) as u64) as usize;
    match below(random, 4) {
        0 => near,
        1 => length - 1 - near,
        _ => below(random, length as u64) as usize,
    }
}

/// Puts another word where the next number or quoted text of a text file stands.
fn replace_word(bytes: &mut Vec<u8>, place: usize, random: &mut ChaCha8Rng) {
    let word = WORDS[below(random, WORDS.len() as u64) as usize].bytes();
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b".-\"_".contains(byte);
    let Some(start) = bytes[place..].iter().position(inside).map(|offset| place + offset) else { return };
    let length = bytes[start..].iter().take_while(|byte| inside(byte)).count();
    bytes.splice(start..start + length, word).for_each(drop);
}
