//! `completions`: what a shell needs to complete commands, options, and the names that this program
//! knows.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::Shell;

use super::{Arguments, prompt};
use crate::catalog::Kind;
use crate::diag::ALL;
use crate::library::Library;

/// Arguments of `completions`.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script of a shell.
pub fn completions(library: &Library, args: &CompletionsArgs) -> u8 {
    let program = std::env::args_os().next().map(std::path::PathBuf::from).unwrap_or_default();
    let name = program.file_stem().map_or("balance".into(), |it| it.to_string_lossy());
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(library), name, &mut script);
    prompt::print(&String::from_utf8_lossy(&script));
    0
}

/// The command line, with the names that it takes.
fn command(library: &Library) -> Command {
    let catalog = library.catalog();
    let names = |kind: Option<Kind>| {
        let specs = catalog.all().iter().filter(move |spec| kind.is_none_or(|it| spec.kind == it));
        specs.map(|spec| spec.name)
    };
    let mut known: Vec<_> = names(None).chain(ALL.iter().map(|code| code.number)).collect();
    known.sort_unstable();
    known.dedup();
    let evaluations = names(Some(Kind::Evaluation)).collect();
    Arguments::command()
        .mut_subcommands(|command| command.mut_args(place))
        .mut_subcommand("explain", |it| it.mut_arg("name", |arg| one_of(arg, known)))
        .mut_subcommand("measure", |it| it.mut_arg("evals", |arg| one_of(arg, evaluations)))
}

/// The shell offers files and folders where they are meant.
fn place(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "file" | "files" | "on" => arg.value_hint(ValueHint::FilePath),
        "data" | "store" | "allow_import" => arg.value_hint(ValueHint::DirPath),
        _ => arg,
    }
}

fn one_of(arg: Arg, names: Vec<&'static str>) -> Arg {
    arg.value_parser(PossibleValuesParser::new(names))
}
