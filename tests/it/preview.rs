//! `data preview`: the sheet shows what training and evaluations see.

use std::fs;

use balance::data::{self, FINE};
use balance::run::{Pool, Preview};

use crate::lab::Lab;

fn text(augment: &str) -> String {
    format!(
        "edition 1
experiment seen {{
  data = digits(labels=coarse)
  augment {{ {augment} }}
  encoder = mlp()
  views = 2
  loss {{ class = cross_entropy() }}
  train {{ optimizer = adamw(lr=1e-3); batch = 4; for = 1 epochs }}
  eval {{ near = knn(labels=fine) }}
}}
"
    )
}

fn preview(augment: &str, rows: usize, views: usize) -> Preview {
    let lab = Lab::new();
    let plan = lab.plan(&text(augment));
    let stage = &plan.stages[0];
    let pool = Pool::load(&stage.data, &lab.library, &lab.path("")).unwrap();
    Preview::of(stage, &lab.library, &pool, (rows, views)).unwrap()
}

#[test]
fn without_random_transforms_every_column_is_the_image() {
    let raw = data::load("digits", "".as_ref()).unwrap();
    let images = &raw.splits[0].1;
    let found = preview("norm = normalize()", 9, 3);
    assert_eq!(found.rows.len(), 9);
    for row in &found.rows {
        assert_eq!(row.fine, images.column(FINE).unwrap()[row.item as usize]);
        assert_eq!(row.images, vec![images.image(row.item as usize).to_vec(); 4]);
    }
}

#[test]
fn views_differ_and_more_of_them_change_none() {
    let augment = "turn = rotation(degrees=40); norm = normalize()";
    let (few, many) = (preview(augment, 3, 2), preview(augment, 6, 5));
    for (few, many) in few.rows.iter().zip(&many.rows) {
        assert_eq!(few.images[..], many.images[..3]);
        assert!((1..6).all(|view| many.images[view] != many.images[0]));
        assert_ne!(many.images[1], many.images[2]);
    }
}

#[test]
fn sizes_are_those_the_encoder_sees() {
    let found = preview("size = resize(size=11 px); middle = center_crop(size=9 px)", 1, 1);
    assert_eq!((found.shape.height, found.shape.width, found.shape.channels), (9, 9, 1));
    assert!(found.rows[0].images.iter().all(|it| it.len() == 81));
}

#[test]
fn the_command_writes_the_same_sheet_again() {
    let lab = Lab::new();
    let file = lab.file("seen.exp", &text("turn = rotation(degrees=40); norm = normalize()"));
    let said = lab.say(&["data", "preview", &file, "--rows", "3"]).ended(0);
    assert_eq!(said.out.lines().count(), 2 + 3 + 1, "{said:?}");
    let first = fs::read(lab.path("seen.views.png")).unwrap();
    assert!(first.starts_with(b"\x89PNG"));
    let again = format!("{file}:seen");
    let other = lab.path("other.png").display().to_string();
    lab.say(&["data", "preview", &again, "--rows", "3", "-o", &other]).ended(0);
    assert_eq!(fs::read(&other).unwrap(), first);
    lab.say(&["data", "preview", &file, "--rows", "0"]).ended(2);
}
