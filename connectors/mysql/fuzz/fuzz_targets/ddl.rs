#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cdc_mysql::fuzzing::ddl(bytes));
