//! Every colour a tenant can choose, by the formula of the standard.

use super::*;
use proptest::prelude::*;

/// WCAG 2.2, "relative luminance" and "contrast ratio", word for word: what a checker computes.
fn by_the_book(a: Rgb, b: Rgb) -> f64 {
    let luminance = |color: Rgb| {
        let channel = |value: u8| {
            let c = f64::from(value) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(color.red) + 0.7152 * channel(color.green) + 0.0722 * channel(color.blue)
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn failing(brand: Rgb) -> Vec<String> {
    let mut failing = Vec::new();
    for shade in [Shade::Light, Shade::Dark] {
        let tokens = Tokens::new(brand, shade);
        for pair in tokens.pairs() {
            let ratio = by_the_book(pair.front_color, pair.back_color);
            if ratio < pair.least {
                failing.push(format!("{brand:x} {shade:?} {} on {}: {ratio}", pair.front, pair.back));
            }
        }
    }
    failing
}

#[test]
fn every_twelve_bit_colour_gives_pages_that_can_be_read() {
    let mut failures = Vec::new();
    for n in 0..4096_u32 {
        let part = |shift: u32| u8::try_from((n >> shift) & 15).expect("4 bits") * 17;
        failures.extend(failing(Rgb::new(part(8), part(4), part(0))));
    }
    assert!(
        failures.is_empty(),
        "{} pairs fail: {:?}",
        failures.len(),
        failures.first()
    );
}

proptest! {
    #[test]
    fn every_other_colour_does_too(red: u8, green: u8, blue: u8) {
        prop_assert_eq!(failing(Rgb::new(red, green, blue)), Vec::<String>::new());
    }
}

#[test]
fn a_colour_that_can_be_a_button_is_one_and_another_gets_the_nearest_tone_of_its_hue() {
    let blue = Theme::new("#3451b2", ThemeMode::Light);
    assert_eq!(
        (blue.light.accent, blue.light.link),
        (blue.light.brand, blue.light.brand)
    );
    assert!(blue.notes().is_empty(), "{:?}", blue.notes());
    let yellow = Theme::new("#ffee00", ThemeMode::Auto);
    assert_eq!(hex(yellow.light.brand), "#ffee00");
    assert_ne!(yellow.light.accent, yellow.light.brand);
    let (was, is) = (oklch(yellow.light.brand), oklch(yellow.light.accent));
    assert!((was.hue - is.hue).into_degrees().abs() < 3.0, "{was:?} {is:?}");
    assert_eq!(yellow.dark.accent, yellow.dark.brand, "on dark it can");
    let notes = yellow.notes().join(" ");
    assert!(
        notes.contains("On light pages #ffee00") && !notes.contains("dark pages"),
        "{notes}"
    );
}

#[test]
fn the_mode_decides_which_shades_a_page_has() {
    let css = |mode| Theme::new("#3451b2", mode).css();
    assert!(css(ThemeMode::Auto).contains("@media (prefers-color-scheme:dark)"));
    for (mode, text) in [
        (ThemeMode::Light, "color-scheme:light;"),
        (ThemeMode::Dark, "color-scheme:dark;"),
    ] {
        assert!(
            css(mode).contains(text) && !css(mode).contains("@media"),
            "{}",
            css(mode)
        );
    }
    assert!(!Theme::new("#3451b2", ThemeMode::Auto).preview_css().contains(":root"));
}

#[test]
fn only_plain_colours_reach_the_style_sheet() {
    assert_eq!(parse("#0a1B2c"), Some(Rgb::new(10, 27, 44)));
    for bad in [
        "",
        "#fff",
        "red",
        "#12345g",
        "#1234567",
        "#000;}body{",
        "é00000",
        "#+12345",
        "##12345",
        "#-12345",
    ] {
        assert_eq!(parse(bad), None, "{bad}");
        assert_eq!(Theme::new(bad, ThemeMode::Auto).light.brand, FALLBACK);
    }
}
