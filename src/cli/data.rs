//! `data`: which datasets there are, fetching them, and looking at them.

use std::path::{Path, PathBuf};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::inspect;
use super::preview::{PreviewArgs, preview};
use super::workspace::data_root;
use super::{Places, exit, prompt};
use crate::data::{
    self, Census, DataError, Description, Images, Presence, Progress, Raw, SheetOptions, census,
};
use crate::library::Library;
use crate::store;

/// What to do with datasets.
#[derive(clap::Subcommand)]
pub enum DataCommand {
    /// Every dataset, and whether it is here
    List {
        #[command(flatten)]
        places: Places,
    },
    /// Bring a dataset to this machine; goes on where it was interrupted
    Fetch {
        /// The dataset's name
        name: String,
        /// Take it from this archive or folder instead of the web
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
        #[command(flatten)]
        places: Places,
    },
    /// Images per class and split, and a contact sheet
    Inspect {
        /// The dataset's name
        name: String,
        /// Where to write the contact sheet
        #[arg(long, value_name = "FILE", default_value = "NAME.png")]
        sheet: String,
        #[command(flatten)]
        places: Places,
    },
    /// The views that an experiment declares, as a picture
    Preview(Box<PreviewArgs>),
}

/// Does it.
pub fn data(library: &Library, command: &DataCommand) -> u8 {
    let done = match command {
        DataCommand::List { places } => list(places),
        DataCommand::Fetch { name, from, places } => fetch(name, from.as_ref(), places),
        DataCommand::Inspect { name, sheet, places } => inspect(name, sheet, places),
        DataCommand::Preview(args) => return preview(library, args),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            prompt::eprint(&format!("{error}\n"));
            exit::FAILED
        }
    }
}

fn describe(name: &str) -> Result<&'static Description, DataError> {
    data::describe(name).ok_or_else(|| data::unknown(name))
}

fn list(places: &Places) -> Result<(), DataError> {
    let root = data_root(places);
    for description in data::all() {
        let state = match data::presence(description, &root) {
            Presence::Embedded => "part of balance".to_owned(),
            Presence::Here(folder) => folder.display().to_string(),
            Presence::Absent => how(description),
        };
        let Description { name, height, width, channels, .. } = description;
        let images = match description.count() {
            0 => "?".to_owned(),
            images => images.to_string(),
        };
        prompt::print(&format!(
            "{name:<14} {images:>6} images of {height}×{width}×{channels}   {state}\n"
        ));
    }
    Ok(())
}

/// How it comes to be here.
fn how(description: &Description) -> String {
    let from = if description.sources.is_empty() { " --from PATH" } else { "" };
    format!("balance data fetch {}{from}", description.name)
}

fn fetch(name: &str, from: Option<&PathBuf>, places: &Places) -> Result<(), DataError> {
    let description = describe(name)?;
    let root = data_root(places);
    let mut shown = Download::new();
    let fetched =
        data::fetch(description, &root, from.map(PathBuf::as_path), &mut |it| shown.show(it));
    shown.bar.finish_and_clear();
    let fetched = fetched?;
    let place = fetched.folder.map_or("part of balance".to_owned(), |it| it.display().to_string());
    let how = match fetched.source {
        Some(source) => format!("from {source}"),
        None => "it was there already".to_owned(),
    };
    prompt::print(&format!("{name}: {place}, {how}\n  content sha256 {}\n", fetched.sha256));
    Ok(())
}

/// The progress of a download: a bar on a terminal, the sources tried elsewhere.
struct Download {
    bar: ProgressBar,
}

impl Download {
    fn new() -> Self {
        use std::io::IsTerminal;
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{prefix} {bar:24} {percent:>3}% {msg}";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ "));
        Self { bar }
    }

    fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Source(source) => prompt::eprint(&format!("trying {source}\n")),
            Progress::Bytes { file, done, total } => {
                self.bar.set_prefix(file.to_owned());
                self.bar.set_length(total);
                self.bar.set_position(done);
                self.bar.set_message(format!("{} of {}", HumanBytes(done), HumanBytes(total)));
            }
            Progress::Step(step) => self.bar.set_message(step.to_owned()),
            Progress::Failed { source, error } => {
                prompt::eprint(&format!("{source}: {}\n", error.message));
            }
        }
    }
}

fn inspect(name: &str, sheet: &str, places: &Places) -> Result<(), DataError> {
    let description = describe(name)?;
    if description.layout == data::Layout::Folder {
        return inspect::inspect(description, sheet, &data_root(places));
    }
    let raw = data::verify(description, &data_root(places))?;
    prompt::print(&format!("{}: {}\n", description.title, description.home));
    prompt::print(&format!("licence: {}\n", description.licence));
    prompt::print(&format!("content sha256 {} ({})\n", raw.sha256, raw.content));
    prompt::print(&counts(&census(&raw)));
    let path = PathBuf::from(sheet.replace("NAME", name));
    write_sheet(&raw, &path)?;
    prompt::print(&format!("contact sheet: {}\n", path.display()));
    Ok(())
}

/// A table of images per class and split for each label column.
fn counts(census: &Census) -> String {
    let mut out = String::new();
    for (column, classes) in &census.columns {
        let splits: Vec<_> = census.splits.iter().map(|(split, _)| split.to_string()).collect();
        let rows = classes.iter().map(|class| (class.class.to_owned(), class.images.clone()));
        out.push_str(&grid(column, &splits, rows.collect()));
    }
    for (split, moments) in &census.moments {
        let each = moments.iter().map(|(mean, std)| format!("{mean:.4} ± {std:.4}"));
        out.push_str(&format!(
            "{split}: channel mean ± sd {}\n",
            each.collect::<Vec<_>>().join(", ")
        ));
    }
    out
}

/// A table of images per class and split, with their sums.
pub(super) fn grid(column: &str, splits: &[String], rows: Vec<(String, Vec<usize>)>) -> String {
    let mut grid = comfy_table::Table::new();
    grid.load_style(comfy_table::presets::NOTHING);
    grid.set_header(std::iter::once(column).chain(splits.iter().map(String::as_str)));
    let sum = |at: usize| rows.iter().map(|(_, images)| images[at]).sum();
    let all = ("all".to_owned(), (0..splits.len()).map(sum).collect());
    for (class, images) in rows.iter().chain([&all]) {
        let images = images.iter().map(usize::to_string);
        grid.add_row(std::iter::once(class.clone()).chain(images));
    }
    format!("{grid}\n\n")
}

fn write_sheet(raw: &Raw, path: &Path) -> Result<(), DataError> {
    draw(&raw.splits[0].1, data::FINE, path)
}

/// Writes a contact sheet with a row for each class of `column`.
pub(super) fn draw(images: &Images, column: &str, path: &Path) -> Result<(), DataError> {
    let refused = |why: String| {
        DataError::new(data::Fault::Refused, format!("{} cannot be written: {why}", path.display()))
    };
    let options = SheetOptions { columns: 16, scale: None };
    let png = data::sheet(images, column, options).map_err(|error| refused(error.to_string()))?;
    store::write(path, &png).map_err(|error| refused(error.to_string()))
}
