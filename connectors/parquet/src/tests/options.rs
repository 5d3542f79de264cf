//! The options: what they default to, and what is told when they are wrong.

use std::collections::BTreeMap;

use cdc_api::{OptionFault, Options};

use super::*;
use crate::SPEC;

fn read_options(values: &[(&str, &str)]) -> Result<Settings, Vec<OptionFault>> {
    let values: BTreeMap<String, String> =
        values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Settings::read(&Options::new(&SPEC, values))
}

#[test]
fn the_defaults_are_as_written() {
    let settings = read_options(&[("path", "/tmp/lake/./raw/")]).ok().unwrap();
    assert_eq!(settings.file_bytes_max, 128 << 20);
    assert_eq!(settings.compression.to_string(), "ZSTD(ZstdLevel(1))");
    assert_eq!(settings.target.fingerprint(), "parquet:/tmp/lake/raw");
    assert!(matches!(settings.target, Target::Folder(_)));
}

#[test]
fn buckets_are_known_by_their_scheme_and_place() {
    let settings = read_options(&[
        ("path", "s3a://data/lake/"),
        ("s3.endpoint", "http://localhost:8333"),
        ("s3.allow-http", "true"),
        ("s3.access-key", "key"),
        ("s3.secret-key", "secret"),
        ("compression", "None"),
    ])
    .ok()
    .unwrap();
    assert_eq!(settings.target.fingerprint(), "parquet:s3://data/lake at http://localhost:8333");
    assert_eq!(settings.compression, Compression::UNCOMPRESSED);
}

#[test]
fn all_faults_come_at_once() {
    let faults = read_options(&[
        ("path", "ftp://host/lake"),
        ("file.size.max", "1kb"),
        ("compression", "snappy"),
        ("compression.level", "3"),
    ])
    .err()
    .unwrap();
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["file.size.max", "compression.level", "path"]);
    assert!(faults.iter().all(|fault| fault.hint.is_some()));
    for (key, values) in [
        ("path", vec![("path", "s3:///lake")]),
        ("s3.endpoint", vec![("path", "s3://b/l"), ("s3.endpoint", "http://localhost:1")]),
        ("s3.access-key", vec![("path", "s3://b/l"), ("s3.access-key", "only")]),
    ] {
        let faults = read_options(&values).err().unwrap();
        assert_eq!(faults[0].key, key);
    }
}
