//! `data preview`: the views that an experiment declares, as a picture.

use std::path::{Path, PathBuf};

use super::ceiling::ceiling;
use super::workspace::{Workspace, data_root};
use super::{Target, exit, prompt};
use crate::catalog::{ClassMap, Labels};
use crate::data::{SheetOptions, grid};
use crate::library::dataset::Dataset;
use crate::library::{self, Library};
use crate::plan::{Plan, Stage};
use crate::run::{Pool, Preview};
use crate::store;

/// Arguments of `data preview`.
#[derive(clap::Args)]
pub struct PreviewArgs {
    #[command(flatten)]
    target: Target,
    /// Where to write the sheet [default: FILE.views.png beside the file]
    #[arg(short, long, value_name = "PNG")]
    out: Option<PathBuf>,
    /// Images, in the order training takes them
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=500))]
    rows: u16,
    /// Views of each image [default: as many as are declared]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    views: Option<u16>,
}

/// Draws a sheet for each stage of the first trial.
pub fn preview(library: &Library, args: &PreviewArgs) -> u8 {
    let mut workspace = Workspace::open(library, &args.target);
    workspace.require_data();
    if let Some(code) = workspace.report_errors() {
        return code;
    }
    if let Some(code) = workspace.report_no_plan() {
        return code;
    }
    let Some(plan) = workspace.plans.first() else { return exit::DIAGNOSTICS };
    let Some(trial) = plan.trials.first() else { return exit::DIAGNOSTICS };
    let is_one = trial.stages.len() == 1;
    for stage in trial.stages.iter().map(|at| &plan.stages[*at]) {
        let path = place(args, if is_one { None } else { Some(&stage.name) });
        if let Err(why) = draw(library, args, (plan, stage), &path) {
            prompt::eprint(&format!("{why}\n"));
            return exit::FAILED;
        }
    }
    0
}

/// Where a sheet is written; of several stages each has its own.
fn place(args: &PreviewArgs, stage: Option<&str>) -> PathBuf {
    let file = match args.target.file.rsplit_once(".exp:") {
        Some((stem, _)) => format!("{stem}.exp"),
        None => args.target.file.clone(),
    };
    let path = args.out.clone().unwrap_or_else(|| Path::new(&file).with_extension("views.png"));
    match stage {
        Some(stage) => path.with_extension(format!("{stage}.png")),
        None => path,
    }
}

fn draw(
    library: &Library,
    args: &PreviewArgs,
    (plan, stage): (&Plan, &Stage),
    path: &Path,
) -> Result<(), String> {
    let root = data_root(&args.target.places);
    let pool = Pool::load(&stage.data, library, &root).map_err(|error| error.to_string())?;
    let views = args.views.map_or(stage.views, usize::from);
    let preview = Preview::of(stage, library, &pool, (usize::from(args.rows), views));
    let preview = preview.map_err(|error| error.to_string())?;
    let cells: Vec<&[Vec<u8>]> = preview.rows.iter().map(|row| &row.images[..]).collect();
    let shape = (preview.shape.height, preview.shape.width, preview.shape.channels);
    let refused = |why: String| format!("{} cannot be written: {why}", path.display());
    let png = grid(&cells, shape, SheetOptions::default().scale);
    let png = png.map_err(|error| refused(error.to_string()))?;
    store::write(path, &png).map_err(|error| refused(error.to_string()))?;
    let dataset: Box<dyn Dataset> = library::build(&library.datasets, &stage.data.call);
    let fine =
        dataset.facts(&root).class_map(&Labels::Column("fine".to_owned()), &Labels::Declared);
    prompt::print(&captions((plan, stage), &preview, fine.ok().as_ref()));
    prompt::print(&ceiling(library, &stage.data, &root).unwrap_or_default());
    prompt::print(&format!("{}\n", path.display()));
    Ok(())
}

/// What each row and column of the sheet is.
fn captions((plan, stage): (&Plan, &Stage), preview: &Preview, fine: Option<&ClassMap>) -> String {
    // Where labels cross, an image's finest class is a combination of them.
    let name = |id: u32| {
        let fine = fine?;
        fine.names.get(*fine.of_fine.get(id as usize)? as usize)
    };
    let views = preview.rows.first().map_or(0, |row| row.images.len() - 1);
    let views = if views == 1 { "1 view".to_owned() } else { format!("{views} views") };
    let mut text = format!(
        "{}, stage {}, seed {}: images of {} × {} × {}\n",
        plan.design,
        stage.name,
        stage.seed,
        preview.shape.height,
        preview.shape.width,
        preview.shape.channels
    );
    text += &format!("columns: as evaluations see it, then {views} of epoch 1\n");
    let class = |id: u32| {
        let class = &stage.data.classes.names[stage.data.classes.of_fine[id as usize] as usize];
        let fine = name(id).unwrap_or(class);
        if fine == class { fine.clone() } else { format!("{fine} ({class})") }
    };
    for (at, row) in preview.rows.iter().enumerate() {
        text += &format!("row {:<3} image {:<6} {}", at + 1, row.item, class(row.fine));
        if let Some((other, fine, own)) = row.mixed {
            let share = 100.0 * (1.0 - own);
            text += &format!(", views mixed: {share:.0}% of image {other}, {}", class(fine));
        }
        text.push('\n');
    }
    text
}
