#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| digime::fuzzing::key_set(data));
