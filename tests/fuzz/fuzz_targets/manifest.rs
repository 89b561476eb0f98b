#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| onejump_tests::fuzz::run("manifest", data));
