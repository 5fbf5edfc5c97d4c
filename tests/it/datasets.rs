//! What datasets give training: groups, subsamples, noise, made-up geometry, files of one's own.

use balance::catalog::{ClassMap, Division, ParamType};
use balance::data::Split as Published;
use balance::library::Library;
use balance::library::dataset::Dataset;
use balance::library::eval::Split;
use balance::plan::Data;
use balance::run::Pool;

use crate::lab::{Lab, Watch};

fn text(data: &str) -> String {
    format!(
        "edition 1
        experiment a {{
          data = {data}
          encoder = mlp(widths=[8], out=4)
          loss {{ class = cross_entropy() }}
          train {{ optimizer = adamw(lr=1e-2); batch = 4; for = 2 steps }}
          eval {{ fine = linear(labels=fine, for=1 epochs) }}
        }}"
    )
}

fn data(lab: &Lab, call: &str) -> Data {
    lab.plan(&text(call)).stages.remove(0).data
}

fn pool(lab: &Lab, call: &str) -> (Data, Pool) {
    let data = data(lab, call);
    let pool = Pool::load(&data, &lab.library, &lab.path("data")).unwrap();
    (data, pool)
}

fn sizes(pool: &Pool, split: Split, classes: usize) -> Vec<usize> {
    let mut sizes = vec![0; classes];
    pool.indices(split).iter().for_each(|item| sizes[pool.fine[*item as usize] as usize] += 1);
    sizes
}

#[test]
fn subsamples_follow_the_order_of_classes_in_each_superclass() {
    let lab = Lab::new();
    let call = "digits(labels=coarse, subsample=[90, 40, 20, 10, 5])";
    let (data, sub) = pool(&lab, call);
    let one = [90, 40, 20, 10, 5];
    assert_eq!(sizes(&sub, Split::Train, 10), [one, one].concat());
    assert_eq!(data.division.train, 330);
    let (whole, all) = pool(&lab, "digits(labels=coarse)");
    assert_eq!(sub.indices(Split::Val), all.indices(Split::Val));
    assert_eq!(sub.indices(Split::Test), all.indices(Split::Test));
    assert!(whole.subsample.is_none());
    let again = pool(&lab, call).1;
    assert_eq!(sub.indices(Split::Train), again.indices(Split::Train));
    let other = pool(&lab, &call.replace(")", ", split_seed=1)")).1;
    assert_ne!(sub.indices(Split::Train), other.indices(Split::Train));
    // A class that has fewer keeps all it has.
    let (data, capped) = pool(&lab, "digits(labels=coarse, subsample=[100000])");
    assert_eq!(data.division.train, whole.division.train);
    assert_eq!(capped.indices(Split::Train), all.indices(Split::Train));
}

#[test]
fn the_released_subsample_draws_with_replacement_in_every_split() {
    let lab = Lab::new();
    let call = "digits(labels=coarse, subsample=[300, 4, 3, 2, 1], draw=released)";
    let (data, pool) = pool(&lab, call);
    let one = [300, 4, 3, 2, 1];
    for (split, count) in [
        (Split::Train, data.division.train),
        (Split::Val, data.division.val),
        (Split::Test, data.division.test),
    ] {
        assert_eq!(sizes(&pool, split, 10), [one, one].concat(), "{split:?}");
        assert_eq!(count, 620);
    }
}

#[test]
fn the_unbalanced_cifar100_has_the_sizes_of_the_paper() {
    let lab = Lab::new();
    let five = "subsample=[500, 250, 100, 50, 50]";
    let division =
        |more: &str| data(&lab, &format!("cifar100(labels=coarse, {five}{more})")).division;
    assert_eq!(division(", val=0%").train, 19_000);
    let usual = division("");
    assert_eq!((usual.train, usual.val, usual.test), (18_000, 5_000, 10_000));
    let released = division(", draw=released");
    assert_eq!((released.train, released.val, released.test), (19_000, 19_000, 19_000));
}

#[test]
fn label_noise_is_symmetric_and_for_training_alone() {
    let lab = Lab::new();
    let (data, noisy) = pool(&lab, "digits(labels=fine, label_noise=20%)");
    assert_eq!(data.label_noise, 0.2);
    let differs = |item: &&u32| noisy.fine[**item as usize] != noisy.observed[**item as usize];
    let count = |split| noisy.indices(split).iter().filter(differs).count();
    let train = noisy.indices(Split::Train);
    let share = (0.2 * train.len() as f64).round() as usize;
    assert_eq!(count(Split::Train), share);
    assert_eq!((count(Split::Val), count(Split::Test)), (0, 0));
    let mut moves = [0; 10];
    for item in train.iter().filter(differs) {
        let (from, to) = (noisy.fine[*item as usize], noisy.observed[*item as usize]);
        moves[((to + 10 - from) % 10) as usize] += 1;
    }
    assert_eq!(moves[0], 0);
    assert!(moves[1..].iter().all(|count| *count > 8), "{moves:?}");
    let clean = self::data(&lab, "digits(labels=fine)");
    assert_eq!(clean.label_noise, 0.0);
    let digests = ["", ", label_noise=20%"].map(|more| {
        lab.plan(&text(&format!("digits(labels=fine{more})"))).stages[0].digest.clone()
    });
    assert_ne!(digests[0], digests[1]);
}

/// A table of 24 images of two species in two places.
fn table(lab: &Lab) {
    let image = std::fs::read("tests/data/folders/rgb.jpg").unwrap();
    std::fs::create_dir_all(lab.path("birds")).unwrap();
    let mut text = "image,species,place,split\n".to_owned();
    for at in 0..24 {
        std::fs::write(lab.path(&format!("birds/{at}.jpg")), &image).unwrap();
        let species = ["crow", "gull"][at % 2];
        let place = if at % 3 == 0 { "land" } else { "water" };
        let split = ["train", "train", "val", "test"][at / 6];
        text += &format!("{at}.jpg,{species},{place},{split}\n");
    }
    lab.file("birds/table.csv", &text);
}

#[test]
fn groups_of_a_table_reach_the_pool() {
    let lab = Lab::new();
    table(&lab);
    let path = lab.path("birds/table.csv");
    let call = format!(
        "csv(path={path:?}, label=\"species\", group=\"place\", split=\"split\", size=8, groups=[fine, group])"
    );
    let (data, pool) = pool(&lab, &call);
    assert_eq!((data.division.train, data.division.val, data.division.test), (12, 6, 6));
    assert!(data.division.val_is_published);
    let names = ["crow × land", "crow × water", "gull × land", "gull × water"];
    assert_eq!(pool.group_names, names);
    assert_eq!(pool.groups.len(), 24);
    assert_eq!(pool.groups[..4], [0, 3, 1, 2]);
    assert_eq!(pool.image(0).unwrap().len(), 8 * 8 * 3);
    let none = self::pool(&lab, "digits()").1;
    assert!(none.groups.is_empty() && none.group_names.is_empty());
}

#[test]
fn files_of_ones_own_are_trained_on_and_told_apart_by_content() {
    let lab = Lab::new();
    table(&lab);
    let file = lab.file(
        "own.exp",
        &text("csv(path=\"birds/table.csv\", label=\"species\", split=\"split\", size=8)"),
    );
    let said = lab.say(&["run", &file]).ended(0);
    assert!(said.out.contains("fine"), "{}", said.out);
    let digest = || {
        let said = lab.say(&["plan", &file, "--json"]).ended(0);
        let plan: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        plan.to_string()
    };
    let before = digest();
    assert!(before.contains("birds/table.csv"));
    let other = std::fs::read("tests/data/folders/grey.jpg").unwrap();
    std::fs::write(lab.path("birds/3.jpg"), other).unwrap();
    assert_ne!(before, digest());
    std::fs::remove_file(lab.path("birds/3.jpg")).unwrap();
    let said = lab.say(&["check", &file]).ended(1);
    assert!(said.err.contains("B0804"), "{}", said.err);
}

fn made(library: &Library, lab: &Lab, call: &str) -> (Data, balance::data::Raw) {
    let data = data(lab, call);
    let dataset: Box<dyn Dataset> = balance::library::build(&library.datasets, &data.call);
    let raw = dataset.load(&lab.path("data")).unwrap();
    assert_eq!(raw.sha256, data.content);
    (data, raw)
}

#[test]
fn nested_points_have_the_bayes_accuracy_of_two_normal_distributions() {
    let lab = Lab::new();
    let call = "synthetic.nested(classes=1, subclasses=2, dim=2, per_subclass=4000, noise=0.4, \
                labels=fine)";
    let (_, raw) = made(&lab.library, &lab, call);
    let images = raw.split(Published::Pool).unwrap();
    let mean = |class: usize| -> Vec<f64> {
        let rows = &images.pixels[class * 8000..][..8000];
        (0..2)
            .map(|at| rows.iter().skip(at).step_by(2).map(|v| f64::from(*v)).sum::<f64>() / 4000.0)
            .collect()
    };
    let centres = [mean(0), mean(1)];
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let right = (0..8000).filter(|at| {
        let point: Vec<f64> = images.image(*at).iter().map(|v| f64::from(*v)).collect();
        let nearest = usize::from(square(&point, &centres[1]) < square(&point, &centres[0]));
        nearest == images.fine()[*at] as usize
    });
    let accuracy = right.count() as f64 / 8000.0;
    let distance = square(&centres[0], &centres[1]).sqrt() / 127.5 * 4.0;
    let expected = normal_below(distance / 0.8);
    assert!(distance > 0.1, "{distance}");
    assert!((accuracy - expected).abs() < 0.015, "{accuracy} {expected}");
    let (data, _) = made(&lab.library, &lab, call);
    let dataset: Box<dyn Dataset> = balance::library::build(&lab.library.datasets, &data.call);
    let ceiling = dataset.ceiling(&data.classes).unwrap();
    assert!((ceiling - expected).abs() < 0.005, "{ceiling} {expected}");
    let one = ClassMap { names: vec!["all".to_owned()], of_fine: vec![0, 0] };
    assert_eq!(dataset.ceiling(&one), Some(1.0));
}

/// A short training on `data`.
fn short(data: &str) -> String {
    format!(
        "edition 1
experiment a {{
  data = {data}
  encoder = cnn(widths=[4])
  loss {{ class = cross_entropy() }}
  train {{ optimizer = adamw(lr=1e-3); batch = 64; for = 1 epochs }}
  eval {{ near = knn(labels=fine) }}
}}
"
    )
}

#[test]
fn what_no_classifier_exceeds_is_shown() {
    let lab = Lab::new();
    let nested = short("synthetic.nested(dim=2, noise=0.3)").replace("cnn(widths=[4])", "mlp()");
    let file = lab.file("points.exp", &nested);
    let shown = lab.say(&["show", &file]).ended(0).out;
    let line = shown.lines().last().unwrap();
    let call = "no classifier of synthetic.nested(dim=2, noise=0.3) exceeds ";
    assert!(line.starts_with(call), "{shown}");
    let shares = line.split(' ').filter_map(|word| word.strip_suffix('%')?.parse::<f64>().ok());
    let [fine, seen] = shares.collect::<Vec<_>>()[..] else { panic!("{line}") };
    // Classes are told apart more easily than their subclasses.
    assert!(fine > 100.0 / 12.0 && fine < seen && seen < 100.0, "{line}");
    assert!(lab.say(&["data", "preview", &file]).ended(0).out.contains(line));
    let digits = lab.file("digits.exp", &short("digits(labels=coarse)"));
    assert!(!lab.say(&["show", &digits]).ended(0).out.contains("no classifier"));
}

#[test]
fn a_size_may_be_said_in_pixels() {
    let digest = |size: &str| {
        let data = format!("waterbirds(size={size})");
        crate::worked::plan_of(&short(&data)).stages[0].digest.clone()
    };
    assert_eq!(digest("96 px"), digest("96"));
    assert_ne!(digest("96 px"), digest("64 px"));
}

/// The share of a normal distribution below `x`, by the midpoint rule.
fn normal_below(x: f64) -> f64 {
    let step = 1e-4;
    let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
    0.5 + (0..(x / step) as usize).map(|at| density((at as f64 + 0.5) * step) * step).sum::<f64>()
}

#[test]
fn colours_agree_with_the_label_as_often_as_asked() {
    let lab = Lab::new();
    let call = "colored(images=digits(), flipped=10%)";
    let (data, raw) = made(&lab.library, &lab, call);
    let images = raw.split(Published::Pool).unwrap();
    let groups = data.groups.unwrap();
    let names = ["below_5 × red", "below_5 × green", "5_and_above × red", "5_and_above × green"];
    assert_eq!(groups.names, names);
    let mut counts = [0; 4];
    images.fine().iter().for_each(|fine| counts[groups.of_fine[*fine as usize] as usize] += 1);
    let flipped = (counts[1] + counts[2]) as f64 / 1797.0;
    assert!((0.08..0.12).contains(&flipped), "{counts:?}");
    for at in 0..50 {
        let is_green = images.fine()[at] % 2 == 1;
        let other = if is_green { 0 } else { 1 };
        assert!(images.image(at).iter().skip(other).step_by(3).all(|value| *value == 0));
    }
}

#[test]
fn dominoes_put_one_image_above_another() {
    let lab = Lab::new();
    let call = "dominoes(over=digits(), under=digits(), flipped=0%)";
    let (data, raw) = made(&lab.library, &lab, call);
    let images = raw.split(Published::Pool).unwrap();
    assert_eq!((images.height, images.width, images.channels), (16, 8, 3));
    assert_eq!((data.image.height, data.image.width, data.image.channels), (16, 8, 3));
    let groups = data.groups.unwrap();
    // Nothing is flipped: both halves agree.
    let agree = |fine: &u32| {
        let name = &groups.names[groups.of_fine[*fine as usize] as usize];
        let (under, over) = name.split_once(" × ").unwrap();
        under == over
    };
    assert!(images.fine().iter().all(agree));
}

#[test]
fn every_new_kind_of_data_trains() {
    let lab = Lab::new();
    for call in [
        "synthetic.nested(per_subclass=20)",
        "colored(images=digits(), label_noise=10%)",
        "dominoes(over=digits(), under=digits())",
        "digits(labels=coarse, subsample=[30, 20, 10, 5, 5])",
    ] {
        let plan = lab.plan(&text(call));
        let outcome = lab.run(&plan, &mut Watch::default());
        assert_eq!(outcome.failures(), 0, "{call}: {:?}", outcome.trials);
    }
}

#[test]
fn sizes_of_a_division_are_those_of_the_pool() {
    let lab = Lab::new();
    for call in ["digits(subsample=[7])", "digits(train=100 samples)", "synthetic.nested()"] {
        let (data, pool) = pool(&lab, call);
        let Division { train, val, test, .. } = data.division;
        let of = |split| pool.indices(split).len();
        assert_eq!(
            (of(Split::Train), of(Split::Val), of(Split::Test)),
            (train, val, test),
            "{call}"
        );
    }
}

#[test]
fn a_path_reads_back() {
    let path = balance::catalog::DataPath { written: "a/b".to_owned(), folder: "c".into() };
    assert_eq!(path.place(), std::path::Path::new("c/a/b"));
    assert_eq!(balance::catalog::DataPath::from_value(&path.to_value()), path);
}
