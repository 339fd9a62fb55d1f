//! The board as a process, with a host over TCP, a bad line and power cuts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use macula_edge::protocol::message::{Input, VERSION};
use macula_edge::protocol::{Client, Reply, Request, packet_max};
use macula_firmware_sim::board::Shape;
use macula_firmware_sim::script::Script;

/// A process that is killed when the test ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Process, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_macula-board"));
    let mut process = Process(child.args(arguments).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on tcp:").unwrap_or_else(|| panic!("{line}")).to_owned();
    (process, address)
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    stream
}

/// The reply; `None` when the board closed the connection.
fn ask(stream: &mut TcpStream, client: &mut Client<'_>, request: &Request<'_>) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    client.request(request, &mut |piece| frame.extend_from_slice(piece)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut sent = None::<Instant>;
    while Instant::now() < deadline {
        if sent.is_none_or(|sent| sent.elapsed() > Duration::from_millis(200)) {
            stream.write_all(&frame).ok()?;
            sent = Some(Instant::now());
        }
        let mut bytes = [0; 512];
        match stream.read(&mut bytes) {
            Ok(0) => return None,
            Ok(len) => {
                for &byte in &bytes[..len] {
                    if let Some(reply) = client.receive(byte) {
                        return Some(reply.to_vec());
                    }
                }
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
    }
    panic!("no reply within half a minute");
}

#[test]
fn a_host_teaches_the_board_over_a_bad_line_and_power_cuts() {
    let dim = 16;
    let (_process, address) = start(&["--dim", "16", "--faults", "20000", "--cut", "40", "--seed", "7"]);
    let size = packet_max(Shape::features_only(dim).message_max());
    let (mut received, mut packet) = (vec![0; size], vec![0; size]);
    let mut client = Client::new(1, &mut received, &mut packet);
    let mut script = Script::new(1, dim);
    let features: Vec<Vec<u8>> = (0..30).map(|number| script.feature(number % 2)).collect();
    let (mut learned, mut connections) = (0, 0);
    while learned < features.len() {
        connections += 1;
        assert!(connections < 100, "the board never stays on");
        let mut stream = connect(&address);
        client.begin(connections);
        let mut request = |request: &Request<'_>| ask(&mut stream, &mut client, request);
        let Some(_) = request(&Request::Hello { version: VERSION }) else { continue };
        let Some(_) = request(&Request::AddClass { name: "a" }) else { continue };
        while learned < features.len() {
            let (source, input) = ([learned as u8 + 1; 16], Input::Feature(&features[learned]));
            let Some(reply) = request(&Request::Learn { class: 0, source, operator: 1, time_s: 0, input }) else {
                break;
            };
            match Reply::parse(&reply).unwrap() {
                Reply::Learned { supports, .. } => assert_eq!(supports as usize, learned + 1),
                other => panic!("{other:?}"),
            }
            learned += 1;
        }
    }
    assert!(connections > 2, "the power never failed");
}

#[test]
fn wrong_usage_is_an_error() {
    for arguments in [&["--nonsense", "1"][..], &["--dim"], &["--dim", "x"], &["--blob", "no such file"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_macula-board")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}
