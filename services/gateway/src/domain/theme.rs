//! The colours of a tenant's pages, made from its one brand colour for light and for dark so that everything can be read
//! (WCAG 2.2: text 4.5:1, edges and focus 3:1). Lightness is searched in OKLCH, where it is what an eye calls lightness;
//! hue and, as far as a screen can show it, chroma stay the brand's.
//!
//! A brand colour that cannot be a button stays as decoration; buttons take the nearest tone that can.

use palette::{
    FromColor, IsWithinBounds, OklabHue, Oklch, Srgb, color_difference::Wcag21RelativeContrast,
    convert::FromColorUnclamped,
};
use std::fmt::Write;
use tenantry_kernel::ThemeMode;

/// sRGB as it stands in a style sheet.
pub type Rgb = Srgb<u8>;

/// Text needs this contrast with what it stands on.
pub const TEXT: f64 = 4.5;
/// Edges of controls, focus and large text.
pub const EDGE: f64 = 3.0;
/// Browsers and checkers round differently; nothing is left to the last digit.
const MARGIN: f64 = 0.03;
/// A step of the search in lightness: finer than an eye sees.
const STEP: f64 = 0.005;
/// Where a tenant has no colour.
const FALLBACK: Rgb = Rgb::new(0x34, 0x51, 0xb2);
const WHITE: Rgb = Rgb::new(255, 255, 255);
const BLACK: Rgb = Rgb::new(0, 0, 0);

/// Light or dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// The colours of one shade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tokens {
    /// The page.
    pub surface: Rgb,
    /// What stands out from the page: panels, table heads.
    pub raised: Rgb,
    /// Text.
    pub text: Rgb,
    /// Text of less weight.
    pub soft: Rgb,
    /// Edges of controls.
    pub border: Rgb,
    /// As the tenant gave it: decoration only.
    pub brand: Rgb,
    /// Buttons.
    pub accent: Rgb,
    /// Buttons under the pointer.
    pub accent_hover: Rgb,
    /// Text on buttons.
    pub on_accent: Rgb,
    /// Links.
    pub link: Rgb,
    /// The ring around what has the focus.
    pub focus: Rgb,
    /// Text and edges of what destroys or failed, and the button for it.
    pub danger: Rgb,
    /// Text on such a button.
    pub on_danger: Rgb,
    /// Text and edges of what needs attention.
    pub warning: Rgb,
    /// Text and edges of what went well.
    pub success: Rgb,
}

/// Two colours that meet, and the contrast they need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Token in front.
    pub front: &'static str,
    /// Token behind.
    pub back: &'static str,
    /// Its colour.
    pub front_color: Rgb,
    /// Its colour.
    pub back_color: Rgb,
    /// What it needs.
    pub least: f64,
}

impl Pair {
    /// What it has, 1 to 21.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        contrast(self.front_color, self.back_color)
    }
}

/// Where lightness and colourfulness of the neutral tones begin; the search moves them where they fail.
struct Ground {
    surface: (f64, f64),
    raised: (f64, f64),
    text: (f64, f64),
    soft: (f64, f64),
    border: (f64, f64),
    /// Of danger, warning and success.
    signal: f64,
}

const LIGHT: Ground = Ground {
    surface: (1.0, 0.0),
    raised: (0.968, 0.006),
    text: (0.24, 0.015),
    soft: (0.48, 0.015),
    border: (0.64, 0.015),
    signal: 0.5,
};
const DARK: Ground = Ground {
    surface: (0.185, 0.012),
    raised: (0.24, 0.014),
    text: (0.95, 0.005),
    soft: (0.77, 0.012),
    border: (0.58, 0.015),
    signal: 0.78,
};

impl Tokens {
    /// From the brand colour.
    #[must_use]
    pub fn new(brand: Rgb, shade: Shade) -> Self {
        let ground = match shade {
            Shade::Light => &LIGHT,
            Shade::Dark => &DARK,
        };
        let tone = oklch(brand);
        // Neutral tones carry a breath of the brand's hue; grey has no hue to carry.
        let tint = (tone.chroma / 0.1).min(1.0);
        let neutral = |(lightness, chroma): (f64, f64)| Oklch::new(lightness, chroma * tint, tone.hue);
        let (surface, raised) = (shown(neutral(ground.surface)), shown(neutral(ground.raised)));
        let on_both = |color: Rgb, least: f64| reaches(color, surface, least) && reaches(color, raised, least);
        let neutral = |at, least| nearest(neutral(at), |color| on_both(color, least));
        let signal = |chroma: f64, hue: f64| {
            nearest(Oklch::new(ground.signal, chroma, OklabHue::new(hue)), |color| {
                on_both(color, TEXT)
            })
        };
        let readable = |color: Rgb| reaches(color, WHITE, TEXT) || reaches(color, BLACK, TEXT);
        let accent = keep_or(brand, |color| on_both(color, EDGE) && readable(color));
        let on_accent = if reaches(accent, WHITE, TEXT) { WHITE } else { BLACK };
        // Away from the text on it, so that pressing never makes a button harder to read.
        let shift = if on_accent == WHITE { -0.06 } else { 0.06 };
        let mut hover = oklch(accent);
        hover.l = (hover.l + shift).clamp(0.0, 1.0);
        let accent_hover = nearest(hover, |color| on_both(color, EDGE) && reaches(color, on_accent, TEXT));
        let danger = signal(0.19, 27.0);
        Self {
            surface,
            raised,
            text: neutral(ground.text, TEXT),
            soft: neutral(ground.soft, TEXT),
            border: neutral(ground.border, EDGE),
            brand,
            accent,
            accent_hover,
            on_accent,
            link: keep_or(brand, |color| on_both(color, TEXT)),
            focus: keep_or(brand, |color| on_both(color, EDGE)),
            danger,
            on_danger: surface,
            warning: signal(0.12, 75.0),
            success: signal(0.13, 150.0),
        }
    }

    /// Everything that meets on a page and must be told apart.
    #[must_use]
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        let grounds = [("surface", self.surface), ("raised", self.raised)];
        let fronts = [
            ("text", self.text, TEXT),
            ("soft", self.soft, TEXT),
            ("link", self.link, TEXT),
            ("danger", self.danger, TEXT),
            ("warning", self.warning, TEXT),
            ("success", self.success, TEXT),
            ("border", self.border, EDGE),
            ("accent", self.accent, EDGE),
            ("accent-hover", self.accent_hover, EDGE),
            ("focus", self.focus, EDGE),
        ];
        for (front, front_color, least) in fronts {
            pairs.extend(grounds.map(|(back, back_color)| Pair {
                front,
                back,
                front_color,
                back_color,
                least,
            }));
        }
        let buttons = [
            ("on-accent", self.on_accent, "accent", self.accent),
            ("on-accent", self.on_accent, "accent-hover", self.accent_hover),
            ("on-danger", self.on_danger, "danger", self.danger),
        ];
        pairs.extend(buttons.map(|(front, front_color, back, back_color)| Pair {
            front,
            back,
            front_color,
            back_color,
            least: TEXT,
        }));
        pairs
    }

    /// The tokens as custom properties.
    fn css(&self) -> String {
        let tokens = [
            ("surface", self.surface),
            ("raised", self.raised),
            ("text", self.text),
            ("soft", self.soft),
            ("border", self.border),
            ("brand", self.brand),
            ("accent", self.accent),
            ("accent-hover", self.accent_hover),
            ("on-accent", self.on_accent),
            ("link", self.link),
            ("focus", self.focus),
            ("danger", self.danger),
            ("on-danger", self.on_danger),
            ("warning", self.warning),
            ("success", self.success),
        ];
        let mut css = String::new();
        for (name, color) in tokens {
            let _ = write!(css, "--{name}:{};", hex(color));
        }
        css
    }
}

/// Both shades of a tenant's pages, and which of them are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    /// Which shades are shown.
    pub mode: ThemeMode,
    /// Dark on light.
    pub light: Tokens,
    /// Light on dark.
    pub dark: Tokens,
}

impl Theme {
    /// From a tenant's brand colour; what is no colour becomes the default one.
    #[must_use]
    pub fn new(primary: &str, mode: ThemeMode) -> Self {
        let brand = parse(primary).unwrap_or(FALLBACK);
        Self {
            mode,
            light: Tokens::new(brand, Shade::Light),
            dark: Tokens::new(brand, Shade::Dark),
        }
    }

    /// The tokens of every page.
    #[must_use]
    pub fn css(&self) -> String {
        let (light, dark) = (self.light.css(), self.dark.css());
        match self.mode {
            ThemeMode::Light => format!(":root{{color-scheme:light;{light}}}\n"),
            ThemeMode::Dark => format!(":root{{color-scheme:dark;{dark}}}\n"),
            ThemeMode::Auto => format!(
                ":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
            ),
        }
    }

    /// The tokens of the two panes of a preview; they say nothing about the page around them.
    #[must_use]
    pub fn preview_css(&self) -> String {
        let (light, dark) = (self.light.css(), self.dark.css());
        let hidden = match self.mode {
            ThemeMode::Auto => "",
            ThemeMode::Light => ".preview-dark{display:none}\n",
            ThemeMode::Dark => ".preview-light{display:none}\n",
        };
        format!(".preview-light{{color-scheme:light;{light}}}\n.preview-dark{{color-scheme:dark;{dark}}}\n{hidden}")
    }

    /// The shades that are shown, with their names for people.
    #[must_use]
    pub fn shown(&self) -> Vec<(&'static str, &Tokens)> {
        let (light, dark) = (("light", &self.light), ("dark", &self.dark));
        match self.mode {
            ThemeMode::Auto => vec![light, dark],
            ThemeMode::Light => vec![light],
            ThemeMode::Dark => vec![dark],
        }
    }

    /// What was changed so that pages can be read, for whoever chose the colour.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (shade, tokens) in self.shown() {
            let (brand, ratio) = (hex(tokens.brand), contrast(tokens.brand, tokens.surface));
            if tokens.accent != tokens.brand {
                notes.push(format!(
                    "On {shade} pages {brand} has a contrast of {ratio:.1}:1 with the page and cannot be a button, which needs {EDGE}:1. \
                     It stays as decoration; buttons are {}.",
                    hex(tokens.accent)
                ));
            }
            if tokens.link != tokens.brand {
                notes.push(format!(
                    "On {shade} pages {brand} has a contrast of {ratio:.1}:1 and cannot be text, which needs {TEXT}:1. Links are {}.",
                    hex(tokens.link)
                ));
            }
        }
        notes
    }
}

/// `#rrggbb` and nothing else.
#[must_use]
pub fn parse(text: &str) -> Option<Rgb> {
    let digits = text
        .strip_prefix('#')
        .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    digits.parse().ok()
}

/// `#rrggbb`
#[must_use]
pub fn hex(color: Rgb) -> String {
    format!("#{color:x}")
}

/// WCAG contrast ratio, 1 to 21.
#[must_use]
pub fn contrast(a: Rgb, b: Rgb) -> f64 {
    a.into_format::<f64>().relative_contrast(b.into_format())
}

fn reaches(a: Rgb, b: Rgb, least: f64) -> bool {
    contrast(a, b) >= least + MARGIN
}

fn oklch(color: Rgb) -> Oklch<f64> {
    Oklch::from_color(color.into_format::<f64>())
}

/// The colour itself if it will do, else the nearest tone that will.
fn keep_or(color: Rgb, will_do: impl Fn(Rgb) -> bool) -> Rgb {
    if will_do(color) {
        color
    } else {
        nearest(oklch(color), will_do)
    }
}

/// The tone of the same hue whose lightness is nearest to the wanted one and that will do.
fn nearest(wanted: Oklch<f64>, will_do: impl Fn(Rgb) -> bool) -> Rgb {
    let mut away = 0.0;
    while away <= 1.0 {
        for lightness in [wanted.l - away, wanted.l + away] {
            if (0.0..=1.0).contains(&lightness) {
                let color = shown(Oklch::new(lightness, wanted.chroma, wanted.hue));
                if will_do(color) {
                    return color;
                }
            }
        }
        away += STEP;
    }
    // Black or white always will; the test over all colours shows that this is not reached.
    if will_do(WHITE) { WHITE } else { BLACK }
}

/// The colour on a screen: chroma gives way where a screen cannot show it, lightness and hue do not.
fn shown(tone: Oklch<f64>) -> Rgb {
    let at = |chroma: f64| Srgb::from_color_unclamped(Oklch::new(tone.l, chroma, tone.hue));
    let full: Srgb<f64> = at(tone.chroma);
    if full.is_within_bounds() {
        return full.into_format();
    }
    let (mut low, mut high) = (0.0, tone.chroma);
    for _ in 0..8 {
        let middle = f64::midpoint(low, high);
        let fits = at(middle).is_within_bounds();
        (low, high) = if fits { (middle, high) } else { (low, middle) };
    }
    Srgb::from_color(Oklch::new(tone.l, low, tone.hue)).into_format()
}

#[cfg(test)]
#[path = "theme_test.rs"]
mod tests;
