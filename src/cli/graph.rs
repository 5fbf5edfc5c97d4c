//! `graph`: a plan as a picture.

use std::path::PathBuf;

use super::workspace::Workspace;
use super::{Target, exit, prompt};
use crate::library::Library;
use crate::report::{GraphPart, dot, graph as graph_of, mermaid, svg};
use crate::store;

/// Arguments of `graph`.
#[derive(clap::Args)]
pub struct GraphArgs {
    #[command(flatten)]
    target: Target,
    /// The language it is drawn in
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What of the plan is drawn
    #[arg(long, value_enum, default_value_t)]
    of: Of,
    /// Write it to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// A picture
    #[default]
    Svg,
    /// For Graphviz
    Dot,
    /// For Markdown pages that draw it
    Mermaid,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Of {
    /// The model and the evaluations
    #[default]
    All,
    /// Each training as one box, and the evaluations
    Stages,
    /// What each training is made of
    Model,
    /// The terms of each loss
    Loss,
}

/// Draws the plan of a file that has one.
pub fn graph(library: &Library, args: &GraphArgs) -> u8 {
    let workspace = Workspace::open(library, &args.target);
    if let Some(code) = workspace.report_errors() {
        return code;
    }
    if let Some(code) = workspace.report_no_plan() {
        return code;
    }
    let [plan] = &workspace.plans[..] else {
        let names: Vec<&str> = workspace.plans.iter().map(|it| it.design.as_str()).collect();
        let (file, names) = (&args.target.file, names.join(", "));
        prompt::eprint(&format!("{file} has several designs; name one: {file}:NAME of {names}\n"));
        return exit::USAGE;
    };
    let part = match args.of {
        Of::All => GraphPart::All,
        Of::Stages => GraphPart::Stages,
        Of::Model => GraphPart::Model,
        Of::Loss => GraphPart::Loss,
    };
    let graph = graph_of(plan, part);
    let text = match args.format {
        Format::Svg => svg(&graph),
        Format::Dot => dot(&graph),
        Format::Mermaid => mermaid(&graph),
    };
    let Some(path) = &args.out else {
        prompt::print(&text);
        return 0;
    };
    match store::write(path, text.as_bytes()) {
        Ok(()) => 0,
        Err(error) => {
            prompt::eprint(&format!("{} cannot be written: {error}\n", path.display()));
            exit::FAILED
        }
    }
}
