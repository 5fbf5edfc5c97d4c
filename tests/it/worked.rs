//! Experiment files worked out in a made-up world: every dataset is there, no file is touched.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use balance::catalog::{
    Bound, Catalog, ClassMap, DatasetFacts, Facts, ImageShape, Kind, Labels, MachineFacts, Value,
    WeightsFacts,
};
use balance::diag::{
    Diagnostic, Look, Mending, Severity, Source, Sources, has_errors, render, require_data,
};
use balance::library::Library;
use balance::plan::theory::theory_notes;
use balance::plan::{Plan, check};
use balance::resolve::{
    Design, Kept, Options, allow, load, resolve, seeds_as_field, unsaid, unused,
};
use balance::syntax::{parse_assignment, readable};

/// What a file came to.
pub struct Worked {
    pub sources: Sources,
    pub designs: Vec<Design>,
    pub plans: Vec<Plan>,
    pub diagnostics: Vec<Diagnostic>,
}

/// What is asked of a file.
#[derive(Default, Clone)]
pub struct Asked {
    pub only: Option<String>,
    pub set: Vec<String>,
    /// `--only axis=level`.
    pub levels: Vec<String>,
    pub seeds: Option<String>,
    pub limit: Option<usize>,
    /// Whether the notes of theory are wanted.
    pub theory: bool,
    /// Datasets that are not on this machine.
    pub absent: Vec<String>,
    /// Datasets of which nothing is known.
    pub unknown: Vec<String>,
    /// As `run` asks: the data have to be here.
    pub run: bool,
    pub machine: MachineFacts,
}

impl Asked {
    /// From the comments a golden file begins with: `# --set PATH=VALUE`, `# --only NAME`,
    /// `# --only AXIS=LEVEL`, `# --seeds SEEDS`, `# --limit STEPS`, `# --absent DATASET`,
    /// `# --unknown DATASET`, `# --memory BYTES`, `# --disk BYTES`, `# --flops NUMBER`, `# --run`,
    /// `# --theory`.
    pub fn of(text: &str) -> Self {
        let mut asked = Self::default();
        for line in text.lines().map_while(|line| line.strip_prefix("# ")) {
            asked.theory |= line == "--theory";
            match line.split_once(' ') {
                Some(("--set", assignment)) => asked.set.push(assignment.to_owned()),
                Some(("--only", level)) if level.contains('=') => {
                    asked.levels.push(level.to_owned());
                }
                Some(("--seeds", seeds)) => asked.seeds = Some(seeds.to_owned()),
                Some(("--only", name)) => asked.only = Some(name.to_owned()),
                Some(("--limit", steps)) => asked.limit = Some(steps.parse().unwrap()),
                Some(("--absent", name)) => asked.absent.push(name.to_owned()),
                Some(("--unknown", name)) => asked.unknown.push(name.to_owned()),
                None if line == "--run" => asked.run = true,
                Some(("--memory", bytes)) => asked.machine.memory = Some(bytes_of(bytes)),
                Some(("--disk", bytes)) => asked.machine.disk_free = Some(bytes_of(bytes)),
                Some(("--flops", rate)) => {
                    asked.machine.flops_per_second = Some(rate.parse().unwrap());
                }
                _ => {}
            }
        }
        asked
    }
}

/// `2 GiB`
fn bytes_of(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap();
    let factor =
        1u64 << (10 * ["B", "KiB", "MiB", "GiB"].iter().position(|it| *it == unit).unwrap());
    number.parse::<u64>().unwrap() * factor
}

/// How files are read.
type Reader<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// Works out the file called `name`, read through `reader` with what it imports.
pub fn work(name: &str, reader: Reader, asked: &Asked) -> Worked {
    work_by(&Library::standard(), (name, reader), asked)
}

fn work_by(library: &Library, (name, reader): (&str, Reader), asked: &Asked) -> Worked {
    let mut sources = Sources::default();
    let (program, mut diagnostics) = load(Path::new(name), &mut sources, reader);
    let mut options = Options::default();
    (options.only, options.theory) = (asked.only.clone(), asked.theory);
    for text in &asked.set {
        let file = sources.add(Source { name: "--set".into(), text: text.clone() });
        match parse_assignment(file, text) {
            Ok(field) => options.set.push(field),
            Err(errors) => diagnostics.extend(errors),
        }
    }
    for text in &asked.levels {
        let file = sources.add(Source { name: "--only".into(), text: text.clone() });
        match Kept::parse(file, text) {
            Ok(kept) => options.levels.push(kept),
            Err(error) => diagnostics.push(error),
        }
    }
    if let Some(text) = asked.seeds.as_deref().map(seeds_as_field) {
        let file = sources.add(Source { name: "--seeds".into(), text: text.clone() });
        match parse_assignment(file, &text) {
            Ok(field) => options.seeds = Some(field),
            Err(errors) => diagnostics.extend(errors),
        }
    }
    let (mut designs, mut plans) = (Vec::new(), Vec::new());
    if program.root().is_some() {
        let mut facts = facts(library, &asked.absent);
        facts.datasets.retain(|name, _| !asked.unknown.contains(name));
        facts.machine = asked.machine;
        let found;
        (designs, found) = resolve(&program, &library.catalog().knowing(&facts), &options);
        diagnostics.extend(found);
        facts.calls = facts_of(library, &designs, asked).calls;
        let is_sound = !has_errors(&diagnostics);
        for design in &designs {
            let (plan, found) = check(design, &facts, asked.limit);
            if asked.theory && plan.is_some() {
                diagnostics.extend(theory_notes(design, &facts));
            }
            plans.extend(plan);
            let found = found.into_iter().filter(|it| is_sound || it.is_error());
            diagnostics.extend(found);
        }
        if !asked.run {
            let catalog = library.catalog().knowing(&facts);
            let (others, found) = unused(&program, &catalog, &options, &diagnostics);
            let is_sound = is_sound && !has_errors(&found) && !has_errors(&diagnostics);
            facts.calls.extend(facts_of(library, &others, asked).calls);
            let others = others.iter().filter(|_| is_sound);
            let planned = others.flat_map(|design| check(design, &facts, None).1).collect();
            diagnostics.extend(found.into_iter().chain(unsaid(&diagnostics, planned)));
        }
    }
    let mut diagnostics = allow(&program, &sources, &options, diagnostics);
    if asked.run {
        require_data(&mut diagnostics);
    }
    if has_errors(&diagnostics) {
        plans.clear();
    }
    Worked { sources, designs, plans, diagnostics }
}

/// Works out `files`, of which the first is asked for.
pub fn work_all(files: &[(&str, &str)], asked: &Asked) -> Worked {
    work_with(&Library::standard(), files, asked)
}

/// The same with the components of `library`.
pub fn work_with(library: &Library, files: &[(&str, &str)], asked: &Asked) -> Worked {
    let known: BTreeMap<&Path, &str> =
        files.iter().map(|(name, text)| (Path::new(*name), *text)).collect();
    let reader = |path: &Path| {
        let text = known.get(path).ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        Ok(text.as_bytes().to_vec())
    };
    work_by(library, (files[0].0, &reader), asked)
}

/// Works out one file.
pub fn work_text(text: &str) -> Worked {
    work_all(&[("a.exp", text)], &Asked::default())
}

/// The plan of a file that has one.
pub fn plan_of(text: &str) -> Plan {
    let worked = work_text(text);
    assert_eq!(worked.plans.len(), 1, "{}\nin\n{text}", worked.rendered());
    worked.plans.into_iter().next().unwrap()
}

/// A file in `folder` with this text instead of its own.
fn work_edited(folder: &Path, text: &str) -> Worked {
    let reader = |path: &Path| match path == Path::new("edited.exp") {
        true => Ok(text.as_bytes().to_vec()),
        false => std::fs::read(folder.join(path)),
    };
    work("edited.exp", &reader, &Asked::default())
}

/// The text of a file in `folder` with every mend made, as `check --fix` does, and what is left.
pub fn mended(folder: &Path, text: &str) -> (String, Worked) {
    let mut mending = Mending::new(&readable);
    let (mut text, mut worked) = (text.to_owned(), work_edited(folder, text));
    for _ in 0..16 {
        // The files it imports stay as they are.
        let is_here = |it: &&Diagnostic| it.fixes.iter().all(|fix| fix.span.file == 0);
        let here: Vec<_> = worked.diagnostics.iter().filter(is_here).cloned().collect();
        let Some(mut round) = mending.next(&worked.sources, &here) else { return (text, worked) };
        let next = round.texts.remove(&0).unwrap();
        let outcome = work_edited(folder, &next);
        if mending.helped(&round, &outcome.sources, &outcome.diagnostics) {
            (text, worked) = (next, outcome);
        }
    }
    panic!("there is always more to mend in\n{text}");
}

impl Worked {
    /// The diagnostics as a user sees them in a log, errors first.
    pub fn rendered(&self) -> String {
        let mut sorted = self.diagnostics.clone();
        sorted.sort_by_key(|it| match it.code.severity {
            Severity::Error => 0,
            Severity::Warning => 1,
            Severity::Note => 2,
        });
        render(&self.sources, &sorted, Look::plain())
    }

    /// The numbers of the diagnostics.
    pub fn codes(&self) -> Vec<&'static str> {
        self.diagnostics.iter().map(|it| it.code.number).collect()
    }
}

/// The components that come with balance.
pub fn catalog() -> Catalog {
    Library::standard().catalog()
}

/// What is known of the datasets, were they here, all but `absent`.
fn facts(library: &Library, absent: &[String]) -> Facts {
    let mut facts = library.facts(Path::new(NOWHERE), |_| true);
    for (name, known) in &mut facts.datasets {
        known.absent.take_if(|_| !absent.contains(name));
    }
    facts.weights = WEIGHTS.clone();
    facts
}

/// Made-up files of weights, worked out once.
static WEIGHTS: LazyLock<Weights> = LazyLock::new(weights);

type Weights = BTreeMap<String, Result<WeightsFacts, String>>;

/// Files of the weights of `resnet(depth=8, width=4)` for images of digits, and of the defaults of
/// every encoder.
fn weights() -> Weights {
    let catalog = catalog();
    let resnet = Bound::defaults(catalog.find(Kind::Encoder, "resnet").unwrap());
    let resnet = resnet.with("depth", Value::Int(8)).with("width", Value::Int(4));
    let sound = resnet.stored(ImageShape { height: 8, width: 8, channels: 1 }).unwrap();
    let mut classifying = sound.clone();
    classifying.insert("fc.weight".to_owned(), vec![1000, 16]);
    classifying.insert("fc.bias".to_owned(), vec![1000]);
    classifying.insert("bn1.num_batches_tracked".to_owned(), vec![]);
    let mut spoilt = sound.clone();
    spoilt.insert("conv1.weight".to_owned(), vec![4, 3, 3, 3]);
    let renamed = spoilt.remove("layer1.0.conv1.weight").unwrap();
    spoilt.insert("layer1.0.conv.weight".to_owned(), renamed);
    let files = [
        ("resnet8.safetensors", sound),
        ("resnet8_with_classifier.safetensors", classifying),
        ("resnet8_spoilt.safetensors", spoilt),
    ];
    let known = |(path, tensors): (&str, _)| {
        (path.to_owned(), Ok(WeightsFacts { digest: path.to_owned(), tensors }))
    };
    let absent = ("absent.safetensors".to_owned(), Err("there is no such file".to_owned()));
    files.into_iter().map(known).chain([absent]).chain(of_defaults(&catalog)).collect()
}

/// A made-up file for the defaults of each encoder, on images of 32 × 32 × 3.
fn of_defaults(
    catalog: &Catalog,
) -> impl Iterator<Item = (String, Result<WeightsFacts, String>)> + '_ {
    let image = ImageShape { height: 32, width: 32, channels: 3 };
    catalog.of(Kind::Encoder).map(move |spec| {
        let path = format!("{}.safetensors", spec.name);
        let tensors = Bound::defaults(spec).stored(image).unwrap_or_default();
        (path.clone(), Ok(WeightsFacts { digest: path, tensors }))
    })
}

const NOWHERE: &str = "there/is/no/such/folder";

/// What is known of the data that `designs` ask for: made up where it cannot be known, unless it is
/// to be absent.
fn facts_of(library: &Library, designs: &[Design], asked: &Asked) -> Facts {
    let stages = designs.iter().flat_map(|it| &it.cells).flat_map(|it| &it.experiment.stages);
    let mut facts = Facts::default();
    // What is found of files is kept below the root.
    let root = tempfile::tempdir().unwrap();
    for call in stages.map(|stage| &stage.data.bound) {
        let name = call.spec.name.to_owned();
        if facts.calls.contains_key(call) || asked.unknown.contains(&name) {
            continue;
        }
        let mut known = library.facts_of([call].into_iter(), root.path()).calls;
        let mut known = known.remove(call).unwrap();
        if !asked.absent.contains(&name) {
            known.absent = None;
            if known.fine.is_empty() && known.faults.is_empty() {
                known = made_up(call);
            }
        }
        facts.calls.insert(call.clone(), known);
    }
    facts
}

/// What stands for the content of made-up data: the call, and where its paths lead.
fn digest_of(call: &Bound) -> String {
    let inner = call.args.iter().filter_map(|value| match value {
        Value::Path(path) => Some(path.place().display().to_string()),
        Value::Component(inner) => Some(digest_of(inner)),
        _ => None,
    });
    std::iter::once(call.to_string()).chain(inner).collect::<Vec<_>>().join(" ")
}

/// A thousand images of four classes, with every label column that `call` names.
fn made_up(call: &Bound) -> DatasetFacts {
    let ids = [0u32, 1, 2, 3];
    let pairs = |names: [&str; 2]| ClassMap {
        names: names.map(str::to_owned).to_vec(),
        of_fine: ids.iter().map(|id| id / 2).collect(),
    };
    let mut columns = vec![("group".to_owned(), pairs(["here", "there"]))];
    for value in call.args.iter() {
        let labels = match value {
            Value::Labels(labels) => vec![labels.clone()],
            Value::List(values) => values
                .iter()
                .filter_map(|it| match it {
                    Value::Labels(labels) => Some(labels.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        for labels in labels {
            match labels {
                Labels::Column(name) if name != "fine" && name != "coarse" => {
                    columns.push((name, pairs(["no", "yes"])));
                }
                _ => {}
            }
        }
    }
    let coarse = pairs(["low", "high"]);
    DatasetFacts {
        image: ImageShape { height: 32, width: 32, channels: 3 },
        fine: ids.map(|id| format!("class_{id}")).to_vec(),
        coarse: (coarse.names, coarse.of_fine),
        columns,
        train: 1000,
        counts: vec![250; 4],
        digest: digest_of(call),
        ..DatasetFacts::default()
    }
}
