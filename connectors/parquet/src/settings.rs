//! The options of the `parquet` sink, checked. In: the file's text values. Out: a [`Settings`], or every fault at once.

use cdc_api::{
    ConnectorSpec, OptionFault, OptionSpec, OptionType, Options, Role, options::parse_bytes,
};
use parquet::basic::{Compression, ZstdLevel};

use crate::target::Target;

const MIN_FILE_BYTES: u64 = 64 << 10;
/// A multipart upload has at most 10,000 parts.
const MAX_FILE_BYTES: u64 = 32 << 30;

/// Name, options and meaning of the `parquet` sink.
pub const SPEC: ConnectorSpec = ConnectorSpec {
    name: "parquet",
    role: Role::Sink,
    summary: "Writes all rows and every change as Parquet files, locally or to an object store, exactly once",
    options: &[
        OptionSpec::new(
            "path",
            OptionType::Text,
            "Where the lake is: a folder, or s3://bucket/prefix, gs://bucket/prefix, az://container/prefix.",
        )
        .required(),
        OptionSpec::new(
            "file.size.max",
            OptionType::Bytes,
            "A file is closed when it has about this size; every checkpoint closes the open ones.",
        )
        .default("128MiB"),
        OptionSpec::new(
            "compression",
            OptionType::OneOf(&["zstd", "snappy", "none"]),
            "How pages are compressed.",
        )
        .default("zstd"),
        OptionSpec::new(
            "compression.level",
            OptionType::Integer { min: 1, max: 22 },
            "The level of zstd: higher is smaller and slower.",
        )
        .default("1"),
        OptionSpec::new("s3.endpoint", OptionType::Text, "URL of an S3 service other than AWS."),
        OptionSpec::new("s3.region", OptionType::Text, "The bucket's region; or AWS_REGION."),
        OptionSpec::new(
            "s3.access-key",
            OptionType::Text,
            "Access key id; without it the usual AWS environment variables and roles are used.",
        ),
        OptionSpec::new("s3.secret-key", OptionType::Secret, "Secret access key."),
        OptionSpec::new("s3.session-token", OptionType::Secret, "Token of temporary credentials."),
        OptionSpec::new(
            "s3.path-style",
            OptionType::Boolean,
            "Whether the bucket stands in the path; true when an endpoint is given.",
        ),
        OptionSpec::new(
            "s3.allow-http",
            OptionType::Boolean,
            "Whether the endpoint may be spoken to without TLS.",
        )
        .default("false"),
        OptionSpec::new(
            "gcs.service-account-path",
            OptionType::Text,
            "File with the service account's key; or GOOGLE_SERVICE_ACCOUNT.",
        ),
        OptionSpec::new(
            "gcs.service-account-key",
            OptionType::Secret,
            "The service account's key itself, as JSON.",
        ),
        OptionSpec::new("gcs.endpoint", OptionType::Text, "URL of another GCS service."),
        OptionSpec::new("azure.account", OptionType::Text, "Storage account; or AZURE_STORAGE_ACCOUNT_NAME."),
        OptionSpec::new("azure.access-key", OptionType::Secret, "Access key of the storage account."),
        OptionSpec::new("azure.endpoint", OptionType::Text, "URL of another blob service."),
        OptionSpec::new(
            "azure.allow-http",
            OptionType::Boolean,
            "Whether the endpoint may be spoken to without TLS.",
        )
        .default("false"),
    ],
};

/// The sink's options, checked.
pub(crate) struct Settings {
    /// Where the lake is.
    pub(crate) target: Target,
    /// A file that has reached this size is closed.
    pub(crate) file_bytes_max: u64,
    /// How pages are compressed.
    pub(crate) compression: Compression,
}

impl Settings {
    /// Reads the options.
    ///
    /// # Errors
    /// Every fault that can be seen without a connection.
    pub(crate) fn read(options: &Options) -> Result<Self, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let mut keep = |fault| faults.push(fault);
        let file_bytes_max = file_bytes_max(options).map_err(&mut keep).ok();
        let compression = compression(options).map_err(&mut keep).ok();
        let target = Target::read(options).map_err(&mut keep).ok();
        match (target, file_bytes_max, compression) {
            (Some(target), Some(file_bytes_max), Some(compression)) => {
                Ok(Settings { target, file_bytes_max, compression })
            }
            _ => Err(faults),
        }
    }
}

fn file_bytes_max(options: &Options) -> Result<u64, OptionFault> {
    let key = "file.size.max";
    let text = options.text(key).unwrap_or_default();
    match parse_bytes(text) {
        Some(bytes) if (MIN_FILE_BYTES..=MAX_FILE_BYTES).contains(&bytes) => Ok(bytes),
        _ => {
            Err(OptionFault::new(key, format!("\"{text}\" is out of range")).hint("64KiB to 32GiB"))
        }
    }
}

fn compression(options: &Options) -> Result<Compression, OptionFault> {
    let key = "compression.level";
    let codec = options.text("compression").unwrap_or_default().trim().to_ascii_lowercase();
    if codec != "zstd" && options.is_set(key) {
        return Err(OptionFault::new(key, format!("{codec} has no level")).hint("leave it out"));
    }
    match codec.as_str() {
        "none" => Ok(Compression::UNCOMPRESSED),
        "snappy" => Ok(Compression::SNAPPY),
        _ => options
            .integer(key)
            .and_then(|level| ZstdLevel::try_new(i32::try_from(level).ok()?).ok())
            .map(Compression::ZSTD)
            .ok_or_else(|| OptionFault::new(key, "is not a level of zstd").hint("1 to 22")),
    }
}
