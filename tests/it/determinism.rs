//! The same file gives the same bytes: twice, and with any number of threads.

use std::fs;
use std::thread::available_parallelism;

use crate::lab::{Lab, assert_same, contents};

/// Every kind of encoder and loss, with all that is random in them.
const EVERYTHING: &str = r#"
edition 1

experiment flat {
  data = digits(labels=coarse, val=10%, test=25%, train=200 samples)
  views = 2
  augment {
    turn = rotation(degrees=15)
    move = shift(by=12%)
    grain = noise(std=0.05)
    norm = normalize()
  }
  train { optimizer = adamw(lr=1e-3); schedule = cosine(); batch = 64; for = 6 steps }
  stage contrast {
    encoder = mlp(widths=[32], out=16)
    loss {
      supcon = 0.5 * supcon(temperature=0.5)
      cnce = 0.5 * class_infonce(temperature=0.5)
      class = 1.0 * cross_entropy()
    }
  }
  stage recon {
    encoder = mlp(widths=[32], out=16)
    loss {
      mse = 1.0 * class_autoencoder(decoder=mlp_decoder(widths=[32]))
      class = 1.0 * cross_entropy()
    }
  }
  eval {
    fine = linear(on=concat(contrast.encoder, recon.encoder), labels=fine, for=5 epochs)
    moved = linear(on=contrast.encoder, labels=fine, for=2 epochs, features=augmented)
    near = knn(on=contrast.encoder, labels=fine)
    geo = geometry(on=contrast.encoder)
  }
}

experiment residual extends flat {
  contrast.encoder = resnet(depth=8, width=8)
}

experiment attentive extends flat {
  contrast.encoder = vit(patch=2, dim=16, depth=2, heads=2, dropout=10%)
}
"#;

#[test]
fn the_same_file_gives_the_same_bytes() {
    let (first, second) = (Lab::new(), Lab::new());
    first.complete(EVERYTHING);
    second.complete(EVERYTHING);
    assert_same(&first.contents(), &second.contents());
    assert_eq!(first.contents().keys().filter(|name| name.contains("checkpoint")).count(), 4);
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let lab = Lab::new();
    let file = lab.file("everything.exp", EVERYTHING);
    let run = |threads: usize, store: &str| {
        let store = lab.path(store);
        let mut command = lab.balance(&["run", &file]);
        command.env("RAYON_NUM_THREADS", threads.to_string()).env("BALANCE_STORE", &store);
        // candle's own threads are left as they are in the last run only.
        if threads == 4 {
            command.env("CANDLE_NUM_THREADS", "4");
        }
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        contents(&store)
    };
    let one = run(1, "one");
    assert_same(&one, &run(2, "two"));
    assert_same(&one, &run(4, "four"));
    assert!(available_parallelism().is_ok());
}

#[test]
fn another_seed_gives_other_bytes() {
    let text = EVERYTHING.split("experiment residual").next().unwrap();
    let text = text.to_owned() + "sweep seeds of flat { seeds = [3, 4] }\n";
    let lab = Lab::new();
    lab.complete(&text);
    let contents = lab.contents();
    let of = |name: &str, file: &str| -> Vec<Vec<u8>> {
        let wanted = |path: &&String| path.contains(&format!("/{name}-")) && path.ends_with(file);
        contents.keys().filter(wanted).map(|path| contents[path].clone()).collect()
    };
    for (name, file) in [("contrast", "metrics.jsonl"), ("recon", "checkpoint.safetensors")] {
        let both = of(name, file);
        assert_eq!(both.len(), 2);
        assert!(both[0] != both[1], "{name} {file}");
    }
}

#[test]
fn who_reads_a_plan_finds_it_beside_the_result() {
    let lab = Lab::new();
    let text = EVERYTHING.split("experiment residual").next().unwrap();
    let lines = text.replace("for = 6 steps", "for = 9 steps");
    lab.complete(&lines);
    let folder = lab.stage("contrast");
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let (plan, result, machine) = (json("plan.json"), json("result.json"), json("machine.json"));
    assert_eq!(plan["digest"], result["digest"]);
    assert_eq!(result["steps"], 9);
    assert_eq!(result["data"]["train"], 200);
    assert_eq!(result["data"]["sha256"], plan["data"]["content"]);
    assert_eq!(result["last_epoch"]["epoch"], 3);
    assert!(result["last_epoch"]["val.class.accuracy"].as_f64().unwrap() > 0.0);
    assert_eq!(machine["sessions"][0]["last_step"], 9);
    assert_eq!(machine["sessions"][0]["device"], "cpu");
    assert!(!folder.join("lock").exists());
}
