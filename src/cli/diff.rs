//! `diff`: two experiments compared by what they mean.

mod annotate;
mod open;

use super::machine::speed;
use super::workspace::store;
use super::{Places, exit, prompt};
use crate::library::Library;
use crate::report::{Diff, Side, compare, diff_text};

use self::annotate::annotate;
use self::open::{Opened, open, stored};

/// Arguments of `diff`.
#[derive(clap::Args)]
pub struct DiffArgs {
    /// An experiment file, FILE:NAME, REVISION:FILE of a git repository, or a plan in a .json file
    before: String,
    /// Another
    #[arg(required_unless_present = "run")]
    after: Option<String>,
    /// Compare the last finished run of the file with the file as it is now
    #[arg(long, conflicts_with = "after")]
    run: bool,
    /// Exit with 10 when something differs
    #[arg(long)]
    exit_code: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    places: Places,
}

/// For whom the difference is printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Human,
    Json,
}

/// Prints what differs.
pub fn diff(library: &Library, args: &DiffArgs) -> u8 {
    let opened = match &args.after {
        Some(after) => open(library, &args.before, &args.places)
            .and_then(|before| Ok((before, open(library, after, &args.places)?))),
        None => open(library, &args.before, &args.places)
            .and_then(|after| Ok((stored(&after, &args.places, &args.before)?, after))),
    };
    let (before, after) = match opened {
        Ok(both) => both,
        Err(code) => return code,
    };
    let diffs = differences(library, &before, &after);
    let differs = diffs.iter().any(|(_, diff)| !diff.is_empty());
    match args.format {
        Format::Json => {
            let diffs: Vec<&Diff> = diffs.iter().map(|(_, diff)| diff).collect();
            let text = serde_json::to_string_pretty(&diffs).expect("a difference is plain data");
            prompt::print(&format!("{text}\n"));
        }
        Format::Human => {
            let file = args.after.as_ref().unwrap_or(&args.before);
            prompt::print(&human(&diffs, speed(store(&args.places, file).root())));
        }
    }
    if args.exit_code && differs { exit::WORK } else { 0 }
}

/// Every pair of designs compared, with what they are called.
fn differences(library: &Library, before: &Opened, after: &Opened) -> Vec<(String, Diff)> {
    let is_written = before.is_written() || after.is_written();
    let (olds, news) = (before.sides(is_written), after.sides(is_written));
    let is_pair = olds.len() == 1 && news.len() == 1;
    let mut diffs = Vec::new();
    for old in &olds {
        if !is_pair && !news.iter().any(|new| new.name == old.name) {
            let structure = vec!["- this design".to_owned()];
            let diff = Diff { design: old.name.clone(), structure, ..Diff::default() };
            diffs.push((old.name.clone(), diff));
        }
    }
    for (at, new) in news.iter().enumerate() {
        let old = olds.iter().position(|old| is_pair || old.name == new.name);
        let mut diff = compare(old.map_or(&Side::default(), |at| &olds[at]), new);
        match old {
            Some(old) if !is_written => annotate(library, (before, old), (after, at), &mut diff),
            Some(_) => {}
            None => diff.structure = vec!["+ this design".to_owned()],
        }
        diffs.push((new.name.clone(), diff));
    }
    diffs
}

fn human(diffs: &[(String, Diff)], rate: Option<f64>) -> String {
    let named = |(name, diff): &(String, Diff)| format!("{name}\n{}", diff_text(diff, rate));
    match diffs {
        [(_, only)] => diff_text(only, rate),
        all => all.iter().map(named).collect(),
    }
}
