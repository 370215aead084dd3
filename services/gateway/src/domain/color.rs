//! Colours of a tenant's pages from its one primary colour, so that text always stays readable (WCAG 2.2: text 4.5:1).
//! A colour that cannot carry text stays as decoration; buttons and links use the nearest tone that can.

use std::fmt;

/// sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// Text needs this contrast with what it stands on.
pub const TEXT: f64 = 4.5;
const WHITE: Rgb = Rgb(255, 255, 255);
const BLACK: Rgb = Rgb(0, 0, 0);
const DARK: Rgb = Rgb(0x12, 0x14, 0x1a);
const FALLBACK: Rgb = Rgb(0x34, 0x51, 0xb2);

/// What a page needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// As the tenant gave it: decoration and buttons.
    pub primary: Rgb,
    /// Text on it.
    pub on_primary: Rgb,
    /// Links and focus on white.
    pub link: Rgb,
    /// Links and focus on the dark background.
    pub link_dark: Rgb,
}

impl Rgb {
    /// `#rrggbb` and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text
            .strip_prefix('#')
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        Some(Self(part(0)?, part(2)?, part(4)?))
    }
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
    /// WCAG contrast ratio, 1 to 21.
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }
    fn mix(self, other: Self, step: u8) -> Self {
        let part = |a: u8, b: u8| {
            let mixed = (u32::from(a) * u32::from(32 - step) + u32::from(b) * u32::from(step)) / 32;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Self(part(self.0, other.0), part(self.1, other.1), part(self.2, other.2))
    }
    /// The nearest tone towards `end` that can be read on `ground`.
    fn readable_on(self, ground: Self, end: Self) -> Self {
        (0..=32)
            .map(|step| self.mix(end, step))
            .find(|tone| tone.contrast(ground) >= TEXT)
            .unwrap_or(end)
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

impl Palette {
    /// From a tenant's primary colour; what is no colour becomes the default one.
    #[must_use]
    pub fn new(primary: &str) -> Self {
        let primary = Rgb::parse(primary).unwrap_or(FALLBACK);
        let on_primary = if primary.contrast(WHITE) >= primary.contrast(BLACK) {
            WHITE
        } else {
            BLACK
        };
        Self {
            primary,
            on_primary,
            link: primary.readable_on(WHITE, BLACK),
            link_dark: primary.readable_on(DARK, WHITE),
        }
    }
    /// The style sheet's variables.
    #[must_use]
    pub fn css(&self) -> String {
        let Self {
            primary,
            on_primary,
            link,
            link_dark,
        } = self;
        format!(
            ":root{{--primary:{primary};--on-primary:{on_primary};--link:{link};--ground:{WHITE};--text:#1c2024;--soft:#5a616b;--line:#c7ccd4}}\n\
             @media (prefers-color-scheme:dark){{:root{{--link:{link_dark};--ground:{DARK};--text:#eceef2;--soft:#a8b0bc;--line:#4a515e}}}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_keeps_every_text_readable() {
        for n in 0..4096_u32 {
            let part = |shift: u32| u8::try_from((n >> shift) & 15).expect("4 bits") * 17;
            let palette = Palette::new(&Rgb(part(8), part(4), part(0)).to_string());
            assert!(palette.primary.contrast(palette.on_primary) >= TEXT, "{palette:?}");
            assert!(palette.link.contrast(WHITE) >= TEXT, "{palette:?}");
            assert!(palette.link_dark.contrast(DARK) >= TEXT, "{palette:?}");
        }
    }

    #[test]
    fn only_plain_colours_reach_the_style_sheet() {
        assert_eq!(Rgb::parse("#0a1B2c"), Some(Rgb(10, 27, 44)));
        for bad in [
            "",
            "#fff",
            "red",
            "#12345g",
            "#1234567",
            "#000;}body{",
            "é00000",
            "#+12345",
        ] {
            assert_eq!(Rgb::parse(bad), None, "{bad}");
            assert_eq!(Palette::new(bad).primary, FALLBACK);
        }
    }
}
