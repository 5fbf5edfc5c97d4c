//! `explain`: the page of a component, or what a diagnostic's code means.

use super::origins::{self, OriginArgs};
use super::{exit, prompt};
use crate::diag::{ALL, closest};
use crate::library::Library;

/// Arguments of `explain`.
#[derive(clap::Args)]
pub struct ExplainArgs {
    /// A component such as `supcon`, or a code such as B0102; without one, everything is listed.
    /// An experiment file when a PATH follows
    name: Option<String>,
    #[command(flatten)]
    origin: OriginArgs,
}

/// Prints a page.
pub fn explain(library: &Library, args: &ExplainArgs) -> u8 {
    let catalog = library.catalog();
    let Some(name) = &args.name else {
        for spec in catalog.all() {
            prompt::print(&format!(
                "{:<16} {:<20} {}\n",
                spec.kind.name(),
                spec.name,
                spec.summary()
            ));
        }
        return 0;
    };
    if args.origin.is_asked() {
        return origins::explain(library, name, &args.origin);
    }
    let specs = catalog.named(name);
    for spec in &specs {
        prompt::print(&spec.page());
    }
    let code = ALL.iter().find(|code| code.number.eq_ignore_ascii_case(name) || code.name == name);
    if let Some(code) = code {
        prompt::print(&format!("{} {}: {}\n", code.number, code.name, code.summary));
    }
    if !specs.is_empty() || code.is_some() {
        return 0;
    }
    let names = catalog.all().iter().map(|spec| spec.name);
    let all = names.chain(ALL.iter().flat_map(|code| [code.number, code.name]));
    match closest(name, all) {
        Some(near) => {
            prompt::eprint(&format!("nothing is called `{name}`; did you mean `{near}`?\n"))
        }
        None => {
            prompt::eprint(&format!("nothing is called `{name}`; `balance explain` lists all\n"))
        }
    }
    exit::USAGE
}
