//! A small HTTP server on this machine that misbehaves on demand.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How a file is served.
#[derive(Clone)]
pub enum Serve {
    /// As it should be, ranges included.
    Whole(Vec<u8>),
    /// Each answer ends after so many bytes, without saying so.
    Cut(Vec<u8>, usize),
    /// As a whole whatever range is asked for.
    WithoutRange(Vec<u8>),
    /// The first answer is cut and the second one whole, whatever range is asked for.
    CutThenWhole(Vec<u8>, usize),
}

/// A running server; it ends with the test process.
pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `files` by path.
    pub fn start(files: &[(&str, Serve)]) -> Self {
        let files: BTreeMap<String, Serve> =
            files.iter().map(|(path, serve)| ((*path).to_owned(), serve.clone())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &files, &log);
            }
        });
        Self { address, requests }
    }

    /// Paths asked for so far, each with its range if one was asked for.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Serve>, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let start = value.strip_prefix("bytes=")?.strip_suffix('-')?;
        name.eq_ignore_ascii_case("range").then(|| start.parse::<usize>().unwrap())
    });
    let before = log.lock().unwrap().iter().filter(|line| line.starts_with(&path)).count();
    log.lock().unwrap().push(match range {
        Some(start) => format!("{path} from {start}"),
        None => path.clone(),
    });
    let start = range.unwrap_or(0);
    match files.get(&path) {
        None => send(&mut stream, "404 Not Found", "", b"no such file", usize::MAX),
        Some(Serve::Whole(bytes)) => part(&mut stream, bytes, start, usize::MAX),
        Some(Serve::Cut(bytes, most)) => part(&mut stream, bytes, start, *most),
        Some(Serve::WithoutRange(bytes)) => part(&mut stream, bytes, 0, usize::MAX),
        Some(Serve::CutThenWhole(bytes, most)) => {
            part(&mut stream, bytes, 0, if before == 0 { *most } else { usize::MAX });
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn part(stream: &mut TcpStream, bytes: &[u8], start: usize, most: usize) {
    if start == 0 {
        return send(stream, "200 OK", "", bytes, most);
    }
    if start >= bytes.len() {
        return send(stream, "416 Range Not Satisfiable", "", b"", most);
    }
    let (last, total) = (bytes.len() - 1, bytes.len());
    let range = format!("Content-Range: bytes {start}-{last}/{total}\r\n");
    send(stream, "206 Partial Content", &range, &bytes[start..], most);
}

fn send(stream: &mut TcpStream, status: &str, header: &str, body: &[u8], most: usize) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{header}\r\n"
    );
    // The client may have gone; it is the client that is tested.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body[..body.len().min(most)]);
}
