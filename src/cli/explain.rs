//! `explain`: the page of a component, or what a diagnostic's code means.

use std::path::Path;

use super::origins::{self, OriginArgs};
use super::{audit, exit, prompt};
use crate::catalog::Catalog;
use crate::diag::{ALL, Code, closest};
use crate::library::Library;

/// Arguments of `explain`.
#[derive(clap::Args)]
pub struct ExplainArgs {
    /// A component such as `supcon`, or a code such as B0102; without one, everything is listed.
    /// An experiment file when a PATH follows; `loss` when a file follows, for what its losses are
    name: Option<String>,
    #[command(flatten)]
    origin: OriginArgs,
}

/// Prints a page.
pub fn explain(library: &Library, args: &ExplainArgs) -> u8 {
    let catalog = library.catalog();
    let Some(name) = &args.name else {
        list(&catalog);
        return 0;
    };
    if let Some(target) = args.origin.target_of_audit(name) {
        return audit::audit(library, &target);
    }
    if args.origin.is_asked() {
        return origins::explain(library, name, &args.origin);
    }
    let specs = catalog.named(name);
    for spec in &specs {
        prompt::print(&spec.page());
    }
    let code = Code::find(name);
    if let Some(code) = code {
        prompt::print(code.page);
    }
    if !specs.is_empty() || code.is_some() {
        return 0;
    }
    let names = catalog.all().iter().map(|spec| spec.name);
    let all = names.chain(ALL.iter().flat_map(|code| [code.number, code.name]));
    prompt::eprint(&format!("{}\n", unknown(name, all)));
    exit::USAGE
}

/// What to write instead of a name that there is not among `all`.
fn unknown<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> String {
    if name == "loss" {
        return "which losses? `balance explain loss FILE` says what those of a file are"
            .to_owned();
    }
    let file = name.split(':').next().unwrap_or_default();
    if file.ends_with(".exp") || Path::new(file).is_file() {
        return format!(
            "what of `{name}`? `balance explain {name} PATH` says where a value comes from, \
             as `train.batch`; `balance explain loss {name}` what its losses are"
        );
    }
    match of_number(name).or_else(|| closest(name, all)) {
        Some(near) => format!("nothing is called `{name}`; did you mean `{near}`?"),
        None => format!("nothing is called `{name}`; `balance explain` lists all"),
    }
}

/// The code of a number without its letter.
fn of_number(name: &str) -> Option<&'static str> {
    let wanted: u32 = name.parse().ok()?;
    let digits = |text: &str| text.trim_start_matches(|it: char| it.is_alphabetic()).parse().ok();
    ALL.iter().map(|code| code.number).find(|number| digits(number) == Some(wanted))
}

/// Every component and every code, a line each.
fn list(catalog: &Catalog) {
    for spec in catalog.all() {
        let (kind, name) = (spec.kind.name(), spec.name);
        prompt::print(&format!("{kind:<13} {name:<22} {}\n", spec.summary()));
    }
    prompt::print("\n");
    for code in ALL {
        prompt::print(&format!("{:<13} {:<22} {}\n", code.number, code.name, code.summary));
    }
}
