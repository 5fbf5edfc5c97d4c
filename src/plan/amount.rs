//! Large amounts in few digits.

/// `1.8 GiB`
pub fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// `72.7 P`: floating-point operations.
pub fn flops(flops: f64) -> String {
    scaled(flops, 1000.0, &["", "K", "M", "G", "T", "P", "E", "Z"])
}

/// `72.7 PFLOP`
pub fn flop(amount: f64) -> String {
    let text = flops(amount);
    if text.contains(' ') { text + "FLOP" } else { text + " FLOP" }
}

/// `19.2 h`
pub fn time(seconds: f64) -> String {
    let units = [("d", 86_400.0), ("h", 3600.0), ("min", 60.0)];
    let unit = units.iter().find(|(_, length)| seconds >= 2.0 * length);
    let (name, length) = unit.unwrap_or(&("s", 1.0));
    format!("{} {name}", digits(seconds / length))
}

/// `3,254,784`
pub fn grouped(number: u64) -> String {
    let text = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // What would round to a whole step is written in the next unit.
    while value >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    format!("{} {}", digits(value), units[unit]).trim_end().to_owned()
}

/// One decimal where it matters.
fn digits(value: f64) -> String {
    if value >= 100.0 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        let amounts = [0, 1023, 1024, 1536, 1_967_824_896, u64::MAX].map(bytes);
        assert_eq!(amounts, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "1.8 GiB", "16 EiB"]);
        assert_eq!([0.0, 999.6, 7.27e16, 1e30].map(flops), ["0", "1 K", "72.7 P", "1000000000 Z"]);
        assert_eq!([7.27e16, 12.0].map(flop), ["72.7 PFLOP", "12 FLOP"]);
        assert_eq!([0.5, 119.0, 120.0, 69_000.0].map(time), ["0.5 s", "119 s", "2 min", "19.2 h"]);
        assert_eq!([7, 999, 1000, 3_254_784].map(grouped), ["7", "999", "1,000", "3,254,784"]);
    }
}
