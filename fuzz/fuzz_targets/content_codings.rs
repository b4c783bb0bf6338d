#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switchboard::fuzzing::content_codings(input));
