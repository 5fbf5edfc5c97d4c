//! The contrastive terms against independent numeric cases: value and gradient of each convention.

use balance::kernel::{Denominator, NoPositive, PairKind, PairTerm, contrastive};
use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;

use crate::numeric::values;

/// What a convention of the cases means in our terms: the two kinds, and whether across views.
fn convention(name: &str) -> Option<(Vec<PairKind>, bool)> {
    let sup = |denominator| PairKind::SupCon { denominator };
    Some(match name {
        "pooled" => (vec![sup(Denominator::Own), PairKind::ClassInfoNce], false),
        "pooled_negonly" => (vec![sup(Denominator::Negatives), PairKind::ClassInfoNce], false),
        "crossview" => (vec![sup(Denominator::Own), PairKind::ClassInfoNce], true),
        "khosla" => (vec![sup(Denominator::All), PairKind::ClassInfoNce], false),
        "ntxent_pooled" => (vec![PairKind::InfoNce], false),
        "ntxent_crossview" => (vec![PairKind::InfoNce], true),
        _ => return None,
    })
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
}

impl<'a> Case<'a> {
    fn new(json: &'a Value) -> Self {
        let size = |name: &str| json[name].as_u64().expect("a size") as usize;
        let labels = numbers(&json["labels"]).iter().map(|label| *label as u32).collect();
        Self { json, views: size("n_views"), dim: size("dim"), labels }
    }

    fn embeddings(&self, dtype: DType) -> Var {
        let values = by_view(&numbers(&self.json["embeddings"]), self.views, self.dim);
        let shape = (self.views * self.labels.len(), self.dim);
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap()
    }

    fn terms(&self, (kinds, cross): (Vec<PairKind>, bool)) -> Vec<PairTerm> {
        let alpha = self.json["alpha"].as_f64().unwrap();
        let weights = if kinds.len() == 1 { vec![1.0] } else { vec![1.0 - alpha, alpha] };
        let term = |(kind, weight)| PairTerm {
            kind,
            weight,
            temperature: self.json["temperature"].as_f64().unwrap(),
            normalize: self.json["normalize"].as_bool().unwrap(),
            cross,
            no_positive: NoPositive::Skip,
        };
        kinds.into_iter().zip(weights).map(term).collect()
    }

    /// Compares with `expected` under the convention `name`.
    fn check(&self, name: &str, expected: &Value, tolerance: &Value) {
        let Some(convention) = convention(name) else { return };
        let at = format!("{} {name}", self.json["id"]);
        let terms = self.terms(convention);
        let near = |found: f64, expected: &Value, tolerance: &Value, what: &str| {
            let expected = expected.as_f64().expect("a number");
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < tolerance.as_f64().unwrap(), "{at} {what}: {found}, not {expected}");
        };
        for (dtype, tolerance) in
            [(DType::F64, &tolerance["value"]), (DType::F32, &tolerance["float32_value"])]
        {
            let z = self.embeddings(dtype);
            let (total, parts) = contrastive(&z, &self.labels, self.views, &terms).unwrap();
            near(values(&total)[0], &expected["total"], tolerance, "total");
            if parts.len() == 2 {
                near(parts[0], &expected["sup"], tolerance, "sup");
                near(parts[1], &expected["cnce"], tolerance, "cnce");
            }
        }
        self.check_gradient(&terms, &at, (expected, &tolerance["gradient"]));
    }

    fn check_gradient(
        &self,
        terms: &[PairTerm],
        at: &str,
        (expected, tolerance): (&Value, &Value),
    ) {
        let z = self.embeddings(DType::F64);
        let (total, _) = contrastive(&z, &self.labels, self.views, terms).unwrap();
        let found = values(total.backward().unwrap().get(&z).unwrap());
        let expected = by_view(&numbers(&expected["grad_total"]), self.views, self.dim);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < tolerance.as_f64().unwrap(), "{at}: {found}, not {expected}");
        }
    }
}

#[test]
fn every_case_agrees() {
    let file: Value = serde_json::from_str(include_str!("../data/loss_cases.json")).unwrap();
    let mut checked = 0;
    for json in file["cases"].as_array().unwrap() {
        let case = Case::new(json);
        for (name, expected) in json["expected"].as_object().unwrap() {
            if expected.is_object() && expected["total"].is_number() {
                case.check(name, expected, &file["tolerance"]);
                checked += usize::from(convention(name).is_some());
            }
        }
    }
    assert!(checked >= 60, "only {checked} expectations were found");
}
