//! Containers, services and recipes: they name files that exist, start the same command, and state the same version.
#![cfg(all(feature = "cli", target_os = "linux"))]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a command prints that must succeed.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).current_dir(root()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that the program accepts a command: `--help` at the end takes effect only if all before it is valid.
fn accepts(words: &[&str]) {
    let printed = run(env!("CARGO_BIN_EXE_macula"), &[words, &["--help"]].concat());
    assert!(printed.contains("Usage:"), "{words:?}: {printed}");
}

/// One instruction of a Dockerfile.
#[derive(Debug)]
struct Instruction {
    name: String,
    text: String,
}

impl Instruction {
    /// The options, such as `--from=build`, and the words after them.
    fn words(&self) -> (Vec<&str>, Vec<&str>) {
        self.text.split_whitespace().partition(|word| word.starts_with("--"))
    }

    /// The words of a command in the form of a JSON array.
    fn command(&self) -> Vec<String> {
        let array = &self.text[self.text.find('[').unwrap_or_else(|| panic!("no array: {self:?}"))..];
        serde_json::from_str(array).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The instructions of a Dockerfile by stage, the first of each being `FROM`.
fn stages(path: &str) -> Vec<Vec<Instruction>> {
    let text = read(path);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if name == "FROM" {
            stages.push(Vec::new());
        }
        let instruction = Instruction { name: name.to_owned(), text: text.trim().to_owned() };
        stages.last_mut().unwrap_or_else(|| panic!("{path}: {name} before FROM")).push(instruction);
    }
    stages
}

fn the<'s>(stage: &'s [Instruction], name: &str) -> &'s Instruction {
    stage.iter().find(|instruction| instruction.name == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn dockerfiles_copy_what_exists_and_start_valid_commands() {
    const KNOWN: [&str; 14] = [
        "FROM",
        "ARG",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
        "ENV",
        "LABEL",
    ];
    for path in ["packaging/docker/host.Dockerfile", "packaging/docker/device.Dockerfile"] {
        let stages = stages(path);
        assert_eq!(stages.len(), 2, "{path}");
        let (build, last) = (&stages[0], &stages[1]);
        let stage_name = build[0].text.split(" AS ").nth(1).unwrap();
        for instruction in stages.iter().flatten() {
            assert!(KNOWN.contains(&instruction.name.as_str()), "{path}: {instruction:?}");
        }
        for copy in stages.iter().flatten().filter(|instruction| instruction.name == "COPY") {
            let (options, words) = copy.words();
            let (target, sources) = words.split_last().unwrap();
            assert!(!sources.is_empty() && !target.is_empty(), "{path}: {copy:?}");
            for source in sources {
                match options.iter().find_map(|option| option.strip_prefix("--from=")) {
                    // Of another stage: one of its commands writes there.
                    Some(from) => {
                        assert_eq!(from, stage_name, "{path}");
                        let writes =
                            |step: &Instruction| step.name == "RUN" && step.text.contains(source.trim_end_matches('/'));
                        assert!(build.iter().any(writes), "{path}: no step of '{from}' writes {source}");
                    }
                    None => assert!(root().join(source).exists(), "{path}: no file {source}"),
                }
            }
        }
        let (entry, mut words) = (the(last, "ENTRYPOINT").command(), the(last, "CMD").command());
        // The program lies where the entry point looks for it.
        let run_step = &the(build, "RUN").text;
        assert!(
            run_step.contains(&format!("/image{}", entry[0])) || run_step.contains(&format!("/bin/{}", entry[0])),
            "{path}"
        );
        let user: u32 = the(last, "USER").text.split(':').next().unwrap().parse().expect("a user by number");
        assert!(user >= 10_000, "{path}: user {user}");
        words.retain(|word| word != "--help");
        accepts(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let stages = stages("packaging/docker/device.Dockerfile");
    let (build, device) = (&stages[0], &stages[1]);
    assert_eq!(the(device, "FROM").text, "scratch");
    // Every processor has a program of build-device.
    let (names, script) = (&the(build, "RUN").text, read("build-device"));
    for arch in ["x86-64", "aarch64", "armv7"] {
        assert!(names.contains(&format!("arch={arch} ")) && script.contains(&format!("{arch}) triple=")), "{arch}");
    }
    // The health check asks the port that the device listens on, and the store is on the volume.
    let (check, command) = (the(device, "HEALTHCHECK").command(), the(device, "CMD").command());
    let port = &the(device, "EXPOSE").text;
    assert_eq!(check[0], the(device, "ENTRYPOINT").command()[0]);
    accepts(&check[1..].iter().map(String::as_str).collect::<Vec<_>>());
    for words in [&check, &command] {
        assert!(words.iter().any(|word| word.starts_with("tcp:") && word.ends_with(&format!(":{port}"))), "{words:?}");
    }
    let volume = &the(device, "VOLUME").text;
    assert!(command.iter().any(|word| word.starts_with(&format!("{volume}/"))), "{command:?}");
    assert!(the(build, "RUN").text.contains(&format!("/image{volume}")), "the folder of the volume has no owner");
}

/// Settings in the form of a shell: `NAME=value`.
fn settings(path: &str) -> BTreeMap<String, String> {
    let text = read(path);
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// The command that a shell makes of `command` with settings, without options.
fn expanded(command: &str, settings: &BTreeMap<String, String>) -> Vec<String> {
    let mut set: String = settings.iter().map(|(name, value)| format!("{name}='{value}'; ")).collect();
    set += "OPTIONS=; ";
    run("sh", &["-uc", &format!("{set}printf '%s\\n' {command}")]).lines().map(str::to_owned).collect()
}

#[test]
fn every_service_starts_the_same_command() {
    let unit = run("packaging/service-unit", &[]);
    for place in ["@BUNDLE@", "@COMMAND@", "@USER@", "@STATE@"] {
        assert!(!unit.contains(place), "{place} is not filled in");
    }
    let of_unit = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let own = settings("packaging/deb/device.conf");
    let expected = expanded(of_unit, &own);
    assert!(expected.len() > 8 && expected[0] == "/usr/bin/macula-device", "{expected:?}");
    accepts(&expected[1..].iter().map(String::as_str).collect::<Vec<_>>());
    // OpenRC reads its script as a shell does.
    let openrc = settings("packaging/openrc/macula-device.confd");
    for name in ["BUNDLE", "KEY", "STORE", "LISTEN"] {
        assert_eq!(openrc[name], own[name], "{name}");
    }
    let of_openrc = |name: &str| {
        let sourced = format!(
            ". packaging/openrc/macula-device.confd; OPTIONS=; . packaging/openrc/macula-device; printf %s \"${name}\""
        );
        run("sh", &["-uc", &sourced])
    };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!([words(&of_openrc("command")), words(&of_openrc("command_args"))].concat(), expected);
    assert_eq!(format!("UMask={}", of_openrc("umask")), unit.lines().find(|line| line.starts_with("UMask=")).unwrap());
    assert_eq!(of_openrc("command_user"), "macula:macula");
    for (name, of_unit) in [
        ("respawn_delay", "RestartSec"),
        ("respawn_max", "StartLimitBurst"),
        ("respawn_period", "StartLimitIntervalSec"),
    ] {
        assert!(unit.contains(&format!("{of_unit}={}\n", of_openrc(name))), "{name}");
    }
    // With its own options the command is valid as well.
    let options = words(&openrc["OPTIONS"]);
    accepts(&expected[1..].iter().chain(&options).map(String::as_str).collect::<Vec<_>>());
    // BusyBox init.
    let sysv = read("packaging/buildroot/macula-device/S80macula-device").replace("\\\n", " ");
    let start = sysv.lines().find(|line| line.contains("start-stop-daemon -S")).unwrap();
    let (_, arguments) = start.split_once(" -- ").unwrap();
    assert_eq!(expanded(arguments, &own), expected[1..]);
    for script in [
        "packaging/openrc/macula-device",
        "packaging/openrc/macula-device.confd",
        "packaging/buildroot/macula-device/S80macula-device",
        "packaging/service-unit",
        "packaging/deb/postinst",
    ] {
        run("sh", &["-n", script]);
    }
}

#[test]
fn recipes_name_this_version_and_these_licences() {
    let version = env!("CARGO_PKG_VERSION");
    let recipe = format!("packaging/yocto/recipes-macula/macula-device/macula-device_{version}.bb");
    let text = read(&recipe);
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let sum = run("md5sum", &[file]);
        let line = format!("/{file};md5={}", sum.split_whitespace().next().unwrap());
        assert!(text.contains(&line), "{recipe} lacks {line}");
    }
    let local =
        text.split_whitespace().map(|word| word.trim_matches('"')).filter_map(|word| word.strip_prefix("file://"));
    let files: Vec<&str> = local.filter(|file| !file.contains('$')).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert!(Path::new(&root()).join(file).exists(), "{recipe}: no file {file}");
    }
    let make = read("packaging/buildroot/macula-device/macula-device.mk");
    assert!(make.contains(&format!("MACULA_DEVICE_VERSION = {version}\n")), "macula-device.mk has another version");
    for path in make.split_whitespace().filter_map(|word| word.strip_prefix("$(MACULA_DEVICE_CHECKOUT)/")) {
        assert!(root().join(path).exists(), "macula-device.mk: no file {path}");
    }
    let sums = read("packaging/buildroot/macula-device/macula-device.hash");
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let sum = base16ct::lower::encode_string(&Sha256::digest(read(file)));
        assert!(sums.contains(&format!("sha256  {sum}  {file}\n")), "macula-device.hash: {file}");
    }
}
