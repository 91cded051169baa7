//! A small mail server, which a test stops and starts, and has refuse what it wants.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// An e-mail that was taken.
#[derive(Debug, Clone)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    /// Its bytes; of a server that keeps but headers, those.
    pub data: Vec<u8>,
}

impl Received {
    pub fn message_id(&self) -> String {
        let text = String::from_utf8_lossy(&self.data);
        let line = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
        line.trim().to_owned()
    }
}

/// What it does with what comes.
#[derive(Debug, Default)]
pub struct Rules {
    /// The answer to recipients, and how often.
    pub recipients: BTreeMap<String, (String, usize)>,
    /// How often the connection breaks in the middle of a message.
    pub break_in_data: usize,
    /// How often it breaks when the message was taken, and before that is told.
    pub break_before_reply: usize,
    /// The answer to a whole message, where it is none that takes it.
    pub refuse_message: Option<String>,
    /// Who may sign in: what AUTH PLAIN sends. Without it, nobody has to.
    pub account: Option<String>,
}

/// How connections are encrypted.
#[derive(Clone)]
enum Tls {
    None,
    Implicit(Arc<ServerConfig>),
    Started(Arc<ServerConfig>),
}

/// A certificate for `localhost` that no one else knows.
pub struct Certificate {
    /// As a file of certificates that are trusted holds it.
    pub pem: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self { pem: made.cert.pem(), config: Arc::new(config) }
    }
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Rules>,
    received: Mutex<Vec<Received>>,
    connections: Mutex<Vec<TcpStream>>,
    /// Held while a message is taken and that is told: a stop comes before or behind.
    taking: Mutex<()>,
    keeps_headers_only: AtomicBool,
}

pub struct MailServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Tls,
    accepting: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MailServer {
    pub fn start() -> Self {
        Self::with(Tls::None)
    }

    /// Encrypted from the first byte on.
    pub fn with_tls(certificate: &Certificate) -> Self {
        Self::with(Tls::Implicit(Arc::clone(&certificate.config)))
    }

    /// Encrypted once that is asked for.
    pub fn with_starttls(certificate: &Certificate) -> Self {
        Self::with(Tls::Started(Arc::clone(&certificate.config)))
    }

    fn with(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { address, shared: Arc::default(), tls, accepting: None };
        server.accept(listener);
        server
    }

    /// What `OPIEKUN_SMTP_URL` would be.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        lock(&self.shared.rules)
    }

    /// Of many messages only the headers are kept.
    pub fn keep_headers_only(&self) {
        self.shared.keeps_headers_only.store(true, Ordering::Relaxed);
    }

    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    pub fn count(&self) -> usize {
        lock(&self.shared.received).len()
    }

    /// Takes no connections and ends those that there are.
    pub fn stop(&mut self) {
        let Some((stop, thread)) = self.accepting.take() else { return };
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        let _taking = lock(&self.shared.taking);
        for connection in lock(&self.shared.connections).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// On the same port again.
    pub fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.accept(listener);
    }

    fn accept(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let (stop, shared) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.shared));
        let (stopped, tls) = (Arc::clone(&stop), self.tls.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        lock(&shared.connections).push(stream.try_clone().unwrap());
                        let (shared, tls) = (Arc::clone(&shared), tls.clone());
                        std::thread::spawn(move || {
                            let closing = stream.try_clone().unwrap();
                            let _ = converse(&shared, stream, &tls);
                            let _ = closing.shutdown(Shutdown::Both);
                        });
                    }
                    Err(_) => std::thread::park_timeout(Duration::from_millis(2)),
                }
            }
        });
        self.accepting = Some((stop, thread));
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One connection, from its first word to its last.
fn converse(shared: &Shared, stream: TcpStream, tls: &Tls) -> std::io::Result<()> {
    let encrypted = |config: &Arc<ServerConfig>, stream| {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(StreamOwned::new(connection, stream))
    };
    match tls {
        Tls::None => Session::new(shared, stream, false).serve(true).map(drop),
        Tls::Implicit(config) => Session::new(shared, encrypted(config, stream)?, false).serve(true).map(drop),
        Tls::Started(config) => match Session::new(shared, stream, true).serve(true)? {
            Some(stream) => Session::new(shared, encrypted(config, stream)?, false).serve(false).map(drop),
            None => Ok(()),
        },
    }
}

/// What one connection says and is answered.
struct Session<'s, S> {
    shared: &'s Shared,
    stream: BufReader<S>,
    from: String,
    to: Vec<String>,
    is_known: bool,
    offers_tls: bool,
}

/// Whatever bytes go over.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl<'s, S: Stream> Session<'s, S> {
    fn new(shared: &'s Shared, stream: S, offers_tls: bool) -> Self {
        let stream = BufReader::new(stream);
        Self { shared, stream, from: String::new(), to: Vec::new(), is_known: false, offers_tls }
    }

    fn say(&mut self, line: &str) -> std::io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        stream.flush()
    }

    /// Gives the stream back where it is to be encrypted.
    fn serve(mut self, greets: bool) -> std::io::Result<Option<S>> {
        if greets {
            self.say("220 mail.test.example ESMTP")?;
        }
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let command = line.trim_end().to_owned();
            let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" if self.offers_tls => self.say("250-mail.test.example\r\n250 STARTTLS")?,
                "EHLO" => self.say("250-mail.test.example\r\n250-AUTH PLAIN\r\n250 8BITMIME")?,
                "STARTTLS" => {
                    self.say("220 go on")?;
                    return Ok(Some(self.stream.into_inner()));
                }
                _ if self.offers_tls => self.say("530 5.7.0 Must issue a STARTTLS command first")?,
                "HELO" | "NOOP" => self.say("250 ok")?,
                "RSET" => {
                    self.to.clear();
                    self.say("250 ok")?;
                }
                "AUTH" => {
                    let account = lock(&self.shared.rules).account.clone();
                    self.is_known = account.is_some_and(|account| command.ends_with(&account));
                    let answer = if self.is_known { "235 welcome" } else { "535 5.7.8 who are you" };
                    self.say(answer)?;
                }
                "MAIL" if lock(&self.shared.rules).account.is_some() && !self.is_known => {
                    self.say("530 5.7.0 sign in first")?;
                }
                "MAIL" => {
                    self.from = address(&command);
                    self.to.clear();
                    self.say("250 ok")?;
                }
                "RCPT" => self.recipient(&address(&command))?,
                "DATA" => {
                    if !self.data()? {
                        return Ok(None);
                    }
                }
                "QUIT" => return self.say("221 bye").map(|()| None),
                _ => self.say("502 what?")?,
            }
        }
    }

    fn recipient(&mut self, address: &str) -> std::io::Result<()> {
        let refusal = {
            let mut rules = lock(&self.shared.rules);
            rules.recipients.get_mut(address).filter(|(_, times)| *times > 0).map(|(answer, times)| {
                *times -= 1;
                answer.clone()
            })
        };
        match refusal {
            Some(answer) => self.say(&answer),
            None => {
                self.to.push(address.to_owned());
                self.say("250 ok")
            }
        }
    }

    /// Takes a message; `false` where the connection breaks.
    fn data(&mut self) -> std::io::Result<bool> {
        let is_to_break = |count: &mut usize| std::mem::replace(count, count.saturating_sub(1)) > 0;
        self.say("354 go on")?;
        if is_to_break(&mut lock(&self.shared.rules).break_in_data) {
            let mut some = [0; 64];
            self.stream.read_exact(&mut some)?;
            return Ok(false);
        }
        let mut data = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.stream.read_until(b'\n', &mut line)? == 0 {
                return Ok(false);
            }
            if line == b".\r\n" {
                break;
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        if let Some(answer) = lock(&self.shared.rules).refuse_message.clone() {
            return self.say(&answer).map(|()| true);
        }
        if self.shared.keeps_headers_only.load(Ordering::Relaxed) {
            let end = data.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(data.len());
            data.truncate(end);
            data.shrink_to_fit();
        }
        let received = Received { from: self.from.clone(), to: std::mem::take(&mut self.to), data };
        let _taking = lock(&self.shared.taking);
        lock(&self.shared.received).push(received);
        if is_to_break(&mut lock(&self.shared.rules).break_before_reply) {
            return Ok(false);
        }
        self.say("250 taken").map(|()| true)
    }
}

/// The address between angle brackets.
fn address(command: &str) -> String {
    let inside = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
