//! Files that no experiment is written in: too large, nested too deep, imported from anywhere.

use std::fs::File;

use crate::lab::Lab;
use crate::worked::work_text;

const SOUND: &str = "edition 1
experiment hello {
  data = digits(labels=coarse)
  encoder = mlp(widths=[lib.width])
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
  eval { fine = linear(labels=fine) }
}
";

#[test]
fn a_file_larger_than_any_experiment_is_refused_with_its_size() {
    let lab = Lab::new();
    let path = lab.path("huge.exp");
    File::create(&path).unwrap().set_len(80 << 20).unwrap();
    let importing = lab.file("importing.exp", "edition 1\nimport \"huge.exp\" as huge\n");
    for file in [path.to_str().unwrap(), &importing] {
        for command in ["check", "run", "plan"] {
            let said = lab.say(&[command, file]).ended(1);
            let expected = "it has 80.0 MiB, and a file may have 64";
            let words: Vec<&str> = said.err.split_whitespace().filter(|it| *it != "│").collect();
            assert!(words.join(" ").contains(expected), "{said:?}");
        }
    }
    let said = lab.say(&["fmt", path.to_str().unwrap()]).ended(1);
    assert!(said.err.contains("80.0 MiB"), "{said:?}");
}

#[test]
fn imports_stay_in_the_project_unless_allowed() {
    let lab = Lab::new();
    lab.file("elsewhere/lib.exp", "edition 1\nlet width = 64\n");
    lab.file("project/balance.toml", "");
    lab.file("project/lib.exp", "edition 1\nlet width = 32\n");
    let importing = |path: &str| SOUND.replacen('\n', &format!("\nimport \"{path}\" as lib\n"), 1);
    let inside = lab.file("project/deep/inside.exp", &importing("../lib.exp"));
    lab.say(&["check", &inside]).ended(0);
    let outside = lab.file("project/outside.exp", &importing("../elsewhere/lib.exp"));
    let said = lab.say(&["check", &outside]).ended(1);
    assert!(
        said.err.contains("lies outside the project") && said.err.contains("B0021"),
        "{said:?}"
    );
    let folder = lab.path("elsewhere");
    assert!(said.err.contains("--allow-import"), "{said:?}");
    lab.say(&["check", &outside, "--allow-import", folder.to_str().unwrap()]).ended(0);
    // Seen from where the imported file is, that folder has no name.
    lab.file("lib.exp", "edition 1\nlet width = 16\n");
    let above = lab.file("project/above.exp", &importing("../lib.exp"));
    let said = lab.say(&["check", "project/above.exp"]).ended(1);
    assert!(said.err.contains("`--allow-import .`"), "{said:?}");
    lab.say(&["check", &above, "--allow-import", "."]).ended(0);
    lab.say(&["plan", &outside, "--allow-import", "elsewhere"]).ended(0);
    lab.say(&["plan", &outside, "--allow-import", "project/deep"]).ended(1);
    let absolute =
        lab.file("project/absolute.exp", &importing(folder.join("lib.exp").to_str().unwrap()));
    lab.say(&["check", &absolute]).ended(1);
}

#[test]
fn a_thousand_levels_are_a_diagnostic() {
    let many = |piece: &str| piece.repeat(1000);
    let value = |opening: &str, closing: &str| {
        format!("edition 1\nlet a = {}1{}\n", many(opening), many(closing))
    };
    for text in [
        value("(", ")"),
        value("[", "]"),
        value("f(", ")"),
        value("{ a = ", " }"),
        value("-", ""),
        value("not ", ""),
        value("1 + ", ""),
        value("if a then ", " else 1"),
        format!("edition 1\n{}{}\n", many("experiment a { "), many("}")),
        format!("edition 1\n{}{}\n", many("experiment a {\n"), many("}\n")),
    ] {
        let worked = work_text(&text);
        let said = worked.diagnostics.iter().any(|it| it.message.contains("nested deeper"));
        assert!(said, "{}\n{}", &text[..60], worked.rendered());
    }
}

#[test]
fn literals_of_any_size_are_read_or_told() {
    for value in ["1e400", "1e-400", "99999999999999999999999999", "0.00000000000000000000000001"] {
        let text = SOUND.replace("lib.width", value);
        assert!(work_text(&text).codes().iter().any(|it| it.starts_with("B0")), "{value}");
    }
}
