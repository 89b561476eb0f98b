//! A hub on this machine: a server that speaks the hub's protocol, for a few files by repository.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::binary;

/// The commit that every repository is at.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The files of a repository, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A hub of a few files by repository, a data set's named `datasets/owner/name`. `tiny/closed` asks for the token `secret`.
pub struct Hub {
    /// Where it listens: what `HF_ENDPOINT` should be.
    pub endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    /// Starts it; it answers until the process ends.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn start(repositories: BTreeMap<&'static str, Files>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = answer(stream.unwrap(), &repositories, &seen);
            }
        });
        Self { endpoint, requests }
    }

    /// The paths that were asked for so far.
    ///
    /// # Panics
    /// If the server has panicked.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A program of ours with this cache of the hub, and nothing else of the hub's in its environment.
pub fn with_cache(program: &str, cache: &Path) -> Command {
    let mut command = Command::new(binary(program));
    for name in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HTTP_PROXY", "http_proxy"] {
        command.env_remove(name);
    }
    command.env("HF_HOME", cache);
    command
}

fn answer(
    mut stream: TcpStream,
    repositories: &BTreeMap<&str, Files>,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap()?;
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let headers: BTreeMap<String, String> = lines
        .map_while(|line| {
            let (name, value) = line.ok()?.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned()))?;
            Some((name, value))
        })
        .collect();
    seen.lock().unwrap().push(path.clone());
    let mut reply = |status: &str, more: &str, body: &[u8]| {
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")?;
        stream.write_all(body)
    };
    // Repositories of data sets are those named `datasets/owner/name`, as in the addresses of their files.
    let asked = path.strip_prefix("/api/models/").or(path.strip_prefix("/api/"));
    let (repository, file) = match asked {
        Some(rest) => (rest.split("/revision/").next().unwrap(), None),
        None => path[1..].split_once("/resolve/main/").map(|(r, file)| (r, Some(file))).unwrap(),
    };
    if repository == "tiny/closed"
        && headers.get("authorization").is_none_or(|token| token != "Bearer secret")
    {
        return reply("401 Unauthorized", "", b"");
    }
    let Some(files) = repositories.get(repository) else { return reply("404 Not Found", "", b"") };
    let Some(file) = file else {
        let names: Vec<_> = files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
        let info = serde_json::json!({"sha": COMMIT, "siblings": names}).to_string();
        return reply("200 OK", "Content-Type: application/json\r\n", info.as_bytes());
    };
    let bytes = &files[file];
    let (start, end) = headers["range"].strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = end.parse().map_or(bytes.len(), |end: usize| end + 1).min(bytes.len());
    let more = format!(
        "Content-Range: bytes {start}-{}/{}\r\nETag: \"{}-{}\"\r\nX-Repo-Commit: {COMMIT}\r\n",
        end - 1,
        bytes.len(),
        repository.replace('/', "-"),
        file.replace('.', "-")
    );
    reply("206 Partial Content", &more, &bytes[start..end])
}
