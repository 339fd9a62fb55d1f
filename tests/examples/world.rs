//! Small stand-ins for what the examples name: datasets, runs, bundles, keys, stores and a device on a socket.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::collect::Source;
use super::shell::{expect, picture};

/// Arguments that would take hours, and their substitutes.
const SUBSTITUTED: [(&str, &str, &str); 20] = [
    ("--seconds", "20", "1"),
    ("--budget", "90m", "1s"),
    ("--epochs", "40", "2"),
    ("--epochs", "20", "1"),
    ("--epochs", "12", "1"),
    ("--shots", "1,5,20", "1,2"),
    ("--shots", "5,20,50", "1,2"),
    ("--shots", "5,20", "1,2"),
    ("--shots", "20", "2"),
    ("--shots", "5", "2"),
    ("--episodes", "200", "5"),
    ("--data", "phantoms", "phantoms:16:240"),
    ("--data", "phantoms:32:1200", "phantoms:16:720"),
    // The stand-in for a run has fewer values.
    ("--feature-dim", "128", "64"),
    // The stand-in for MobileNetV2 is a network of 64 pixels.
    ("--size", "224", "64"),
    ("--ram", "262144", "100000000"),
    ("--flash", "1048576", "100000000"),
    ("--listen", "tcp:localhost:7000", "tcp:127.0.0.1:0"),
    ("--listen", "http:localhost:7001", "http:127.0.0.1:0"),
    ("--policy", "natural", "natural"),
];

/// Arguments that shorten a command, added if an example does not have them.
const ADDED: [(&str, &[&str]); 22] = [
    ("advise", &["--seconds", "1"]),
    ("pretrain", &["--batch-size", "8"]),
    ("pretrain --data", &["--epochs", "1"]),
    ("eval few-shot", &["--queries", "2"]),
    ("eval few-shot", &["--episodes", "5"]),
    ("eval tasks", &["--queries", "2"]),
    ("eval tasks", &["--episodes", "5"]),
    ("eval tasks", &["--shots", "1"]),
    ("eval active", &["--queries", "2"]),
    ("eval active", &["--labels", "8"]),
    ("eval active", &["--episodes", "5"]),
    ("eval abstention", &["--queries", "2"]),
    ("eval abstention", &["--shots", "2"]),
    ("eval abstention", &["--episodes", "5"]),
    ("eval operating-point", &["--queries", "2"]),
    ("eval operating-point", &["--shots", "2"]),
    ("eval operating-point", &["--episodes", "5"]),
    ("export", &["--count", "4"]),
    ("bench train", &["--steps", "1", "--batch-size", "2"]),
    ("bench augment", &["--batches", "2"]),
    ("bench data", &["--count", "4"]),
    ("serve", &["--listen", "localhost:0"]),
];

/// Examples that are parsed but not run, with the reason.
const PARSED_ONLY: [(&str, &str); 13] = [
    ("deploy", "another machine; tests/deploy.rs has one"),
    ("serial:", "a serial line"),
    ("learn --device clinic.store --class nodule --camera", "a camera; tests/teach_cli/camera.rs has one"),
    ("predict --device clinic.store --camera", "a camera; tests/teach_cli/camera.rs has one"),
    ("serve --device ward.store --listen 0.0.0.0", "a certificate; tests/serve_access.rs has one"),
    ("demo", "tests/demo.rs runs it"),
    ("reproduce few-shot", "hours; tests/reproduce.rs runs every lesson in short"),
    ("reproduce figure-8", "tests/reproduce.rs runs it"),
    ("reproduce NAME", "stands for any lesson"),
    ("reproduce all", "tests/reproduce.rs runs every lesson in short"),
    ("pretrain --data DATA/TASK", "public datasets"),
    ("export OWN/TASK", "public datasets"),
    ("eval tasks --tasks docs/lessons/tasks.toml", "public datasets; tests/eval_tasks.rs runs the command"),
];

/// A short sweep.
const SWEEP: &str = "tasks = \"tasks.toml\"\nevaluation = { shots = [1], episodes = 5, queries = 2 }\n[base]\ndata = \"SCANS\"\nmethod = \"rotation\"\nencoder = \"pico\"\n\
    epochs = 1\nbatch_size = 8\n[[vary]]\nsetting = \"weight_decay\"\nvalues = [0.0, 0.005]\n";

/// Where a device listens in the documents.
const SOCKET: &str = "tcp:localhost:7000";

/// Options that name an output: a stand-in of that name is removed first.
const OUTPUTS: [&str; 7] = ["--out", "--report", "--sheet", "--json-head", "--csv", "--card", "--store"];

pub fn is_parsed_only(words: &[String]) -> bool {
    let line = words.join(" ");
    PARSED_ONLY.iter().any(|(what, _)| line.starts_with(what) || what.ends_with(':') && line.contains(what))
}

/// Checks that the program accepts the arguments: `--help` at the end takes effect only if all before it are valid.
pub fn parse(words: &[String]) -> Result<(), String> {
    let output = program(Path::new(".")).args(words).arg("--help").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    match output.status.success() && text.contains("Usage:") {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn program(folder: &Path) -> Command {
    within(Command::new(env!("CARGO_BIN_EXE_macula")), folder)
}

/// Nothing of the user's own settings reaches the command.
fn within(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).stdin(Stdio::null()).env("XDG_CACHE_HOME", folder);
    for name in ["MACULA_DATA", "MACULA_ISA", "RAYON_NUM_THREADS", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

/// The stand-ins, made once.
pub struct World {
    base: tempfile::TempDir,
}

/// A copy of them for the examples of one source.
pub struct Place {
    folder: tempfile::TempDir,
    /// A device on a socket, and its address.
    device: Option<(Child, String)>,
    /// The store whose copy it serves.
    store: &'static str,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.device {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl World {
    pub fn make() -> Self {
        let base = tempfile::tempdir().unwrap();
        let path = base.path();
        for (number, name) in ["a", "b", "c", "d", "e", "new", "unknown", "chest"].into_iter().enumerate() {
            let class = if number % 2 == 0 { "dark" } else { "bright" };
            picture(class, 20 + number as u32).save(path.join(format!("{name}.png"))).unwrap();
        }
        for set in ["SCANS", "SLIDES", "cifar10", "pneumoniamnist", "kermany-cxr", "chest-xrays", "busi"] {
            draw_set(&path.join(set));
        }
        for (source, look) in [("cells", "dark"), ("hands", "bright")] {
            let folder = path.join("corpus").join(source);
            fs::create_dir_all(&folder).unwrap();
            (0..4).for_each(|n| picture(look, 40 + n).save(folder.join(format!("{n}.png"))).unwrap());
        }
        fs::create_dir(path.join("NODULES")).unwrap();
        (0..3).for_each(|n| picture("bright", 30 + n).save(path.join(format!("NODULES/{n}.png"))).unwrap());
        let lines = csv_lines("SCANS");
        fs::write(path.join("kermany-3class.csv"), &lines).unwrap();
        fs::write(path.join("kermany-cxr/kermany-3class.csv"), csv_lines("")).unwrap();

        fs::write(path.join("sweep.toml"), SWEEP).unwrap();
        let make = |line: &str| drop(expect(0, path, &line.split_whitespace().collect::<Vec<_>>()));
        let fixed = "--encoder pico --channels 3 --size 32 --batch-size 8 --epochs 1 --validate never --quiet";
        make(&format!("pretrain --data SCANS --method rotation {fixed} --out RUN"));
        let task = |name: &str, data: &str| {
            format!("[[task]]\nname = '{name}'\ndata = '{data}'\nrole = 'development'\ndomain = 'medical'\n")
        };
        fs::write(path.join("tasks.toml"), task("scans", "SCANS") + &task("slides", "SLIDES")).unwrap();
        for run in ["runs/cifar-rotation", "runs/cifar-rotation-2", "runs/own-scans", "runs/own-slides", "C", "K", "P"]
        {
            copy(&path.join("RUN"), &path.join(run));
        }
        make("export RUN --count 4 --blob f16,int8 --calibration-count 4 --out SHIPPED");
        make("keygen --out maker");
        make("bundle SHIPPED --signing-key maker.key --out nano.macula");
        make("bundle SHIPPED --signing-key maker.key --out unknown.macula");
        fs::copy(path.join("SHIPPED/encoder.onnx"), path.join("encoder.onnx")).unwrap();
        let elsewhere = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/torch_net.onnx");
        fs::copy(elsewhere, path.join("mobilenet_v2.onnx")).unwrap();
        for (store, encoder) in [("clinic.store", "encoder.onnx"), ("ward.store", "nano.macula --trust maker.pub")] {
            make(&format!("learn --device {store} --encoder {encoder} --class nodule a.png b.png c.png"));
            make(&format!("learn --device {store} --class vessel d.png e.png"));
        }
        Self { base }
    }

    pub fn place(&self, source: &Source) -> Place {
        if source.has_sessions() {
            return Place::empty();
        }
        let folder = tempfile::tempdir().unwrap();
        copy(self.base.path(), folder.path());
        let names = |name: &str| source.examples().any(|example| example.words.iter().any(|word| word == name));
        let store = if names("clinic.store") { "clinic.store" } else { "ward.store" };
        // A document that makes or names another encoder makes its own store, too.
        if source.examples().any(|example| example.words[0] == "learn") && (names("keygen") || names("grey-64")) {
            remove(folder.path(), "ward.store");
        }
        Place { folder, device: None, store }
    }
}

/// Two splits with eight images of each of two classes.
fn draw_set(folder: &Path) {
    for (part, offset) in [("train", 0), ("test", 8)] {
        for (class, look) in [("nodule", "bright"), ("vessel", "dark")] {
            let folder = folder.join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            (offset..offset + 8).for_each(|n| picture(look, n).save(folder.join(format!("{n}.png"))).unwrap());
        }
    }
}

/// The images of [`draw_set`] as a manifest.
fn csv_lines(set: &str) -> String {
    let mut lines = "path,label,split\n".to_owned();
    for (part, offset) in [("train", 0), ("test", 8)] {
        for (class, n) in
            ["nodule", "vessel"].into_iter().flat_map(|class| (offset..offset + 8).map(move |n| (class, n)))
        {
            let path = Path::new(set).join(part).join(class).join(format!("{n}.png"));
            lines += &format!("{},{class},{part}\n", path.display());
        }
    }
    lines
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Removes a file or a folder and the files beside it named `NAME.…`.
fn remove(folder: &Path, name: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let found = path.file_name().unwrap().to_string_lossy().into_owned();
        if found == name || found.starts_with(&format!("{name}.")) {
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    }
    fs::remove_dir_all(folder.join(name)).ok();
}

/// Runs an example with its stand-ins.
pub fn run(place: &mut Place, words: &[String]) -> Result<(), String> {
    let folder = place.folder.path().to_owned();
    let mut words = words.to_vec();
    for at in 1..words.len() {
        for (option, from, to) in SUBSTITUTED {
            if words[at - 1] == option && words[at] == from {
                words[at] = to.to_owned();
                break;
            }
        }
    }
    let command = words.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ");
    for (what, arguments) in ADDED {
        let is_stated =
            words.iter().any(|word| word == arguments[0] || arguments[0] == "--epochs" && word == "--budget");
        if (command == what || words[0] == what) && !is_stated {
            words.extend(arguments.iter().map(ToString::to_string));
        }
    }
    if !words.iter().any(|word| word == "--resume") {
        for pair in words.windows(2).filter(|pair| OUTPUTS.contains(&pair[0].as_str()) && pair[0] != "--store") {
            remove(&folder, &pair[1]);
            // Features have a list of their rows beside them.
            if let Some(stem) = pair[1].strip_suffix(".npy") {
                remove(&folder, &format!("{stem}.csv"));
            }
        }
    }
    // A document that names the next bundle without making it.
    if words[0] != "bundle" && words.iter().any(|word| word == "nano-2.macula") {
        let line = "bundle SHIPPED --signing-key maker.key --counter 2 --out nano-2.macula --force";
        expect(0, &folder, &line.split(' ').collect::<Vec<_>>());
    }
    if words[0] == "serve" {
        for word in words.iter_mut().filter(|word| word.starts_with("tcp:")) {
            *word = place.device()?;
        }
    }
    if words[0] == "device" || words[0] == "serve" {
        return serve(&folder, &words).map(|(mut child, _)| {
            child.kill().ok();
            child.wait().ok();
        });
    }
    for word in words.iter_mut().filter(|word| word.starts_with("tcp:")) {
        *word = place.device()?;
    }
    let output = program(&folder).args(&words).output().unwrap();
    match output.status.code() {
        Some(0) => Ok(()),
        code => Err(format!("exit {code:?}: {}", String::from_utf8_lossy(&output.stderr).trim_end())),
    }
}

impl Place {
    /// A folder without stand-ins.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), device: None, store: "ward.store" }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command as a person types it into a shell, and returns what the terminal shows, and whether it succeeded.
    /// The socket [`SOCKET`] is that of a device which serves a copy of the store.
    pub fn shell(&mut self, command: &str) -> Result<(String, bool), String> {
        let mut address = SOCKET.to_owned();
        if command.contains(SOCKET) {
            address = self.device()?;
        }
        let programs = Path::new(env!("CARGO_BIN_EXE_macula")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        let line = format!("exec 2>&1; {}", command.replace(SOCKET, &address));
        let mut shell = within(Command::new("bash"), self.folder.path());
        let output = shell.args(["-c", &line]).env("PATH", path).env("LC_ALL", "C.UTF-8").output().unwrap();
        Ok((String::from_utf8_lossy(&output.stdout).replace(&address, SOCKET), output.status.success()))
    }

    /// The address of the device on a socket, which is started when it is first needed.
    fn device(&mut self) -> Result<String, String> {
        if self.device.is_none() {
            let folder = self.folder.path();
            for entry in fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if let Some(rest) = name.strip_prefix(self.store) {
                    copy(&folder.join(&name), &folder.join(format!("served.store{rest}")));
                }
            }
            let line = "device --store served.store --listen tcp:127.0.0.1:0";
            let words: Vec<String> = line.split(' ').map(ToString::to_string).collect();
            self.device = Some(serve(folder, &words)?);
        }
        Ok(self.device.as_ref().map(|(_, address)| address.clone()).unwrap_or_default())
    }
}

/// Starts a device and waits until it can be reached.
fn serve(folder: &Path, words: &[String]) -> Result<(Child, String), String> {
    let mut child = program(folder).args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = lines.map_while(Result::ok).find_map(|line| {
        let address = line.strip_prefix("listening").or_else(|| line.strip_prefix("page "))?;
        Some(address.trim().to_owned())
    });
    listening.map(|address| (child, address)).ok_or_else(|| "it ended before it could be reached".to_owned())
}
