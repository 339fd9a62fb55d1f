//! Many clients of `macula serve` at once: latency of a prediction, requests per second, and the program's memory.
//!
//!     cargo bench --bench page_load -- [CLIENTS [REQUESTS]]     50 clients and 10,000 requests unless stated
//!
//! Each client uploads images of its own, one after the other, and the rate limit counts clients by address, so that each
//! has an address of its own on loopback (Linux).
#![expect(clippy::print_stdout, reason = "a report")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use macula::data;
use macula::device::encode_image;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (clients, requests) = (*numbers.first().unwrap_or(&50), *numbers.get(1).unwrap_or(&10_000));
    let folder = tempfile::tempdir().expect("a folder");
    let (mut child, socket) = start(&folder.path().join("ward.store"));
    let images: Vec<Vec<u8>> = {
        let phantoms = data::open_named("phantoms:224:200", 1).expect("phantoms");
        (0..200).map(|index| encode_image(&phantoms.load(index).expect("a phantom")).expect("a PNG file")).collect()
    };
    let mut line = connect(&socket, 1);
    for class in ["round", "square"] {
        let body = format!("{{\"name\":\"{class}\"}}");
        assert_eq!(post(&mut line, &socket, "classes", "application/json", body.as_bytes()), 200);
    }
    for (index, image) in images[..40].iter().enumerate() {
        assert_eq!(post(&mut line, &socket, &format!("samples?class={}", index % 2), "image/png", image), 200);
    }
    println!(
        "{clients} clients, predictions of images of 224 x 224 pixels, grey-64, {} bytes a file on average",
        images.iter().map(Vec::len).sum::<usize>() / images.len()
    );
    println!(
        "{:>9}  {:>8}  {:>8}  {:>8}  {:>10}  {:>7}",
        "requests", "p50 ms", "p99 ms", "max ms", "requests/s", "RSS MiB"
    );
    let parts = 5;
    for part in 1..=parts {
        let (next, times) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let started = Instant::now();
        std::thread::scope(|scope| {
            for client in 0..clients {
                let (next, times, images, socket) = (&next, &times, &images, &socket);
                scope.spawn(move || {
                    let mut line = connect(socket, client + 2);
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= requests / parts {
                            return;
                        }
                        let begun = Instant::now();
                        let status = post(&mut line, socket, "predictions", "image/png", &images[index % images.len()]);
                        assert_eq!(status, 200, "request {index}");
                        times.lock().expect("no client failed").push(begun.elapsed());
                    }
                });
            }
        });
        let seconds = started.elapsed().as_secs_f64();
        let mut times = times.into_inner().expect("no client failed");
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
        println!(
            "{:>9}  {:>8.1}  {:>8.1}  {:>8.1}  {:>10.0}  {:>7.1}",
            part * requests / parts,
            at(0.5),
            at(0.99),
            at(1.0),
            times.len() as f64 / seconds,
            memory_mib(child.id())
        );
    }
    child.kill().expect("the program ends");
    child.wait().expect("the program has ended");
}

fn start(store: &std::path::Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_macula"))
        .args(["serve", "--json", "--encoder", "grey-64", "--listen", "127.0.0.1:0", "--device"])
        .arg(store)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut ready = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut ready).expect("its address");
    let ready: serde_json::Value = serde_json::from_str(&ready).expect("JSON");
    let url = ready["page"].as_str().expect("an address");
    (child, url.trim_start_matches("http://").replace("localhost", "127.0.0.1"))
}

/// A connection from the loopback address of client `number`.
fn connect(socket: &str, number: usize) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let line = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let own = SocketAddr::from(([127, 0, (number / 250) as u8, (number % 250 + 1) as u8], 0));
    line.bind(&own.into()).expect("an address of loopback");
    let to: SocketAddr = socket.parse().expect("an address");
    line.connect(&to.into()).expect("the program accepts");
    let line: TcpStream = line.into();
    line.set_nodelay(true).expect("a socket");
    line.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    line
}

/// Sends a request and reads the whole reply; returns its status.
fn post(line: &mut TcpStream, socket: &str, path: &str, media_type: &str, body: &[u8]) -> u16 {
    let head = format!(
        "POST /api/v1/{path} HTTP/1.1\r\nhost: {socket}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    line.write_all(&[head.as_bytes(), body].concat()).expect("the program reads");
    let (mut reply, mut bytes) = (Vec::new(), [0; 16_384]);
    loop {
        let count = line.read(&mut bytes).expect("a reply");
        assert!(count > 0, "the program closed the connection");
        reply.extend_from_slice(&bytes[..count]);
        let Some(end) = reply.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&reply[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if reply.len() >= end + 4 + length.unwrap_or(0) {
            return head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        }
    }
}

fn memory_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("a number") / 1024.0
}
