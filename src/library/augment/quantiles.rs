//! Whether what is drawn is distributed as torchvision's draws are; for tests.

use serde_json::Value;

/// Compares draws, a list for each drawn number, with the quantiles of 40,000 draws by torchvision.
#[track_caller]
pub fn assert_distributed(sampler: &str, draws: Vec<Vec<f64>>) {
    let text =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/fixtures/augment.json"));
    let fixture: Value = serde_json::from_str(text).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
    };
    let shares = numbers(&fixture["samplers"]["shares"]);
    let expected = fixture["samplers"][sampler].as_array().unwrap();
    assert_eq!(draws.len(), expected.len(), "{sampler}");
    for (at, (mut drawn, expected)) in draws.into_iter().zip(expected).enumerate() {
        drawn.sort_by(f64::total_cmp);
        let expected = numbers(expected);
        let width = expected[expected.len() - 1] - expected[0];
        for (share, expected) in shares.iter().zip(expected) {
            let found = drawn[(share * (drawn.len() - 1) as f64).round() as usize];
            // Whole numbers may be one beside; the rest is chance.
            let allowed = if expected.fract() == 0.0 { 1.0f64.min(0.4 * width) } else { 0.0 };
            let allowed = allowed.max(0.02 * width);
            let difference = (found - expected).abs();
            assert!(difference <= allowed, "{sampler} {at}: {share} is {found}, not {expected}");
        }
    }
}

/// Draws for [`assert_distributed`].
pub fn draws<const N: usize>(mut draw: impl FnMut() -> [f64; N]) -> Vec<Vec<f64>> {
    let rows: Vec<[f64; N]> = (0..40_000).map(|_| draw()).collect();
    (0..N).map(|at| rows.iter().map(|row| row[at]).collect()).collect()
}
