//! The program as its user meets it: arguments, exit codes, what is printed where.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use balance::digest::blake3;
use balance::plan::schema;

use crate::lab::{Lab, folders};

const TEXT: &str = r#"
edition 1
param k: int = 5
experiment near {
  data = digits(labels=coarse, val=10%, test=25%, train=128 samples)
  augment { norm = normalize() }
  train { optimizer = adamw(lr=1e-3); batch = 64; for = 3 epochs }
  stage contrast {
    encoder = mlp(widths=[16], out=8)
    loss { class = 1.0 * cross_entropy() }
  }
  eval { near = knn(on=contrast.encoder, labels=fine, k=k); geo = geometry(on=contrast.encoder) }
}
experiment far extends near { train.batch = 32 }
sweep some of near { grid { k = [1, 3] }; seeds = 0..3 }
"#;

#[test]
fn a_run_prints_a_table_and_leaves_it_in_three_forms() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let said = lab.say(&["run", &format!("{file}:some")]).ended(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[1], "some");
    assert!(lines[3].split_whitespace().eq(["k", "near", "geo"]), "{said:?}");
    assert!(lines[4].split_whitespace().eq(["accuracy", "%", "within_variance"]), "{said:?}");
    assert!(lines[6].starts_with(" 1 ") && lines[6].matches('±').count() == 2, "{said:?}");
    assert_eq!(lines[9], "mean ± sd over 3 seeds, on the test split");
    assert_eq!(lines[10], "3 trainings, 9 evaluations");
    assert_eq!(lines[11], "written to store/reports/some");
    // One line for each training, and no bar where there is no terminal.
    assert_eq!(said.err.lines().count(), 3, "{said:?}");
    assert!(said.err.lines().all(|line| line.starts_with("trained contrast-")), "{said:?}");

    let report = |name| fs::read_to_string(lab.store().join("reports/some").join(name)).unwrap();
    assert_eq!(report("table.csv").lines().count(), 1 + 2 * 2 * 3);
    assert!(
        report("table.csv").starts_with("k,measure,split,seed,value\n1,near.accuracy,test,0,0.")
    );
    assert!(
        report("table.md").starts_with("| k | near accuracy % | geo within_variance |\n| --- |")
    );
    let table: serde_json::Value = serde_json::from_str(&report("table.json")).unwrap();
    assert_eq!(table["rows"][1]["summaries"][0]["values"][2]["seed"], 2);
    let plan: serde_json::Value = serde_json::from_str(&report("plan.json")).unwrap();
    assert_eq!(plan["trials"].as_array().unwrap().len(), 6);

    let again = lab.say(&["run", &format!("{file}:some")]).ended(0);
    assert!(again.err.is_empty(), "{again:?}");
    let tally = "3 trainings (3 from the store), 9 evaluations (9 from the store)";
    assert!(again.out.contains(tally), "{again:?}");
    assert_eq!(
        said.out.lines().take(9).collect::<Vec<_>>(),
        again.out.lines().take(9).collect::<Vec<_>>()
    );
}

#[test]
fn part_of_a_file_is_run_by_name() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let said = lab.say(&["run", &format!("{file}:far"), "--dry-run"]).ended(0);
    assert!(said.out.starts_with("far  1 run = 1 seed") && !said.out.contains("some"), "{said:?}");
    assert!(!lab.store().exists());
    let said = lab.say(&["run", &format!("{file}:fat")]).ended(1);
    assert!(said.err.contains("fat") && said.err.contains("`far`"), "{said:?}");
    let said = lab.say(&["run", "absent.exp"]).ended(1);
    assert!(said.err.contains("absent.exp"), "{said:?}");
    // A file whose own name has a colon.
    let file = lab.file("b:c.exp", TEXT);
    lab.say(&["check", &file]).ended(0);
}

#[test]
fn a_limited_run_is_kept_apart() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let far = format!("{file}:far");
    lab.say(&["run", &far]).ended(0);
    for limit in ["5steps", "5 steps", "5"] {
        let said = lab.say(&["run", &far, "--limit", limit]).ended(0);
        assert!(limit != "5steps" || said.err.contains(": 5 steps, loss "), "{said:?}");
    }
    assert_eq!(folders(&lab.store().join("stages")).len(), 2);
    assert_eq!(folders(&lab.store().join("reports")).len(), 2);
    for wrong in ["0", "five", "-1", "5epochs"] {
        let said = lab.say(&["run", &far, &format!("--limit={wrong}")]).ended(2);
        assert!(said.err.contains("expected a number of steps, such as 5 or 5steps"), "{said:?}");
    }
}

#[test]
fn values_are_set_on_the_command_line() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let far = format!("{file}:far");
    let show = |set: &[&str]| {
        let mut arguments = vec!["show", &far];
        set.iter().for_each(|it| arguments.extend(["--set", it]));
        lab.say(&arguments)
    };
    assert!(show(&[]).ended(0).out.contains("batch 32"));
    let said = show(&["train.batch=16", "k=9"]).ended(0);
    assert!(said.out.contains("batch 16") && said.out.contains("k=9"), "{said:?}");
    let said = show(&["train.bach=16"]).ended(1);
    assert!(said.err.contains("--set") && said.err.contains("`batch`"), "{said:?}");
    assert!(show(&["train.batch"]).ended(1).err.contains("--set"));
}

#[test]
fn a_plan_says_what_is_left_to_do() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let some = format!("{file}:some");
    let said = lab.say(&["plan", &some, "--detailed-exitcode"]).ended(10);
    assert!(said.out.contains("3 trainings instead of 6, 3 to do"), "{said:?}");
    assert!(!lab.store().exists());
    lab.say(&["run", &some]).ended(0);
    fs::remove_file(folders(&lab.store().join("stages"))[0].join("result.json")).unwrap();
    let said = lab.say(&["plan", &some]).ended(0);
    assert!(said.out.contains(" 1 (1 begun) "), "{said:?}");
    lab.say(&["run", &some]).ended(0);
    let said = lab.say(&["plan", &some, "--detailed-exitcode"]).ended(0);
    assert!(said.out.contains("3 trainings instead of 6, 0 to do"), "{said:?}");
}

#[test]
fn a_plan_says_what_it_costs_and_why_a_result_is_not_used() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let some = format!("{file}:some");
    let said = lab.say(&["plan", &some]).ended(0);
    for part in ["FLOPs each", "peak memory", "FLOP, ", " of disk"] {
        assert!(said.out.contains(part), "{part} in {said:?}");
    }
    lab.say(&["run", &some]).ended(0);
    let result = folders(&lab.store().join("stages"))[0].join("result.json");
    fs::write(&result, "{}").unwrap();
    let said = lab.say(&["plan", &some]).ended(0);
    let why = format!("not used: {} is another's", result.display());
    assert!(said.out.contains(&why), "{why} in {said:?}");
}

#[test]
fn a_plan_is_written_for_other_programs() {
    let lab = Lab::new();
    let file = lab.file("folder/a.exp", TEXT);
    let path = lab.path("plan.json");
    let far = format!("{file}:far");
    let set = ["--set", "k=9"];
    let out = path.to_str().unwrap();
    let said = lab.say(&["plan", &far, "--out", out, set[0], set[1]]).ended(0);
    assert_eq!(said.out, "");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, lab.say(&["plan", &far, "--json", set[0], set[1]]).ended(0).out);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(plan["source"]["files"][0]["path"], "a.exp");
    assert_eq!(plan["source"]["files"][0]["blake3"], blake3(TEXT.as_bytes()));
    assert_eq!(plan["source"]["set"], serde_json::json!(["k=9"]));
    assert_eq!(lab.say(&["schema", "plan"]).ended(0).out, schema());
    let check = lab.say(&["schema", "check"]).ended(0).out;
    assert!(check.contains("\"$schema\""), "{check}");
    let folder = lab.path("folder");
    lab.say(&["plan", &far, "--out", folder.to_str().unwrap()]).ended(3);
}

#[test]
fn results_are_in_the_project() {
    let lab = Lab::new();
    let file = lab.file("project/deep/a.exp", TEXT);
    lab.file("project/balance.toml", "");
    let mut command = lab.balance(&["run", &format!("{file}:far")]);
    let output = command.env_remove("BALANCE_STORE").output().unwrap();
    assert!(output.status.success());
    assert!(lab.path("project/.balance/stages").is_dir());
    assert!(!lab.path("project/deep/.balance").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    for arguments in
        [vec!["explain"], vec!["run", &file], vec!["show", &file], vec!["data", "list"]]
    {
        let mut command = lab.balance(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?} {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// The device that is always full is Linux's.
#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_is_told() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let far = format!("{file}:far");
    for arguments in
        [vec!["plan", &file, "--json"], vec!["check", &file], vec!["graph", &far], vec!["explain"]]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = lab.balance(&arguments).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?} {said}");
        assert!(said.contains("standard output cannot be written: No space left"), "{said}");
    }
}

#[test]
fn several_designs_are_an_array() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT.split("sweep").next().unwrap());
    for arguments in [
        vec!["plan", &file, "--json"],
        vec!["show", &file, "--json"],
        vec!["show", &file, "train", "--json"],
    ] {
        let text = lab.say(&arguments).ended(0).out;
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let names: Vec<_> = all.iter().map(|it| it["design"].as_str().unwrap()).collect();
        assert_eq!(names, ["near", "far"], "{arguments:?}");
    }
    let all = lab.path("all.json").display().to_string();
    assert_eq!(lab.say(&["plan", &file, "--out", &all]).ended(0).out, "");
    let said = lab.say(&["diff", &all, &file]).ended(1);
    assert!(said.err.contains("several designs") && said.err.contains("near, far"), "{said:?}");
    let same = lab.say(&["diff", &format!("{all}:far"), &format!("{file}:far")]).ended(0);
    assert_eq!(same.out, "no difference that changes results\n");
    let said = lab.say(&["diff", &format!("{all}:fat"), &file]).ended(1);
    assert!(said.err.contains("no design `fat`, but near, far"), "{said:?}");
}

#[test]
fn a_search_is_left_out_of_json() {
    let lab = Lab::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/plan/08_search.exp");
    let said = lab.say(&["plan", file, "--json"]).ended(0);
    serde_json::from_str::<serde_json::Value>(&said.out).unwrap();
    assert!(said.err.contains("searches are left out of JSON"), "{said:?}");
}

#[test]
fn a_dry_run_prints_the_plan() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let plan = lab.say(&["plan", &file]).ended(0).out;
    assert_eq!(lab.say(&["run", &file, "--dry-run"]).ended(0).out, plan);
    assert!(!lab.store().exists());
}

#[test]
fn no_output_is_coloured_without_a_terminal() {
    let lab = Lab::new();
    let sound = lab.file("a.exp", TEXT);
    let unsound = lab.file("b.exp", &TEXT.replace("knn(", "kmn("));
    for (arguments, code) in
        [(vec!["run", &sound], 0), (vec!["run", &unsound], 1), (vec!["--help"], 0)]
    {
        for (variable, value) in [("NO_COLOR", "1"), ("TERM", "xterm-256color")] {
            let output = lab.balance(&arguments).env(variable, value).output().unwrap();
            assert_eq!(output.status.code(), Some(code));
            assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
        }
    }
}

#[test]
fn a_wrong_command_line_is_code_2() {
    let lab = Lab::new();
    lab.say(&["rum"]).ended(2);
    lab.say(&["run"]).ended(2);
    assert!(lab.say(&["--help"]).ended(0).out.contains("Usage: balance"));
    let said = lab.say(&["explain", "supcom"]).ended(2);
    assert!(said.err.contains("did you mean `supcon`?"), "{said:?}");
    let said = lab.say(&["explain", "loss"]).ended(2);
    assert!(said.err.contains("`balance explain loss FILE`"), "{said:?}");
    let said = lab.say(&["explain", "a.exp:near"]).ended(2);
    assert!(said.err.contains("`balance explain a.exp:near PATH`"), "{said:?}");
    let said = lab.say(&["explain", "301"]).ended(2);
    assert!(said.err.contains("did you mean `B0301`?"), "{said:?}");
}

/// Two slips with one sure mend each, and a choice that takes a person.
const SLIPS: &str = r#"edition 1
experiment a {
  data = digits(label=coarse) # a remark
  encoder = resnet50()
  loss { class = cross_entropy(smothing=10%) }
  train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
  eval { fine = linear(labels=fine) }
}
"#;

#[test]
fn slips_are_mended_in_their_files() {
    let lab = Lab::new();
    let file = lab.file("a.exp", SLIPS);
    let said = lab.say(&["check", "a.exp"]).ended(1);
    assert_eq!(said.err.matches("fix available: `balance check --fix`").count(), 2, "{said:?}");
    let said = lab.say(&["check", "a.exp", "--fix", "--diff"]).ended(1);
    assert_eq!(fs::read_to_string(&file).unwrap(), SLIPS);
    assert!(said.out.starts_with("--- a.exp\n+++ a.exp\n@@ "), "{said:?}");
    assert!(said.out.contains("+  data = digits(labels=coarse) # a remark\n"), "{said:?}");
    assert!(said.err.is_empty(), "{said:?}");

    let said = lab.say(&["check", "a.exp", "--fix"]).ended(1);
    let mended: Vec<&str> = said.out.lines().collect();
    assert_eq!(mended[0], "a.exp:3: mended B0102: `digits` has no argument `label`");
    assert_eq!(mended[1], "a.exp:5: mended B0102: `cross_entropy` has no argument `smothing`");
    assert!(said.err.contains("no encoder is called `resnet50`"), "{said:?}");
    assert!(said.err.ends_with("1 error\n"), "{said:?}");
    let text = SLIPS.replace("label=c", "labels=c").replace("smothing", "smoothing");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    fs::write(&file, text.replace("resnet50", "mlp")).unwrap();
    let said = lab.say(&["check", "a.exp", "--fix"]).ended(0);
    assert_eq!(said.out, "a.exp: sound: a (1 run)\n");
    assert!(lab.say(&["check", "a.exp", "--fix", "--diff"]).ended(0).out.is_empty());
    lab.say(&["check", "a.exp", "--diff"]).ended(2);
}

#[test]
#[cfg(unix)]
fn a_mended_file_keeps_its_place_and_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    let file = lab.file("real/a.exp", &SLIPS.replace("resnet50", "mlp"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&file, lab.path("link.exp")).unwrap();
    lab.say(&["check", "link.exp", "--fix"]).ended(0);
    assert!(lab.path("link.exp").is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&file).unwrap().contains("labels=coarse"));
    assert_eq!(fs::read_dir(lab.path("real")).unwrap().count(), 1);
}

#[test]
fn a_file_named_twice_is_mended_once() {
    let lab = Lab::new();
    let file = lab.file("a.exp", &SLIPS.replace("resnet50", "mlp"));
    let said = lab.say(&["check", "--fix", "a.exp", "./a.exp"]).ended(0);
    assert_eq!(said.out.matches("mended").count(), 2, "{said:?}");
    assert!(fs::read_to_string(&file).unwrap().contains("labels=coarse"));
}

#[test]
fn what_is_imported_is_mended_with_it() {
    let lab = Lab::new();
    let library = lab.file("lib.exp", "edition 1\nencoder small = mlp(outt=16)\n");
    let text = TEXT.replacen("edition 1", "edition 1\nimport \"lib.exp\" as lib", 1);
    lab.file("a.exp", &text.replace("mlp(widths=[16], out=8)", "lib.smal"));
    let said = lab.say(&["check", "a.exp", "--fix"]).ended(0);
    assert_eq!(said.out.lines().count(), 3, "{said:?}");
    assert_eq!(fs::read_to_string(library).unwrap(), "edition 1\nencoder small = mlp(out=16)\n");
}

#[test]
fn warnings_stop_where_they_are_denied() {
    let lab = Lab::new();
    let left = "stage left { encoder = mlp(); loss { class = cross_entropy() } }";
    let text = TEXT.replace("stage contrast", &format!("{left}\n  stage contrast"));
    lab.file("a.exp", &text);
    let said = lab.say(&["check", "a.exp"]).ended(0);
    assert!(said.err.contains("B0310") && said.out.contains("a.exp: sound: "), "{said:?}");
    let said = lab.say(&["check", "a.exp", "--deny", "warnings"]).ended(1);
    assert!(said.err.ends_with("a.exp: warnings are denied\n"), "{said:?}");
    lab.say(&["run", "a.exp:far", "--deny", "warnings"]).ended(1);
    assert!(!lab.store().exists());
    lab.say(&["check", "a.exp", "--deny", "everything"]).ended(2);
}

#[test]
fn diagnostics_are_told_to_programs() {
    let lab = Lab::new();
    lab.file("a.exp", SLIPS);
    lab.file("b.exp", TEXT);
    let said = lab.say(&["check", "a.exp", "b.exp", "--format", "json"]).ended(1);
    assert!(said.err.is_empty(), "{said:?}");
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["files"][1]["path"], "b.exp");
    assert_eq!(told["files"][0]["errors"], 3);
    assert_eq!(told["diagnostics"][0]["fixes"][0]["insert"], "labels");
    let said = lab.say(&["check", "a.exp", "--format", "github"]).ended(1);
    assert_eq!(said.out.matches("::error file=a.exp,line=").count(), 3, "{said:?}");
    let said = lab.say(&["check", "b.exp", "--format", "sarif"]).ended(0);
    let log: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    // Beside the output of other commands.
    let said = lab.say(&["plan", "a.exp", "--format", "github"]).ended(1);
    assert!(said.out.is_empty() && said.err.starts_with("::error "), "{said:?}");
}

#[test]
fn the_look_is_chosen() {
    let lab = Lab::new();
    lab.file("a.exp", SLIPS);
    lab.file("b.exp", TEXT);
    let plain = lab.say(&["check", "a.exp"]).ended(1);
    assert!(plain.err.contains('╭') && !plain.err.contains('\u{1b}'), "{plain:?}");
    let said = lab.say(&["check", "a.exp", "--color", "always"]).ended(1);
    assert!(said.err.contains('\u{1b}'), "{said:?}");
    let said = lab.say(&["check", "a.exp", "--ascii"]).ended(1);
    assert!(said.err.is_ascii(), "{said:?}");
    for (locale, is_ascii) in [("C", true), ("de_DE.ISO-8859-1", true), ("de_DE.UTF-8", false)] {
        let output = lab.balance(&["check", "a.exp"]).env("LC_ALL", locale).output().unwrap();
        assert_eq!(output.stderr.is_ascii(), is_ascii, "{locale}");
    }
    let said = lab.say(&["check", "b.exp", "-q"]).ended(0);
    assert!(said.out.is_empty() && said.err.is_empty(), "{said:?}");
}

#[test]
fn everything_can_be_explained() {
    let lab = Lab::new();
    let said = lab.say(&["explain"]).ended(0);
    let named = |word: &str| said.out.lines().any(|it| it.split_whitespace().any(|w| w == word));
    assert!(named("supcon") && named("B0102") && named("lonely-anchors"), "{said:?}");
    for name in ["B0102", "b0102", "unknown-name"] {
        let said = lab.say(&["explain", name]).ended(0);
        assert!(said.out.starts_with("# B0102 unknown-name\n"), "{said:?}");
    }
    for (slip, meant) in [("lonely-anchor", "lonely-anchors"), ("B01O2", "B0102")] {
        let said = lab.say(&["explain", slip]).ended(2);
        assert!(said.err.contains(&format!("did you mean `{meant}`?")), "{said:?}");
    }
}
