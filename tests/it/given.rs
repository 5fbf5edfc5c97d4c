//! `measure` and `loss`: embeddings that another program made.

use std::fs;
use std::path::{Path, PathBuf};

use balance::kernel::{Denominator, PairKind, PairTerm, Sum, contrastive};
use balance::seed::Stream;
use candle_core::safetensors::{load, save};
use candle_core::{DType, Device, Tensor, Var};

use crate::lab::Lab;
use crate::numeric::values;

const CLASSES: usize = 3;
const DIM: usize = 4;

/// Points around a corner for each class, the corners far apart: labels, and one row each.
fn points(rows: usize) -> (Vec<i64>, Vec<f32>) {
    let labels: Vec<i64> = (0..rows).map(|row| (row % CLASSES) as i64).collect();
    let stream = Stream::new(3);
    let number = |row: usize, at: usize| {
        let corner = if at == row % CLASSES { 5.0 } else { 0.0 };
        corner + stream.at((row * DIM + at) as u64).uniform() as f32
    };
    let rows = (0..rows).flat_map(|row| (0..DIM).map(move |at| (row, at)));
    (labels, rows.map(|(row, at)| number(row, at)).collect())
}

fn file(lab: &Lab, name: &str, arrays: &[(&str, Tensor)]) -> PathBuf {
    let path = lab.path(name);
    let named = arrays.iter().map(|(name, array)| ((*name).to_owned(), array.clone()));
    save(&named.collect(), &path).unwrap();
    path
}

fn embeddings(lab: &Lab, name: &str, rows: usize) -> PathBuf {
    let (labels, values) = points(rows);
    let coarse: Vec<i64> = labels.iter().map(|label| label / 2).collect();
    let arrays = [
        ("embeddings", Tensor::from_vec(values, (rows, DIM), &Device::Cpu).unwrap()),
        ("labels", Tensor::new(labels, &Device::Cpu).unwrap()),
        ("coarse", Tensor::new(coarse, &Device::Cpu).unwrap()),
    ];
    file(lab, name, &arrays)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn embeddings_of_another_program_are_measured() {
    let lab = Lab::new();
    let path = text(&embeddings(&lab, "given.safetensors", 60));
    let evals = ["near = knn(labels=fine, k=3)", "subclasses()", "knn(labels=coarse)"];
    let evals = evals.iter().flat_map(|eval| ["--eval", eval]);
    let arguments: Vec<&str> = ["measure", path.as_str()].into_iter().chain(evals).collect();
    let said = lab.say(&arguments).ended(0).out;
    assert!(said.contains("embeddings of 4 numbers, train 48, test 12"), "{said}");
    assert!(said.contains("classes: fine 3, coarse 2"), "{said}");
    for line in ["test.near.accuracy", "test.subclasses.accuracy", "test.knn.accuracy"] {
        let found = said.lines().find(|it| it.starts_with(line)).expect("measured");
        assert!(found.ends_with("1.0000"), "{found}");
    }
    assert_eq!(said, lab.say(&arguments).ended(0).out);
    // A number that is written is not given once more.
    let twice = ["measure", &path, "--eval", "knn2=knn()", "--eval", "knn()", "--eval", "knn()"];
    let twice = lab.say(&twice).ended(0).out;
    for name in ["test.knn.", "test.knn2.", "test.knn3."] {
        assert!(twice.contains(name), "{twice}");
    }
    let json = lab.say(&[&arguments[..], &["--json"]].concat()).ended(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json.as_array().unwrap().iter().any(|it| it["metric"] == "accuracy"));
}

#[test]
fn what_cannot_be_measured_is_said() {
    let lab = Lab::new();
    let path = text(&embeddings(&lab, "given.safetensors", 30));
    let err = |arguments: &[&str], code: i32| {
        lab.say(&[&["measure", path.as_str()], arguments].concat()).ended(code).err
    };
    assert!(err(&["--eval", "knn(labels=fines)"], 1).contains("did you mean `fine`?"));
    assert!(err(&["--eval", "knn()", "--test", "0%"], 3).contains("`knn` gave no scores"));
    assert!(err(&["--eval", "knn(k=3) +"], 1).contains("a value is missing"));
    assert!(err(&["--eval", "knn()", "--embeddings", "z"], 1).contains("no array `z`"));
    assert!(err(&["--eval", "knn()", "--labels", "kind"], 1).contains("no array `kind`"));
    assert!(err(&["--eval", "linear(features=augmented)"], 3).contains("no augmented views"));
    assert!(err(&["--eval", "knn(on=main.projector)"], 1).contains("leave `on` out"));
    assert!(err(&["--eval", "cka(with=main.encoder)"], 1).contains("one set of embeddings"));
    assert!(err(&["--eval", "dfr(from=train)"], 1).contains("`--groups COLUMN,COLUMN`"));
    let wrong = err(&["--eval", "knn()", "--groups", "coarze"], 1);
    assert!(wrong.contains("no labels `coarze`; did you mean `coarse`?"), "{wrong}");
    assert!(err(&["--eval", "classify()", "--groups", "fine"], 3).contains("`head=logistic`"));
    // What can be measured is, whatever stands before it.
    let arguments = ["measure", &path, "--eval", "alignment()", "--eval", "knn(k=3)"];
    let said = lab.say(&arguments).ended(3);
    assert!(said.out.contains("test.knn.accuracy"), "{}", said.out);
    assert!(said.err.contains("`alignment` gave no scores"), "{}", said.err);
    let short = file(
        &lab,
        "short.safetensors",
        &[
            ("embeddings", Tensor::zeros((3, DIM), DType::F32, &Device::Cpu).unwrap()),
            ("labels", Tensor::new(&[0i64, 1], &Device::Cpu).unwrap()),
        ],
    );
    let said = lab.say(&["measure", &text(&short), "--labels", "labels", "--eval", "knn()"]);
    assert!(said.ended(1).err.contains("there are 3 embeddings and 2 `labels`"));
    let rows = Tensor::new(&[[0.5f32, 1.0], [2.0, f32::NAN]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0i64, 1], &Device::Cpu).unwrap();
    let bad = file(&lab, "bad.safetensors", &[("embeddings", rows), ("labels", labels)]);
    let said = lab.say(&["measure", &text(&bad), "--eval", "knn()"]).ended(1);
    assert!(said.err.contains("row 1 of `embeddings` holds NaN"), "{}", said.err);
    let said = lab.say(&["measure", &lab.file("given.npz", "none"), "--eval", "knn()"]);
    assert!(said.ended(1).err.contains("cannot be read as .npz"));
    let said = lab.say(&["measure", &lab.file("given.csv", "1,2"), "--eval", "knn()"]);
    assert!(said.ended(1).err.contains("neither in `.npz` nor in `.safetensors`"));
}

#[test]
fn losses_of_given_embeddings_and_their_gradients_are_those_of_the_kernel() {
    const FILE: &str = "edition 1
experiment checked {
  data = digits(labels=coarse)
  encoder = mlp()
  views = 2
  loss {
    sup = 0.25 * supcon(temperature=0.5)
    class = cross_entropy()
  }
  train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
  eval { fine = linear(labels=fine) }
}
";
    let (lab, items) = (Lab::new(), 12);
    let (_, numbers) = points(2 * items);
    let labels: Vec<i64> = (0..items).map(|item| (item % CLASSES) as i64).collect();
    let z = Tensor::from_vec(numbers, (2, items, DIM), &Device::Cpu).unwrap();
    let given = Tensor::new(labels.clone(), &Device::Cpu).unwrap();
    let path = file(&lab, "z.safetensors", &[("embeddings", z.clone()), ("labels", given)]);
    let (exp, out) = (lab.file("a.exp", FILE), lab.path("gradient.safetensors"));
    let said = lab.say(&["loss", &exp, "--on", &text(&path), "--gradient", &text(&out)]);
    let said = said.ended(0).out;

    let z = z.reshape((2 * items, DIM)).unwrap().to_dtype(DType::F64).unwrap();
    let z = Var::from_tensor(&z).unwrap();
    let labels: Vec<u32> = labels.iter().map(|label| *label as u32).collect();
    let kind = PairKind::SupCon { sum: Sum::Out, denominator: Denominator::Own };
    let term = PairTerm { temperature: 0.5, ..PairTerm::new(kind) };
    let (total, parts) = contrastive(&z, &labels, 2, &[term]).unwrap();
    assert!(said.contains(&format!("sup    {:.12}  × 0.25", values(&parts)[0])), "{said}");
    assert!(said.contains("class  not computed"), "{said}");
    let expected = values(total.backward().unwrap().get(&z).unwrap());
    let found = load(&out, &Device::Cpu).unwrap();
    assert_eq!(values(&found["gradient.sup"]), expected);
    for (found, expected) in values(&found["gradient"]).iter().zip(&expected) {
        assert!((found - 0.25 * expected).abs() < 1e-15);
    }
    let sweep = "\nsweep both of checked { grid { loss.sup.temperature = [0.1, 0.5] } }\n";
    let swept = lab.file("b.exp", &format!("{FILE}{sweep}"));
    let said = lab.say(&["loss", &swept, "--on", &text(&path)]).ended(0).out;
    let cell = "temperature=0.1, the first of 2 cells; --only chooses another";
    assert!(said.contains(cell), "{said}");
    let said = lab.say(&["loss", &exp, "--on", &text(&path), "--stage", "other"]).ended(1);
    assert!(said.err.contains("there are `main`"), "{}", said.err);
    fs::remove_file(&path).unwrap();
    lab.say(&["loss", &exp, "--on", &text(&path)]).ended(1);
}
