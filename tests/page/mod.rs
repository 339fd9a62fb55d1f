//! `macula serve` as a process, and a client of its API.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use macula::data::{self, Image};
use macula::device::encode_image;
use serde_json::Value;

/// A page that is served until it is dropped.
pub struct Served {
    pub child: Child,
    /// Its address, `http://HOST:PORT`.
    pub url: String,
    /// Its address with a pairing code, if other machines may connect.
    pub pair: Option<String>,
}

impl Served {
    /// Serves the store at `store` with raw pixels as encoder, on a free port, with more `options`.
    pub fn start(store: &Path, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
        command.args(["serve", "--json", "--encoder", "raw-pixels", "--device"]).arg(store).args(options);
        if !options.contains(&"--listen") {
            command.args(["--listen", "localhost:0"]);
        }
        Self::run(&mut command)
    }

    /// Starts a command that prints its address as JSON.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let report: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: '{line}'"));
        let url = report["page"].as_str().or(report["listening"].as_str()).unwrap().to_owned();
        Self { child, url, pair: report["pair"].as_str().map(str::to_owned) }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

/// A folder with a store.
pub struct Ward {
    pub folder: tempfile::TempDir,
}

impl Ward {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("ward.store")
    }

    pub fn serve(&self, options: &[&str]) -> Served {
        Served::start(&self.store(), options)
    }
}

/// A reply: status, and the body as JSON if it is.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of a request that succeeded.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The kind of an error.
    #[track_caller]
    pub fn kind(&self) -> String {
        assert!(self.status >= 400, "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        self.json()["error"]["kind"].as_str().unwrap().to_owned()
    }
}

/// A client of the API.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    pub base: String,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
}

impl Client {
    pub fn new(base: &str) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { agent, base: base.to_owned(), headers: Vec::new() }
    }

    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name.to_owned(), value.to_owned()));
        Self { headers, ..self.clone() }
    }

    /// Sends a request; `path` begins with `/`.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut reply = self.agent.run(request.body(body).unwrap())?;
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let body = reply.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        Ok(Reply { status, headers, body })
    }

    fn api(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        self.send(method, &format!("/api/v1{path}"), body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.api("GET", path, &[])
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.api("POST", path, body)
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.api("DELETE", path, &[])
    }

    pub fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.with("content-type", "application/json").api(method, path, body.to_string().as_bytes())
    }

    pub fn add_class(&self, name: &str) -> u64 {
        self.json("POST", "/classes", &serde_json::json!({ "name": name })).ok()["slot"].as_u64().unwrap()
    }

    /// Names and samples of the classes.
    pub fn classes(&self) -> Vec<(String, u64)> {
        let classes = self.get("/classes").ok();
        let class = |class: &Value| (class["name"].as_str().unwrap().to_owned(), class["samples"].as_u64().unwrap());
        classes["classes"].as_array().unwrap().iter().map(class).collect()
    }

    pub fn state_sha256(&self) -> String {
        self.get("/device").ok()["state_sha256"].as_str().unwrap().to_owned()
    }
}

/// Phantom images as PNG files, and the class of each.
pub fn phantoms(count: usize) -> Vec<(Vec<u8>, usize)> {
    let dataset = data::open_named(&format!("phantoms:32:{}", count.max(40)), 1).unwrap();
    (0..count).map(|index| (png(&dataset.load(index).unwrap()), dataset.records[index].label.unwrap())).collect()
}

pub fn png(image: &Image) -> Vec<u8> {
    encode_image(image).unwrap()
}
