//! The page's server: who may use it, and what it refuses.

mod page;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use page::{Ward, phantoms, png};
use serde_json::json;

#[test]
fn other_machines_need_a_token_and_requests_without_it_change_nothing() {
    let ward = Ward::new();
    let listen = ["--listen", "0.0.0.0:0", "--allow-remote"];
    let served = ward.serve(&listen);
    let pair = served.pair.clone().unwrap();
    let client = served.client();
    let image = &phantoms(1)[0].0;
    assert_eq!(client.get("/session").ok()["authorised"], false);
    let class = json!({ "name": "round" });
    for reply in [
        client.get("/device"),
        client.get("/pairing"),
        client.get("/events"),
        client.post("/predictions", image),
        client.json("POST", "/classes", &class),
        client.with("authorization", "Bearer 00").json("POST", "/classes", &class),
        client.post("/samples?class=0", image),
        client.post("/undo", &[]),
        client.post("/state", b""),
        client.delete("/classes/0"),
    ] {
        assert_eq!((reply.status, reply.kind().as_str()), (401, "unauthorised"));
    }
    let code = pair.split("code=").nth(1).unwrap();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(client.json("POST", "/pair", &json!({ "code": wrong })).kind(), "unauthorised");
    let token = client.json("POST", "/pair", &json!({ "code": code })).ok()["token"].as_str().unwrap().to_owned();
    assert_eq!(client.json("POST", "/pair", &json!({ "code": code })).kind(), "unauthorised", "a code works once");
    let paired = client.with("authorization", &format!("Bearer {token}"));
    assert_eq!(paired.get("/device").ok()["classes"], 0, "nothing was changed without a token");
    paired.add_class("round");
    let pairing = paired.get("/pairing").ok();
    assert!(pairing["qr_svg"].as_str().unwrap().contains("<svg"));
    assert_ne!(pairing["code"].as_str().unwrap(), code);
    // The token outlives the server.
    drop(served);
    let served = ward.serve(&listen);
    assert_eq!(served.client().with("authorization", &format!("Bearer {token}")).classes().len(), 1);
    let codes: Vec<u16> =
        (0..8).map(|_| served.client().json("POST", "/pair", &json!({ "code": "" })).status).collect();
    assert_eq!(codes[..5], [401; 5]);
    assert_eq!(codes[5..], [429; 3], "guessing is slow");
}

#[test]
fn a_page_is_served_over_tls() {
    let ward = Ward::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [cert, key] = ["ward.pem", "ward.key"].map(|name| ward.folder.path().join(name));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let [cert, key] = [cert, key].map(|path| path.to_str().unwrap().to_owned());
    let served = ward.serve(&["--tls-cert", &cert, "--tls-key", &key]);
    let socket = served.url.strip_prefix("https://").unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut line = TcpStream::connect(socket).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut line);
    stream
        .write_all(format!("GET /api/v1/session HTTP/1.1\r\nhost: {socket}\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains(r#""authorised":true"#), "{reply}");
    // Without TLS nothing is answered.
    let mut plain = TcpStream::connect(socket).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    let _ = plain.read_to_end(&mut reply);
    assert!(!reply.starts_with(b"HTTP"));
    drop(served);
    let output = Command::new(env!("CARGO_BIN_EXE_macula"))
        .args([
            "serve",
            "--encoder",
            "raw-pixels",
            "--listen",
            "localhost:0",
            "--tls-cert",
            &key,
            "--tls-key",
            &cert,
            "--device",
        ])
        .arg(ward.store())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "certificate and key are exchanged");
    assert!(String::from_utf8_lossy(&output.stderr).contains("ward.key"));
}

#[test]
fn other_machines_are_refused_unless_allowed() {
    let ward = Ward::new();
    let output = Command::new(env!("CARGO_BIN_EXE_macula"))
        .args(["serve", "--json", "--encoder", "raw-pixels", "--listen", "0.0.0.0:0", "--device"])
        .arg(ward.store())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn requests_of_other_sites_are_refused() {
    let ward = Ward::new();
    let served = ward.serve(&[]);
    let client = served.client();
    let class = json!({ "name": "evil" });
    for (name, value) in
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("host", "evil.example")]
    {
        let reply = client.with(name, value).json("POST", "/classes", &class);
        assert_eq!((reply.status, reply.kind().as_str()), (403, "forbidden"), "{name}");
    }
    // A form of another site has no such content type without asking first.
    let form = client.with("content-type", "text/plain").post("/classes", class.to_string().as_bytes());
    assert_eq!(form.kind(), "unsupported-type");
    assert_eq!(client.classes(), []);
    let page = client.send("GET", "/", &[]).unwrap();
    assert_eq!(page.status, 200);
    let header = |name: &str| page.headers[name].to_str().unwrap().to_owned();
    assert!(header("content-security-policy").contains("default-src 'self'"));
    assert_eq!(
        (header("x-content-type-options"), header("x-frame-options")),
        ("nosniff".to_owned(), "DENY".to_owned())
    );
    assert_eq!(client.get("/device").headers["cache-control"].to_str().unwrap(), "no-store");
    let tag = header("etag");
    assert_eq!(client.with("if-none-match", &tag).send("GET", "/", &[]).unwrap().status, 304);
    let packed = client.with("accept-encoding", "gzip").send("GET", "/app.js", &[]).unwrap();
    assert_eq!(packed.headers.get("content-encoding").map(|coding| coding.to_str().unwrap()), Some("gzip"));
    assert_eq!(client.send("GET", "/nothing", &[]).unwrap().kind(), "not-found");
    assert_eq!(client.send("GET", "/../Cargo.toml", &[]).unwrap().status, 404);
}

#[test]
fn bodies_that_are_no_images_are_refused() {
    let ward = Ward::new();
    let served = ward.serve(&["--max-upload", "64KiB"]);
    let client = served.client();
    client.add_class("round");
    let refused = |body: &[u8]| {
        let kinds = ["/samples?class=0", "/predictions", "/previews", "/queue?name=a.png"].map(|path| {
            let reply = client.post(path, body);
            (reply.status, reply.kind())
        });
        assert!(kinds.iter().all(|kind| *kind == kinds[0]), "{kinds:?}");
        kinds[0].clone()
    };
    assert_eq!(refused(b""), (415, "unsupported-type".to_owned()));
    assert_eq!(refused(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), (415, "unsupported-type".to_owned()));
    let image = &phantoms(1)[0].0;
    assert_eq!(refused(&image[..image.len() / 2]), (415, "unsupported-type".to_owned()));
    assert_eq!(refused(&vec![0; 64 * 1024 + 1]), (413, "too-large".to_owned()));
    // A PNG header that claims 60,000 × 60,000 pixels.
    let mut bomb = png(&macula::data::Image { width: 1, height: 1, channels: 1, pixels: vec![0] });
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let crc = crc32fast::hash(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(refused(&bomb), (413, "too-large".to_owned()));
    for path in ["/samples", "/samples?class=300", "/samples?class=x", "/samples?class=0&operator=-1"] {
        assert_eq!(client.post(path, image).kind(), "input", "{path}");
    }
    for path in ["/samples/0", "/samples/zz", "/samples/..%2f..%2fetc%2fpasswd"] {
        assert_eq!(client.delete(path).kind(), "input", "{path}");
    }
    for name in ["", "a\nb", &"n".repeat(33)] {
        assert_eq!(client.json("POST", "/classes", &json!({ "name": name })).kind(), "refused", "{name:?}");
    }
    assert_eq!(
        client.json("PUT", "/settings", &json!({ "error_rate": 2, "operators": [], "goal": null })).kind(),
        "input"
    );
    assert_eq!(client.classes(), [("round".to_owned(), 0)]);
    assert_eq!(client.get("/queue").ok()["images"], 0);
}

/// A body without a stated length is cut off at the limit, and one that stops does not hold the server.
#[test]
fn endless_and_broken_uploads_end() {
    let ward = Ward::new();
    let served = ward.serve(&["--max-upload", "64KiB"]);
    let socket = served.url.strip_prefix("http://").unwrap();
    let head = format!("POST /api/v1/predictions HTTP/1.1\r\nhost: {socket}\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut endless = TcpStream::connect(socket).unwrap();
    endless.write_all(head.as_bytes()).unwrap();
    let chunk = [b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat();
    while endless.write_all(&chunk).is_ok() {}
    let mut broken = TcpStream::connect(socket).unwrap();
    broken.write_all(head.as_bytes()).unwrap();
    broken.write_all(&chunk).unwrap();
    drop(broken);
    let mut nonsense = TcpStream::connect(socket).unwrap();
    nonsense.write_all(b"\x16\x03\x01 no HTTP\r\n\r\n").unwrap();
    let mut reply = String::new();
    nonsense.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 400"), "{reply}");
    assert_eq!(served.client().post("/predictions", &phantoms(1)[0].0).ok()["decision"], "untaught");
}
