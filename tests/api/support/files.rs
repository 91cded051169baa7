//! Uploads, and the stores that they go to: a folder of this run, and a bucket of an S3 server of this run.

use super::client::{Answer, Client, Record};
use super::operations::FORM_OF_PARTS;
use super::world::World;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use opiekun_files::FileStore;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

const BOUNDARY: &str = "----opiekun-7MA4YWxkTrZu0gW";
const ACCESS_KEY: &str = "opiekun-tests";
const SECRET_KEY: &str = "a secret that only the tests know";

/// A body of parts (RFC 7578), which may be put together wrongly.
#[derive(Debug, Clone, Default)]
pub struct Form {
    body: Vec<u8>,
}

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    /// One more part. The name of a file goes as browsers send it: in UTF-8, quotes escaped.
    pub fn part(self, name: &str, filename: Option<&str>, content: &[u8]) -> Self {
        let filename = filename.map(|it| format!("; filename=\"{}\"", it.replace('"', "%22"))).unwrap_or_default();
        self.raw(&format!("Content-Disposition: form-data; name=\"{name}\"{filename}\r\n"), content)
    }

    /// A part with these headers, whatever they are.
    pub fn raw(mut self, headers: &str, content: &[u8]) -> Self {
        self.body.extend_from_slice(format!("--{BOUNDARY}\r\n{headers}\r\n").as_bytes());
        self.body.extend_from_slice(content);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// The whole body, with its end.
    pub fn bytes(&self) -> Vec<u8> {
        [&self.body[..], format!("--{BOUNDARY}--\r\n").as_bytes()].concat()
    }

    pub fn media_type() -> String {
        format!("{FORM_OF_PARTS}; boundary={BOUNDARY}")
    }
}

impl Client {
    pub fn send_form(&self, path: &str, form: &Form) -> Answer {
        self.send("POST", path, Some(&Form::media_type()), &form.bytes())
    }

    /// Uploads a file by the name that it has on the sender's disk.
    pub fn upload(&self, filename: &str, content: &[u8]) -> Answer {
        self.send_form("/files", &Form::new().part("file", Some(filename), content))
    }
}

impl World {
    /// A file that the owner has uploaded.
    #[track_caller]
    pub fn file(&self, filename: &str, content: &[u8]) -> Record {
        self.owner.upload(filename, content).expect(201)
    }
}

/// A store of this run, and what lies in it.
pub struct Store {
    pub store: FileStore,
    /// What `OPIEKUN_FILES` says for it.
    pub setting: String,
    /// Where the bytes are on this machine, whoever keeps them.
    root: PathBuf,
}

impl Store {
    /// The one of every server that is not told another.
    pub fn folder() -> &'static FileStore {
        &Self::in_folder().store
    }

    pub fn in_folder() -> &'static Self {
        static SHARED: LazyLock<Store> = LazyLock::new(|| {
            let root = scratch_folder("files");
            let setting = root.to_str().unwrap().to_owned();
            Store { store: FileStore::open(&setting).unwrap(), setting, root }
        });
        &SHARED
    }

    /// A bucket of a server that speaks S3, checks signatures and keeps what it is given on disk.
    pub fn in_s3() -> &'static Self {
        static SHARED: LazyLock<Store> = LazyLock::new(|| {
            let root = scratch_folder("s3");
            std::fs::create_dir_all(root.join("firm-files")).unwrap();
            let endpoint = serve_s3(root.clone());
            let setting = format!("s3://firm-files/opiekun?endpoint={endpoint}&region=eu-central-1");
            // The usual way for keys, which is the environment's.
            let store = FileStore::open_with_keys(&setting, ACCESS_KEY, SECRET_KEY).unwrap();
            Store { store, setting, root }
        });
        &SHARED
    }

    /// What a server process is told so that it uses this store.
    pub fn environment(&self) -> [(&str, &str); 3] {
        [("OPIEKUN_FILES", &self.setting), ("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]
    }

    /// The files on disk that belong to an organization: whole objects, and in the folder what is being written too.
    pub fn left(&self, organization_id: impl std::fmt::Display) -> Vec<PathBuf> {
        let organization = organization_id.to_string();
        self.found(|path| path.contains(&organization) && !path.ends_with(".json"))
    }

    /// The parts that the S3 server holds of an upload that has not ended.
    pub fn parts(&self, multipart_id: &str) -> Vec<PathBuf> {
        self.found(|path| path.contains(multipart_id))
    }

    fn found(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.root, &mut |path| {
            if wanted(&path.to_string_lossy()) {
                found.push(path.to_owned());
            }
        });
        found.sort();
        found
    }
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

/// A folder beside the binary of the tests, emptied at the start of a run.
fn scratch_folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    std::fs::create_dir_all(&root).unwrap();
    root
}

/// Serves a folder by S3, on a thread of its own for as long as the process lives. Gives the address.
fn serve_s3(root: PathBuf) -> String {
    let (told, address) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
            service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
            let service = service.build();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
    });
    address.recv().unwrap()
}

/// An upload by hand, which a test may let go slowly, break off, or never end.
pub struct RawUpload {
    stream: TcpStream,
    /// Sent in chunks, so that nothing tells how much will come.
    is_chunked: bool,
}

impl RawUpload {
    /// The head of a request, and the beginning of the part with the file. `length` is that of the whole body; none
    /// where it comes in chunks.
    pub fn begin(client: &Client, length: Option<u64>) -> Self {
        let stream = TcpStream::connect(client.address()).unwrap();
        let framing = match length {
            Some(length) => format!("Content-Length: {length}"),
            None => "Transfer-Encoding: chunked".to_owned(),
        };
        let head = format!(
            "POST /api/v1/files HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: {}\r\n{framing}\r\n\r\n",
            client.address(),
            client.sent("Authorization").unwrap(),
            Form::media_type(),
        );
        let mut upload = Self { stream, is_chunked: length.is_none() };
        upload.stream.write_all(head.as_bytes()).unwrap();
        upload.send(Self::before().as_bytes()).unwrap();
        upload
    }

    /// What stands before the content.
    pub fn before() -> String {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"skan.pdf\"\r\n\r\n")
    }

    /// What stands behind it.
    pub fn behind() -> String {
        format!("\r\n--{BOUNDARY}--\r\n")
    }

    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.is_chunked {
            write!(self.stream, "{:x}\r\n", bytes.len())?;
            self.stream.write_all(bytes)?;
            return self.stream.write_all(b"\r\n");
        }
        self.stream.write_all(bytes)
    }

    /// What is answered, head and body, to the end of the connection or of the body.
    pub fn answer(mut self) -> String {
        self.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = self.stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && let Some(length) = head
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok())
                && body.len() >= length
            {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}
