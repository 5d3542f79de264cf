//! A file of one table between its first row group and its footer: the encoder and the place its bytes go to. Encoding
//! and writing to disk run off the runtime's threads.

use std::{path::PathBuf, sync::Arc};

use arrow_array::RecordBatch;
use cdc_api::Result;
use parquet::basic::Compression;

use crate::{
    columns::Layout,
    encode::FileEncoder,
    failure::cut_off,
    local::GrowingFile,
    names::FileName,
    objects::{Upload, Uploaded},
    target::Bucket,
};

/// Where a new file's bytes go.
pub(crate) enum Place {
    /// A hidden file of the lake's folder.
    Hidden {
        /// The lake's folder.
        root: Arc<std::path::Path>,
        /// The hidden name.
        name: String,
    },
    /// A multipart upload.
    Upload {
        /// The store.
        bucket: Bucket,
        /// The object's name.
        name: FileName,
    },
}

enum Growing {
    Hidden(GrowingFile),
    Upload(Box<Upload>, FileName),
}

/// A file that takes row groups.
pub(crate) struct OpenFile {
    encoder: FileEncoder,
    growing: Growing,
}

/// A file that is whole, though not yet durable on a disk.
pub(crate) enum ClosedFile {
    /// On the local disk.
    Hidden {
        /// Its table's folder below the lake's.
        folder: String,
        /// Where it is.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// Its rows.
        rows: u64,
    },
    /// All parts of it are stored.
    Upload {
        /// Its table's folder below the prefix.
        folder: String,
        /// Its name.
        name: FileName,
        /// The upload.
        uploaded: Uploaded,
        /// Its rows.
        rows: u64,
    },
}

impl OpenFile {
    /// Opens a file whose first row group will be `first`; the group is not written yet.
    pub(crate) async fn create(
        layout: &Arc<Layout>,
        compression: Compression,
        place: Place,
        first: &[RecordBatch],
    ) -> Result<Self> {
        let encoder = FileEncoder::new(Arc::clone(layout), compression, first)?;
        let growing = match place {
            Place::Hidden { root, name } => {
                let folder = layout.folder.clone();
                let created =
                    off_thread(move || GrowingFile::create(&root, &folder, &name)).await?;
                Growing::Hidden(created)
            }
            Place::Upload { bucket, name } => {
                let upload = Upload::begin(&bucket, &layout.folder, &name).await?;
                Growing::Upload(Box::new(upload), name)
            }
        };
        Ok(OpenFile { encoder, growing })
    }

    /// Appends a row group.
    pub(crate) async fn row_group(self, batches: Vec<RecordBatch>) -> Result<Self> {
        let OpenFile { mut encoder, growing } = self;
        match growing {
            Growing::Hidden(mut file) => {
                off_thread(move || {
                    encoder.row_group(&batches)?;
                    drop(batches);
                    file.append(&encoder.take_bytes()?)?;
                    Ok(OpenFile { encoder, growing: Growing::Hidden(file) })
                })
                .await
            }
            Growing::Upload(mut upload, name) => {
                let (encoder, bytes) = off_thread(move || {
                    encoder.row_group(&batches)?;
                    drop(batches);
                    let bytes = encoder.take_bytes()?;
                    Ok((encoder, bytes))
                })
                .await?;
                upload.append(bytes).await?;
                Ok(OpenFile { encoder, growing: Growing::Upload(upload, name) })
            }
        }
    }

    /// Writes the footer.
    pub(crate) async fn close(self, layout: &Layout) -> Result<ClosedFile> {
        let folder = layout.folder.clone();
        let (footer, rows) = self.encoder.finish()?;
        match self.growing {
            Growing::Hidden(mut file) => {
                off_thread(move || {
                    file.append(&footer)?;
                    let (path, bytes) = (file.path().to_owned(), file.bytes());
                    Ok(ClosedFile::Hidden { folder, path, bytes, rows })
                })
                .await
            }
            Growing::Upload(mut upload, name) => {
                upload.append(footer).await?;
                let uploaded = upload.finish().await?;
                Ok(ClosedFile::Upload { folder, name, uploaded, rows })
            }
        }
    }

    /// Bytes so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.encoder.bytes_written()
    }

    /// Row groups so far.
    pub(crate) fn row_groups(&self) -> usize {
        self.encoder.row_groups()
    }

    /// Bytes of it that wait in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.growing {
            Growing::Hidden(_) => 0,
            Growing::Upload(upload, _) => upload.held_bytes(),
        }
    }

    /// Waits for parts on their way; false when there was none.
    pub(crate) async fn settle(&mut self) -> Result<bool> {
        match &mut self.growing {
            Growing::Upload(upload, _) if upload.is_sending() => {
                upload.settle().await.map(|()| true)
            }
            _ => Ok(false),
        }
    }
}

/// Runs blocking work off the runtime's threads.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| cut_off("work on a file", error))?
}
