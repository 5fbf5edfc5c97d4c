//! What a shell completes, as a shell says it.

use std::path::Path;
use std::process::Command;

use crate::lab::Lab;

/// What bash offers where the last of `words` stands, with the script of `program`.
pub fn offered(program: &Path, words: &[&str]) -> Vec<String> {
    let name = program.file_stem().unwrap().to_string_lossy();
    let all = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let ask = format!(
        r#"eval "$('{}' completions bash)"; COMP_WORDS=('{name}' {all}); COMP_CWORD={}
        _{name} '{name}' '{last}' '{before}'; printf '%s\n' "${{COMPREPLY[@]}}""#,
        program.display(),
        words.len(),
    );
    let said = Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_commands_and_components() {
    let program = Path::new(env!("CARGO_BIN_EXE_balance"));
    assert_eq!(offered(program, &["explain", "supc"]), ["supcon"]);
    assert_eq!(offered(program, &["explain", "B0401"]), ["B0401"]);
    assert_eq!(offered(program, &["measure", "a.npz", "--eval", "retr"]), ["retrieval"]);
    assert!(offered(program, &["check", "--de"]).contains(&"--deny".to_owned()));
    // No component of another kind can be measured.
    assert!(!offered(program, &["measure", "--eval", "s"]).contains(&"supcon".to_owned()));
}

#[test]
fn every_shell_has_its_script() {
    let lab = Lab::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = lab.say(&["completions", shell]).ended(0).out;
        assert!(script.contains("explain"), "{shell}");
        // What follows a command is a value that two shells know, what follows an option three.
        assert_eq!(script.contains("class_infonce"), ["bash", "zsh"].contains(&shell), "{shell}");
        assert_eq!(
            script.contains("retrieval"),
            ["bash", "fish", "zsh"].contains(&shell),
            "{shell}"
        );
    }
}
