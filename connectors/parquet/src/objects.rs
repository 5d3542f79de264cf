//! A lake in an object store. A file is a multipart upload to its own key that is completed when the checkpoint is
//! committed: until then no reader sees it. Stores do not list uploads through our client, so each one has a small marker
//! object `.cdc-cli/<pipeline>/<file>.upload`; what still has one after the last commit was never prepared and is aborted.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use cdc_api::{Error, Result, TableId};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, multipart::PartId};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tracing::warn;

use crate::{
    failure::{cut_off, store},
    local::foreign,
    names::FileName,
    target::Bucket,
};

/// Every part but the last has this size, the smallest that all stores take.
const PART_BYTES: usize = 5 << 20;
/// Parts of one file on their way at once.
const PARTS_IN_FLIGHT_MAX: usize = 2;
/// Requests of the committer on their way at once.
const REQUESTS_IN_FLIGHT_MAX: usize = 16;
const MARKERS: &str = ".cdc-cli";

/// What a marker says.
#[derive(Serialize, Deserialize)]
struct Marker {
    /// The object's key below the prefix.
    object: String,
    /// The upload's id.
    upload: String,
}

/// A file on its way.
pub(crate) struct Upload {
    bucket: Bucket,
    /// The object's key below the prefix.
    object: String,
    id: String,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    sent_bytes: u64,
    parts: Vec<Option<String>>,
    in_flight: JoinSet<(usize, object_store::Result<PartId>)>,
}

/// A file all of whose parts are stored.
pub(crate) struct Uploaded {
    /// The upload's id.
    pub(crate) upload: String,
    /// Its parts' ids in order.
    pub(crate) parts: Vec<String>,
    /// Its size.
    pub(crate) bytes: u64,
}

impl Upload {
    /// Begins an upload, with a marker by which it can be aborted later.
    pub(crate) async fn begin(bucket: &Bucket, folder: &str, name: &FileName) -> Result<Self> {
        let object = format!("{folder}/{name}");
        let failed = |error| store("cannot begin the upload of", &object, error);
        let key = bucket.key(&object).map_err(failed)?;
        let id = bucket.uploads.create_multipart(&key).await.map_err(failed)?;
        let marker = Marker { object: object.clone(), upload: id.clone() };
        let text = serde_json::to_vec(&marker)
            .map_err(|error| Error::internal("a marker cannot be written").caused_by(error))?;
        let at = bucket.key(&marker_of(&name.pipeline_uuid, name)).map_err(failed)?;
        bucket.store.put(&at, PutPayload::from(text)).await.map_err(failed)?;
        Ok(Upload {
            bucket: bucket.clone(),
            object,
            id,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sent_bytes: 0,
            parts: Vec::new(),
            in_flight: JoinSet::new(),
        })
    }

    /// Takes bytes; whole parts go on their way.
    pub(crate) async fn append(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.waiting_bytes += bytes.len();
        self.waiting.push_back(Bytes::from(bytes));
        while self.waiting_bytes >= PART_BYTES {
            self.send(PART_BYTES).await?;
        }
        Ok(())
    }

    /// What it holds in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        self.waiting_bytes + self.in_flight.len() * PART_BYTES
    }

    /// Whether parts are on their way.
    pub(crate) fn is_sending(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Waits until no part is on its way.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        while !self.in_flight.is_empty() {
            self.one_arrived().await?;
        }
        Ok(())
    }

    /// Sends what is left and waits for all of it.
    pub(crate) async fn finish(mut self) -> Result<Uploaded> {
        if self.waiting_bytes > 0 {
            self.send(self.waiting_bytes).await?;
        }
        self.settle().await?;
        let parts = self.parts.into_iter().collect::<Option<Vec<String>>>().ok_or_else(|| {
            Error::internal(format!("the upload of \"{}\" lacks a part", self.object))
        })?;
        Ok(Uploaded { upload: self.id, parts, bytes: self.sent_bytes })
    }

    async fn send(&mut self, bytes: usize) -> Result<()> {
        while self.in_flight.len() >= PARTS_IN_FLIGHT_MAX {
            self.one_arrived().await?;
        }
        let mut payload = Vec::new();
        let mut missing = bytes;
        while missing > 0 {
            let Some(mut piece) = self.waiting.pop_front() else { break };
            if piece.len() > missing {
                self.waiting.push_front(piece.split_off(missing));
            }
            missing -= piece.len();
            payload.push(piece);
        }
        self.waiting_bytes -= bytes;
        self.sent_bytes += bytes as u64;
        let part = self.parts.len();
        self.parts.push(None);
        let key = self.bucket.key(&self.object);
        let key = key.map_err(|error| store("cannot upload", &self.object, error))?;
        let (uploads, id) = (Arc::clone(&self.bucket.uploads), self.id.clone());
        self.in_flight.spawn(async move {
            let payload = payload.into_iter().collect::<PutPayload>();
            (part, uploads.put_part(&key, &id, part, payload).await)
        });
        Ok(())
    }

    async fn one_arrived(&mut self) -> Result<()> {
        let Some(arrived) = self.in_flight.join_next().await else { return Ok(()) };
        let (part, stored) = arrived.map_err(|error| cut_off("an upload", error))?;
        let stored = stored.map_err(|error| store("cannot upload", &self.object, error))?;
        if let Some(place) = self.parts.get_mut(part) {
            *place = Some(stored.content_id);
        }
        Ok(())
    }
}

fn marker_of(uuid: &str, name: &FileName) -> String {
    format!("{MARKERS}/{uuid}/{name}.upload")
}

/// An upload that a checkpoint names.
#[derive(Debug)]
pub(crate) struct Completion {
    /// The table's folder below the prefix.
    pub(crate) folder: String,
    /// The object's name there.
    pub(crate) name: String,
    /// The upload.
    pub(crate) upload: String,
    /// Its parts.
    pub(crate) parts: Vec<String>,
    /// The size the object must have.
    pub(crate) bytes: u64,
}

/// Completes uploads. What an earlier call has completed is left as it is.
pub(crate) async fn publish(bucket: &Bucket, completions: Vec<Completion>) -> Result<()> {
    futures::stream::iter(completions)
        .map(|completion| publish_one(bucket, completion))
        .buffer_unordered(REQUESTS_IN_FLIGHT_MAX)
        .try_collect::<()>()
        .await
}

async fn publish_one(bucket: &Bucket, completion: Completion) -> Result<()> {
    let Completion { folder, name, upload, parts, bytes } = completion;
    let object = format!("{folder}/{name}");
    let key = bucket.key(&object).map_err(|error| store("cannot publish", &object, error))?;
    let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
    if let Err(error) = bucket.uploads.complete_multipart(&key, &upload, parts).await {
        // Completed before, by a commit whose end was not written down, or by a request whose answer got lost.
        match bucket.store.head(&key).await {
            Ok(found) if found.size == bytes => {}
            Ok(found) => {
                return Err(lost(&object, format!("it has {} bytes and not {bytes}", found.size)));
            }
            Err(object_store::Error::NotFound { .. })
                if matches!(error, object_store::Error::NotFound { .. }) =>
            {
                return Err(lost(&object, "neither the upload nor the object is there".into()));
            }
            Err(_) => return Err(store("cannot publish", &object, error)),
        }
    }
    if let Some(name) = FileName::parse(&name) {
        forget(bucket, &marker_of(&name.pipeline_uuid, &name)).await;
    }
    Ok(())
}

/// An upload that a prepared checkpoint names is not as it was left.
fn lost(object: &str, detail: String) -> Error {
    Error::operator(format!("\"{object}\" is not as the checkpoint left it")).detail(detail).hint(
        "does a rule of the bucket remove unfinished uploads or files? lengthen it, then start anew: remove the \
         pipeline's state folder and write to an empty `path`",
    )
}

/// Removes a marker. One that stays is met again by the next clean-up, so a failure is only told.
async fn forget(bucket: &Bucket, marker: &str) {
    let removed = match bucket.key(marker) {
        Ok(key) => bucket.store.delete(&key).await,
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        warn!(marker, %error, "an upload's marker could not be removed");
    }
}

/// Aborts this pipeline's uploads that still have a marker; their number.
pub(crate) async fn abort_staged(bucket: &Bucket, uuid: &str) -> Result<usize> {
    let below = format!("{MARKERS}/{uuid}");
    let failed = |error| store("cannot clean up", &below, error);
    let prefix = bucket.key(&below).map_err(failed)?;
    let markers: Vec<_> = bucket.store.list(Some(&prefix)).try_collect().await.map_err(failed)?;
    let aborted = markers.len();
    futures::stream::iter(markers)
        .map(|marker| async move {
            let key = marker.location;
            let text = bucket.store.get(&key).await?.bytes().await?;
            if let Ok(marker) = serde_json::from_slice::<Marker>(&text) {
                let object = bucket.key(&marker.object)?;
                match bucket.uploads.abort_multipart(&object, &marker.upload).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            bucket.store.delete(&key).await
        })
        .buffer_unordered(REQUESTS_IN_FLIGHT_MAX)
        .try_collect::<()>()
        .await
        .map_err(failed)?;
    Ok(aborted)
}

/// Refuses a table's folder in which another pipeline has files. Names begin with the pipeline's UUID and stores list in
/// order, so it is enough to look at the first of all names and at the first behind ours.
pub(crate) async fn refuse_foreign(
    bucket: &Bucket,
    folder: &str,
    table: &TableId,
    uuid: &str,
) -> Result<()> {
    let failed = |error| store("cannot list", folder, error);
    let prefix = bucket.key(folder).map_err(failed)?;
    // '.' is the character behind '-': no name of ours is above it.
    let behind_ours = bucket.key(&format!("{folder}/{uuid}.")).map_err(failed)?;
    let lists = [
        bucket.store.list(Some(&prefix)),
        bucket.store.list_with_offset(Some(&prefix), &behind_ours),
    ];
    for mut list in lists {
        while let Some(object) = list.try_next().await.map_err(failed)? {
            let below = object.location.as_ref().strip_prefix(prefix.as_ref());
            let name = below.and_then(|below| below.strip_prefix('/'));
            let Some(file) = name.and_then(FileName::parse) else { continue };
            if file.pipeline_uuid == uuid {
                break;
            }
            return Err(foreign(table, &format!("{}/{folder}", bucket.shown), &file.pipeline_uuid));
        }
    }
    Ok(())
}

/// Removes this pipeline's published files of one folder.
pub(crate) async fn remove_published(bucket: &Bucket, folder: &str, uuid: &str) -> Result<usize> {
    let failed = |error| store("cannot empty", folder, error);
    let prefix = bucket.key(folder).map_err(failed)?;
    let listed = bucket.store.list_with_delimiter(Some(&prefix)).await.map_err(failed)?;
    let is_ours = |object: &object_store::ObjectMeta| {
        let file = object.location.filename().and_then(FileName::parse);
        file.is_some_and(|file| file.pipeline_uuid == uuid)
    };
    let ours: Vec<_> = listed.objects.into_iter().filter(is_ours).collect();
    let removed = ours.len();
    futures::stream::iter(ours)
        .map(|object| async move {
            match bucket.store.delete(&object.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(REQUESTS_IN_FLIGHT_MAX)
        .try_collect::<()>()
        .await
        .map_err(failed)?;
    Ok(removed)
}

/// The highest checkpoint of this pipeline among the published files.
pub(crate) async fn highest_checkpoint(bucket: &Bucket, uuid: &str) -> Result<Option<u64>> {
    let failed = |error| store("cannot list", &bucket.shown, error);
    let prefix = bucket.key("").map_err(failed)?;
    let mut list = bucket.store.list(Some(&prefix));
    let mut highest = None;
    while let Some(object) = list.try_next().await.map_err(failed)? {
        let file = object.location.filename().and_then(FileName::parse);
        if let Some(file) = file.filter(|file| file.pipeline_uuid == uuid) {
            highest = highest.max(Some(file.checkpoint));
        }
    }
    Ok(highest)
}

/// Whether the lake can be reached and written: an upload is begun and aborted, which leaves nothing.
pub(crate) async fn probe(bucket: &Bucket) -> Result<()> {
    let failed = |error| store("cannot write to", &bucket.shown, error);
    let key = bucket.key(&format!("{MARKERS}/probe")).map_err(failed)?;
    let upload = bucket.uploads.create_multipart(&key).await.map_err(failed)?;
    match bucket.uploads.abort_multipart(&key, &upload).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    let prefix = bucket.key(MARKERS).map_err(failed)?;
    bucket.store.list(Some(&prefix)).next().await.transpose().map_err(failed)?;
    Ok(())
}
