//! The shell gate, attacked.

use super::{REAL, path_with, receipts, root, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Refused, whatever the reason.
const REFUSED: Option<i32> = Some(125);

/// The gate with other constants (no test may write to `/etc`, and nobody waits for 30 seconds here) and with
/// a command that leaves a trace.
struct Gate {
    scratch: tempfile::TempDir,
    trust: PathBuf,
    path: String,
    /// The shell; `bash` is the `sh` of some systems.
    shell: &'static str,
    action: Option<&'static str>,
}

impl Gate {
    fn new() -> Gate {
        let scratch = tempfile::tempdir().unwrap();
        for folder in ["used", "tmp"] {
            fs::create_dir(scratch.path().join(folder)).unwrap();
        }
        let path = path_with(scratch.path(), REAL);
        Gate { scratch, trust: receipts().join("trust.toml"), path, shell: "sh", action: None }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The gate before a command.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut text = fs::read_to_string(root().join("tests/integrations/shell/gate.sh")).unwrap();
        let (trust, used) = (self.trust.to_str().unwrap(), self.at("used"));
        for (shipped, tested) in [
            ("/etc/countersign/trust.toml", trust),
            ("/var/lib/countersign/used", used.to_str().unwrap()),
            ("KILL 30 ", "KILL 3 "),
        ] {
            assert_eq!(text.matches(shipped).count(), 1, "{shipped}");
            text = text.replace(shipped, tested);
        }
        fs::write(self.at("gate.sh"), text).unwrap();
        let mut command = Command::new(self.shell);
        command.arg(self.at("gate.sh")).args(arguments).env("PATH", &self.path).current_dir(&self.scratch);
        command.env("TMPDIR", self.at("tmp"));
        match self.action {
            Some(action) => command.env("GATE_ACTION", action),
            None => command.env_remove("GATE_ACTION"),
        };
        command
    }

    /// Exit code, and what the command was given where it ran.
    fn run(&self, receipt: &str, arguments: &[u8]) -> (Option<i32>, Option<Vec<u8>>) {
        let trace = self.at("trace");
        let _ = fs::remove_file(&trace);
        let mut command = self.command(&[receipt, "tee", trace.to_str().unwrap()]);
        let (code, _) = run(&mut command, arguments).unwrap();
        // The arguments may be secret: nothing that holds them stays.
        let left =
            fs::read_dir(self.at("tmp")).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
        assert_eq!(left.map(|bytes| bytes.len()).sum::<usize>(), 0);
        (code, fs::read(trace).ok())
    }

    /// Runs, and uses up exactly this nonce, which is given back for the next test.
    #[track_caller]
    fn allows(&self, receipt: &str, arguments: &[u8], nonce: &str) {
        assert_eq!(self.run(receipt, arguments), (Some(0), Some(arguments.to_owned())), "{receipt}");
        assert_eq!(self.used(), [format!("nonce-{nonce}")], "{receipt}");
        fs::remove_dir(self.at("used").join(format!("nonce-{nonce}"))).unwrap();
    }

    /// Refuses, and uses nothing up.
    #[track_caller]
    fn refuses(&self, receipt: &str, arguments: &[u8]) {
        assert_eq!(self.run(receipt, arguments), (REFUSED, None), "{receipt}");
        assert!(self.used().is_empty(), "{receipt}");
    }

    /// Refuses with this program in the place of countersign.
    #[track_caller]
    fn refuses_with(&self, script: &str) {
        path_with(self.scratch.path(), script);
        let (receipt, arguments, _) = approved("good-payload");
        assert_eq!(self.run(&receipt, &arguments), (REFUSED, None), "{script}");
        assert!(self.used().is_empty(), "{script}");
    }

    fn used(&self) -> Vec<String> {
        let used = fs::read_dir(self.at("used")).unwrap();
        used.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A receipt, the arguments that it is of, and its nonce.
fn approved(name: &str) -> (String, Vec<u8>, String) {
    let receipt = receipts().join(format!("{name}.json"));
    let entry: serde_json::Value = serde_json::from_slice(&fs::read(&receipt).unwrap()).unwrap();
    let arguments = fs::read(receipt.with_extension("payload")).unwrap();
    (receipt.display().to_string(), arguments, entry["entry"]["nonce"].as_str().unwrap().to_owned())
}

#[test]
fn only_approved_actions_run() {
    let gate = Gate::new();
    let (receipt, arguments, nonce) = approved("good-payload");
    gate.allows(&receipt, &arguments, &nonce);

    let text = String::from_utf8(arguments.clone()).unwrap();
    for other in ["", "{}", "null", "{", &text.replace("null", "1"), &text.replace('é', "e")] {
        gate.refuses(&receipt, other.as_bytes());
    }
    for other in ["rejected-is-not-approved", "expired-is-not-approved", "sth-signature", "good-raw-payload"]
    {
        gate.refuses(receipts().join(format!("{other}.json")).to_str().unwrap(), &arguments);
    }
    for other in ["", "-", "--help", "-V", "--version", "nowhere.json", "/dev/null", "."] {
        gate.refuses(other, &arguments);
    }
}

#[test]
fn only_the_trust_file_is_trusted() {
    let mut gate = Gate::new();
    let (receipt, arguments, _) = approved("good-payload");
    for other in ["/dev/null", "/nowhere"] {
        gate.trust = other.into();
        gate.refuses(&receipt, &arguments);
    }
    // Not even where a rejection was what somebody put into it.
    let loose = fs::read_to_string(receipts().join("trust.toml")).unwrap() + "decision = \"rejected\"\n";
    gate.trust = gate.at("loose.toml");
    fs::write(&gate.trust, loose).unwrap();
    let rejected = receipts().join("rejected-is-not-approved.json");
    gate.refuses(rejected.to_str().unwrap(), &arguments);
    let (_, output) = run(&mut gate.command(&[rejected.to_str().unwrap(), "cat"]), &arguments).unwrap();
    assert!(output.contains(r#""name":"decision","result":"failed""#), "{output}");
}

#[test]
fn every_byte_is_verified_and_passed_on() {
    let gate = Gate::new();
    for name in ["good-raw-payload", "good-payload", "good-jcs-payload"] {
        let (receipt, arguments, nonce) = approved(name);
        gate.allows(&receipt, &arguments, &nonce);
    }
    let (receipt, arguments, _) = approved("good-raw-payload");
    assert!(arguments.ends_with(b"d\n"));
    for end in [&b""[..], b"\n\n", b"\r\n", b"\n\0", b"\0\n", b" \n"] {
        let other = [arguments.trim_ascii_end(), end].concat();
        gate.refuses(&receipt, &other);
    }
    // In JSON the newline is no matter, but what came is what goes on.
    let (receipt, arguments, nonce) = approved("good-payload");
    gate.allows(&receipt, &[&arguments[..], b"\n\n"].concat(), &nonce);
}

#[test]
fn an_approval_runs_once() {
    let gate = Gate::new();
    let (receipt, arguments, nonce) = approved("good-payload");
    assert_eq!(gate.run(&receipt, &arguments).0, Some(0));
    assert_eq!(gate.run(&receipt, &arguments), (REFUSED, None));
    // Under another name, and with other white space, it is the same.
    let copy = gate.at("copy.json");
    fs::write(&copy, fs::read(&receipt).unwrap()).unwrap();
    assert_eq!(gate.run(copy.to_str().unwrap(), &[&arguments[..], b"\n"].concat()), (REFUSED, None));
    fs::remove_dir(gate.at("used").join(format!("nonce-{nonce}"))).unwrap();

    // A command that fails has used it up too.
    assert_eq!(run(&mut gate.command(&[&receipt, "false"]), &arguments).unwrap().0, Some(1));
    assert_eq!(gate.run(&receipt, &arguments), (REFUSED, None));
    fs::remove_dir(gate.at("used").join(format!("nonce-{nonce}"))).unwrap();

    // Of many at once one runs.
    let codes = std::thread::scope(|scope| {
        let trace = format!("echo ran >>'{}'", gate.at("trace").display());
        let _ = fs::remove_file(gate.at("trace"));
        let commands: Vec<_> = (0..8).map(|_| gate.command(&[&receipt, "sh", "-c", &trace])).collect();
        let runs = commands.into_iter().map(|mut command| {
            let arguments = &arguments;
            scope.spawn(move || run(&mut command, arguments).unwrap().0)
        });
        let runs: Vec<_> = runs.collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == REFUSED).count(), 7, "{codes:?}");
    assert_eq!(fs::read_to_string(gate.at("trace")).unwrap(), "ran\n");
}

#[test]
fn nothing_runs_without_a_directory_for_used_approvals() {
    let gate = Gate::new();
    let (receipt, arguments, _) = approved("good-payload");
    fs::remove_dir(gate.at("used")).unwrap();
    assert_eq!(gate.run(&receipt, &arguments), (REFUSED, None));
    fs::write(gate.at("used"), "").unwrap();
    assert_eq!(gate.run(&receipt, &arguments), (REFUSED, None));
}

#[test]
fn a_receipt_file_holds_one_receipt() {
    let gate = Gate::new();
    let (receipt, arguments, nonce) = approved("good-payload");
    let whole: serde_json::Value = serde_json::from_slice(&fs::read(&receipt).unwrap()).unwrap();
    let file = |name: &str, text: String| {
        fs::write(gate.at(name), text).unwrap();
        name.to_owned()
    };
    fs::create_dir(gate.at("folder")).unwrap();
    file("folder/receipt.json", whole.to_string());
    gate.refuses("folder", &arguments);
    gate.refuses(&file("two.json", format!("{whole}\n{whole}\n")), &arguments);
    gate.allows(&file("one.json", format!("{whole}\n")), &arguments, &nonce);
    // Names that look like something else.
    gate.refuses(&file("-", whole.to_string()), &arguments);
    for name in [
        "--help",
        "-V",
        "a b",
        "*",
        "$(exit)",
        "x\",\"nonce\":\"evilevilevilevilevilevil\",\"x\":\"",
        "\\\",\"nonce\":\"evilevilevilevilevilevil\",",
    ] {
        gate.allows(&file(name, whole.to_string()), &arguments, &nonce);
    }
}

#[test]
fn a_signed_action_text_is_compared() {
    let mut gate = Gate::new();
    let (receipt, arguments, nonce) = approved("good-action-payload");
    gate.refuses(&receipt, &arguments);
    for other in ["", "deploy", "Deploy all", "Deploy\n", " Deploy", "--action=Deploy", "--help"] {
        gate.action = Some(other);
        gate.refuses(&receipt, &arguments);
    }
    gate.action = Some("Deploy");
    gate.allows(&receipt, &arguments, &nonce);
    // This one's passkey does not sign it.
    let (receipt, arguments, _) = approved("good-payload");
    gate.refuses(&receipt, &arguments);
}

/// In both kinds of shell that are somebody's `sh`.
#[test]
fn refusals_and_failures_have_different_exit_codes() {
    let mut gate = Gate::new();
    let (receipt, arguments, nonce) = approved("good-payload");
    for shell in ["sh", "bash"] {
        gate.shell = shell;
        if run(gate.command(&[]).arg("--version"), "").is_err() {
            continue; // No bash here.
        }
        for forgotten in [&[][..], &[receipt.as_str()], &[&receipt, ""], &["", ""]] {
            let (code, output) = run(&mut gate.command(forgotten), &arguments).unwrap();
            assert_eq!(code, REFUSED, "{shell} {forgotten:?}: {output}");
            assert!(output.contains("usage: gate.sh RECEIPT COMMAND"), "{output}");
        }
        for code in [0, 1, 7, 126] {
            let script = format!("cat; exit {code}");
            let (ended, output) =
                run(&mut gate.command(&[&receipt, "sh", "-c", &script]), &arguments).unwrap();
            assert_eq!((ended, output.as_bytes()), (Some(code), &arguments[..]), "{shell}");
            assert_eq!(run(&mut gate.command(&[&receipt, "sh"]), &arguments).unwrap().0, REFUSED, "{shell}");
            fs::remove_dir(gate.at("used").join(format!("nonce-{nonce}"))).unwrap();
        }
        // What was refused says why, for a person.
        let (code, output) = run(&mut gate.command(&[&receipt, "cat"]), "{}").unwrap();
        assert!(code == REFUSED && output.contains("payload-mismatch"), "{shell}: {output}");
    }
}

#[test]
fn a_crash_or_empty_output_is_a_failure() {
    let gate = Gate::new();
    for script in ["kill -9 $$", "kill -SEGV $$", "kill $$"] {
        gate.refuses_with(script);
    }
    for code in [1, 2, 3, 4, 5, 124, 126, 127, 137, 255] {
        gate.refuses_with(&format!("exit {code}"));
        gate.refuses_with(&format!("{REAL}; exit {code}"));
    }
    for script in ["exec sleep 400", "sleep 400", "trap '' TERM; sleep 400"] {
        let started = Instant::now();
        gate.refuses_with(script);
        assert!(started.elapsed() < Duration::from_secs(300), "{script}");
    }
}

#[test]
fn a_report_is_one_line_with_one_nonce() {
    let gate = Gate::new();
    let report = |nonce: &str| {
        format!(
            r#"{{"tool":"countersign","version":"0","command":"verify","verdict":"clean","exitCode":0,"source":"x","id":"x","nonce":{nonce},"checks":[]}}"#
        )
    };
    let verifier_that_prints = |text: &str| {
        fs::write(gate.at("said"), text).unwrap();
        format!("cat '{}'", gate.at("said").display())
    };
    let (receipt, arguments, _) = approved("good-payload");
    for nonce in ["-".repeat(22), "_A0-".repeat(10), "x".repeat(22), "x".repeat(86)] {
        path_with(gate.scratch.path(), &verifier_that_prints(&report(&format!("\"{nonce}\""))));
        gate.allows(&receipt, &arguments, &nonce);
    }
    let x = "x".repeat(22);
    let good = report(&format!("\"{x}\""));
    for bad in ["null", "7", "\"\"", "\"x\"", "[\"x\"]"] {
        gate.refuses_with(&verifier_that_prints(&report(bad)));
    }
    for bad in ["/", "..", " ", "é", "\\\"", "*", ".", "=", "+"] {
        gate.refuses_with(&verifier_that_prints(&report(&format!("\"{x}{bad}{x}\""))));
    }
    for other in [
        String::new(),
        "\n".to_owned(),
        "{}".to_owned(),
        format!("{good}\n{good}\n"),
        format!("{good}\n{{}}\n"),
        format!("warning\n{good}\n"),
        format!("\n{good}\n"),
        format!("x{good}\n"),
        good.replace("clean", "invalid"),
        good.replace(":0", ":1"),
        report(&format!("\"{}\"", "x".repeat(87))),
        report(&format!("\"{}\"", "x".repeat(21))),
    ] {
        gate.refuses_with(&verifier_that_prints(&other));
    }
}

#[test]
fn nothing_runs_without_the_tools() {
    let mut gate = Gate::new();
    let (receipt, arguments, nonce) = approved("good-payload");
    let tools = ["cat", "tee", "mktemp", "rm", "timeout", "sed", "mkdir"];
    let found = |tool: &str| {
        let folders: Vec<PathBuf> = std::env::split_paths(&gate.path).collect();
        folders.iter().map(|folder| folder.join(tool)).find(|tool| tool.exists()).unwrap()
    };
    let found: Vec<PathBuf> = tools.iter().map(|tool| found(tool)).collect();
    let bare = gate.at("bare");
    fs::create_dir(&bare).unwrap();
    path_with(&bare, REAL);
    gate.shell = "/bin/sh";
    gate.path = bare.display().to_string();
    let link = |name: &str, tool: &Path| std::os::unix::fs::symlink(tool, bare.join(name)).unwrap();
    for (name, tool) in tools.iter().zip(&found) {
        link(name, tool);
    }
    gate.allows(&receipt, &arguments, &nonce);
    for missing in ["mktemp", "rm", "cat", "timeout", "countersign", "sed", "mkdir"] {
        let aside = bare.join("aside");
        fs::rename(bare.join(missing), &aside).unwrap();
        gate.refuses(&receipt, &arguments);
        fs::rename(&aside, bare.join(missing)).unwrap();
    }
}
