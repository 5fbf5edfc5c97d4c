//! The contrastive terms against independent numeric cases: value and gradient of each convention.

use balance::catalog::{Bound, ImageShape, Value as Argument};
use balance::kernel::{Denominator, Lengths, PairKind, PairTerm, Sum, contrastive};
use balance::library::loss::{LOSSES, Site, Term};
use balance::library::{Library, build};
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;

use crate::numeric::values;

/// What a convention of the cases means in our terms: its kinds at weights 1 - alpha and alpha, or
/// one kind.
fn convention(name: &str) -> Vec<PairTerm> {
    let sup = |denominator| PairTerm::new(PairKind::SupCon { sum: Sum::Out, denominator });
    let spread = |sup: PairTerm| vec![sup, PairTerm::new(PairKind::ClassInfoNce)];
    let across = |terms: Vec<PairTerm>| -> Vec<PairTerm> {
        terms.into_iter().map(|term| PairTerm { cross: true, ..term }).collect()
    };
    let own = sup(Denominator::Own);
    let clamped = PairTerm { clip: Some(1.0), ..own };
    let by_columns = |term: &PairTerm| PairTerm { lengths: Lengths::Columns, ..*term };
    match name {
        "pooled" => spread(own),
        "pooled_negonly" => spread(sup(Denominator::Negatives)),
        "crossview" => across(spread(own)),
        "crossview_clamped" => across(spread(clamped)),
        "khosla" => spread(sup(Denominator::All)),
        "ntxent_pooled" => vec![PairTerm::new(PairKind::InfoNce)],
        "ntxent_crossview" => across(vec![PairTerm::new(PairKind::InfoNce)]),
        "as_released" => across(spread(clamped)).iter().map(by_columns).collect(),
        _ => panic!("the convention {name} is new"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().expect("a number")],
    }
}

/// Numbers given as [item][view][dim] in the order of rows view·items + item.
fn by_view(numbers: &[f64], views: usize, dim: usize) -> Vec<f64> {
    let items = numbers.len() / views / dim;
    let row = |view: usize, item: usize| &numbers[(item * views + view) * dim..][..dim];
    (0..views).flat_map(|view| (0..items).flat_map(move |item| row(view, item))).copied().collect()
}

struct Case<'a> {
    json: &'a Value,
    views: usize,
    dim: usize,
    labels: Vec<u32>,
    /// By what is compared: value, gradient, value in single precision.
    tolerance: [f64; 3],
}

impl<'a> Case<'a> {
    fn new(json: &'a Value, tolerance: &Value) -> Self {
        let size = |name: &str| json[name].as_u64().expect("a size") as usize;
        let labels = numbers(&json["labels"]).iter().map(|label| *label as u32).collect();
        let within = |name: &str| tolerance[name].as_f64().expect("a tolerance");
        let tolerance = [within("value"), within("gradient"), within("float32_value")];
        Self { json, views: size("n_views"), dim: size("dim"), labels, tolerance }
    }

    fn number(&self, name: &str) -> f64 {
        self.json[name].as_f64().expect("a number")
    }

    fn embeddings(&self, dtype: DType) -> Var {
        let values = by_view(&numbers(&self.json["embeddings"]), self.views, self.dim);
        let shape = (self.views * self.labels.len(), self.dim);
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap()
    }

    fn terms(&self, convention: Vec<PairTerm>) -> Vec<PairTerm> {
        let alpha = self.number("alpha");
        let weights = if convention.len() == 1 { vec![1.0] } else { vec![1.0 - alpha, alpha] };
        let is_unit = self.json["normalize"].as_bool().unwrap();
        let lengths = |term: &PairTerm| if is_unit { term.lengths } else { Lengths::Free };
        let temperature = self.number("temperature");
        let with = |(term, weight): (PairTerm, f64)| PairTerm {
            weight,
            temperature,
            lengths: lengths(&term),
            ..term
        };
        convention.into_iter().zip(weights).map(with).collect()
    }

    /// Compares with `expected` under the convention `name`.
    fn check(&self, name: &str, expected: &Value) {
        let at = format!("{} {name}", self.json["id"]);
        let terms = self.terms(convention(name));
        let [exact, _, single] = self.tolerance;
        for (dtype, tolerance) in [(DType::F64, exact), (DType::F32, single)] {
            let z = self.embeddings(dtype);
            let (total, parts) = contrastive(&z, &self.labels, self.views, &terms).unwrap();
            let mut found = vec![("total", values(&total)[0])];
            if expected["sup"].is_number() {
                let parts = values(&parts);
                found.extend([("sup", parts[0]), ("cnce", parts[1])]);
            }
            for (what, found) in found {
                let expected = expected[what].as_f64().expect("a number");
                let error = (found - expected).abs() / expected.abs().max(1.0);
                assert!(error < tolerance, "{at} {what}: {found}, not {expected}");
            }
        }
        self.check_gradient(&terms, &at, expected);
    }

    fn check_gradient(&self, terms: &[PairTerm], at: &str, expected: &Value) {
        let z = self.embeddings(DType::F64);
        let (total, _) = contrastive(&z, &self.labels, self.views, terms).unwrap();
        let found = values(total.backward().unwrap().get(&z).unwrap());
        let expected = by_view(&numbers(&expected["grad_total"]), self.views, self.dim);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < self.tolerance[1], "{at}: {found}, not {expected}");
        }
    }

    /// What the component `name` with `args` computes, at the temperature and on the lengths of the
    /// case.
    fn component(&self, name: &str, args: &[(&str, Argument)]) -> Vec<PairTerm> {
        let entry = LOSSES.iter().find(|it| it.spec.name == name).expect("registered");
        let temperature = Argument::Real(self.number("temperature"));
        let bound = Bound::defaults(&entry.spec).with("temperature", temperature);
        let bound = args.iter().fold(bound, |it, (name, value)| it.with(name, value.clone()));
        pairwise_parts(&bound, self.dim)
    }
}

/// What a component that compares embeddings of width `dim` by pairs is built as.
fn pairwise_parts(bound: &Bound, dim: usize) -> Vec<PairTerm> {
    let image = ImageShape { height: 1, width: 1, channels: 1 };
    let library = Library::standard();
    let site = Site { library: &library, dim, image, classes: 2, groups: 0 };
    let params = Params::new(Stream::new(0), DType::F64, Device::Cpu);
    match build(LOSSES, bound).build(&site, &params.root()).unwrap() {
        Term::Pairwise(parts) => parts,
        Term::Single(_) => panic!("{bound} compares embeddings by pairs"),
    }
}

/// Every case, with what it expects under each convention.
fn every(check: impl Fn(&Case, &str, &Value)) {
    let file: Value = serde_json::from_str(include_str!("../data/loss_cases.json")).unwrap();
    let mut checked = 0;
    for json in file["cases"].as_array().unwrap() {
        let case = Case::new(json, &file["tolerance"]);
        for (name, expected) in json["expected"].as_object().unwrap() {
            check(&case, name, expected);
            checked += 1;
        }
    }
    assert_eq!(checked, 87);
}

#[test]
fn every_case_agrees() {
    every(|case, name, expected| case.check(name, expected));
}

/// The component is the released class; and what the language's terms say is what the cases say.
#[test]
fn components_are_what_the_cases_call_them() {
    let word = |word: &str| Argument::Word(word.to_owned());
    every(|case, name, _| {
        let terms = case.terms(convention(name));
        let alpha = case.number("alpha");
        let pairs = word(if terms[0].cross { "cross" } else { "pooled" });
        let mut found = match name {
            "as_released" => {
                let shares = [1.0 - alpha, alpha].map(Argument::Real);
                let [near, spread] = shares;
                case.component("thanos_release", &[("a_lc", near), ("a_spread", spread)])
            }
            "ntxent_pooled" | "ntxent_crossview" => case.component("infonce", &[("pairs", pairs)]),
            _ => {
                let denominator = word(match name {
                    "khosla" => "all",
                    "pooled_negonly" => "negatives",
                    _ => "own",
                });
                let clip = terms[0].clip.map_or(Argument::None, Argument::Real);
                let args = [("pairs", pairs.clone()), ("denominator", denominator), ("clip", clip)];
                let sup = case.component("supcon", &args);
                [sup, case.component("class_infonce", &[("pairs", pairs)])].concat()
            }
        };
        if found.len() == 2 && name != "as_released" {
            (found[0].weight, found[1].weight) = (1.0 - alpha, alpha);
        }
        let terms: Vec<_> = match name {
            "as_released" => terms.into_iter().filter(|term| term.weight > 0.0).collect(),
            _ => terms,
        };
        assert_eq!(found, terms, "{} {name}", case.json["id"]);
    });
}

/// Three of the released names, where the cases have their two parts apart.
#[test]
fn kinds_of_the_release_are_its_parts() {
    every(|case, name, expected| {
        let word = |word: &str| ("kind", Argument::Word(word.to_owned()));
        let args = |kind: &str, clip: f64| {
            [word(kind), ("clip_pos", Argument::Real(clip)), ("lc_norm", Argument::Bool(false))]
        };
        let value = |kind: &str, clip: f64| {
            let z = case.embeddings(DType::F64);
            let unit = z.broadcast_div(&z.sqr().unwrap().sum_keepdim(1).unwrap().sqrt().unwrap());
            let parts = case.component("thanos_release", &args(kind, clip));
            let total = contrastive(&unit.unwrap(), &case.labels, case.views, &parts).unwrap().0;
            values(&total)[0]
        };
        let near = |found: f64, what: &str| {
            let expected = expected[what].as_f64().expect("a number");
            assert!((found - expected).abs() < 1e-9, "{} {name}: {found}", case.json["id"]);
        };
        match name {
            "crossview_clamped" => near(value("sup_con", 1.0), "sup"),
            "crossview" => {
                near(value("sup_con", 0.95), "sup");
                near(value("l_repel", 1.0), "cnce");
            }
            "ntxent_crossview" => near(value("sim_clr", 0.95), "total"),
            _ => {}
        }
    });
}

/// Each form is the loss of the library it is named after, in value and gradient, as PyTorch
/// computes it from that library's formulas.
#[test]
fn forms_are_what_their_libraries_compute() {
    let text = include_str!("../parity/fixtures/supcon_forms.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let labels: Vec<u32> = numbers(&file["labels"]).iter().map(|it| *it as u32).collect();
    let rows = numbers(&file["embeddings"]);
    let shape = (2 * labels.len(), rows.len() / (2 * labels.len()));
    let rows = Tensor::from_vec(rows, shape, &Device::Cpu).unwrap();
    let entry = LOSSES.iter().find(|it| it.spec.name == "supcon").unwrap();
    let forms = file["forms"].as_object().unwrap();
    assert!(entry.spec.form_names().iter().all(|form| forms.contains_key(*form)));
    for (form, expected) in forms {
        let temperature = Argument::Real(file["temperature"].as_f64().unwrap());
        let bound = Bound::defaults(&entry.spec).with("temperature", temperature);
        let set = entry.spec.form(form).into_iter();
        let bound = set.fold(bound, |bound, (param, value)| bound.with(param.name, value));
        let z = Var::from_tensor(&rows).unwrap();
        let parts = pairwise_parts(&bound, shape.1);
        let (total, _) = contrastive(&z, &labels, 2, &parts).unwrap();
        let value = expected["value"].as_f64().unwrap();
        assert!((values(&total)[0] - value).abs() < 1e-10, "{form}: {total} {value}");
        let found = values(total.backward().unwrap().get(&z).unwrap());
        for (found, expected) in found.iter().zip(numbers(&expected["gradient"])) {
            assert!((found - expected).abs() < 1e-10, "{form}: {found} {expected}");
        }
    }
}
