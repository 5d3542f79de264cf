//! Where a lake is: a local folder, or a prefix of a bucket. In: the options that say so. No connection is made here.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cdc_api::{OptionFault, Options};
use object_store::{
    ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, multipart::MultipartStore, path::Path as Key,
};

/// The store itself tries again for this long; then the engine does, from the last checkpoint.
const RETRY_FOR: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 6;
/// A part of a file has to be through in this time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Where a lake is.
#[derive(Clone)]
pub(crate) enum Target {
    /// A folder of this machine.
    Folder(Arc<Path>),
    /// A prefix in an object store.
    Objects(Bucket),
}

/// An object store, and where in it.
#[derive(Clone)]
pub(crate) struct Bucket {
    /// Reads, lists and deletes.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Writes.
    pub(crate) uploads: Arc<dyn MultipartStore>,
    /// The lake's folder; empty for the whole bucket.
    pub(crate) prefix: String,
    /// What the user calls it: URL and endpoint.
    pub(crate) shown: String,
}

impl Bucket {
    /// The key of an object below the prefix.
    ///
    /// # Errors
    /// When a part of it may not stand in a key.
    pub(crate) fn key(&self, below: &str) -> Result<Key, object_store::Error> {
        let path = if self.prefix.is_empty() {
            below.to_owned()
        } else {
            format!("{}/{below}", self.prefix)
        };
        Ok(Key::parse(path)?)
    }
}

impl Target {
    /// Reads `path` and the options of its store.
    ///
    /// # Errors
    /// A fault under the key that is wrong.
    pub(crate) fn read(options: &Options) -> Result<Self, OptionFault> {
        let path = options.text("path").unwrap_or_default().trim();
        let Some((scheme, rest)) = path.split_once("://") else {
            return folder(path);
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/').to_owned();
        let place = |scheme| Place { path, scheme, bucket, prefix };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => folder(rest),
            "s3" | "s3a" => s3(options, &place("s3")),
            "gs" => gcs(options, &place("gs")),
            "az" => azure(options, &place("az")),
            other => Err(OptionFault::new("path", format!("\"{other}://\" is not known"))
                .hint("write a folder, or s3://, gs:// or az:// with a bucket and a prefix")),
        }
    }

    /// What identifies it.
    pub(crate) fn fingerprint(&self) -> String {
        match self {
            Target::Folder(root) => format!("parquet:{}", root.display()),
            Target::Objects(bucket) => format!("parquet:{}", bucket.shown),
        }
    }
}

fn folder(path: &str) -> Result<Target, OptionFault> {
    if path.is_empty() {
        return Err(OptionFault::new("path", "is empty").hint("write a folder"));
    }
    // Relative to the process's working directory, and without `.` and trailing slashes, so that one folder is
    // identified by one text.
    let absolute = std::path::absolute(path)
        .map_err(|error| OptionFault::new("path", format!("\"{path}\" is not a path: {error}")))?;
    let tidy: PathBuf = absolute.components().collect();
    Ok(Target::Folder(Arc::from(tidy)))
}

struct Place<'a> {
    path: &'a str,
    scheme: &'static str,
    bucket: &'a str,
    prefix: String,
}

impl Place<'_> {
    fn check(&self) -> Result<(), OptionFault> {
        if self.bucket.is_empty() {
            return Err(OptionFault::new("path", format!("\"{}\" names no bucket", self.path))
                .hint("write scheme://bucket/prefix"));
        }
        Key::parse(&self.prefix).map(|_| ()).map_err(|error| {
            OptionFault::new("path", format!("\"{}\" is not a prefix: {error}", self.prefix))
        })
    }

    fn finish<S: ObjectStore + MultipartStore>(
        &self,
        built: object_store::Result<S>,
        endpoint: Option<&str>,
    ) -> Result<Target, OptionFault> {
        let store = built.map_err(|error| {
            OptionFault::new("path", format!("the store cannot be set up: {error}"))
        })?;
        let mut shown = format!("{}://{}/{}", self.scheme, self.bucket, self.prefix);
        if let Some(endpoint) = endpoint {
            shown = format!("{shown} at {endpoint}");
        }
        let store = Arc::new(store);
        Ok(Target::Objects(Bucket {
            store: Arc::clone(&store) as _,
            uploads: store,
            prefix: self.prefix.clone(),
            shown,
        }))
    }
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_FOR, ..RetryConfig::default() }
}

fn client() -> ClientOptions {
    ClientOptions::new().with_timeout(REQUEST_TIMEOUT)
}

/// A plain-text endpoint must be wanted.
fn checked_endpoint<'a>(
    options: &'a Options,
    key: &str,
    allow_key: &str,
) -> Result<Option<&'a str>, OptionFault> {
    let endpoint = options.text(key).map(str::trim);
    if endpoint.is_some_and(|url| url.starts_with("http://")) && !options.boolean(allow_key) {
        return Err(OptionFault::new(key, "is without TLS")
            .hint(format!("write https://, or set {allow_key}: true")));
    }
    Ok(endpoint)
}

fn s3(options: &Options, place: &Place<'_>) -> Result<Target, OptionFault> {
    place.check()?;
    let endpoint = checked_endpoint(options, "s3.endpoint", "s3.allow-http")?;
    let path_style = if options.is_set("s3.path-style") {
        options.boolean("s3.path-style")
    } else {
        endpoint.is_some()
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(place.bucket)
        .with_retry(retry())
        .with_client_options(client())
        .with_virtual_hosted_style_request(!path_style)
        .with_allow_http(options.boolean("s3.allow-http"));
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = options.text("s3.region") {
        builder = builder.with_region(region);
    }
    if let Some(key) = options.text("s3.access-key") {
        builder = builder.with_access_key_id(key);
    }
    if let Some(secret) = options.text("s3.secret-key") {
        builder = builder.with_secret_access_key(secret);
    }
    if let Some(token) = options.text("s3.session-token") {
        builder = builder.with_token(token);
    }
    if options.is_set("s3.access-key") != options.is_set("s3.secret-key") {
        return Err(OptionFault::new("s3.access-key", "access key and secret key go together")
            .hint("set both s3.access-key and s3.secret-key, or neither"));
    }
    place.finish(builder.build(), endpoint)
}

fn gcs(options: &Options, place: &Place<'_>) -> Result<Target, OptionFault> {
    place.check()?;
    let endpoint = options.text("gcs.endpoint").map(str::trim);
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(place.bucket)
        .with_retry(retry())
        .with_client_options(client());
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(endpoint);
    }
    if let Some(path) = options.text("gcs.service-account-path") {
        builder = builder.with_service_account_path(path);
    }
    if let Some(key) = options.text("gcs.service-account-key") {
        builder = builder.with_service_account_key(key);
    }
    place.finish(builder.build(), endpoint)
}

fn azure(options: &Options, place: &Place<'_>) -> Result<Target, OptionFault> {
    place.check()?;
    let endpoint = checked_endpoint(options, "azure.endpoint", "azure.allow-http")?;
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(place.bucket)
        .with_retry(retry())
        .with_client_options(client())
        .with_allow_http(options.boolean("azure.allow-http"));
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    if let Some(account) = options.text("azure.account") {
        builder = builder.with_account(account);
    }
    if let Some(key) = options.text("azure.access-key") {
        builder = builder.with_access_key(key);
    }
    let named = match (endpoint, options.text("azure.account")) {
        (Some(endpoint), _) => Some(endpoint),
        (None, account) => account,
    };
    place.finish(builder.build(), named)
}
