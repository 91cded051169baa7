//! The store of the bytes: a folder, or a bucket of an S3-compatible service.
//!
//! An object is written once, under a name that is never used again, and then only read and removed. What is being
//! written is not visible before it is whole.

use bytes::{Bytes, BytesMut};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::SpawnedReqwestConnector;
use object_store::local::LocalFileSystem;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
};
use std::fmt;
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use url::Url;
use uuid::Uuid;

/// S3 takes no smaller parts, but for the last one.
const S3_PART_BYTES: usize = 5 * 1024 * 1024;
/// What is written to a file at a time.
const FOLDER_PART_BYTES: usize = 512 * 1024;
/// What is read at a time: so much of a download is in memory.
const READ_BYTES: u64 = 512 * 1024;
/// One request of the S3 service, a part's upload among them.
const S3_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request that failed is tried again.
const S3_RETRIES_WITHIN: Duration = Duration::from_secs(20);

/// Names an object: each organization has a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectName {
    pub organization_id: Uuid,
    pub object_id: Uuid,
}

/// A setting that leads to no store. The text names no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SettingFault(String);

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// There is no such object.
    #[error("the object is not in the file store")]
    Missing,
    #[error("the file store failed: {0}")]
    Failed(String),
}

impl From<object_store::Error> for StoreFault {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The store. Clones are the same one.
#[derive(Clone)]
pub struct FileStore {
    inner: Arc<Inner>,
}

enum Inner {
    Folder {
        root: PathBuf,
        store: LocalFileSystem,
    },
    S3 {
        told: String,
        prefix: Path,
        store: Arc<AmazonS3>,
        /// Its connections live here, whichever thread asks: the event loops of the server, or background work.
        _connections: Connections,
    },
}

/// A thread of its own for the connections to S3, which ends when this is dropped.
struct Connections(#[expect(dead_code, reason = "its end is what it says")] oneshot::Sender<()>);

impl Connections {
    fn start() -> io::Result<(Self, Handle)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (handle, (end, ended)) = (runtime.handle().clone(), oneshot::channel());
        let run = move || drop(runtime.block_on(ended));
        std::thread::Builder::new().name("file store".to_owned()).spawn(run)?;
        Ok((Self(end), handle))
    }
}

impl FileStore {
    /// Opens what a setting names: a folder, which is made, or `s3://bucket/prefix?endpoint=…&region=…`.
    ///
    /// Keys, and whatever else the address does not say, come from the usual `AWS_…` variables.
    pub fn open(setting: &str) -> Result<Self, SettingFault> {
        match setting.strip_prefix("s3:") {
            Some(_) => Self::open_s3(setting, None),
            None => Self::open_folder(setting.into()),
        }
    }

    /// [`open`](Self::open) with keys to S3 of one's own, in place of those of the environment.
    pub fn open_with_keys(setting: &str, access_key: &str, secret_key: &str) -> Result<Self, SettingFault> {
        Self::open_s3(setting, Some((access_key, secret_key)))
    }

    fn open_folder(folder: PathBuf) -> Result<Self, SettingFault> {
        let fault = |error: &dyn fmt::Display| SettingFault(format!("the folder {}: {error}", folder.display()));
        // Files of a firm are nobody else's on the machine.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| fault(&error))?;
        let root = folder.canonicalize().map_err(|error| fault(&error))?;
        // A row says that the content is kept once this says so: it has to be on the disk by then.
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|error| fault(&error))?.with_fsync(true);
        Ok(Self { inner: Arc::new(Inner::Folder { root, store }) })
    }

    fn open_s3(address: &str, keys: Option<(&str, &str)>) -> Result<Self, SettingFault> {
        let url = Url::parse(address).map_err(|error| SettingFault(format!("{address:?} is no address: {error}")))?;
        let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
        let bucket = bucket.ok_or_else(|| SettingFault(format!("{address:?} names no bucket")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SettingFault(
                "keys are no part of the address: set AWS_ACCESS_KEY_ID and \
                AWS_SECRET_ACCESS_KEY"
                    .to_owned(),
            ));
        }
        let fault = |error: &dyn fmt::Display| SettingFault(format!("s3://{bucket}: {error}"));
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        let mut is_plain = std::env::var("AWS_ENDPOINT_URL").is_ok_and(|it| it.starts_with("http://"))
            || std::env::var("AWS_ENDPOINT").is_ok_and(|it| it.starts_with("http://"));
        for (name, value) in url.query_pairs() {
            builder = match &*name {
                "endpoint" => {
                    is_plain = value.starts_with("http://");
                    builder.with_endpoint(value.into_owned())
                }
                "region" => builder.with_region(value.into_owned()),
                other => return Err(fault(&format_args!("takes endpoint and region, not {other:?}"))),
            };
        }
        if let Some((access_key, secret_key)) = keys {
            builder = builder.with_access_key_id(access_key).with_secret_access_key(secret_key);
        }
        let prefix = Path::from_url_path(url.path()).map_err(|error| fault(&error))?;
        // The first to come decides, and no other does here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (connections, handle) = Connections::start().map_err(|error| fault(&error))?;
        let store = builder
            .with_client_options(
                ClientOptions::new()
                    .with_allow_http(is_plain)
                    .with_timeout(S3_REQUEST_TIMEOUT)
                    .with_connect_timeout(Duration::from_secs(5)),
            )
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 4,
                retry_timeout: S3_RETRIES_WITHIN,
            })
            .with_http_connector(SpawnedReqwestConnector::new(handle))
            .build()
            .map_err(|error| fault(&error))?;
        let told = format!("s3://{bucket}/{prefix}");
        let inner = Inner::S3 { told, prefix, store: Arc::new(store), _connections: connections };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins to write an object. Nothing is there before [`Writing::finish`].
    pub fn write(&self, name: ObjectName) -> Writing {
        Writing { store: self.clone(), path: self.path(name), filling: BytesMut::new(), parts: Parts::None }
    }

    /// Writes a whole object, for threads that run no event loop.
    pub fn write_now(&self, name: ObjectName, content: Bytes) -> Result<(), StoreFault> {
        alone(async {
            let mut writing = self.write(name);
            writing.write(&content).await?;
            writing.finish().await
        })
    }

    /// Reads what begins at `range.start`: at most half a mebibyte, never past `range.end`. Read again from where it
    /// ends for the rest.
    pub async fn read(&self, name: ObjectName, range: Range<u64>) -> Result<Bytes, StoreFault> {
        let piece = range.start..range.end.min(range.start + READ_BYTES);
        let (path, wanted) = (self.path(name), piece.end - piece.start);
        let bytes = self.store().get_range(&path, piece).await?;
        if bytes.len() as u64 == wanted {
            Ok(bytes)
        } else {
            Err(StoreFault::Failed("an object is shorter than it was".to_owned()))
        }
    }

    /// Removes an object, finished or not; what is not there is removed already.
    ///
    /// `multipart_id` is what [`Writing::write`] has told, if it did: that upload is ended.
    pub async fn remove(&self, name: ObjectName, multipart_id: Option<&str>) -> Result<(), StoreFault> {
        let path = self.path(name);
        match &*self.inner {
            Inner::Folder { root, .. } => {
                // What is being written lies beside, as `<id>#1`; the number counts up where one is there already.
                let whole = root.join(path.as_ref());
                remove_file(&whole)?;
                for number in 1_u32.. {
                    let mut staged = whole.clone().into_os_string();
                    staged.push(format!("#{number}"));
                    if !remove_file(&PathBuf::from(staged))? {
                        break;
                    }
                }
            }
            Inner::S3 { store, .. } => {
                if let Some(id) = multipart_id {
                    match store.abort_multipart(&path, &id.to_owned()).await {
                        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                match store.delete(&path).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// [`remove`](Self::remove) for threads that run no event loop.
    pub fn remove_now(&self, name: ObjectName, multipart_id: Option<&str>) -> Result<(), StoreFault> {
        alone(self.remove(name, multipart_id))
    }

    /// [`read`](Self::read) for threads that run no event loop.
    pub fn read_now(&self, name: ObjectName, range: Range<u64>) -> Result<Bytes, StoreFault> {
        alone(self.read(name, range))
    }

    /// Whether the store takes, gives and removes: what is asked before a server is started.
    pub fn check(&self) -> Result<(), StoreFault> {
        alone(async {
            let name = ObjectName { organization_id: Uuid::nil(), object_id: Uuid::now_v7() };
            let mut writing = self.write(name);
            writing.write(&Bytes::from_static(b"opiekun")).await?;
            writing.finish().await?;
            let read = self.read(name, 0..7).await;
            self.remove(name, None).await?;
            if &*read? == b"opiekun" { Ok(()) } else { Err(StoreFault::Failed("gave back other bytes".to_owned())) }
        })
    }

    fn store(&self) -> &dyn ObjectStore {
        match &*self.inner {
            Inner::Folder { store, .. } => store,
            Inner::S3 { store, .. } => &**store,
        }
    }

    fn path(&self, name: ObjectName) -> Path {
        let prefix = match &*self.inner {
            Inner::Folder { .. } => Path::default(),
            Inner::S3 { prefix, .. } => prefix.clone(),
        };
        prefix.join(name.organization_id.to_string()).join(name.object_id.to_string())
    }

    fn part_bytes(&self) -> usize {
        match &*self.inner {
            Inner::Folder { .. } => FOLDER_PART_BYTES,
            Inner::S3 { .. } => S3_PART_BYTES,
        }
    }
}

/// Where it is, as people are told.
impl fmt::Display for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.inner {
            Inner::Folder { root, .. } => write!(f, "the folder {}", root.display()),
            Inner::S3 { told, .. } => f.write_str(told),
        }
    }
}

/// An object that is being written. Dropped without [`finish`](Self::finish) it leaves at most what
/// [`FileStore::remove`] removes.
pub struct Writing {
    store: FileStore,
    path: Path,
    /// Less than a part, and what came with the bytes that filled it.
    filling: BytesMut,
    parts: Parts,
}

enum Parts {
    /// It may be small enough for one piece.
    None,
    Folder(Box<dyn MultipartUpload>),
    S3 {
        id: String,
        sent: Vec<PartId>,
    },
}

impl Writing {
    /// Takes bytes, and sends a part when there is one. Memory holds one part.
    ///
    /// Gives the id of an upload in parts when one has just begun: whoever knows it can end the upload, so it is to be
    /// kept before more is written.
    pub async fn write(&mut self, bytes: &Bytes) -> Result<Option<String>, StoreFault> {
        let part_bytes = self.store.part_bytes();
        if self.filling.capacity() == 0 {
            // Small files take little, and a part is not moved while it grows.
            self.filling.reserve(if matches!(self.parts, Parts::None) {
                bytes.len()
            } else {
                part_bytes + bytes.len()
            });
        }
        self.filling.extend_from_slice(bytes);
        if self.filling.len() < part_bytes {
            return Ok(None);
        }
        if matches!(self.parts, Parts::None) {
            let (parts, id) = self.begin().await?;
            self.parts = parts;
            if id.is_some() {
                return Ok(id);
            }
        }
        self.send().await?;
        Ok(None)
    }

    /// Writes the rest and makes the object whole, on disk or wherever the service keeps it.
    pub async fn finish(mut self) -> Result<(), StoreFault> {
        if matches!(self.parts, Parts::None) {
            let bytes = std::mem::take(&mut self.filling).freeze();
            self.store.store().put(&self.path, PutPayload::from_bytes(bytes)).await?;
            return Ok(());
        }
        if !self.filling.is_empty() {
            self.send().await?;
        }
        match self.parts {
            Parts::None => {}
            Parts::Folder(mut upload) => {
                upload.complete().await?;
            }
            Parts::S3 { id, sent } => {
                let Inner::S3 { store, .. } = &*self.store.inner else { return Ok(()) };
                store.complete_multipart(&self.path, &id, sent).await?;
            }
        }
        Ok(())
    }

    async fn begin(&self) -> Result<(Parts, Option<String>), StoreFault> {
        Ok(match &*self.store.inner {
            Inner::Folder { store, .. } => (Parts::Folder(store.put_multipart(&self.path).await?), None),
            Inner::S3 { store, .. } => {
                let id = store.create_multipart(&self.path).await?;
                (Parts::S3 { id: id.clone(), sent: Vec::new() }, Some(id))
            }
        })
    }

    /// Sends what there is as one part.
    async fn send(&mut self) -> Result<(), StoreFault> {
        let payload = PutPayload::from_bytes(std::mem::take(&mut self.filling).freeze());
        match (&mut self.parts, &*self.store.inner) {
            (Parts::Folder(upload), _) => upload.put_part(payload).await?,
            (Parts::S3 { id, sent }, Inner::S3 { store, .. }) => {
                sent.push(store.put_part(&self.path, id, sent.len(), payload).await?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Runs to its end what waits for no event loop.
fn alone<T>(work: impl Future<Output = Result<T, StoreFault>>) -> Result<T, StoreFault> {
    let failed = |error: io::Error| StoreFault::Failed(error.to_string());
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?.block_on(work)
}

/// Whether there was such a file.
fn remove_file(path: &std::path::Path) -> Result<bool, StoreFault> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreFault::Failed(error.to_string())),
    }
}
