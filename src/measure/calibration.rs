//! Whether confidence is right as often as it says, and whether scores part two classes.

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

/// The area under the receiver operating characteristic: how likely an item of the class has a
/// higher score than one that is not, equal scores counting half. None unless there are both.
pub fn area_under_roc(scores: &[f64], is_class: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut below, mut area) = (0.0, 0.0);
    for equal in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let of_class = equal.iter().filter(|at| is_class[**at]).count() as f64;
        let others = equal.len() as f64 - of_class;
        area += of_class * (below + 0.5 * others);
        below += others;
    }
    let of_class = is_class.iter().filter(|it| **it).count() as f64;
    (of_class > 0.0 && below > 0.0).then(|| area / (of_class * below))
}
