//! Whether confidence is right as often as it says.

/// The expected calibration error (Guo et al., 2017): over `bins` of equal width, the mean distance
/// of the share of right guesses in a bin from their mean confidence, by the size of the bin. A
/// confidence on a border belongs to the bin below it. None without guesses.
pub fn expected_calibration_error(
    confidences: &[f64],
    is_right: &[bool],
    bins: usize,
) -> Option<f64> {
    let mut gaps = vec![0.0; bins];
    for (confidence, is_right) in confidences.iter().zip(is_right) {
        let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        gaps[bin] += f64::from(u8::from(*is_right)) - confidence;
    }
    let sum: f64 = gaps.iter().map(|gap: &f64| gap.abs()).sum();
    (!confidences.is_empty()).then(|| sum / confidences.len() as f64)
}
